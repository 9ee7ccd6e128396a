#ifndef TTI_FLEET_TESTING_H
#define TTI_FLEET_TESTING_H

/* For the tests of the cycle: a fleet on a clock that only moves when it is
 * told to, beside a server that answers from a script. */
#include "tests/unit.h"

#include "lib/fleet/fleet.h"
#include "tests/sink.h"

#define INSTANCE "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
#define SECOND   ((int64_t)1000000)

/* What a working delivery may take on a slow, busy machine. */
#define LONG_MS 60000

/* A clock that stands still, and says until when somebody waits. */
typedef struct clockwork {
  pthread_mutex_t lock;
  pthread_cond_t parked;
  int64_t now_us;
  int64_t until_us; /* what is waited for; not later than now: nothing */
} clockwork;

static inline int64_t clockwork_monotonic(void *context) {
  clockwork *c = context;
  pthread_mutex_lock(&c->lock);
  int64_t now = c->now_us;
  pthread_mutex_unlock(&c->lock);
  return now;
}

/* It is the year 2026, and a bit. */
static inline int64_t clockwork_wall(void *context) {
  return 1767225600 * SECOND + clockwork_monotonic(context);
}

static inline void clockwork_wait(void *context, pthread_cond_t *condition,
                                  pthread_mutex_t *lock, int64_t until_us) {
  clockwork *c = context;
  pthread_mutex_lock(&c->lock);
  c->until_us = until_us;
  pthread_cond_broadcast(&c->parked);
  pthread_mutex_unlock(&c->lock);
  pthread_cond_wait(condition, lock);
}

/* One answer of the script; after the last one every update is accepted with an
 * empty object. */
typedef struct step {
  int status;
  const char *body;
  const char *header;
  const char *type;
} step;

#define BODIES_MAX 256

typedef struct fixture {
  sink *sink;
  clockwork clock;
  tti_clock system;
  tti_cycle_time time;
  tt_fleet *fleet;
  const char *const *disabled;
  size_t disabled_count;
  char *id_file; /* NULL: none */
  int timeout_ms;
  /* Under the sink's lock. */
  const step *steps;
  size_t step_count, steps_used;
  json_t *bodies[BODIES_MAX]; /* of all requests that were answered */
  size_t body_count;
  /* Under the log's lock. */
  pthread_mutex_t log_lock;
  char log[8192];
} fixture;

static inline int on_request(void *context, const char *body, size_t len) {
  fixture *f = context;
  static const step fine = {200, NULL, NULL, NULL};
  const step *s =
      f->steps_used < f->step_count ? &f->steps[f->steps_used++] : &fine;
  SINK_CHECK(f->body_count < BODIES_MAX);
  f->bodies[f->body_count] = json_loadb(body, len, 0, NULL);
  SINK_CHECK(f->bodies[f->body_count]);
  f->body_count++;
  f->sink->answer = s->body;
  f->sink->answer_len = s->body ? strlen(s->body) : 0;
  f->sink->header = s->header;
  f->sink->type = s->type;
  return s->status;
}

static inline void on_log(void *context, tt_level level, const char *message) {
  fixture *f = context;
  (void)level;
  pthread_mutex_lock(&f->log_lock);
  strncat(f->log, message, sizeof(f->log) - strlen(f->log) - 1);
  pthread_mutex_unlock(&f->log_lock);
}

static inline bool is_logged(fixture *f, const char *text) {
  pthread_mutex_lock(&f->log_lock);
  bool found = strstr(f->log, text) != NULL;
  pthread_mutex_unlock(&f->log_lock);
  return found;
}

static inline tt_error open_fleet(fixture *f) {
  char *url = sink_url(f->sink, "/v1/update/");
  tt_fleet_options options = {.url = url,
                              .instance_id = INSTANCE,
                              .id_file = f->id_file,
                              .disabled_keys = f->disabled,
                              .disabled_key_count = f->disabled_count,
                              .token = "tt_secret",
                              .request_timeout_ms = f->timeout_ms,
                              .log = {on_log, f}};
  tt_error error = tti_fleet_new(&options, &f->time, &f->fleet);
  free(url);
  return error;
}

