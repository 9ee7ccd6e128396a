#include "server/access.h"

#include "lib/base/thread.h"
#include "lib/json/write.h"
#include "server/io/clock.h"
#include "server/io/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  BUFFER_BYTES = 512 << 10,
  LINE_BYTES = 16 << 10,
  /* Of what the client chose. */
  PATH_SHOWN = 1024,
  ID_SHOWN = 128,
  /* A pipe that poll calls writable takes this much without waiting. */
  PIPE_BYTES = 4096,
  POLL_MS = 100,
  LEAVE_MS = 1000
};

/* Lines, back to back. */
typedef struct heap {
  char *bytes; /* BUFFER_BYTES; owned */
  size_t len;
} heap;

struct access_log {
  tt_metrics *metrics;
  atomic_int format; /* relaxed: a line more or less harms nobody */
  pthread_t thread;
  bool started; /* the main thread's */
  pthread_mutex_t mutex;
  pthread_cond_t ready;
  /* Under the mutex. */
  heap lines;
  bool has_next;
  access_target next; /* for what comes after … */
  size_t before_len;  /* … these of the lines */
  bool ending;
  int64_t leave_by_us; /* monotonic: something else is to be done; 0: not */
  /* The thread's. */
  char *spare; /* as large as the lines' */
  access_target target;
  bool failing;
  bool torn; /* the target ends in a part of a line */
};

tt_error access_log_new(tt_metrics *metrics, access_log **out_log) {
  access_log *log = calloc(1, sizeof(*log));
  if (!log)
    return TT_ENOMEM;
  log->metrics = metrics;
  log->target.fd = -1;
  atomic_init(&log->format, ACCESS_OFF);
  pthread_mutex_init(&log->mutex, NULL);
  pthread_cond_init(&log->ready, NULL);
  *out_log = log;
  return TT_OK;
}

void access_target_drop(access_target *target) {
  if (target->fd >= 0)
    close(target->fd);
  target->fd = -1;
}

static void drop_lines(access_log *log, size_t count) {
  tt_metrics_add(log->metrics, TT_METRIC_ACCESS_LOG_DROPPED, count, NULL, NULL);
}

/* ---- The thread ---- */

/* Who does not read is not waited for where something else is to be done. */
static bool is_out_of_time(access_log *log) {
  pthread_mutex_lock(&log->mutex);
  bool out = log->leave_by_us && server_monotonic_us() > log->leave_by_us;
  pthread_mutex_unlock(&log->mutex);
  return out;
}

/* 0, or why not all of it was written; takes off what was. */
static int write_all(access_log *log, tti_slice *bytes) {
  struct stat info;
  bool is_file = fstat(log->target.fd, &info) == 0 && S_ISREG(info.st_mode);
  while (bytes->len) {
    struct pollfd poll_fd = {.fd = log->target.fd, .events = POLLOUT};
    if (!is_file && poll(&poll_fd, 1, POLL_MS) <= 0) {
      if (is_out_of_time(log))
        return ETIMEDOUT;
      continue;
    }
    size_t piece = is_file || bytes->len < PIPE_BYTES ? bytes->len : PIPE_BYTES;
    ssize_t done = write(log->target.fd, bytes->ptr, piece);
    if (done < 0 && errno != EINTR && errno != EAGAIN)
      return errno;
    if (done > 0) {
      log->torn = bytes->ptr[done - 1] != '\n';
      *bytes = (tti_slice){bytes->ptr + done, bytes->len - (size_t)done};
    }
  }
  return 0;
}

static size_t count_lines(tti_slice bytes) {
  size_t count = 0;
  for (size_t i = 0; i < bytes.len; i++)
    count += bytes.ptr[i] == '\n';
  return count;
}

static void write_lines(access_log *log, tti_slice bytes) {
  tti_slice end = {"\n", log->torn};
  if (!bytes.len || log->target.fd < 0) /* it was turned off meanwhile */
    return;
  int why = write_all(log, &end);
  if (!why)
    why = write_all(log, &bytes);
  drop_lines(log, count_lines(bytes));
  if (why && !log->failing)
    server_log(TT_LEVEL_ERROR, "access",
               "%s cannot be written: %s; lines are dropped until it can be",
               log->target.name, strerror(why));
  else if (!why && log->failing)
    server_log(TT_LEVEL_INFO, "access", "%s is written again",
               log->target.name);
  log->failing = why != 0;
}

static void change_target(access_log *log, const access_target *next) {
  access_target_drop(&log->target);
  log->target = *next;
  log->failing = log->torn = false;
  pthread_mutex_lock(&log->mutex);
  if (!log->has_next && !log->ending)
    log->leave_by_us = 0;
  pthread_mutex_unlock(&log->mutex);
}

static void *run(void *context) {
  access_log *log = context;
  heap taken = {.bytes = log->spare};
  bool ending = false;
  while (!ending) {
    pthread_mutex_lock(&log->mutex);
    while (!log->lines.len && !log->has_next && !log->ending)
      pthread_cond_wait(&log->ready, &log->mutex);
    heap filled = log->lines;
    log->lines = (heap){.bytes = taken.bytes};
    taken = filled;
    bool has_next = log->has_next;
    access_target next = log->next;
    size_t len = has_next ? log->before_len : taken.len;
    log->has_next = false;
    ending = log->ending;
    pthread_mutex_unlock(&log->mutex);
    write_lines(log, (tti_slice){taken.bytes, len});
    if (has_next) {
      change_target(log, &next);
      write_lines(log, (tti_slice){taken.bytes + len, taken.len - len});
    }
  }
  log->spare = taken.bytes;
  return NULL;
}

