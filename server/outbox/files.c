#include "server/outbox/files.h"

#include "lib/json/write.h"
#include "lib/outbox/sqlite/source.h"
#include "server/io/clock.h"
#include "server/io/log.h"
#include "server/store/tables/outbox.h"
#include "server/testing/fault.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS_MAX = 64, BYTES_MAX = 1 << 20, PROBLEM_MAX = 240 };
#define POLL_US ((int64_t)1000000)
#define MARK_US ((int64_t)50000)

/* One row, copied: its texts lie behind each other in `texts`. */
typedef struct copy {
  tti_outbox_row row;
  char *texts;
  bool inserted;
} copy;

typedef struct outbox_file {
  const outbox_files_options *options;
  const char *path; /* borrowed */
  pthread_t thread;
  bool has_thread;
  int stop_fd;
  int notify_fd; /* -1: there is only the poll */
  atomic_bool stopping;
  /* For the watchdog, relaxed. */
  _Atomic uint64_t beats;
  atomic_bool busy;

  /* The thread's. */
  tti_outbox_source *source; /* NULL: not open */
  ino_t inode;
  int64_t after;                 /* copied up to here */
  int64_t mark_first, mark_last; /* copied and not marked; 0: nothing */
  int64_t marked_us;
  bool behind; /* not all could be done: look without a change */
  copy rows[ROWS_MAX];
  size_t count;
  size_t bytes;
  store_job job;
  sem_t answered;

  pthread_mutex_t mutex; /* for what is told: */
  char problem[PROBLEM_MAX];
  int64_t oldest_us; /* of what waits there, or since when it cannot be read;
                        0: nothing waits */
  uint64_t taken;
} outbox_file;

struct outbox_files {
  outbox_files_options options;
  size_t count;
  outbox_file items[];
};

static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

/* ---- What is told ---- */

static void set_problem(outbox_file *f, const char *problem) {
  pthread_mutex_lock(&f->mutex);
  bool news = strcmp(f->problem, problem) != 0;
  snprintf(f->problem, sizeof f->problem, "%s", problem);
  pthread_mutex_unlock(&f->mutex);
  if (news && *problem)
    server_log(TT_LEVEL_ERROR, "outbox", "%s: %s; trying again each second",
               f->path, problem);
  else if (news)
    server_log(TT_LEVEL_INFO, "outbox", "%s: its events are taken", f->path);
}

static void set_oldest(outbox_file *f, int64_t us) {
  pthread_mutex_lock(&f->mutex);
  f->oldest_us = us;
  pthread_mutex_unlock(&f->mutex);
}

static double lag_s(outbox_file *f) {
  pthread_mutex_lock(&f->mutex);
  int64_t lag_us = f->oldest_us ? server_wall_us() - f->oldest_us : 0;
  pthread_mutex_unlock(&f->mutex);
  return lag_us > 0 ? (double)lag_us / 1e6 : 0;
}

static void tell_lag(outbox_file *f) {
  tt_metrics_set(f->options->metrics, TT_METRIC_OUTBOX_FILE_LAG, lag_s(f),
                 f->path, NULL);
}

/* ---- Copying ---- */

static void forget_rows(outbox_file *f) {
  for (size_t i = 0; i < f->count; i++)
    free(f->rows[i].texts);
  f->count = f->bytes = 0;
}

static bool take(void *context, const tti_outbox_row *row) {
  outbox_file *f = context;
  copy *c = &f->rows[f->count];
  c->row = *row;
  tti_slice *const all[] = {&c->row.id,     &c->row.type,     &c->row.subject,
                            &c->row.source, &c->row.category, &c->row.agent_id,
                            &c->row.level,  &c->row.labels,   &c->row.body};
  size_t size = 0;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    size += all[i]->len + 1;
  c->texts = malloc(size);
  if (!c->texts)
    return false; /* the next read begins with it */
  char *at = c->texts;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (!all[i]->ptr)
      continue;
    memcpy(at, all[i]->ptr, all[i]->len);
    at[all[i]->len] = '\0';
    all[i]->ptr = at;
    at += all[i]->len + 1;
  }
  f->bytes += size;
  return ++f->count < ROWS_MAX && f->bytes < BYTES_MAX;
}

