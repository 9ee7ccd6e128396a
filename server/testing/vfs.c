#include "server/testing/vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR_BYTES 512
/* A file that holds more than this is written out, as any system does with
 * pages that have waited for long. */
#define HELD_MAX_BYTES ((size_t)64 << 20)

/* One change that was not synced: a write, or with no bytes a truncation. */
typedef struct change {
  struct change *next;
  sqlite3_int64 offset; /* of a truncation: the new size */
  size_t len;
  char bytes[];
} change;

/* What all connections share of one file, by its full path. Stays in the list
 * when the last of them closes the file: what was not synced is still not on
 * the disk. */
typedef struct held_file {
  struct held_file *next;
  char *path;
  change *first;
  change **last;
  size_t count;
  size_t bytes;
} held_file;

/* What SQLite allocates for each open file; the real one's follows. */
typedef struct shim_file {
  sqlite3_file base;
  held_file *held; /* NULL: nothing is held back */
} shim_file;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t from_environment = PTHREAD_ONCE_INIT;
static sqlite3_vfs *real; /* set once, before the shim is registered */
static sqlite3_vfs shim;
/* Under the lock. */
static held_file *files;
static bool power_is_off;
static uint64_t random_state;

static sqlite3_file *real_of(sqlite3_file *file) {
  return (sqlite3_file *)((shim_file *)file + 1);
}

