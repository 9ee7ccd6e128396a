#ifndef TTI_EMIT_JSONL_FILE_H
#define TTI_EMIT_JSONL_FILE_H

#include "lib/base/slice.h"

/* A file of lines that is only appended to. Errors are errno values, or
 * TTI_FILE_NOT_REGULAR; 0 is success. */
#define TTI_FILE_NOT_REGULAR (-1)

/* Opens it for appending, made with mode 0600 when it is not there; never
 * waits for another process. A last line without an end, which a crash or a
 * full disk left, gets one. On success *out_fd is the caller's. */
int tti_file_open(const char *path, int *out_fd);

/* Appends lines, each with its end, with one write unless the kernel takes a
 * part only. *out_written are the bytes that stay, always whole lines: what
 * was written of another one is cut off again as long as nobody has written
 * after it. */
int tti_file_append(int fd, tti_slice lines, size_t *out_written);

/* What the error means. Borrowed until the thread asks again. */
const char *tti_file_error(int error);

#endif
