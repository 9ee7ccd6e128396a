#include "server/store/sqlite/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

static tt_error refuse(const char *path, int fd, tti_buf *out_error) {
  char owner[32];
  ssize_t len = pread(fd, owner, sizeof owner - 1, 0);
  owner[len > 0 ? len : 0] = '\0';
  owner[strcspn(owner, "\n")] = '\0';
  tti_buf_printf(out_error,
                 "%s is in use by another server (process %s): stop that one, "
                 "or name another file with --store",
                 path, *owner ? owner : "unknown");
  return TT_EBUSY;
}

tt_error lock_take(const char *path, int *out_fd, tti_buf *out_error) {
  char file[4096], owner[32];
  snprintf(file, sizeof file, "%s.lock", path);
  int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    tti_buf_printf(out_error, "cannot create %s: %s", file, strerror(errno));
    return TT_EIO;
  }
  tt_error error = TT_OK;
  int len = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    error = refuse(path, fd, out_error);
  } else if (ftruncate(fd, 0) != 0 ||
             pwrite(fd, owner, (size_t)len, 0) != len) {
    tti_buf_printf(out_error, "cannot write %s: %s", file, strerror(errno));
    error = TT_EIO;
  }
  if (error)
    close(fd);
  else
    *out_fd = fd;
  return error;
}
