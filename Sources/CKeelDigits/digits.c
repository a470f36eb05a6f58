#include "CKeelDigits.h"
const unsigned char keel_digits[1797*65]={0};
