#include "server/deliver/deliver.h"
#include "tests/unit.h"

#include "server/io/clock.h"
#include "server/store/tables/deliveries.h"
#include "server/store/tables/outbox.h"
#include "server/store/tables/webhooks.h"
#include "server/testing/clock.h"
#include "tests/sink.h"
#include <errno.h>
#include <malloc.h>
#include <semaphore.h>
#include <time.h>

/* The deliverer on a store in memory and a receiver on real sockets; the hours
 * between attempts pass on the test's clock. */

#define SECOND_US   ((int64_t)1000000)
#define MINUTE_US   (60 * SECOND_US)
#define HOUR_US     (60 * MINUTE_US)
#define DEADLINE_MS 60000

static char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

typedef struct setup {
  store *store;
  deliver *deliver;
  sink *sink;
  char *url;
  tt_metrics *metrics;
} setup;

/* ---- The store, waited for ---- */

typedef struct call {
  store_job job;
  store_read read;
  sem_t done;
  tt_error (*run)(store_tx *tx, void *context);
  void *context;
} call;

static tt_error run_job(store_job *job, store_tx *tx) {
  call *c = job->owner;
  return c->run(tx, c->context);
}

static tt_error run_read(store_read *read, store_tx *tx) {
  call *c = read->owner;
  return c->run(tx, c->context);
}

static void job_done(store_job *job) {
  sem_post(&((call *)job->owner)->done);
}

static void read_done(store_read *read) {
  sem_post(&((call *)read->owner)->done);
}

static void await(sem_t *sem) {
  while (sem_wait(sem) != 0)
    ;
}

static void change(store *s, tt_error (*run)(store_tx *, void *),
                   void *context) {
  call c = {.run = run, .context = context};
  c.job = (store_job){
      .kind = STORE_JOB_RUN, .run = run_job, .done = job_done, .owner = &c};
  sem_init(&c.done, 0, 0);
  assert_int_equal(store_submit(s, &c.job), TT_OK);
  await(&c.done);
  assert_int_equal(c.job.verdict, STORE_OK);
  sem_destroy(&c.done);
}

static void look_up(store *s, tt_error (*run)(store_tx *, void *),
                    void *context) {
  call c = {.run = run, .context = context};
  c.read = (store_read){.run = run_read, .done = read_done, .owner = &c};
  sem_init(&c.done, 0, 0);
  assert_int_equal(store_read_submit(s, &c.read), TT_OK);
  await(&c.done);
  assert_int_equal(c.read.error, TT_OK);
  sem_destroy(&c.done);
}

/* ---- Webhooks and deliveries ---- */

static tt_error insert_webhook(store_tx *tx, void *context) {
  return webhooks_insert(tx, context);
}

static webhook webhook_to(const char *id, const char *url) {
  return (webhook){.id = tti_slice_of(id),
                   .url = tti_slice_of(url),
                   .events = TTI_SLICE("[\"*\"]"),
                   .format = TTI_SLICE("standard"),
                   .secret = tti_slice_of(secret),
                   .enabled = true,
                   .created_us = server_wall_us(),
                   .updated_us = server_wall_us()};
}

static void add_webhook(setup *s, const char *id, bool ordered) {
  webhook row = webhook_to(id, s->url);
  row.ordered = ordered;
  change(s->store, insert_webhook, &row);
}

typedef struct publication {
  const char *webhook, *event, *replay;
} publication;

static tt_error insert_delivery(store_tx *tx, void *context) {
  const publication *p = context;
  char body[100], id[TABLES_ID_SIZE];
  int64_t now_us = server_wall_us();
  bool inserted;
  snprintf(body, sizeof body, "{\"type\":\"a.b\",\"id\":\"%s\"}", p->event);
  outbox_row event = {.event = {.id = tti_slice_of(p->event),
                                .type = TTI_SLICE("a.b"),
                                .body = tti_slice_of(body),
                                .created_us = now_us,
                                .next_poll_us = now_us,
                                .expires_us = now_us + HOUR_US}};
  delivery row = {.webhook_id = tti_slice_of(p->webhook),
                  .event_id = tti_slice_of(p->event),
                  .replay_id = tti_slice_of(p->replay),
                  .event_type = TTI_SLICE("a.b"),
                  .created_us = now_us,
                  .next_retry_us = now_us};
  tt_error error = outbox_insert(tx, &event, &inserted);
  return error ? error : deliveries_insert(tx, &row, false, id, &inserted);
}

