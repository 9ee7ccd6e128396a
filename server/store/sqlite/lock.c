#include "server/store/sqlite/lock.h"

#ifdef TELLTALE_TESTING
#include "server/testing/vfs.h"
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/* Two lines: the process id, and the memory. Numbers have a fixed width, so
 * that the file keeps its length and writing it again needs no room. */
#define MEMORY_READ  "boot %39s log %39s stored %" SCNu64 " issued %" SCNu64
#define MEMORY_WRITE "boot %s log %s stored %020" PRIu64 " issued %020" PRIu64
enum { FILE_BYTES = 256 };
/* No number of an event comes near it: microseconds of the clock, which is what
 * a restored store begins with, pass it in 2255. Above is damage, and whoever
 * went on from there could not go back. */
#define SEQ_MAX (UINT64_C(1) << 53)

static void parse(const char *text, lock_memory *out_memory) {
  lock_memory memory = {0};
  const char *line = strchr(text, '\n');
  *out_memory = (lock_memory){0};
  if (!line ||
      sscanf(line + 1, MEMORY_READ, memory.boot, memory.log, &memory.stored_seq,
             &memory.issued_seq) != 4 ||
      memory.stored_seq > SEQ_MAX || memory.issued_seq > SEQ_MAX)
    return;
  if (strcmp(memory.boot, "-") == 0)
    memory.boot[0] = '\0';
  if (strcmp(memory.log, "-") == 0)
    memory.log[0] = '\0';
  *out_memory = memory;
}

bool lock_write(store_lock *lock) {
  char text[FILE_BYTES];
  const lock_memory *memory = &lock->memory;
  int len = snprintf(text, sizeof text, "%-10ld\n" MEMORY_WRITE "\n",
                     (long)getpid(), *memory->boot ? memory->boot : "-",
                     *memory->log ? memory->log : "-", memory->stored_seq,
                     memory->issued_seq);
  return pwrite(lock->fd, text, (size_t)len, 0) == len &&
         ftruncate(lock->fd, len) == 0;
}

tt_error lock_take(store_lock *lock, const char *path, tti_buf *out_error) {
  char file[4096], text[FILE_BYTES];
  snprintf(file, sizeof file, "%s.lock", path);
  lock->fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock->fd < 0) {
    tti_buf_printf(out_error, "cannot create %s: %s", file, strerror(errno));
    return TT_EIO;
  }
  bool held = flock(lock->fd, LOCK_EX | LOCK_NB) == 0;
  ssize_t len = pread(lock->fd, text, sizeof text - 1, 0);
  text[len > 0 ? len : 0] = '\0';
  if (!held) {
    int digits = (int)strspn(text, "0123456789");
    tti_buf_printf(out_error,
                   "%s is in use by another server (process %.*s): stop that "
                   "one, or name another file with --store",
                   path, digits ? digits : 7, digits ? text : "unknown");
    lock_release(lock);
    return TT_EBUSY;
  }
  parse(text, &lock->memory);
  if (lock_write(lock))
    return TT_OK;
  tti_buf_printf(out_error, "cannot write %s: %s", file, strerror(errno));
  lock_release(lock);
  return TT_EIO;
}

void lock_release(store_lock *lock) {
  if (lock->fd >= 0)
    close(lock->fd);
  lock->fd = -1;
}

void lock_boot(char out_boot[40]) {
  out_boot[0] = '\0';
#ifdef TELLTALE_TESTING
  /* Every start is another life of a disk that loses power. */
  if (testing_vfs_name())
    return;
#endif
  FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
  if (file && fscanf(file, "%39s", out_boot) != 1)
    out_boot[0] = '\0';
  if (file)
    fclose(file);
}