static inline int set_up(void **state) {
  unsetenv("TELLTALE_TELEMETRY");
  unsetenv("DO_NOT_TRACK");
  fixture *f = calloc(1, sizeof(*f));
  f->sink = sink_new();
  f->sink->take = on_request;
  f->sink->context = f;
  sink_listen(f->sink);
  pthread_mutex_init(&f->log_lock, NULL);
  pthread_mutex_init(&f->clock.lock, NULL);
  pthread_cond_init(&f->clock.parked, NULL);
  f->system = (tti_clock){clockwork_wall, clockwork_monotonic, &f->clock};
  f->time = (tti_cycle_time){&f->system, clockwork_wait, &f->clock};
  *state = f;
  return open_fleet(f);
}

static inline int tear_down(void **state) {
  fixture *f = *state;
  tt_fleet_free(f->fleet);
  sink_free(f->sink);
  for (size_t i = 0; i < f->body_count; i++)
    json_decref(f->bodies[i]);
  pthread_cond_destroy(&f->clock.parked);
  pthread_mutex_destroy(&f->clock.lock);
  pthread_mutex_destroy(&f->log_lock);
  free(f);
  return 0;
}

/* The same with other options. */
static inline void reopen(fixture *f) {
  tt_fleet_free(f->fleet);
  f->fleet = NULL;
  f->clock.until_us = 0;
  assert_int_equal(open_fleet(f), TT_OK);
}

#define SCRIPT(f, ...)                                                         \
  do {                                                                         \
    static const step script_[] = {__VA_ARGS__};                               \
    pthread_mutex_lock(&(f)->sink->lock);                                      \
    (f)->steps = script_;                                                      \
    (f)->steps_used = 0;                                                       \
    (f)->step_count = sizeof(script_) / sizeof(*script_);                      \
    pthread_mutex_unlock(&(f)->sink->lock);                                    \
  } while (0)

/* Waits until the cycle waits, and answers how long it is going to. */
static inline int64_t waiting_us(fixture *f) {
  clockwork *c = &f->clock;
  pthread_mutex_lock(&c->lock);
  while (c->until_us <= c->now_us)
    pthread_cond_wait(&c->parked, &c->lock);
  int64_t left = c->until_us - c->now_us;
  pthread_mutex_unlock(&c->lock);
  return left;
}

static inline void pass_us(fixture *f, int64_t us) {
  pthread_mutex_lock(&f->clock.lock);
  f->clock.now_us += us;
  pthread_mutex_unlock(&f->clock.lock);
  tti_cycle_wake(tti_fleet_cycle(f->fleet));
}

/* Lets the time pass that the cycle waits for, and waits until it waits again.
 * Answers how long that is. */
static inline int64_t pass(fixture *f) {
  pass_us(f, waiting_us(f));
  return waiting_us(f);
}

/* The n-th body that came; the caller has seen that it did. */
static inline json_t *body(fixture *f, size_t n) {
  pthread_mutex_lock(&f->sink->lock);
  json_t *found = n < f->body_count ? f->bodies[n] : NULL;
  pthread_mutex_unlock(&f->sink->lock);
  assert_non_null(found);
  return found;
}

static inline size_t body_count(fixture *f) {
  pthread_mutex_lock(&f->sink->lock);
  size_t count = f->body_count;
  pthread_mutex_unlock(&f->sink->lock);
  return count;
}

static inline json_t *data(fixture *f, size_t n) {
  return json_object_get(body(f, n), "data");
}

/* -1: it is not there. */
static inline int64_t number(fixture *f, size_t n, const char *key) {
  json_t *value = json_object_get(data(f, n), key);
  return value ? (int64_t)json_integer_value(value) : -1;
}

static inline bool is_default(int64_t us) {
  return us >= 3600 * SECOND && us < 3660 * SECOND;
}

#endif
