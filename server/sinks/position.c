#include "server/sinks/position.h"

#include "lib/base/cond.h"
#include "server/io/clock.h"
#include "server/io/log.h"
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUE_MAX = 256, OPEN_WAIT_MS = 10000 };

struct sink_position {
  store *store;
  char name[160]; /* of the row */
  pthread_mutex_t mutex;
  pthread_cond_t written;
  /* With the mutex. */
  uint64_t seq;
  sink_missed missed;
  bool writing;  /* the job is with the store */
  bool changed;  /* since the job was made */
  bool failed;   /* the last job was */
  bool orphaned; /* to be freed when the job ends */
  store_job job;
  char value[VALUE_MAX];
  tti_log_ration failure;
};

static void destroy(sink_position *p) {
  pthread_cond_destroy(&p->written);
  pthread_mutex_destroy(&p->mutex);
  free(p);
}

static void on_written(store_job *job);

/* Under the mutex. */
static tt_error submit(sink_position *p) {
  int len = snprintf(
      p->value, sizeof(p->value),
      "{\"seq\":%llu,\"missed\":%llu,\"missed_from\":%llu,"
      "\"missed_to\":%llu,\"missed_at_us\":%lld}",
      (unsigned long long)p->seq, (unsigned long long)p->missed.count,
      (unsigned long long)p->missed.from_seq,
      (unsigned long long)p->missed.to_seq, (long long)p->missed.at_us);
  p->job = (store_job){.kind = STORE_JOB_SET,
                       .done = on_written,
                       .owner = p,
                       .name = p->name,
                       .value = {p->value, (size_t)len}};
  p->writing = true;
  p->changed = false;
  /* A memory store answers before this returns. */
  pthread_mutex_unlock(&p->mutex);
  tt_error error = store_submit(p->store, &p->job);
  pthread_mutex_lock(&p->mutex);
  if (error) {
    p->writing = false;
    p->changed = true;
  }
  return error;
}

static void on_written(store_job *job) {
  sink_position *p = job->owner;
  pthread_mutex_lock(&p->mutex);
  p->writing = false;
  p->failed = job->verdict != STORE_OK;
  if (p->failed) {
    tt_log_hook hook = server_log_hook("sinks");
    p->changed = true;
    tti_log_rationed(&p->failure, &hook, TT_LEVEL_WARN,
                     "%s was not kept and comes with the next one: %s", p->name,
                     job->reason);
  } else if (p->changed) {
    submit(p);
  }
  bool orphaned = p->orphaned && !p->writing;
  pthread_cond_broadcast(&p->written);
  pthread_mutex_unlock(&p->mutex);
  if (orphaned)
    destroy(p);
}

/* ---- For the writer ---- */

static tt_error position_load(void *self, uint64_t *out_seq) {
  sink_position *p = self;
  pthread_mutex_lock(&p->mutex);
  *out_seq = p->seq;
  pthread_mutex_unlock(&p->mutex);
  return TT_OK;
}

static tt_error position_save(void *self, uint64_t seq) {
  sink_position *p = self;
  tt_error error = TT_OK;
  pthread_mutex_lock(&p->mutex);
  p->seq = seq;
  p->changed = true;
  if (!p->writing)
    error = submit(p);
  pthread_mutex_unlock(&p->mutex);
  return error;
}

const tt_position_ops sink_position_ops = {
    .version = 1, .load = position_load, .save = position_save};

/* ---- What was missed ---- */

void sink_position_missed(sink_position *p, uint64_t count, uint64_t from_seq,
                          uint64_t to_seq) {
  pthread_mutex_lock(&p->mutex);
  p->missed = (sink_missed){.count = p->missed.count + count,
                            .from_seq = from_seq,
                            .to_seq = to_seq,
                            .at_us = server_wall_us()};
  pthread_mutex_unlock(&p->mutex);
}

void sink_position_missed_get(sink_position *p, sink_missed *out_missed) {
  pthread_mutex_lock(&p->mutex);
  *out_missed = p->missed;
  pthread_mutex_unlock(&p->mutex);
}

/* ---- Life ---- */

bool sink_position_settle(sink_position *p, int timeout_ms) {
  int64_t until_us =
      tti_monotonic_us(&tti_clock_system) + (int64_t)timeout_ms * 1000;
  pthread_mutex_lock(&p->mutex);
  if (p->changed && !p->writing)
    submit(p);
  while (p->writing && tti_cond_wait(&p->written, &p->mutex, until_us))
    ;
  bool settled = !p->writing && !p->changed;
  pthread_mutex_unlock(&p->mutex);
  return settled;
}

static bool parse(sink_position *p, const tti_buf *text) {
  json_error_t why;
  json_int_t seq = 0, missed = 0, from = 0, to = 0, at = 0;
  json_t *root = json_loadb(text->len ? text->data : "", text->len, 0, &why);
  bool good = json_unpack(root, "{s:I, s?I, s?I, s?I, s?I}", "seq", &seq,
                          "missed", &missed, "missed_from", &from, "missed_to",
                          &to, "missed_at_us", &at) == 0;
  json_decref(root);
  if (good) {
    p->seq = (uint64_t)seq;
    p->missed =
        (sink_missed){(uint64_t)missed, (uint64_t)from, (uint64_t)to, at};
  }
  return good;
}

static tt_error load(sink_position *p, uint64_t seq) {
  tti_buf text;
  tti_buf_init(&text, VALUE_MAX);
  tt_error error = store_setting(p->store, p->name, &text);
  if (!error && !parse(p, &text))
    error = TT_ENOTFOUND; /* nothing that we wrote */
  tti_buf_fini(&text);
  if (error != TT_ENOTFOUND)
    return error;
  /* A sink that gets nowhere in this life begins where it did in this one. */
  error = position_save(p, seq);
  if (!error && !sink_position_settle(p, OPEN_WAIT_MS))
    error = TT_EIO;
  return error;
}

static sink_position *position_new(store *s, const char *name) {
  sink_position *p = calloc(1, sizeof(*p));
  if (!p)
    return NULL;
  p->store = s;
  snprintf(p->name, sizeof(p->name), "sink.%s", name);
  pthread_mutex_init(&p->mutex, NULL);
  tti_cond_init(&p->written);
  return p;
}

static tt_error give(sink_position *p, tt_error error,
                     sink_position **out_position) {
  if (error)
    sink_position_free(p);
  else
    *out_position = p;
  return error;
}

tt_error sink_position_open(store *s, const char *name, uint64_t seq,
                            sink_position **out_position) {
  sink_position *p = position_new(s, name);
  return p ? give(p, load(p, seq), out_position) : TT_ENOMEM;
}

tt_error sink_position_begin(store *s, const char *name, uint64_t seq,
                             sink_position **out_position) {
  sink_position *p = position_new(s, name);
  return p ? give(p, position_save(p, seq), out_position) : TT_ENOMEM;
}

void sink_position_free(sink_position *p) {
  if (!p)
    return;
  pthread_mutex_lock(&p->mutex);
  p->orphaned = true;
  bool writing = p->writing;
  pthread_mutex_unlock(&p->mutex);
  if (!writing)
    destroy(p);
}