static void publish(setup *s, const char *hook, const char *event) {
  publication p = {hook, event, NULL};
  change(s->store, insert_delivery, &p);
  deliver_wake(s->deliver);
}

/* What the table says of one delivery. */
typedef struct row {
  const char *event, *replay;
  int64_t status, attempts, attempts_kept, next_retry_us, last_status;
  char error[400], reason[40], response[64];
} row;

static tt_error read_row(store_tx *tx, void *context) {
  row *r = context;
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT status, attempts, next_retry_us, last_status, last_error,"
          " reason, (SELECT count(*) FROM attempts WHERE delivery_n = n),"
          " (SELECT response FROM attempts WHERE delivery_n = n LIMIT 1)"
          " FROM deliveries WHERE event_id = ?1 AND replay_id IS ?2");
  tx_bind_text(stmt, 1, r->event);
  tx_bind_text(stmt, 2, r->replay);
  r->status = -1;
  if (tx_step(tx, stmt)) {
    const char *error = (const char *)sqlite3_column_text(stmt, 4);
    const char *reason = (const char *)sqlite3_column_text(stmt, 5);
    const char *response = (const char *)sqlite3_column_text(stmt, 7);
    r->status = sqlite3_column_int64(stmt, 0);
    r->attempts = sqlite3_column_int64(stmt, 1);
    r->next_retry_us = sqlite3_column_int64(stmt, 2);
    r->last_status = sqlite3_column_int64(stmt, 3);
    r->attempts_kept = sqlite3_column_int64(stmt, 6);
    snprintf(r->error, sizeof r->error, "%s", error ? error : "");
    snprintf(r->reason, sizeof r->reason, "%s", reason ? reason : "");
    snprintf(r->response, sizeof r->response, "%s", response ? response : "");
  }
  return tx_end(tx, stmt);
}

static row row_of(setup *s, const char *event) {
  row r = {.event = event};
  look_up(s->store, read_row, &r);
  return r;
}

