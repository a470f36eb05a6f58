/* The one header through which Keel sees LAPACKE. */
#ifndef KEEL_CLAPACKE_H
#define KEEL_CLAPACKE_H

#include <lapacke.h>

#endif
