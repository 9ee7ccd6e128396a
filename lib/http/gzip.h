#ifndef TTI_HTTP_GZIP_H
#define TTI_HTTP_GZIP_H

#include "lib/base/buf.h"
#include <zlib.h>

/* Begins streams that are gzip files; what deflateInit2 answers. */
int tti_gzip_init(z_stream *out_stream);

/* Appends `bytes` as a gzip file. TT_ENOMEM, or the buffer's error. */
tt_error tti_gzip(tti_slice bytes, tti_buf *out);

#endif
