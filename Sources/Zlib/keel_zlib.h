/* The one header through which Keel sees zlib. */
#ifndef KEEL_ZLIB_H
#define KEEL_ZLIB_H

#include <zlib.h>

/* inflateInit2 is a macro, which Swift does not see. */
static inline int keel_inflate_start(z_stream *stream, int window_bits) {
  return inflateInit2(stream, window_bits);
}

#endif
