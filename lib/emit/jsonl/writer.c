#include "lib/emit/jsonl/writer.h"

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/emit/jsonl/file.h"
#include "lib/emit/pack.h"
#include "lib/emit/render.h"
#include "lib/emit/retry.h"
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH_EVENTS 1000
#define BATCH_BYTES  ((size_t)1024 * 1024)
/* Of one batch: an escape takes up to six bytes for one. */
#define LINES_MAX_BYTES ((size_t)8 * 1024 * 1024)
#define KEEP_BYTES      ((size_t)256 * 1024)

/* Each has its own share of lines: trouble that passes must not hide a loss. */
enum { LOG_TROUBLE, LOG_LOSS, LOG_KINDS };

struct tti_writer {
  const tti_writer_config *config;
  tti_queue *queue;

  /* The thread opens and closes, a flush syncs. Only the thread changes fd, so
   * it reads it without the lock. */
  pthread_mutex_t file_lock;
  int fd;           /* -1: closed */
  bool sync_failed; /* as it was closed */

  /* From here on the thread's own. */
  tti_buf lines;
  size_t events; /* in lines */
  size_t packed_bytes;
  int attempts;      /* at the oldest event */
  int64_t due_us;    /* when the next attempt is one of the schedule */
  unsigned failures; /* in a row: the delay grows with them */
  tti_log_ration complaints[LOG_KINDS];
};

static void complain(tti_writer *w, int kind, const char *what,
                     const char *detail) {
  tti_complain(&w->complaints[kind], &w->config->log, w->config->path, what,
               detail);
}

/* -- The file. -- */

static void set_fd(tti_writer *w, int fd) {
  pthread_mutex_lock(&w->file_lock);
  w->fd = fd;
  pthread_mutex_unlock(&w->file_lock);
}

static void close_file(tti_writer *w) {
  int fd = w->fd;
  if (fd < 0)
    return;
  pthread_mutex_lock(&w->file_lock);
  w->fd = -1;
  if (w->config->fsync_on_flush && fsync(fd))
    w->sync_failed = true;
  pthread_mutex_unlock(&w->file_lock);
  close(fd);
}

/* Appends the lines; how many bytes of them are there for good. After an error
 * the file is opened anew, by its name: it may be another by then, on a disk
 * that works. */
static int append(tti_writer *w, size_t *out_written) {
  int fd = w->fd;
  int error = 0;
  *out_written = 0;
  if (fd < 0) {
    error = tti_file_open(w->config->path, &fd);
    if (error)
      return error;
    set_fd(w, fd);
  }
  error = tti_file_append(fd, tti_buf_slice(&w->lines), out_written);
  if (error)
    close_file(w);
  return error;
}

tt_error tti_writer_flushed(tti_writer *writer) {
  if (!writer->config->fsync_on_flush)
    return TT_OK;
  pthread_mutex_lock(&writer->file_lock);
  bool failed = writer->sync_failed;
  writer->sync_failed = false;
  if (writer->fd >= 0 && fsync(writer->fd))
    failed = true;
  pthread_mutex_unlock(&writer->file_lock);
  return failed ? TT_EIO : TT_OK;
}

/* -- One batch. -- */

/* Renders the first of the packed events, at least one. TT_ETOOBIG: the first
 * event's line is beyond any limit; TT_ENOMEM. */
static tt_error build(tti_writer *w, tti_slice packed) {
  tti_buf *lines = &w->lines;
  tti_slice rest = packed;
  tti_packed event;
  tti_buf_clear(lines);
  w->events = w->packed_bytes = 0;
  while (w->events < BATCH_EVENTS && lines->len < BATCH_BYTES &&
         tti_unpack(&rest, &event)) {
    size_t before = lines->len;
    if (!tti_render_event(lines, &event))
      complain(w, LOG_LOSS, "data that is no JSON", "left out of an event");
    tti_buf_append_char(lines, '\n');
    if (w->events && lines->error) {
      lines->len = before;
      lines->error = TT_OK;
      break;
    }
    w->events++;
    w->packed_bytes = packed.len - rest.len;
  }
  return lines->error;
}