static tt_error insert_rows(store_job *job, store_tx *tx) {
  outbox_file *f = job->owner;
  for (size_t i = 0; i < f->count; i++) {
    outbox_row row = {.event = f->rows[i].row};
    tt_error error = outbox_insert(tx, &row, &f->rows[i].inserted);
    if (error)
      return error;
  }
  return TT_OK;
}

static void on_inserted(store_job *job) {
  sem_post(&((outbox_file *)job->owner)->answered);
}

/* Into the server's own store, durably. */
static bool insert(outbox_file *f) {
  f->job = (store_job){.kind = STORE_JOB_RUN,
                       .run = insert_rows,
                       .done = on_inserted,
                       .owner = f};
  if (store_submit(f->options->store, &f->job))
    return false;
  while (sem_wait(&f->answered) != 0)
    ;
  if (f->job.verdict != STORE_OK)
    return false;
  uint64_t inserted = 0;
  for (size_t i = 0; i < f->count; i++) {
    if (!f->rows[i].inserted)
      continue;
    inserted++;
    tt_metrics_add(f->options->metrics, TT_METRIC_OUTBOX_PUBLISHED, 1,
                   f->rows[i].row.type.ptr, NULL);
  }
  pthread_mutex_lock(&f->mutex);
  f->taken += inserted;
  pthread_mutex_unlock(&f->mutex);
  if (inserted)
    outbox_wake(f->options->outbox);
  return true;
}

/* ---- Her file ---- */

static void close_source(outbox_file *f) {
  tti_outbox_source_free(f->source);
  f->source = NULL;
}

static bool fail(outbox_file *f, const char *what, tt_error error) {
  char problem[PROBLEM_MAX];
  snprintf(problem, sizeof problem, "%s: %s", what, tt_error_message(error));
  set_problem(f, problem);
  return false;
}

static bool open_source(outbox_file *f) {
  struct stat info;
  tt_error error = tti_outbox_source_open(f->path, &f->source);
  if (!error) {
    f->inode = stat(f->path, &info) == 0 ? info.st_ino : 0;
    f->after = f->mark_first = f->mark_last = 0;
    f->behind = true;
    set_oldest(f, 0);
    set_problem(f, "");
    return true;
  }
  f->source = NULL;
  pthread_mutex_lock(&f->mutex);
  if (!f->oldest_us)
    f->oldest_us = server_wall_us();
  pthread_mutex_unlock(&f->mutex);
  if (error == TT_ENOTFOUND)
    set_problem(f, access(f->path, F_OK) == 0
                       ? "it has no outbox; its program is to call "
                         "tt_outbox_migrate"
                       : "there is no such file");
  else if (error == TT_EVERSION)
    set_problem(f, "its outbox was made by a newer version; use a newer "
                   "telltale");
  else
    fail(f, "it cannot be opened", error);
  return false;
}

/* Another file has its name now. */
static bool was_replaced(const outbox_file *f) {
  struct stat info;
  return stat(f->path, &info) != 0 || info.st_ino != f->inode;
}

static void mark(outbox_file *f) {
  if (!f->mark_last || now_us() - f->marked_us < MARK_US)
    return;
  f->marked_us = now_us();
  (void)FAULT_POINT("outbox.mark");
  tt_error error =
      tti_outbox_source_mark(f->source, f->mark_first, f->mark_last, NULL);
  if (!error)
    f->mark_first = f->mark_last = 0;
  else if (error != TT_EBUSY)
    fail(f, "what was taken cannot be marked", error);
}