static void pause_ms(long ms) {
  nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Waits until so many attempts count, or it is not pending any more. */
static row await_attempt(setup *s, const char *event, int64_t attempts) {
  for (int waited = 0; waited < DEADLINE_MS; waited += 2) {
    row r = row_of(s, event);
    if (r.attempts >= attempts || r.status > DELIVERY_PENDING)
      return r;
    pause_ms(2);
  }
  fail_msg("%s was not tried in time", event);
  return (row){0};
}

/* Waits until something went wrong with it that does not count. */
static row await_error(setup *s, const char *event) {
  for (int waited = 0; waited < DEADLINE_MS; waited += 2) {
    row r = row_of(s, event);
    if (*r.error)
      return r;
    pause_ms(2);
  }
  fail_msg("%s was not tried in time", event);
  return (row){0};
}

static tt_error read_webhook(store_tx *tx, void *context) {
  webhook *w = context;
  tti_buf texts;
  tti_buf_init(&texts, 65536);
  tt_error error = webhooks_get(tx, w->id, &texts, w);
  tti_buf_fini(&texts);
  return error;
}

/* Only what is no text of it may be looked at. */
static webhook webhook_of(setup *s, const char *id) {
  webhook w = {.id = tti_slice_of(id)};
  look_up(s->store, read_webhook, &w);
  return w;
}

/* ---- The stage ---- */

static const char *const allowed[] = {"127.0.0.0/8", NULL};

static void start(setup *s, const char *const *cidrs) {
  deliver_options options = {.store = s->store,
                             .metrics = s->metrics,
                             .user_agent = "test",
                             .allow_cidrs = (char *const *)cidrs};
  assert_int_equal(deliver_new(&options, &s->deliver), TT_OK);
  assert_int_equal(deliver_start(s->deliver), TT_OK);
}

static void stop(setup *s) {
  assert_true(deliver_stop(s->deliver, 20000));
  deliver_free(s->deliver);
}

static void open_all(setup *s) {
  tti_buf error;
  tti_buf_init(&error, 1000);
  assert_int_equal(store_memory_open(&(store_options){0}, &error, &s->store),
                   TT_OK);
  tti_buf_fini(&error);
  s->sink = sink_new();
  s->url = sink_url(s->sink, "/hook");
  assert_int_equal(tt_metrics_prometheus_new(&s->metrics), TT_OK);
  start(s, allowed);
}

static void close_all(setup *s) {
  stop(s);
  store_close(s->store, 10000);
  sink_free(s->sink);
  free(s->url);
  tt_metrics_free(s->metrics);
}

static bool shows(const setup *s, const char *line) {
  char *text;
  assert_int_equal(tt_metrics_prometheus_render(s->metrics, false, &text, NULL),
                   TT_OK);
  bool found = strstr(text, line);
  free(text);
  return found;
}

static void await_metric(setup *s, const char *line) {
  for (int waited = 0; waited < DEADLINE_MS; waited += 2) {
    if (shows(s, line))
      return;
    pause_ms(2);
  }
  fail_msg("the metrics do not come to show %s", line);
}

static void answer_with(setup *s, int count, int status, const char *header) {
  for (int i = 0; i < count; i++)
    s->sink->steps[s->sink->step_count++] =
        (sink_step){SINK_ANSWER, status, header};
}

/* ---- */

static void attempts_are_counted(void **state) {
  (void)state;
  setup s;
  open_all(&s);
  sink_listen(s.sink);
  answer_with(&s, 1, 500, NULL);
  add_webhook(&s, "wh_1", false);
  publish(&s, "wh_1", "evt_1");
  await_attempt(&s, "evt_1", 1);
  await_metric(&s, "telltale_webhook_attempts_total{outcome=\"retryable_"
                   "failure\",status_class=\"5xx\"} 1");
  await_metric(&s, "telltale_webhook_attempt_duration_seconds_count 1");
  testing_clock_advance_us(10 * SECOND_US);
  await_metric(&s, "telltale_webhook_deliveries_pending 1");
  testing_clock_advance_us(MINUTE_US);
  await_metric(&s, "telltale_webhook_attempts_total{outcome=\"delivered\","
                   "status_class=\"2xx\"} 1");
  await_metric(&s, "telltale_webhook_deliveries_pending 0");
  close_all(&s);
}

typedef struct large {
  const char *url;
  int count;
} large;

/* One event of 1 MiB for each of many webhooks. */
static tt_error insert_large(store_tx *tx, void *context) {
  const large *l = context;
  static char body[1 << 20];
  int64_t now_us = server_wall_us();
  char id[TABLES_ID_SIZE], hook[20];
  bool inserted;
  memset(body, 'x', sizeof body);
  outbox_row event = {.event = {.id = TTI_SLICE("evt_1"),
                                .type = TTI_SLICE("a.b"),
                                .body = {body, sizeof body},
                                .created_us = now_us,
                                .next_poll_us = now_us,
                                .expires_us = now_us + HOUR_US}};
  delivery one = {.event_id = TTI_SLICE("evt_1"),
                  .event_type = TTI_SLICE("a.b"),
                  .created_us = now_us,
                  .next_retry_us = now_us};
  tt_error error = outbox_insert(tx, &event, &inserted);
  for (int i = 0; !error && i < l->count; i++) {
    snprintf(hook, sizeof hook, "wh_%d", i);
    webhook w = webhook_to(hook, l->url);
    error = webhooks_insert(tx, &w);
    one.webhook_id = w.id;
    if (!error)
      error = deliveries_insert(tx, &one, false, id, &inserted);
  }
  return error;
}

/* There with a sanitizer, whose allocations the C library does not know. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void) {
  if (__sanitizer_get_current_allocated_bytes)
    return __sanitizer_get_current_allocated_bytes();
  struct mallinfo2 m = mallinfo2();
  return m.uordblks + m.hblkhd;
}

/* Of a socket that takes connections and answers none. */
static int silent_socket(char url[40]) {
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_return_code(fd, errno);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
  assert_int_equal(listen(fd, 512), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  snprintf(url, 40, "http://127.0.0.1:%d/", ntohs(at.sin_port));
  return fd;
}

static void many_large_deliveries_take_little_memory(void **state) {
  (void)state;
  setup s;
  char url[40];
  size_t most = 0, least = 32 << 20;
  open_all(&s);
  int fd = silent_socket(url);
  large l = {url, 300};
  change(s.store, insert_large, &l);
  size_t before = allocated();
  deliver_wake(s.deliver);
  /* Until it has not grown for some time. */
  for (int waited = 0, still = 0; waited < DEADLINE_MS && still < 200;
       waited++, still++) {
    size_t now = allocated(), more = now > before ? now - before : 0;
    if (more > most || most < least)
      still = 0;
    most = more > most ? more : most;
    pause_ms(1);
  }
  assert_in_range(most, least, 160 << 20);
  close(fd);
  await_metric(&s, "telltale_webhook_attempts_total{outcome=\"retryable_"
                   "failure\",status_class=\"none\"} 300");
  close_all(&s);
}

static void what_is_due_arrives(void **state) {
  (void)state;
  setup s;
  open_all(&s);
  sink_listen(s.sink);
  add_webhook(&s, "wh_1", false);
  publish(&s, "wh_1", "evt_1");
  row r = await_attempt(&s, "evt_1", 1);
  assert_int_equal(r.status, DELIVERY_DELIVERED);
  assert_int_equal(r.last_status, 200);
  assert_int_equal(r.attempts_kept, 1);
  assert_string_equal(r.response, "{}");
  assert_string_equal(r.error, "");
  assert_true(webhook_of(&s, "wh_1").last_delivered_us > 0);
  assert_int_equal(sink_request_count(s.sink), 1);
  assert_string_equal(s.sink->requests[0].path, "/hook");
  assert_string_equal(s.sink->requests[0].agent, "test");
  close_all(&s);
}

static void the_whole_schedule(void **state) {
  (void)state;
  static const int64_t minutes[] = {1, 5, 15, 60, 240, 480, 960, 1440};
  setup s;
  open_all(&s);
  sink_listen(s.sink);
  answer_with(&s, 10, 500, NULL);
  add_webhook(&s, "wh_1", false);
  publish(&s, "wh_1", "evt_1");
  for (int i = 0; i < 8; i++) {
    int64_t before_us = server_wall_us();
    row r = await_attempt(&s, "evt_1", i + 1);
    assert_int_equal(r.status, DELIVERY_PENDING);
    assert_int_equal(r.attempts, i + 1);
    assert_int_equal(r.last_status, 500);
    int64_t delay_us = minutes[i] * MINUTE_US;
    assert_in_range(r.next_retry_us, before_us + delay_us - MINUTE_US / 2,
                    server_wall_us() + delay_us);
    testing_clock_advance_us(r.next_retry_us - server_wall_us());
  }
  row last = await_attempt(&s, "evt_1", 9);
  assert_int_equal(last.status, DELIVERY_FAILED);
  assert_int_equal(last.attempts, 9);
  assert_int_equal(last.attempts_kept, 9);
  assert_string_equal(last.reason, "exhausted");
  assert_int_equal(sink_request_count(s.sink), 9);
  close_all(&s);
}

static void nobody_there_does_not_count(void **state) {
  (void)state;
  setup s;
  open_all(&s); /* the port refuses connections */
  add_webhook(&s, "wh_1", false);
  publish(&s, "wh_1", "evt_1");
  row r = await_error(&s, "evt_1");
  assert_int_equal(r.status, DELIVERY_PENDING);
  assert_int_equal(r.attempts, 0);
  assert_int_equal(r.attempts_kept, 0);
  assert_true(r.next_retry_us > server_wall_us());
  sink_listen(s.sink);
  testing_clock_advance_us(MINUTE_US);
  assert_int_equal(await_attempt(&s, "evt_1", 1).status, DELIVERY_DELIVERED);
  close_all(&s);
}

static void what_is_refused_says_why_and_expires(void **state) {
  (void)state;
  setup s;
  open_all(&s);
  sink_listen(s.sink);
  deliver_rules *none = deliver_rules_new(NULL);
  assert_non_null(none);
  deliver_use(s.deliver, none);
  add_webhook(&s, "wh_1", false);
  publish(&s, "wh_1", "evt_1");
  row r = await_error(&s, "evt_1");
  assert_int_equal(r.status, DELIVERY_PENDING);
  assert_non_null(strstr(r.error, "127.0.0.1"));
  assert_non_null(strstr(r.error, "webhooks.allow_cidrs"));
  testing_clock_advance_us(72 * HOUR_US);
  r = await_attempt(&s, "evt_1", 1);
  assert_int_equal(r.status, DELIVERY_FAILED);
  assert_string_equal(r.reason, "expired");
  await_metric(&s, "webhook_attempts_total{outcome=\"expired\","
                   "status_class=\"none\"} 1");
  assert_int_equal(sink_request_count(s.sink), 0);
  close_all(&s);
}

/* Also where a connection is kept that was allowed. */
static void what_is_not_allowed_any_more_is_refused(void **state) {
  (void)state;
  setup s;
  open_all(&s);
  sink_listen(s.sink);
  add_webhook(&s, "wh_1", false);
  publish(&s, "wh_1", "evt_1");
  assert_int_equal(await_attempt(&s, "evt_1", 1).status, DELIVERY_DELIVERED);
  deliver_use(s.deliver, deliver_rules_new(NULL));
  publish(&s, "wh_1", "evt_2");
  row r = await_error(&s, "evt_2");
  assert_non_null(strstr(r.error, "refused: "));
  assert_int_equal(sink_request_count(s.sink), 1);
  close_all(&s);
}

static void gone_disables_the_webhook(void **state) {
  (void)state;
  setup s;
  open_all(&s);
  sink_listen(s.sink);
  answer_with(&s, 1, 410, NULL);
  add_webhook(&s, "wh_1", false);
  publish(&s, "wh_1", "evt_1");
  row r = await_attempt(&s, "evt_1", 1);
  assert_int_equal(r.status, DELIVERY_FAILED);
  assert_string_equal(r.reason, "gone");
  assert_false(webhook_of(&s, "wh_1").enabled);
  assert_true(webhook_of(&s, "wh_1").auto_disabled_us > 0);
  /* What comes now waits for an hour, and uses no attempt. */
  publish(&s, "wh_1", "evt_2");
  for (int waited = 0; waited < DEADLINE_MS; waited += 2) {
    r = row_of(&s, "evt_2");
    if (r.next_retry_us > server_wall_us() + 50 * MINUTE_US)
      break;
    pause_ms(2);
  }
  assert_true(r.next_retry_us > server_wall_us() + 50 * MINUTE_US);
  assert_int_equal(r.attempts, 0);
  assert_int_equal(sink_request_count(s.sink), 1);
  close_all(&s);
}

static void retry_after_is_kept_to(void **state) {
  (void)state;
  setup s;
  open_all(&s);
  sink_listen(s.sink);
  answer_with(&s, 1, 429, "Retry-After: 600");
  add_webhook(&s, "wh_1", false);
  publish(&s, "wh_1", "evt_1");
  row r = await_attempt(&s, "evt_1", 1);
  assert_in_range(r.next_retry_us, server_wall_us() + 9 * MINUTE_US,
                  server_wall_us() + 10 * MINUTE_US);
  close_all(&s);
}

static void an_open_breaker_spares_the_receiver(void **state) {
  (void)state;
  setup s;
  char id[16];
  open_all(&s);
  sink_listen(s.sink);
  answer_with(&s, 5, 500, NULL);
  add_webhook(&s, "wh_1", false);
  for (int i = 0; i < 20; i++) {
    snprintf(id, sizeof id, "evt_%d", i);
    publish(&s, "wh_1", id);
  }
  sink_await_requests(s.sink, 5);
  for (int i = 0; i < 5; i++) {
    snprintf(id, sizeof id, "evt_%d", i);
    assert_int_equal(await_attempt(&s, id, 1).status, DELIVERY_PENDING);
  }
  row r = row_of(&s, "evt_19");
  assert_int_equal(r.attempts, 0);
  assert_int_equal(sink_request_count(s.sink), 5);
  testing_clock_advance_us(31 * SECOND_US);
  for (int i = 5; i < 20; i++) {
    snprintf(id, sizeof id, "evt_%d", i);
    r = await_attempt(&s, id, 1);
    assert_int_equal(r.status, DELIVERY_DELIVERED);
    assert_int_equal(r.attempts, 1);
  }
  close_all(&s);
}

/* The event that was the n-th to arrive. */
static const char *arrived(setup *s, size_t n) {
  return json_string_value(
      json_object_get(json_array_get(s->sink->events, n), "id"));
}

static void an_ordered_webhook_is_not_overtaken(void **state) {
  (void)state;
  setup s;
  open_all(&s);
  sink_listen(s.sink);
  answer_with(&s, 1, 500, NULL);
  add_webhook(&s, "wh_1", true);
  publish(&s, "wh_1", "evt_1");
  await_attempt(&s, "evt_1", 1);
  publish(&s, "wh_1", "evt_2");
  publish(&s, "wh_1", "evt_3");
  /* A redelivery waits for nobody, which also shows that the others do. */
  publication replay = {"wh_1", "evt_4", "replay_1"};
  change(s.store, insert_delivery, &replay);
  deliver_wake(s.deliver);
  sink_await_requests(s.sink, 2);
  /* It goes on in order, also after a restart. */
  stop(&s);
  testing_clock_advance_us(2 * MINUTE_US);
  start(&s, allowed);
  sink_await_requests(s.sink, 5);
  await_attempt(&s, "evt_3", 1);
  static const char *const order[] = {"evt_4", "evt_1", "evt_2", "evt_3"};
  for (size_t i = 0; i < 4; i++)
    assert_string_equal(arrived(&s, i), order[i]);
  close_all(&s);
}

static tt_error fail_ten(store_tx *tx, void *context) {
  (void)context;
  sqlite3_stmt *stmt =
      tx_prepare(tx, "UPDATE deliveries SET status = 2, last_attempt_us = ?1,"
                     " reason = 'exhausted' WHERE webhook_id = 'wh_1'");
  tx_bind_int(stmt, 1, server_wall_us());
  return tx_run(tx, stmt);
}

static void webhooks_that_only_fail_are_disabled(void **state) {
  (void)state;
  setup s;
  char id[16];
  open_all(&s);
  deliver_use(s.deliver, deliver_rules_new(NULL)); /* nothing goes out */
  add_webhook(&s, "wh_1", false);
  add_webhook(&s, "wh_2", false);
  for (int i = 0; i < 10; i++) {
    snprintf(id, sizeof id, "evt_%d", i);
    publish(&s, "wh_1", id);
  }
  change(s.store, fail_ten, NULL);
  assert_true(webhook_of(&s, "wh_1").enabled);
  testing_clock_advance_us(5 * MINUTE_US);
  for (int waited = 0; waited < DEADLINE_MS; waited += 2) {
    if (!webhook_of(&s, "wh_1").enabled)
      break;
    pause_ms(2);
  }
  assert_false(webhook_of(&s, "wh_1").enabled);
  assert_true(webhook_of(&s, "wh_1").auto_disabled_us > 0);
  assert_true(webhook_of(&s, "wh_2").enabled);
  close_all(&s);
}

static void what_does_not_end_in_time_stays_pending(void **state) {
  (void)state;
  setup s;
  open_all(&s);
  s.sink->steps[s.sink->step_count++] = (sink_step){SINK_HANG, 0, NULL};
  sink_listen(s.sink);
  add_webhook(&s, "wh_1", false);
  publish(&s, "wh_1", "evt_1");
  sink_await_requests(s.sink, 1);
  assert_true(deliver_stop(s.deliver, 200));
  deliver_free(s.deliver);
  row r = row_of(&s, "evt_1");
  assert_int_equal(r.status, DELIVERY_PENDING);
  assert_int_equal(r.attempts, 0);
  start(&s, allowed);
  assert_int_equal(await_attempt(&s, "evt_1", 1).status, DELIVERY_DELIVERED);
  close_all(&s);
}

static tt_error delete_webhook(store_tx *tx, void *context) {
  return webhooks_delete(tx, tti_slice_of(context));
}

static void a_deleted_webhook_gets_nothing_more(void **state) {
  (void)state;
  setup s;
  open_all(&s);
  sink_listen(s.sink);
  sink_hold(s.sink, true);
  add_webhook(&s, "wh_1", false);
  add_webhook(&s, "wh_2", false);
  publish(&s, "wh_1", "evt_1");
  publish(&s, "wh_1", "evt_2");
  sink_await_requests(s.sink, 1);
  char id[] = "wh_1";
  change(s.store, delete_webhook, id);
  deliver_changed(s.deliver);
  sink_hold(s.sink, false);
  publish(&s, "wh_2", "evt_3");
  assert_int_equal(await_attempt(&s, "evt_3", 1).status, DELIVERY_DELIVERED);
  assert_int_not_equal(row_of(&s, "evt_2").status, DELIVERY_DELIVERED);
  assert_int_equal(sink_request_count(s.sink), 2);
  close_all(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(attempts_are_counted),
      cmocka_unit_test(many_large_deliveries_take_little_memory),
      cmocka_unit_test(what_is_due_arrives),
      cmocka_unit_test(the_whole_schedule),
      cmocka_unit_test(nobody_there_does_not_count),
      cmocka_unit_test(what_is_refused_says_why_and_expires),
      cmocka_unit_test(what_is_not_allowed_any_more_is_refused),
      cmocka_unit_test(gone_disables_the_webhook),
      cmocka_unit_test(retry_after_is_kept_to),
      cmocka_unit_test(an_open_breaker_spares_the_receiver),
      cmocka_unit_test(an_ordered_webhook_is_not_overtaken),
      cmocka_unit_test(webhooks_that_only_fail_are_disabled),
      cmocka_unit_test(what_does_not_end_in_time_stays_pending),
      cmocka_unit_test(a_deleted_webhook_gets_nothing_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
