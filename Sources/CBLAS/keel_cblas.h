/* The one header through which Keel sees CBLAS and OpenBLAS's own entry points. */
#ifndef KEEL_CBLAS_H
#define KEEL_CBLAS_H

#include <cblas.h>

/* Declared here too, so that a cblas.h of the reference BLAS ahead on the include path does not
   hide what the linked OpenBLAS provides. */
extern void openblas_set_num_threads(int num_threads);
extern int openblas_get_num_threads(void);
extern char *openblas_get_config(void);
extern char *openblas_get_corename(void);
extern int openblas_get_parallel(void);

#endif