/* Copies all there is. Whether there was anything. */
static bool copy_all(outbox_file *f) {
  bool any = false;
  f->behind = false;
  while (!atomic_load_explicit(&f->stopping, memory_order_relaxed)) {
    tt_error error =
        tti_outbox_source_read(f->source, f->after, ROWS_MAX, take, f);
    if (error) {
      f->behind = true;
      fail(f, "it cannot be read", error);
      close_source(f);
      break;
    }
    if (f->count == 0)
      break;
    any = true;
    set_oldest(f, f->rows[0].row.created_us);
    if (!insert(f)) {
      f->behind = true;
      set_problem(f, "the server's store does not take its events");
      break;
    }
    set_problem(f, "");
    f->after = f->rows[f->count - 1].row.n;
    if (!f->mark_last)
      f->mark_first = f->rows[0].row.n;
    f->mark_last = f->after;
    mark(f);
    forget_rows(f);
    atomic_fetch_add_explicit(&f->beats, 1, memory_order_relaxed);
  }
  if (!f->behind)
    set_oldest(f, 0);
  forget_rows(f);
  return any;
}

/* ---- Waiting ---- */

static const char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* Of its folder, since the WAL comes and goes. */
static void watch(outbox_file *f) {
  char folder[4096];
  size_t len = (size_t)(name_of(f->path) - f->path);
  if (f->notify_fd >= 0 || len >= sizeof folder)
    return;
  snprintf(folder, sizeof folder, "%.*s", len ? (int)len : 1,
           len ? f->path : ".");
  f->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (f->notify_fd >= 0 &&
      inotify_add_watch(f->notify_fd, folder, IN_MODIFY | IN_CREATE) < 0) {
    close(f->notify_fd);
    f->notify_fd = -1;
  }
}

/* Takes what was told; whether any of it is about her database or its WAL. */
static bool was_told(outbox_file *f) {
  _Alignas(struct inotify_event) char events[4096];
  const char *name = name_of(f->path);
  size_t len = strlen(name);
  bool ours = false;
  ssize_t got;
  while (f->notify_fd >= 0 &&
         (got = read(f->notify_fd, events, sizeof events)) > 0)
    for (ssize_t at = 0; at < got;) {
      const struct inotify_event *event =
          (const struct inotify_event *)(const void *)(events + at);
      if (event->mask & IN_Q_OVERFLOW)
        ours = true;
      else if (event->len && strncmp(event->name, name, len) == 0)
        ours = ours || event->name[len] == '\0' ||
               strcmp(event->name + len, "-wal") == 0;
      at += (ssize_t)(sizeof *event + event->len);
    }
  return ours;
}

/* Until something is told, then, or the end. */
static void wait_until(outbox_file *f, int64_t until_us) {
  struct pollfd fds[] = {{.fd = f->stop_fd, .events = POLLIN},
                         {.fd = f->notify_fd, .events = POLLIN}};
  int64_t left_us = until_us - now_us();
  if (left_us > 0)
    poll(fds, 2, (int)(left_us / 1000) + 1);
}

static void look(outbox_file *f, bool told, bool polls) {
  bool changed = false;
  tt_error error = tti_outbox_source_changed(f->source, &changed);
  if (error) {
    fail(f, "it cannot be read", error);
    close_source(f);
    return;
  }
  bool expected = told || f->behind;
  if ((changed || f->behind) && copy_all(f) && polls && !expected &&
      !was_told(f))
    tt_metrics_add(f->options->metrics, TT_METRIC_NOTIFY_MISSED, 1, NULL, NULL);
}

static void *work(void *context) {
  outbox_file *f = context;
  int64_t poll_us = now_us();
  while (!atomic_load_explicit(&f->stopping, memory_order_relaxed)) {
    bool told = was_told(f);
    bool polls = now_us() >= poll_us;
    atomic_store_explicit(&f->busy, true, memory_order_relaxed);
    if (polls) {
      poll_us = now_us() + POLL_US;
      watch(f);
      if (f->source && was_replaced(f))
        close_source(f);
      if (!f->source)
        open_source(f);
    }
    if (f->source && (told || polls))
      look(f, told, polls);
    if (f->source)
      mark(f);
    if (polls)
      tell_lag(f);
    atomic_store_explicit(&f->busy, false, memory_order_relaxed);
    int64_t mark_us = f->marked_us + MARK_US;
    bool marks = f->source && f->mark_last && mark_us < poll_us;
    wait_until(f, marks ? mark_us : poll_us);
  }
  if (f->source) {
    f->marked_us = 0;
    mark(f);
  }
  close_source(f);
  return NULL;
}