/* SplitMix64: the same seed, the same cut. */
static uint64_t next_random(void) {
  uint64_t z = random_state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* ---- Changes held back; all under the lock ---- */

static held_file *find(const char *path) {
  for (held_file *held = files; held; held = held->next)
    if (strcmp(held->path, path) == 0)
      return held;
  return NULL;
}

static held_file *find_or_make(const char *path) {
  held_file *held = find(path);
  if (held)
    return held;
  held = calloc(1, sizeof(*held));
  if (!held)
    return NULL;
  held->path = strdup(path);
  if (!held->path) {
    free(held);
    return NULL;
  }
  held->last = &held->first;
  held->next = files;
  files = held;
  return held;
}

static void forget(held_file *held) {
  while (held->first) {
    change *c = held->first;
    held->first = c->next;
    free(c);
  }
  held->last = &held->first;
  held->count = 0;
  held->bytes = 0;
}

static int hold(held_file *held, const void *bytes, size_t len,
                sqlite3_int64 offset) {
  change *c = malloc(sizeof(*c) + len);
  if (!c)
    return SQLITE_IOERR_NOMEM;
  *c = (change){.offset = offset, .len = len};
  if (len)
    memcpy(c->bytes, bytes, len);
  *held->last = c;
  held->last = &c->next;
  held->count++;
  held->bytes += len;
  return SQLITE_OK;
}

/* Everything, in order, to the real file. */
static int write_out(held_file *held, sqlite3_file *to) {
  int rc = SQLITE_OK;
  for (change *c = held->first; c && rc == SQLITE_OK; c = c->next)
    rc = c->len ? to->pMethods->xWrite(to, c->bytes, (int)c->len, c->offset)
                : to->pMethods->xTruncate(to, c->offset);
  if (rc == SQLITE_OK)
    forget(held);
  return rc;
}

static sqlite3_int64 size_with(const held_file *held, sqlite3_int64 size) {
  for (const change *c = held->first; c; c = c->next) {
    sqlite3_int64 end = c->offset + (sqlite3_int64)c->len;
    if (c->len == 0 ? end < size : end > size)
      size = end;
  }
  return size;
}

/* Lays the changes, in order, over what the real file has at `offset`. */
static void overlay(const held_file *held, char *out, size_t len,
                    sqlite3_int64 offset) {
  sqlite3_int64 end = offset + (sqlite3_int64)len;
  for (const change *c = held->first; c; c = c->next) {
    sqlite3_int64 from = c->offset > offset ? c->offset : offset;
    sqlite3_int64 c_end = c->offset + (sqlite3_int64)c->len;
    sqlite3_int64 to = c->len == 0 || c_end > end ? end : c_end;
    if (from >= to)
      continue;
    if (c->len == 0)
      memset(out + (from - offset), 0, (size_t)(to - from));
    else
      memcpy(out + (from - offset), c->bytes + (from - c->offset),
             (size_t)(to - from));
  }
}

/* ---- The cut ---- */

static void put(int fd, const char *bytes, size_t len, sqlite3_int64 offset) {
  while (len > 0) {
    ssize_t wrote = pwrite(fd, bytes, len, (off_t)offset);
    if (wrote <= 0)
      return;
    bytes += wrote;
    len -= (size_t)wrote;
    offset += wrote;
  }
}

/* A write that the power took in the middle: each sector of the disk has the
 * old or the new. */
static void put_torn(int fd, const change *c) {
  for (size_t at = 0; at < c->len;) {
    size_t in_sector =
        SECTOR_BYTES - (size_t)((c->offset + (sqlite3_int64)at) % SECTOR_BYTES);
    size_t len = in_sector < c->len - at ? in_sector : c->len - at;
    if (next_random() % 2)
      put(fd, c->bytes + at, len, c->offset + (sqlite3_int64)at);
    at += len;
  }
}

/* How much survives differs from file to file, so that "all" and "nothing" of
 * one beside the other come about too. */
static void keep_some(const held_file *held) {
  int fd = open(held->path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return;
  uint64_t quarters = next_random() % 5;
  for (const change *c = held->first; c; c = c->next) {
    if (next_random() % 4 >= quarters)
      continue;
    if (c->len == 0) {
      if (ftruncate(fd, (off_t)c->offset) != 0)
        break;
    } else if (next_random() % 4 == 0) {
      put_torn(fd, c);
    } else {
      put(fd, c->bytes, c->len, c->offset);
    }
  }
  close(fd);
}

static void cut_locked(void) {
  for (held_file *held = files; held && !power_is_off; held = held->next) {
    keep_some(held);
    forget(held);
  }
  power_is_off = true;
}

void testing_vfs_cut(void) {
  pthread_mutex_lock(&lock);
  cut_locked();
  pthread_mutex_unlock(&lock);
}

/* The lock is kept: no thread gets on to say that something was done. */
void testing_power_cut(void) {
  pthread_mutex_lock(&lock);
  cut_locked();
  kill(getpid(), SIGKILL);
  for (;;)
    pause();
}

size_t testing_vfs_held(void) {
  size_t count = 0;
  pthread_mutex_lock(&lock);
  for (const held_file *held = files; held; held = held->next)
    count += held->count;
  pthread_mutex_unlock(&lock);
  return count;
}

/* ---- Files ---- */

static int file_close(sqlite3_file *file) {
  return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *out, int len,
                     sqlite3_int64 offset) {
  held_file *held = ((shim_file *)file)->held;
  sqlite3_file *to = real_of(file);
  if (!held)
    return to->pMethods->xRead(to, out, len, offset);
  sqlite3_int64 size = 0;
  int rc = SQLITE_IOERR_READ;
  pthread_mutex_lock(&lock);
  if (!power_is_off)
    rc = to->pMethods->xRead(to, out, len, offset);
  /* A short read has filled the rest with zeros. */
  if ((rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ) && held->first) {
    rc = to->pMethods->xFileSize(to, &size);
    if (rc == SQLITE_OK) {
      overlay(held, out, (size_t)len, offset);
      size = size_with(held, size);
      rc = offset + len > size ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
    }
  }
  pthread_mutex_unlock(&lock);
  return rc;
}

static int change_file(sqlite3_file *file, const void *bytes, size_t len,
                       sqlite3_int64 offset) {
  held_file *held = ((shim_file *)file)->held;
  int rc = SQLITE_IOERR_WRITE;
  pthread_mutex_lock(&lock);
  if (!power_is_off)
    rc = hold(held, bytes, len, offset);
  if (rc == SQLITE_OK && held->bytes > HELD_MAX_BYTES)
    rc = write_out(held, real_of(file));
  pthread_mutex_unlock(&lock);
  return rc;
}

static int file_write(sqlite3_file *file, const void *bytes, int len,
                      sqlite3_int64 offset) {
  sqlite3_file *to = real_of(file);
  if (!((shim_file *)file)->held)
    return to->pMethods->xWrite(to, bytes, len, offset);
  return len > 0 ? change_file(file, bytes, (size_t)len, offset) : SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
  sqlite3_file *to = real_of(file);
  if (!((shim_file *)file)->held)
    return to->pMethods->xTruncate(to, size);
  return change_file(file, NULL, 0, size);
}

static int file_sync(sqlite3_file *file, int flags) {
  held_file *held = ((shim_file *)file)->held;
  sqlite3_file *to = real_of(file);
  int rc = SQLITE_OK;
  if (held) {
    pthread_mutex_lock(&lock);
    rc = power_is_off ? SQLITE_IOERR_FSYNC : write_out(held, to);
    pthread_mutex_unlock(&lock);
  }
  return rc == SQLITE_OK ? to->pMethods->xSync(to, flags) : rc;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out_size) {
  held_file *held = ((shim_file *)file)->held;
  sqlite3_file *to = real_of(file);
  pthread_mutex_lock(&lock);
  int rc = to->pMethods->xFileSize(to, out_size);
  if (rc == SQLITE_OK && held)
    *out_size = size_with(held, *out_size);
  pthread_mutex_unlock(&lock);
  return rc;
}

static int file_lock(sqlite3_file *file, int level) {
  return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level) {
  return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_reserved(sqlite3_file *file, int *out_reserved) {
  return real_of(file)->pMethods->xCheckReservedLock(real_of(file),
                                                     out_reserved);
}

static int file_control(sqlite3_file *file, int op, void *arg) {
  /* These would change the real file past what is held back. */
  if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
    return SQLITE_OK;
  return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector_size(sqlite3_file *file) {
  return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file) {
  return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend,
                        void volatile **out_memory) {
  return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend,
                                          out_memory);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags) {
  return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file) {
  real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete_it) {
  return real_of(file)->pMethods->xShmUnmap(real_of(file), delete_it);
}

/* Version 2: no mapped reads, which would go past what is held back. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- The VFS ---- */

static int shim_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file,
                     int flags, int *out_flags) {
  (void)vfs;
  const int lasting = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL |
                      SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL;
  shim_file *f = (shim_file *)file;
  *f = (shim_file){0};
  int rc = SQLITE_OK;
  if (path && flags & lasting) {
    pthread_mutex_lock(&lock);
    f->held = find_or_make(path);
    rc = !f->held ? SQLITE_NOMEM : power_is_off ? SQLITE_CANTOPEN : SQLITE_OK;
    pthread_mutex_unlock(&lock);
  }
  if (rc == SQLITE_OK)
    rc = real->xOpen(real, path, real_of(file), flags, out_flags);
  /* Methods mean that there is something to close. */
  if (rc == SQLITE_OK)
    f->base.pMethods = &methods;
  return rc;
}

static int shim_delete(sqlite3_vfs *vfs, const char *path, int sync_dir) {
  (void)vfs;
  pthread_mutex_lock(&lock);
  held_file *held = find(path);
  bool off = power_is_off;
  if (held && !off)
    forget(held);
  pthread_mutex_unlock(&lock);
  return off ? SQLITE_IOERR_DELETE : real->xDelete(real, path, sync_dir);
}

int testing_vfs_register(uint64_t seed) {
  pthread_mutex_lock(&lock);
  while (files) {
    held_file *held = files;
    files = held->next;
    forget(held);
    free(held->path);
    free(held);
  }
  power_is_off = false;
  random_state = seed;
  bool first = real == NULL;
  if (first) {
    real = sqlite3_vfs_find(NULL);
    shim = *real;
    shim.pNext = NULL;
    shim.zName = TESTING_VFS_NAME;
    shim.szOsFile = (int)sizeof(shim_file) + real->szOsFile;
    shim.xOpen = shim_open;
    shim.xDelete = shim_delete;
  }
  pthread_mutex_unlock(&lock);
  return first ? sqlite3_vfs_register(&shim, 0) : SQLITE_OK;
}

static void register_from_environment(void) {
  const char *seed = getenv("TELLTALE_TEST_VFS");
  if (seed)
    testing_vfs_register(strtoull(seed, NULL, 10));
}

const char *testing_vfs_name(void) {
  pthread_once(&from_environment, register_from_environment);
  return getenv("TELLTALE_TEST_VFS") ? TESTING_VFS_NAME : NULL;
}
