/* The one header through which Keel sees libpng. */
#ifndef KEEL_PNG_H
#define KEEL_PNG_H

#include <png.h>

#endif
