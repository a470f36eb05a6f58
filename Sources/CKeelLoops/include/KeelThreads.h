/* What Swift cannot say about threads. */
#ifndef KEELTHREADS_H
#define KEELTHREADS_H

/* A Swift closure that does not escape, on its way to other threads: Swift can only keep those that do, which takes
   memory. */
typedef struct KeelBody {
  const void *function;
  void *context;
} KeelBody;

/* Declared in Swift with a closure (Int, Int) -> Void as its parameter. */
__attribute__((swiftcall)) KeelBody keel_body(const void *function, void *context);

/* Calls the closure, which must be alive. */
static inline void keel_call(KeelBody body, long task, long worker) {
  typedef __attribute__((swiftcall)) void (*Function)(long, long,
                                                      __attribute__((swift_context)) void *);
  ((Function)body.function)(task, worker, body.context);
}

/* For a thread that looks out for what another one writes. */
static inline void keel_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