/* ---- Life ---- */

static tt_error start(outbox_file *f) {
  sigset_t all, before;
  f->stop_fd = eventfd(0, EFD_CLOEXEC);
  if (f->stop_fd < 0)
    return TT_EIO;
  watch(f);
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  f->has_thread = pthread_create(&f->thread, NULL, work, f) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return f->has_thread ? TT_OK : TT_EIO;
}

tt_error outbox_files_new(const outbox_files_options *options,
                          outbox_files **out_files) {
  size_t count = 0;
  while (options->paths && options->paths[count])
    count++;
  outbox_files *all = calloc(1, sizeof *all + count * sizeof(outbox_file));
  tt_error error = TT_OK;
  if (!all)
    return TT_ENOMEM;
  all->options = *options;
  for (; all->count < count && !error; all->count++) {
    outbox_file *f = &all->items[all->count];
    f->options = &all->options;
    f->path = options->paths[all->count] + strlen("sqlite:");
    f->notify_fd = -1;
    pthread_mutex_init(&f->mutex, NULL);
    sem_init(&f->answered, 0, 0);
    error = start(f);
  }
  if (error) {
    outbox_files_free(all);
    return error;
  }
  *out_files = all;
  return TT_OK;
}

void outbox_files_write(outbox_files *all, tti_buf *out) {
  if (!all || !all->count)
    return;
  tti_buf_append_text(out, ",\"outboxes\":[");
  for (size_t i = 0; i < all->count; i++) {
    outbox_file *f = &all->items[i];
    double lag = lag_s(f);
    pthread_mutex_lock(&f->mutex);
    tti_buf_printf(out, "%s{\"path\":", i ? "," : "");
    tti_json_write_text(out, f->path);
    tti_buf_printf(
        out, ",\"taken\":%llu,\"lag_seconds\":", (unsigned long long)f->taken);
    tti_json_write_double(out, lag);
    if (*f->problem) {
      tti_buf_append_text(out, ",\"problem\":");
      tti_json_write_text(out, f->problem);
    }
    pthread_mutex_unlock(&f->mutex);
    tti_buf_append_char(out, '}');
  }
  tti_buf_append_char(out, ']');
}

static watch_state look_at(void *context) {
  outbox_file *f = context;
  return (watch_state){
      .beats = atomic_load_explicit(&f->beats, memory_order_relaxed),
      .pending = atomic_load_explicit(&f->busy, memory_order_relaxed)};
}

size_t outbox_files_count(const outbox_files *all) {
  return all->count;
}

watchdog_worker outbox_files_watch(outbox_files *all, size_t n) {
  watchdog_worker worker = {.look = look_at, .context = &all->items[n]};
  snprintf(worker.name, sizeof worker.name, "outbox %.24s",
           name_of(all->items[n].path));
  return worker;
}

void outbox_files_free(outbox_files *all) {
  if (!all)
    return;
  for (size_t i = 0; i < all->count; i++) {
    outbox_file *f = &all->items[i];
    atomic_store_explicit(&f->stopping, true, memory_order_relaxed);
    if (f->stop_fd >= 0)
      eventfd_write(f->stop_fd, 1);
  }
  for (size_t i = 0; i < all->count; i++) {
    outbox_file *f = &all->items[i];
    if (f->has_thread)
      pthread_join(f->thread, NULL);
    if (f->stop_fd >= 0)
      close(f->stop_fd);
    if (f->notify_fd >= 0)
      close(f->notify_fd);
    pthread_mutex_destroy(&f->mutex);
    sem_destroy(&f->answered);
  }
  free(all);
}
