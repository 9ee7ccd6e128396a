#include "server/store/sqlite/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What SQLite keeps beside a database. */
static const char *const beside[] = {"-wal", "-shm", "-journal"};
enum { BESIDE = sizeof beside / sizeof *beside };

static tt_error fail(tti_buf *out_error, const char *what, const char *path) {
  int why = errno;
  tti_buf_printf(out_error, "cannot %s %s: %s", what, path, strerror(why));
  return why == ENOSPC || why == EDQUOT ? TT_ENOSPACE : TT_EIO;
}

static tt_error refuse_existing(const char *path, tti_buf *out_error) {
  tti_buf_printf(out_error,
                 "%s is there already: name another file, or replace it with "
                 "--force",
                 path);
  return TT_ECONFLICT;
}

/* A log that stayed beside another database would be replayed into this one. */
static tt_error check_beside(const target *t, tti_buf *out_error) {
  for (size_t i = 0; i < BESIDE; i++) {
    char *file;
    if (asprintf(&file, "%s%s", t->path, beside[i]) < 0)
      return TT_ENOMEM;
    bool there = access(file, F_OK) == 0;
    free(file);
    if (!there)
      continue;
    tti_buf_printf(out_error,
                   "%s%s shows that %s is a database in use: name another file",
                   t->path, beside[i], t->path);
    return TT_ECONFLICT;
  }
  return TT_OK;
}

static tt_error check_name(const target *t, bool force, tti_buf *out_error) {
  struct stat st;
  size_t len = strlen(t->path);
  if (len == 0 || t->path[len - 1] == '/') {
    tti_buf_printf(out_error, "\"%s\" names no file to back up to", t->path);
    return TT_EINVAL;
  }
  if (lstat(t->path, &st) == 0) {
    if (!S_ISREG(st.st_mode)) {
      tti_buf_printf(out_error, "%s is not a file: name another", t->path);
      return TT_ECONFLICT;
    }
    if (!force)
      return refuse_existing(t->path, out_error);
  } else if (errno != ENOENT) {
    return fail(out_error, "look at", t->path);
  }
  return check_beside(t, out_error);
}

static void remove_beside_partial(const target *t) {
  for (size_t i = 0; i < BESIDE; i++) {
    char *file;
    if (asprintf(&file, "%s%s", t->partial, beside[i]) < 0)
      return;
    unlink(file);
    free(file);
  }
}

/* Whoever may write to the folder may have put something there: a file of
 * theirs, to read the copy from, or another name of one of ours. */
static tt_error check_partial(const target *t, tti_buf *out_error) {
  struct stat st;
  if (fstat(t->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink <= 1 &&
      st.st_uid == geteuid())
    return TT_OK;
  tti_buf_printf(out_error, "%s was not left by a backup: remove it",
                 t->partial);
  return TT_ECONFLICT;
}

/* The lock goes with the process, so whoever has it is alone; and the name must
 * still be that file's, or it was published meanwhile. */
static tt_error lock_partial(target *t, tti_buf *out_error) {
  struct stat mine, named;
  t->fd = open(t->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (t->fd < 0)
    return fail(out_error, "create", t->partial);
  tt_error error = check_partial(t, out_error);
  if (error) {
    close(t->fd);
    t->fd = -1;
    return error;
  }
  if (flock(t->fd, LOCK_EX | LOCK_NB) != 0 || fstat(t->fd, &mine) != 0 ||
      lstat(t->partial, &named) != 0 || mine.st_ino != named.st_ino ||
      mine.st_dev != named.st_dev) {
    close(t->fd);
    t->fd = -1;
    tti_buf_printf(out_error,
                   "another backup is writing %s: wait for it, or name another "
                   "file",
                   t->partial);
    return TT_EBUSY;
  }
  remove_beside_partial(t);
  if (fchmod(t->fd, 0600) != 0 || ftruncate(t->fd, 0) != 0)
    return fail(out_error, "write", t->partial);
  return TT_OK;
}

static tt_error check_space(const target *t, uint64_t needed_bytes,
                            tti_buf *out_error) {
  struct statvfs fs;
  if (fstatvfs(t->fd, &fs) != 0)
    return TT_OK; /* not every file system can say */
  uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
  if (free_bytes >= needed_bytes)
    return TT_OK;
  tti_buf_printf(out_error,
                 "%s needs up to %llu MB and its device has %llu MB free: free "
                 "some, or name a file on another device",
                 t->path, (unsigned long long)(needed_bytes / 1000000 + 1),
                 (unsigned long long)(free_bytes / 1000000));
  return TT_ENOSPACE;
}

tt_error target_open(target *t, const char *path, bool force,
                     uint64_t needed_bytes, tti_buf *out_error) {
  *t = (target){.fd = -1};
  t->path = strdup(path);
  if (!t->path || asprintf(&t->partial, "%s" TARGET_PARTIAL, path) < 0) {
    t->partial = NULL;
    return TT_ENOMEM;
  }
  tt_error error = check_name(t, force, out_error);
  if (!error)
    error = lock_partial(t, out_error);
  return error ? error : check_space(t, needed_bytes, out_error);
}

/* The name is on the disk when the folder is. */
static tt_error sync_folder(const target *t, tti_buf *out_error) {
  char *folder = strdup(t->path);
  if (!folder)
    return TT_ENOMEM;
  char *slash = strrchr(folder, '/');
  if (slash)
    slash[slash == folder] = '\0';
  int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool synced = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
  tt_error error =
      synced ? TT_OK : fail(out_error, "sync the folder", slash ? folder : ".");
  if (fd >= 0)
    close(fd);
  free(folder);
  return error;
}

static int give_name(const target *t, bool force) {
  if (force)
    return rename(t->partial, t->path);
  if (renameat2(AT_FDCWD, t->partial, AT_FDCWD, t->path, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EINVAL && errno != ENOSYS)
    return -1;
  /* A file system that cannot do it in one. */
  if (access(t->path, F_OK) == 0) {
    errno = EEXIST;
    return -1;
  }
  return rename(t->partial, t->path);
}

tt_error target_publish(target *t, bool force, tti_buf *out_error) {
  if (fsync(t->fd) != 0)
    return fail(out_error, "sync", t->partial);
  tt_error error = check_beside(t, out_error);
  if (error)
    return error;
  if (give_name(t, force) != 0)
    return errno == EEXIST ? refuse_existing(t->path, out_error)
                           : fail(out_error, "write", t->path);
  close(t->fd);
  t->fd = -1;
  return sync_folder(t, out_error);
}

void target_close(target *t) {
  if (t->fd >= 0) {
    unlink(t->partial);
    remove_beside_partial(t);
    close(t->fd);
  }
  free(t->path);
  free(t->partial);
  *t = (target){.fd = -1};
}
