#include "lib/backends/jsonl/closed.h"
#include "lib/base/time.h"
#include "lib/emit/jsonl/file.h"
#include "lib/event/view.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <telltale/storage.h>
#include <unistd.h>

#define MAX_BYTES ((uint64_t)100 << 20)
/* Of one append: bounded by the writer's batches, with room for escapes. */
#define LINES_MAX_BYTES ((size_t)64 << 20)
#define KEEP_BYTES      ((size_t)1 << 20)
/* One envelope's line at most, and what was written of the one behind it. */
#define TAIL_BYTES   ((size_t)4 << 20)
#define MAX_RECORDS  1024
#define METADATA_MAX ((size_t)16 << 20)

typedef struct jsonl {
  tt_storage_jsonl_options options;
  char *path;
  int fd; /* -1: not open */
  uint64_t size;
  int64_t begun_us; /* wall time of the first line, as far as known */
  bool unsynced;
  int lost; /* an errno value: what a sync failed of that no flush told yet */
  tti_buf lines;
  tti_buf metadata;
  tti_closed closed;
} jsonl;

static tt_error error_of(int error) {
  switch (error) {
  case ENOMEM:
    return TT_ENOMEM;
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    return TT_ENOSPACE;
  case EWOULDBLOCK:
    return TT_EBUSY;
  default:
    return TT_EIO;
  }
}

static tt_error report_errno(const jsonl *j, int error, const char *what,
                             tt_append_report *report) {
  snprintf(report->problem, sizeof(report->problem), "cannot %s %s: %s", what,
           j->path,
           error == EWOULDBLOCK ? "another process writes it"
                                : tti_file_error(error));
  return error_of(error);
}

/* ---- Opening ---- */

static const char line_head[] = "{\"seq\":";

/* The seq of a line of ours; 0: it is another's. */
static uint64_t seq_of(tti_slice line) {
  uint64_t seq = 0;
  size_t i = sizeof(line_head) - 1;
  if (line.len < i || memcmp(line.ptr, line_head, i) != 0)
    return 0;
  for (; i < line.len && line.ptr[i] >= '0' && line.ptr[i] <= '9'; i++)
    seq = seq * 10 + (uint64_t)(line.ptr[i] - '0');
  return seq;
}

/* A last line that has no end: one of ours is cut off, since its envelope comes
 * again; another's gets one. An errno value. */
static int mend_line(int fd, tti_slice line, uint64_t begin,
                     uint64_t *out_size) {
  size_t head = sizeof(line_head) - 1;
  *out_size = begin;
  if (memcmp(line.ptr, line_head, line.len < head ? line.len : head) == 0)
    return ftruncate(fd, (off_t)begin) ? errno : 0;
  size_t written = 0;
  int error = tti_file_append(fd, TTI_SLICE("\n"), &written);
  *out_size = begin + line.len + written;
  return error;
}

/* Mends the last line; the seq of the one before it. An errno value. */
static int mend(int fd, uint64_t size, uint64_t *out_size, uint64_t *out_seq) {
  size_t len = size < TAIL_BYTES ? (size_t)size : TAIL_BYTES;
  char *tail = malloc(len ? len : 1);
  int error = tail ? 0 : ENOMEM;
  if (!error && pread(fd, tail, len, (off_t)(size - len)) != (ssize_t)len)
    error = errno ? errno : EIO;
  size_t whole = len;
  while (!error && whole && tail[whole - 1] != '\n')
    whole--;
  *out_size = size - (len - whole);
  if (!error && whole < len)
    error = mend_line(fd, (tti_slice){tail + whole, len - whole}, *out_size,
                      out_size);
  if (!error && whole) {
    size_t begin = whole - 1;
    while (begin && tail[begin - 1] != '\n')
      begin--;
    *out_seq = seq_of((tti_slice){tail + begin, whole - begin});
  }
  free(tail);
  return error;
}

static int open_file(jsonl *j, uint64_t *out_seq) {
  struct stat file;
  int fd = open(j->path,
                O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                0600);
  if (fd < 0)
    return errno;
  int error = 0;
  if (fstat(fd, &file))
    error = errno;
  else if (!S_ISREG(file.st_mode))
    error = TTI_FILE_NOT_REGULAR;
  else if (flock(fd, LOCK_EX | LOCK_NB))
    error = errno;
  else
    error = mend(fd, (uint64_t)file.st_size, &j->size, out_seq);
  if (error) {
    close(fd);
    return error;
  }
  j->fd = fd;
  /* When the first line was written is not known: not before the last one. */
  j->begun_us = file.st_size ? (int64_t)file.st_mtime * 1000000
                             : tti_wall_us(&tti_clock_system);
  return 0;
}

static tt_error jsonl_open(void *self, int timeout_ms, uint64_t *out_seq,
                           tt_append_report *report) {
  (void)timeout_ms;
  jsonl *j = self;
  int error = j->fd < 0 ? open_file(j, out_seq) : 0;
  if (error)
    return report_errno(j, error, "open", report);
  tti_closed_tidy(&j->closed);
  return TT_OK;
}

/* ---- Appending ---- */

static int sync_file(jsonl *j) {
  if (!j->unsynced || j->options.fsync == TT_STORAGE_FSYNC_NEVER)
    return 0;
  j->unsynced = false; /* what a failure takes is not known: all comes again */
  if (fdatasync(j->fd) == 0)
    return 0;
  j->lost = errno;
  return j->lost;
}

