/* The handwritten digits as a C array: no resource bundle to find, nothing to read at run time. */
#ifndef CKEELDIGITS_H
#define CKEELDIGITS_H

/* The number of digits. */
#define KEEL_DIGITS_COUNT 1797
/* The bytes of one digit: 64 pixels of 0 to 16, row by row, then the label. */
#define KEEL_DIGITS_STRIDE 65

extern const unsigned char keel_digits[KEEL_DIGITS_COUNT * KEEL_DIGITS_STRIDE];

/* The first byte of the array: Swift does not import an array of this size by its name. */
static inline const unsigned char *keel_digits_start(void) { return keel_digits; }

#endif
