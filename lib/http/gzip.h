#ifndef TTI_HTTP_GZIP_H
#define TTI_HTTP_GZIP_H

#include "lib/base/buf.h"

/* Appends `bytes` as a gzip file. TT_ENOMEM, or the buffer's error. */
tt_error tti_gzip(tti_slice bytes, tti_buf *out);

#endif