static bool is_old(const jsonl *j) {
  int64_t age_us = tti_wall_us(&tti_clock_system) - j->begun_us;
  return j->options.max_age_s && age_us / 1000000 >= j->options.max_age_s;
}

/* Closes a file that is full or old, and begins another. */
static int rotate(jsonl *j, size_t more) {
  uint64_t seq;
  if (j->size == 0 || (j->size + more <= j->options.max_bytes && !is_old(j)))
    return 0;
  int error = sync_file(j);
  if (!error)
    error = tti_closed_take(&j->closed);
  if (error && error != ENOENT) /* it was taken away: another is begun */
    return error;
  close(j->fd);
  j->fd = -1;
  error = open_file(j, &seq);
  tti_closed_tidy(&j->closed);
  return error;
}

static size_t count_lines(tti_slice text) {
  size_t count = 0;
  const char *at = text.ptr, *end = text.ptr + text.len;
  while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
    count++;
    at++;
  }
  return count;
}

static int write_lines(jsonl *j, size_t *out_written) {
  uint64_t seq;
  int error = 0;
  *out_written = 0;
  /* After an error of opening the next file, or of rotating. */
  if (j->fd < 0)
    error = open_file(j, &seq);
  if (!error)
    error = rotate(j, j->lines.len);
  if (!error)
    error = tti_file_append(j->fd, tti_buf_slice(&j->lines), out_written);
  j->size += *out_written;
  j->unsynced = j->unsynced || *out_written;
  if (!error && j->options.fsync == TT_STORAGE_FSYNC_ALWAYS) {
    error = sync_file(j);
    if (error)
      *out_written = 0; /* in doubt: it comes again */
  }
  return error;
}

static tt_error jsonl_append(void *self, const tt_envelope *envelopes,
                             size_t count, int timeout_ms,
                             tt_append_report *report) {
  (void)timeout_ms;
  jsonl *j = self;
  size_t written;
  tti_buf_clear(&j->lines);
  for (size_t i = 0; i < count; i++) {
    const tt_envelope *e = &envelopes[i];
    tt_error error =
        tti_view_render_event(&j->lines, &j->metadata, e->seq, &e->event);
    tti_buf_append_char(&j->lines, '\n');
    if (error || (error = j->lines.error))
      return error;
  }
  int error = write_lines(j, &written);
  if (error)
    report->stored = count_lines((tti_slice){j->lines.data, written});
  if (j->lines.cap > KEEP_BYTES)
    tti_buf_fini(&j->lines);
  return error ? report_errno(j, error, "write", report) : TT_OK;
}

static tt_error jsonl_flush(void *self, int timeout_ms,
                            tt_append_report *report) {
  (void)timeout_ms;
  jsonl *j = self;
  if (j->fd >= 0)
    sync_file(j);
  int error = j->lost;
  j->lost = 0;
  return error ? report_errno(j, error, "sync", report) : TT_OK;
}

static tt_error jsonl_close(void *self, int timeout_ms,
                            tt_append_report *report) {
  jsonl *j = self;
  tt_error error = jsonl_flush(j, timeout_ms, report);
  if (j->fd >= 0) {
    flock(j->fd, LOCK_UN); /* a forked child may have it open too */
    close(j->fd);
  }
  j->fd = -1;
  tti_closed_end(&j->closed, timeout_ms);
  return error;
}

static void jsonl_interrupt(void *self) {
  jsonl *j = self;
  tti_closed_hurry(&j->closed);
}

/* ---- Life ---- */

static void jsonl_free(void *self) {
  jsonl *j = self;
  tt_append_report report;
  jsonl_close(j, 0, &report);
  tti_buf_fini(&j->lines);
  tti_buf_fini(&j->metadata);
  free(j->path);
  free(j);
}

tt_error tt_storage_jsonl_new(const tt_storage_jsonl_options *options,
                              tt_storage **out_storage) {
  static const tt_storage_ops ops = {.version = 1,
                                     .max_records = MAX_RECORDS,
                                     .open = jsonl_open,
                                     .append = jsonl_append,
                                     .flush = jsonl_flush,
                                     .close = jsonl_close,
                                     .interrupt = jsonl_interrupt,
                                     .free = jsonl_free};
  if (!options || !options->path || !*options->path || options->max_age_s < 0 ||
      !out_storage)
    return TT_EINVAL;
  jsonl *j = calloc(1, sizeof(*j));
  if (!j)
    return TT_ENOMEM;
  j->options = *options;
  if (!j->options.max_bytes)
    j->options.max_bytes = MAX_BYTES;
  j->fd = -1;
  tti_buf_init(&j->lines, LINES_MAX_BYTES);
  tti_buf_init(&j->metadata, METADATA_MAX);
  j->path = strdup(options->path);
  if (!j->path) {
    free(j);
    return TT_ENOMEM;
  }
  j->closed = (tti_closed){.path = j->path,
                           .keep = options->keep,
                           .visit = options->closed,
                           .context = options->context,
                           .log = options->log};
  char name[256];
  snprintf(name, sizeof(name), "jsonl %s", j->path);
  tt_error error = tt_storage_from_ops(&ops, j, name, out_storage);
  if (error)
    jsonl_free(j);
  return error;
}