/* ---- Changes ---- */

static tt_error start(access_log *log, tti_buf *error) {
  if (log->started)
    return TT_OK;
  if (!log->lines.bytes)
    log->lines.bytes = malloc(BUFFER_BYTES);
  if (!log->spare)
    log->spare = malloc(BUFFER_BYTES);
  log->started = log->lines.bytes && log->spare &&
                 tti_thread_start(&log->thread, run, log);
  if (log->started)
    return TT_OK;
  tti_buf_append_text(error, "the access log cannot start: out of memory or "
                             "threads");
  return TT_ENOMEM;
}

tt_error access_log_prepare(access_log *log, const char *format,
                            const char *path, tti_buf *error,
                            access_target *out_target) {
  access_target target = {.format = ACCESS_OFF, .fd = -1};
  if (strcmp(format, "off") == 0) {
    *out_target = target;
    return TT_OK;
  }
  target.format = strcmp(format, "json") == 0 ? ACCESS_JSON : ACCESS_LOGFMT;
  snprintf(target.name, sizeof(target.name), "%s",
           *path ? path : "standard error");
  target.fd = *path ? open(path,
                           O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC |
                               O_NOCTTY | O_NONBLOCK,
                           0640)
                    : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (target.fd < 0) {
    tti_buf_printf(error,
                   "access_log_file: %s cannot be opened: %s; name a file that "
                   "may be written, or none for standard error",
                   target.name, strerror(errno));
    return TT_EIO;
  }
  tt_error result = start(log, error);
  if (result != TT_OK) {
    access_target_drop(&target);
    return result;
  }
  *out_target = target;
  return TT_OK;
}

/* Under the mutex. */
static void leave_soon(access_log *log) {
  log->leave_by_us = server_monotonic_us() + INT64_C(1000) * LEAVE_MS;
}

void access_log_use(access_log *log, const access_target *target) {
  pthread_mutex_lock(&log->mutex);
  if (log->has_next) {
    access_target_drop(&log->next);
  } else {
    log->before_len = log->lines.len;
    leave_soon(log);
  }
  log->next = *target;
  log->has_next = true;
  atomic_store_explicit(&log->format, (int)target->format,
                        memory_order_relaxed);
  pthread_cond_signal(&log->ready);
  pthread_mutex_unlock(&log->mutex);
}

void access_log_free(access_log *log) {
  if (!log)
    return;
  pthread_mutex_lock(&log->mutex);
  log->ending = true;
  leave_soon(log);
  pthread_cond_signal(&log->ready);
  pthread_mutex_unlock(&log->mutex);
  if (log->started)
    pthread_join(log->thread, NULL);
  if (log->has_next)
    access_target_drop(&log->next);
  access_target_drop(&log->target);
  pthread_cond_destroy(&log->ready);
  pthread_mutex_destroy(&log->mutex);
  free(log->lines.bytes);
  free(log->spare);
  free(log);
}

/* ---- A line ---- */

static void put_text(tti_buf *line, bool json, const char *key, tti_slice value,
                     size_t max) {
  if (!value.len)
    return;
  tti_buf_printf(line, json ? ",\"%s\":" : " %s=", key);
  tti_json_write_string(
      line, (tti_slice){value.ptr, value.len < max ? value.len : max});
}

static void put_line(tti_buf *line, bool json, const http_request *request) {
  char time[TTI_RFC3339_MAX];
  uint64_t us = http_request_age_us(request);
  tti_rfc3339_format(server_wall_us(), time);
  tti_buf_printf(line,
                 json ? "{\"ts\":\"%s\",\"method\":\"%s\"" : "ts=%s method=%s",
                 time, http_request_method_name(request));
  put_text(line, json, "path", http_request_path(request), PATH_SHOWN);
  tti_buf_printf(
      line,
      json ? ",\"status\":%d,\"bytes\":%zu,\"duration_ms\":%llu.%03u,"
             "\"client\":\"%s\""
           : " status=%d bytes=%zu duration_ms=%llu.%03u client=%s",
      http_request_status(request), http_request_answer_bytes(request),
      (unsigned long long)us / 1000, (unsigned)(us % 1000),
      http_request_client_text(request));
  put_text(line, json, "token", tti_slice_of(http_request_user(request)),
           ID_SHOWN);
  put_text(line, json, "request_id",
           http_request_header(request, "X-Request-Id"), ID_SHOWN);
  tti_buf_append_text(line, json ? "}\n" : "\n");
}

void access_log_finished(http_request *request, void *context) {
  access_log *log = context;
  int format = atomic_load_explicit(&log->format, memory_order_relaxed);
  if (format == ACCESS_OFF)
    return;
  tti_buf line;
  tti_buf_init(&line, LINE_BYTES);
  put_line(&line, format == ACCESS_JSON, request);
  pthread_mutex_lock(&log->mutex);
  heap *lines = &log->lines;
  bool room = !line.error && line.len <= BUFFER_BYTES - lines->len;
  if (room) {
    memcpy(lines->bytes + lines->len, line.data, line.len);
    if (lines->len == 0)
      pthread_cond_signal(&log->ready);
    lines->len += line.len;
  }
  pthread_mutex_unlock(&log->mutex);
  tti_buf_fini(&line);
  if (!room)
    drop_lines(log, 1);
}
