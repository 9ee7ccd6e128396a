#include "lib/emit/jsonl/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, tti_slice bytes, size_t *out_written) {
  *out_written = 0;
  while (*out_written < bytes.len) {
    ssize_t n = write(fd, bytes.ptr + *out_written, bytes.len - *out_written);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n < 0 ? errno : EIO;
    *out_written += (size_t)n;
  }
  return 0;
}

/* A write of another process may be under way, of which a part is to be seen
 * already. Setting the mode that the file has takes the lock that the writer
 * holds: afterwards the line is whole, or nobody is writing it. */
#define LOOKS_AT_END 4

static int end_last_line(int fd, struct stat *file) {
  char last = '\n';
  size_t written;
  for (int i = 0; i < LOOKS_AT_END; i++) {
    if (file->st_size > 0 && pread(fd, &last, 1, file->st_size - 1) < 0)
      return errno;
    if (last == '\n')
      return 0;
    fchmod(fd, file->st_mode & 07777); /* may fail where it is not ours */
    if (fstat(fd, file))
      return errno;
  }
  return write_all(fd, (tti_slice){"\n", 1}, &written);
}

int tti_file_open(const char *path, int *out_fd) {
  struct stat file;
  int error = 0;
  /* Non-blocking for what we do not want: a FIFO would wait for a reader. */
  int fd = open(path,
                O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                0600);
  if (fd < 0)
    return errno;
  if (fstat(fd, &file))
    error = errno;
  else if (!S_ISREG(file.st_mode))
    error = TTI_FILE_NOT_REGULAR;
  else
    error = end_last_line(fd, &file);
  if (error)
    close(fd);
  else
    *out_fd = fd;
  return error;
}

/* Another process that appends in just this moment may lose its line: that
 * takes a disk that is full for us and not for it. */
static void cut(int fd, size_t bytes) {
  struct stat file;
  off_t end = lseek(fd, 0, SEEK_CUR); /* of our last write */
  if (end < 0 || fstat(fd, &file) || file.st_size != end)
    return; /* tti_file_open will end the line */
  while (ftruncate(fd, end - (off_t)bytes) && errno == EINTR)
    ;
}

int tti_file_append(int fd, tti_slice lines, size_t *out_written) {
  size_t written;
  int error = write_all(fd, lines, &written);
  size_t whole = written;
  while (whole && lines.ptr[whole - 1] != '\n')
    whole--;
  if (whole < written)
    cut(fd, written - whole);
  *out_written = whole;
  return error;
}

const char *tti_file_error(int error) {
  if (error == TTI_FILE_NOT_REGULAR)
    return "it is not a regular file";
  if (error == ENOENT)
    return "its directory does not exist";
  return strerror(error);
}
