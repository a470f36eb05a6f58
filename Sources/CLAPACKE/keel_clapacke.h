/* The one header through which Keel sees LAPACKE. */
#ifndef KEEL_CLAPACKE_H
#define KEEL_CLAPACKE_H

#include <lapacke.h>

/* lapack_int is a macro in some versions, which Swift does not see. */
typedef lapack_int keel_lapack_int;

#endif
