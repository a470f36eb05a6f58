extern const unsigned char keel_digits[1797*65];
