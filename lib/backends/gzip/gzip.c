#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <telltale/storage.h>
#include <unistd.h>
#include <zlib.h>

#define CHUNK_BYTES 65536

/* `path` with `more` behind it; NULL: no memory. */
static char *with(const char *path, const char *more) {
  size_t size = strlen(path) + strlen(more) + 1;
  char *text = malloc(size);
  if (text)
    snprintf(text, size, "%s%s", path, more);
  return text;
}

static tt_error error_of_errno(void) {
  return errno == ENOSPC || errno == EDQUOT ? TT_ENOSPACE
         : errno == ENOMEM                  ? TT_ENOMEM
                                            : TT_EIO;
}

/* All of `in` into `out`, which stays open. */
static tt_error compress_into(FILE *in, int out) {
  char chunk[CHUNK_BYTES];
  size_t len;
  int own = fcntl(out, F_DUPFD_CLOEXEC, 0);
  gzFile gz = own < 0 ? NULL : gzdopen(own, "wb6");
  if (!gz) {
    if (own >= 0)
      close(own);
    return TT_ENOMEM;
  }
  tt_error error = TT_OK;
  errno = 0;
  while (!error && (len = fread(chunk, 1, sizeof(chunk), in)) > 0)
    if (gzwrite(gz, chunk, (unsigned)len) == 0)
      error = error_of_errno();
  if (!error && ferror(in))
    error = TT_EIO;
  if (gzclose(gz) != Z_OK && !error)
    error = error_of_errno();
  return error;
}

tt_error tt_gzip_file(void *context, const char *path) {
  (void)context;
  if (!path)
    return TT_EINVAL;
  char *done = with(path, ".gz"), *unfinished = with(path, ".gz.part");
  FILE *in = fopen(path, "re");
  int out = -1;
  tt_error error = TT_ENOMEM;
  if (!done || !unfinished)
    goto out;
  error = TT_EIO;
  if (!in)
    goto out;
  out = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (out < 0)
    goto out;
  error = compress_into(in, out);
  if (!error && (fdatasync(out) || rename(unfinished, done) || unlink(path)))
    error = error_of_errno();
  if (error)
    unlink(unfinished);
out:
  if (out >= 0)
    close(out);
  if (in)
    fclose(in);
  free(done);
  free(unfinished);
  return error;
}
