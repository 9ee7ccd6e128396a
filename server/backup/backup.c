#include "server/backup/backup.h"

#include "lib/base/thread.h"
#include "lib/json/write.h"
#include "server/io/log.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

typedef enum backup_state { NONE, RUNNING, DONE, FAILED } backup_state;

struct backup {
  store *store;
  pthread_mutex_t mutex; /* for all below */
  pthread_t thread;
  bool started; /* the thread is to be joined */
  bool cancelled;
  backup_state state;
  char *path;
  bool force;
  uint64_t done_bytes, total_bytes, head_seq;
  char message[512]; /* of a failure */
};

static bool note_progress(void *context, uint64_t done_bytes,
                          uint64_t total_bytes) {
  backup *b = context;
  pthread_mutex_lock(&b->mutex);
  b->done_bytes = done_bytes;
  b->total_bytes = total_bytes;
  bool go_on = !b->cancelled;
  pthread_mutex_unlock(&b->mutex);
  return go_on;
}

static void *run(void *context) {
  backup *b = context;
  tti_buf why;
  tti_buf_init(&why, sizeof b->message - 1);
  /* Path and force change only while nothing runs. */
  store_backup made = {.path = b->path,
                       .force = b->force,
                       .progress = note_progress,
                       .context = b};
  tt_error error = store_back_up(b->store, &made, &why);
  if (error && !why.len)
    tti_buf_append_text(&why, tt_error_message(error));
  if (error)
    server_log(TT_LEVEL_WARN, "backup", "%.*s", (int)why.len, why.data);
  else
    server_log(TT_LEVEL_INFO, "backup", "%s: %llu bytes, events up to %llu",
               b->path, (unsigned long long)made.bytes,
               (unsigned long long)made.head_seq);
  pthread_mutex_lock(&b->mutex);
  b->state = error ? FAILED : DONE;
  if (error) {
    memcpy(b->message, why.data, why.len);
    b->message[why.len] = '\0';
  } else {
    b->done_bytes = b->total_bytes = made.bytes;
    b->head_seq = made.head_seq;
  }
  pthread_mutex_unlock(&b->mutex);
  tti_buf_fini(&why);
  return NULL;
}

/* Under the mutex; nothing is running. TT_ENOMEM. Takes the path. */
static tt_error start(backup *b, char *path, bool force) {
  if (b->started)
    pthread_join(b->thread, NULL); /* it ended */
  free(b->path);
  b->path = path;
  b->force = force;
  b->cancelled = false;
  b->state = RUNNING;
  b->done_bytes = b->total_bytes = b->head_seq = 0;
  b->started = tti_thread_start(&b->thread, run, b);
  if (b->started)
    return TT_OK;
  b->state = NONE;
  return TT_ENOMEM;
}

tt_error backup_new(store *s, backup **out_backup) {
  backup *b = calloc(1, sizeof *b);
  if (!b)
    return TT_ENOMEM;
  b->store = s;
  pthread_mutex_init(&b->mutex, NULL);
  *out_backup = b;
  return TT_OK;
}

void backup_free(backup *b) {
  if (!b)
    return;
  pthread_mutex_lock(&b->mutex);
  b->cancelled = true;
  pthread_mutex_unlock(&b->mutex);
  if (b->started)
    pthread_join(b->thread, NULL);
  pthread_mutex_destroy(&b->mutex);
  free(b->path);
  free(b);
}

/* ---- Over HTTP ---- */

static bool is_local(http_request *request) {
  if (http_request_is_local_admin(request))
    return true;
  http_reply_error(request, 403, "local_only",
                   "a backup is written on the server's machine: run `telltale "
                   "backup FILE` there, as the user whose store it is");
  return false;
}

/* A copy of the path, and the flag; NULL: it was answered. */
static char *read_body(http_request *request, bool *out_force) {
  tti_slice body = http_request_body(request);
  json_t *root = json_loadb(body.len ? body.ptr : "", body.len,
                            JSON_REJECT_DUPLICATES, NULL);
  const char *path = NULL;
  int force = 0;
  char *copy = NULL;
  if (json_unpack(root, "{s:s, s?b !}", "path", &path, "force", &force) != 0 ||
      *path != '/') {
    http_reply_error(request, 400, "invalid_backup",
                     "expected {\"path\": \"/absolute/path\", \"force\": "
                     "false}");
  } else if (!(copy = strdup(path))) {
    http_reply_error(request, 503, "out_of_memory", "out of memory; try again");
  }
  *out_force = force;
  json_decref(root);
  return copy;
}

/* Under the mutex. */
static void reply_state(backup *b, http_request *request, int status) {
  static const char *const names[] = {"none", "running", "done", "failed"};
  tti_buf out;
  tti_buf_init(&out, 16384);
  tti_buf_printf(&out, "{\"state\":\"%s\"", names[b->state]);
  if (b->state != NONE) {
    tti_buf_append_text(&out, ",\"path\":");
    tti_json_write_text(&out, b->path);
    tti_buf_printf(&out, ",\"bytes\":%llu,\"total_bytes\":%llu",
                   (unsigned long long)b->done_bytes,
                   (unsigned long long)b->total_bytes);
  }
  if (b->state == DONE)
    tti_buf_printf(&out, ",\"head_seq\":%llu", (unsigned long long)b->head_seq);
  if (b->state == FAILED) {
    tti_buf_append_text(&out, ",\"message\":");
    tti_json_write_text(&out, b->message);
  }
  tti_buf_append_char(&out, '}');
  http_reply_header(request, "Cache-Control", "no-store");
  http_reply(request, status, "application/json", out.data, out.len);
  tti_buf_fini(&out);
}

void backup_serve_start(http_request *request, void *context) {
  backup *b = context;
  bool force;
  char *path = is_local(request) ? read_body(request, &force) : NULL;
  if (!path)
    return;
  pthread_mutex_lock(&b->mutex);
  if (b->state == RUNNING) {
    http_reply_error(request, 409, "backup_running",
                     "a backup to %.200s is being made: wait for it", b->path);
    free(path);
  } else if (start(b, path, force) != TT_OK) {
    http_reply_error(request, 503, "out_of_memory",
                     "no thread for the backup; try again");
  } else {
    reply_state(b, request, 202);
  }
  pthread_mutex_unlock(&b->mutex);
}

void backup_serve_state(http_request *request, void *context) {
  backup *b = context;
  if (!is_local(request))
    return;
  pthread_mutex_lock(&b->mutex);
  reply_state(b, request, 200);
  pthread_mutex_unlock(&b->mutex);
}

void backup_serve_cancel(http_request *request, void *context) {
  backup *b = context;
  if (!is_local(request))
    return;
  pthread_mutex_lock(&b->mutex);
  b->cancelled = true;
  reply_state(b, request, 202);
  pthread_mutex_unlock(&b->mutex);
}
