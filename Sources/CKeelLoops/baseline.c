/* The leaf loops for the instruction set that every CPU of the architecture has. */
#define KEEL_WIDTH 4
#define KEEL_TABLE keel_loops_baseline
#if defined(__aarch64__)
#define KEEL_NAME "neon"
#else
#define KEEL_NAME "baseline"
#endif
#include "loops.h"
