#include "server/store/sqlite/backup.h"

#include "server/io/clock.h"
#include "server/store/sqlite/lock.h"
#include "server/store/sqlite/schema.h"
#include "server/store/sqlite/sqlite.h"
#include "server/store/sqlite/target.h"
#include "server/testing/fault.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* SQLite's online backup, with the writer's own connection as its source. A
 * copy through any other starts again with each commit and would never end;
 * through this one SQLite brings each page that a commit changes into the copy
 * too, so that it ends, as the database is at that moment. Nor does it hold a
 * transaction between bites, which would keep the write-ahead log from being
 * used again.
 *
 *   whoever wants it                     the writing thread
 *   asks for a bite, waits ───────────►  after a group: copies for 2 ms
 *   brings what is new to the disk ◄───  says how far it is
 *   … until SQLite says that it is done, then marks the copy as one
 *
 * The fsync lies with the one who waits, so the writer only ever writes to the
 * page cache, and never more of it than a bite is behind. */

enum { BITE_PAGES = 16, CACHE_KIB = 512 };
/* While jobs wait they wait for less. */
enum { PRESSED_US = BACKGROUND_US / 4 };

struct copy {
  sqlite3 *to;
  sqlite3_backup *backup; /* whoever has the source's connection */
  bool begun;
  bool cancelled;
  int rc; /* SQLITE_OK: to be gone on with; SQLITE_DONE; else it failed */
  uint64_t done_pages;
  uint64_t total_pages;
};

/* ---- Bites ---- */

static void finish(copy *c, int rc) {
  sqlite3_backup_finish(c->backup);
  c->backup = NULL;
  c->rc = rc;
}

static void copy_pages(copy *c, sqlite3 *from, int64_t limit_us) {
  int64_t until_us = server_monotonic_us() + limit_us;
  int rc = database_fault(FAULT_POINT("store.backup"));
  if (rc == SQLITE_OK && !c->begun) {
    c->begun = true;
    c->backup = sqlite3_backup_init(c->to, "main", from, "main");
    rc = c->backup ? SQLITE_OK : sqlite3_extended_errcode(c->to);
  }
  if (rc == SQLITE_OK && c->cancelled)
    rc = SQLITE_INTERRUPT;
  while (rc == SQLITE_OK && server_monotonic_us() < until_us)
    rc = sqlite3_backup_step(c->backup, BITE_PAGES);
  if (c->backup) {
    c->total_pages = (uint64_t)sqlite3_backup_pagecount(c->backup);
    c->done_pages =
        c->total_pages - (uint64_t)sqlite3_backup_remaining(c->backup);
  }
  if (rc != SQLITE_OK)
    finish(c, rc);
}

void copy_bite(sqlite_store *s, copy *c) {
  writer *w = &s->writer;
  pthread_mutex_lock(&s->queue_lock);
  bool pressed = s->queue.first != NULL;
  pthread_mutex_unlock(&s->queue_lock);
  if (w->health != HEALTHY || (c->begun && !c->backup)) {
    /* What failed there may have reached the copy. */
    finish(c, SQLITE_ABORT);
  } else {
    copy_pages(c, w->db, pressed ? PRESSED_US : BACKGROUND_US);
  }
  w->copy = c->backup ? c : NULL;
  pthread_mutex_lock(&s->queue_lock);
  s->copy = NULL;
  pthread_cond_signal(&s->copied);
  pthread_mutex_unlock(&s->queue_lock);
}

void copy_abandon(sqlite_store *s) {
  copy *c = s->writer.copy;
  if (!c)
    return;
  sqlite3_backup_finish(c->backup);
  c->backup = NULL;
  s->writer.copy = NULL;
}

static void ask_writer(sqlite_store *s, copy *c) {
  pthread_mutex_lock(&s->queue_lock);
  s->copy = c;
  if (s->writer_sleeps || s->writer_lingers)
    pthread_cond_signal(&s->queue_ready);
  while (s->copy)
    pthread_cond_wait(&s->copied, &s->queue_lock);
  pthread_mutex_unlock(&s->queue_lock);
}

/* ---- The copy's own connection ---- */

/* Neither journal nor sync: if this does not end well, the file goes. */
static int open_copy(const char *path, const char *settings, sqlite3 **out_db) {
  int rc = sqlite3_open_v2(path, out_db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  char sql[160];
  snprintf(sql, sizeof sql,
           "PRAGMA synchronous=OFF; PRAGMA cache_size=-%d;"
           "PRAGMA locking_mode=EXCLUSIVE; %s",
           CACHE_KIB, settings);
  return rc == SQLITE_OK ? database_exec(*out_db, sql) : rc;
}

/* Makes the copy known as one: whoever opens it as a store must not give out
 * numbers again that its original gives out from now on. */
static int mark_copy(const char *path, store_backup *backup) {
  sqlite3 *db = NULL;
  char sql[80];
  uint64_t next_seq = 1;
  snprintf(sql, sizeof sql, "PRAGMA application_id=%d", SCHEMA_BACKUP_ID);
  int rc = open_copy(path, "", &db);
  if (rc == SQLITE_OK)
    rc = database_u64(db, "SELECT next_seq FROM meta", &next_seq);
  if (rc == SQLITE_OK)
    rc = database_exec(db, sql);
  /* The copy is one file: what was just written must not stay in a log. */
  if (rc == SQLITE_OK)
    rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                   NULL);
  database_close(db);
  backup->head_seq = next_seq - 1;
  return rc;
}

