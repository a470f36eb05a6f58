/* Counts the allocations of a thread, for tests that demand none.

   Linked into a program, this target's malloc stands before the C library's, which it calls; memory is
   freed by the library as ever. Only with glibc, which has names for its own functions. */
#ifndef CALLOCATIONCOUNTER_H
#define CALLOCATIONCOUNTER_H

/* Whether allocations are counted here. */
int keel_counts_allocations(void);

/* The allocations that the calling thread has made so far. */
unsigned long keel_allocation_count(void);

#endif