static void advance(tti_slice *taken, size_t bytes) {
  taken->ptr += bytes;
  taken->len -= bytes;
}

static void drop(tti_writer *w, tti_slice *taken, tt_drop_reason reason) {
  tti_queue_dropped(w->queue, reason, w->events, w->packed_bytes);
  advance(taken, w->packed_bytes);
  w->attempts = 0;
}

/* Settles the events whose lines these bytes are. */
static void settle(tti_writer *w, tti_slice *taken, size_t written) {
  size_t events = 0;
  size_t bytes = w->packed_bytes;
  if (written < w->lines.len) {
    tti_slice rest = *taken;
    tti_packed event;
    for (size_t i = 0; i < written; i++) {
      if (w->lines.data[i] == '\n' && tti_unpack(&rest, &event))
        events++;
    }
    bytes = taken->len - rest.len;
  } else {
    events = w->events;
  }
  if (!events)
    return;
  tti_queue_sent(w->queue, events, bytes);
  advance(taken, bytes);
  w->events -= events;
  w->packed_bytes -= bytes;
  w->attempts = 0;
}

/* Attempts that flushes bring forward come on top of the schedule: or a program
 * that flushes often would soon use them up. */
static void after_failure(tti_writer *w, tti_slice *taken, int error) {
  const char *detail = tti_file_error(error);
  int64_t now = tti_monotonic_us(&tti_clock_system);
  complain(w, LOG_TROUBLE, "writing failed, trying again", detail);
  if (now >= w->due_us) {
    w->failures++;
    w->attempts++;
    w->due_us = now + tti_retry_delay_ms(w->failures) * 1000;
  }
  if (w->attempts >= w->config->max_attempts) {
    complain(w, LOG_LOSS, "giving up on events", detail);
    drop(w, taken, TT_DROP_IO);
  }
  tti_retry_wait(w->queue, w->due_us, tti_queue_is_flushing(w->queue));
}

/* Writes the first events of those taken and moves beyond what is settled. */
static void write_some(tti_writer *w, tti_slice *taken) {
  size_t written;
  tt_error error = build(w, *taken);
  if (error) {
    drop(w, taken, error == TT_ENOMEM ? TT_DROP_NO_MEMORY : TT_DROP_TOO_LARGE);
    return;
  }
  int failure = append(w, &written);
  settle(w, taken, written);
  if (failure) {
    after_failure(w, taken, failure);
  } else {
    w->failures = 0;
    w->due_us = 0;
  }
}

void tti_writer_run(tti_writer *writer) {
  while (tti_queue_wait(writer->queue, TTI_QUEUE_FOREVER)) {
    tti_slice taken = tti_queue_take(writer->queue);
    while (taken.len && !tti_queue_stopped(writer->queue))
      write_some(writer, &taken);
    if (writer->lines.cap > KEEP_BYTES)
      tti_buf_fini(&writer->lines);
  }
}

/* -- Life. -- */

tti_writer *tti_writer_new(const tti_writer_config *config, tti_queue *queue) {
  tti_writer *w = calloc(1, sizeof(*w));
  if (!w)
    return NULL;
  if (pthread_mutex_init(&w->file_lock, NULL)) {
    free(w);
    return NULL;
  }
  w->config = config;
  w->queue = queue;
  w->fd = -1;
  tti_buf_init(&w->lines, LINES_MAX_BYTES);
  return w;
}

void tti_writer_free(tti_writer *writer, uint64_t left) {
  if (left)
    tti_log(&writer->config->log, TT_LEVEL_WARN,
            "emitter to %s: %llu events dropped at shutdown",
            writer->config->path, (unsigned long long)left);
  close_file(writer);
  pthread_mutex_destroy(&writer->file_lock);
  tti_buf_fini(&writer->lines);
  free(writer);
}