/* ---- From beginning to end ---- */

static uint64_t size_of(const char *path, const char *suffix) {
  char file[4096];
  struct stat st;
  snprintf(file, sizeof file, "%s%s", path, suffix);
  return stat(file, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static bool is_same_file(const char *path, const char *other) {
  struct stat a, b;
  return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_ino == b.st_ino &&
         a.st_dev == b.st_dev;
}

static tt_error explain(const char *path, const store_backup *backup, int rc,
                        tti_buf *out_error) {
  switch (rc & 0xff) {
  case SQLITE_INTERRUPT:
    tti_buf_append_text(out_error, "cancelled; no file was left");
    return TT_ECANCELLED;
  case SQLITE_FULL:
    tti_buf_printf(out_error,
                   "no space left on the device of %s: free some, or name a "
                   "file on another device",
                   backup->path);
    return TT_ENOSPACE;
  case SQLITE_ABORT:
    tti_buf_printf(out_error,
                   "the disk of %s failed during the backup: see the server's "
                   "log, then try again",
                   path);
    return TT_EIO;
  default:
    tti_buf_printf(out_error, "copying %s to %s failed: %s", path, backup->path,
                   sqlite3_errstr(rc));
    return (rc & 0xff) == SQLITE_CORRUPT ? TT_ECORRUPT : TT_EIO;
  }
}

typedef struct source {
  sqlite_store *store; /* NULL: no server has the database, and db reads it */
  sqlite3 *db;
  const char *path;
  uint64_t page_bytes;
} source;

static int copy_all(const source *from, copy *c, const target *t,
                    const store_backup *backup) {
  bool failed = false;
  while (c->rc == SQLITE_OK) {
    if (from->store)
      ask_writer(from->store, c);
    else
      copy_pages(c, from->db, BACKGROUND_US);
    failed = failed || fdatasync(t->fd) != 0;
    bool wanted =
        !backup->progress ||
        backup->progress(backup->context, c->done_pages * from->page_bytes,
                         c->total_pages * from->page_bytes);
    /* The next bite lets go of the source. */
    c->cancelled = failed || !wanted;
  }
  return failed ? SQLITE_IOERR_FSYNC : c->rc;
}

static tt_error run(const source *from, store_backup *backup,
                    tti_buf *out_error) {
  target t;
  copy c = {.rc = SQLITE_OK};
  char partial[4096];
  snprintf(partial, sizeof partial, "%s" TARGET_PARTIAL, backup->path);
  const char *const taken[] = {backup->path, partial};
  for (size_t i = 0; i < 2; i++) {
    if (!is_same_file(from->path, taken[i]))
      continue;
    tti_buf_printf(out_error, "%s is the store itself: name another file",
                   taken[i]);
    return TT_EINVAL;
  }
  uint64_t needed = size_of(from->path, "") + size_of(from->path, "-wal");
  tt_error error =
      target_open(&t, backup->path, backup->force, needed, out_error);
  if (error)
    goto out;
  int rc = open_copy(t.partial, "PRAGMA journal_mode=OFF;", &c.to);
  if (rc == SQLITE_OK)
    rc = copy_all(from, &c, &t, backup);
  database_close(c.to);
  if (rc == SQLITE_DONE)
    rc = mark_copy(t.partial, backup);
  if (rc == SQLITE_OK)
    error = target_publish(&t, backup->force, out_error);
  else
    error = explain(from->path, backup, rc, out_error);
  if (!error)
    backup->bytes = size_of(t.path, "");
out:
  target_close(&t);
  return error;
}

tt_error sqlite_back_up(store *base, store_backup *backup, tti_buf *out_error) {
  sqlite_store *s = (sqlite_store *)base;
  source from = {
      .store = s, .path = s->path, .page_bytes = s->writer.page_bytes};
  pthread_mutex_lock(&s->queue_lock);
  bool busy = s->backing_up;
  s->backing_up = true;
  pthread_mutex_unlock(&s->queue_lock);
  if (busy) {
    tti_buf_append_text(out_error, "a backup is being made: wait for it");
    return TT_EBUSY;
  }
  tt_error error = run(&from, backup, out_error);
  pthread_mutex_lock(&s->queue_lock);
  s->backing_up = false;
  pthread_mutex_unlock(&s->queue_lock);
  return error;
}

tt_error store_sqlite_back_up(const char *path, store_backup *backup,
                              tti_buf *out_error) {
  source from = {.path = path};
  char reason[160];
  store_lock lock = {.fd = -1};
  if (access(path, F_OK) != 0) {
    tti_buf_printf(out_error,
                   "there is no store at %s: name the server's with --store",
                   path);
    return TT_ENOTFOUND;
  }
  tt_error error = schema_check_header(path, schema_migration_count, out_error);
  if (!error)
    error = lock_take(&lock, path, out_error);
  if (error)
    return error;
  int rc = database_open(path, true, &from.db, reason, sizeof reason);
  if (rc == SQLITE_OK)
    rc = database_u64(from.db, "PRAGMA page_size", &from.page_bytes);
  if (rc == SQLITE_OK)
    error = run(&from, backup, out_error);
  else
    error = explain(path, backup, rc, out_error);
  database_close(from.db);
  lock_release(&lock);
  return error;
}
