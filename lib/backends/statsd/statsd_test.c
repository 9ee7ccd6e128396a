#include "tests/unit.h"

#include "lib/backends/statsd/address.h"
#include "tests/fork.h"
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <telltale/metrics.h>
#include <unistd.h>

#define NEVER_MS 3600000

/* A server's end, and where it is. */
typedef struct receiver {
  int fd;
  char address[160];
  char folder[64];
  char packet[65536];
} receiver;

static void wait_at_most(int fd) {
  struct timeval patience = {.tv_sec = 30};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static void listen_udp(receiver *r) {
  struct sockaddr_in in = {.sin_family = AF_INET,
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof(in);
  r->fd = socket(AF_INET, SOCK_DGRAM, 0);
  assert_int_equal(bind(r->fd, (struct sockaddr *)&in, sizeof(in)), 0);
  assert_int_equal(getsockname(r->fd, (struct sockaddr *)&in, &len), 0);
  wait_at_most(r->fd);
  snprintf(r->address, sizeof(r->address), "udp://127.0.0.1:%u",
           ntohs(in.sin_port));
}

static void name_unix(receiver *r) {
  strcpy(r->folder, "/tmp/telltale-statsd-XXXXXX");
  assert_non_null(mkdtemp(r->folder));
  snprintf(r->address, sizeof(r->address), "unix:%s/socket", r->folder);
}

static void listen_unix(receiver *r) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  strcpy(un.sun_path, r->address + 5);
  r->fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  assert_int_equal(bind(r->fd, (struct sockaddr *)&un, sizeof(un)), 0);
  wait_at_most(r->fd);
}

static void stop(receiver *r) {
  close(r->fd);
  if (*r->folder) {
    unlink(r->address + 5);
    rmdir(r->folder);
  }
}

/* The next packet, framed by line ends. */
static const char *packet(receiver *r) {
  ssize_t len = recv(r->fd, r->packet + 1, sizeof(r->packet) - 3, 0);
  assert_true(len > 0);
  r->packet[0] = r->packet[len + 1] = '\n';
  r->packet[len + 2] = '\0';
  return r->packet;
}

static tt_metrics *statsd_to(const char *address, int interval_ms,
                             tt_statsd_tags tags) {
  tt_metrics *metrics = NULL;
  tt_metrics_statsd_options options = {
      .push = {.interval_ms = interval_ms}, .address = address, .tags = tags};
  assert_int_equal(tt_metrics_statsd_new(&options, NULL, &metrics), TT_OK);
  return metrics;
}

static void count_some(tt_metrics *m) {
  tt_metrics_add(m, TT_METRIC_EVENTS_RECEIVED, 3, NULL, NULL);
  tt_metrics_add(m, TT_METRIC_EVENTS_RECEIVED, 2, NULL, NULL);
  tt_metrics_add(m, TT_METRIC_OUTBOX_PUBLISHED, 1, "order.paid|x", NULL);
  tt_metrics_add(m, TT_METRIC_WEBHOOK_ATTEMPTS, 1, "delivered", "2xx");
  tt_metrics_set(m, TT_METRIC_STORE_WAL_BYTES, 1234000, NULL, NULL);
  tt_metrics_set(m, TT_METRIC_STORE_QUEUE, -2.5, NULL, NULL);
  tt_metrics_set(m, TT_METRIC_RING_ENTRIES, NAN, NULL, NULL);
  tt_metrics_observe(m, TT_METRIC_WEBHOOK_DURATION, 0.0125, NULL, NULL);
}

/* What is counted goes out at the latest when the backend is freed. */
static void sends_lines_without_tags(void **state) {
  (void)state;
  static receiver r;
  listen_udp(&r);
  tt_metrics *m = statsd_to(r.address, NEVER_MS, TT_STATSD_TAGS_NONE);
  count_some(m);
  tt_metrics_free(m);
  assert_string_equal(packet(&r),
                      "\ntelltale.events_received:5|c\n"
                      "telltale.store_queue:0|g\n"
                      "telltale.store_queue:-2.5|g\n"
                      "telltale.store_wal_bytes:1234000|g\n"
                      "telltale.outbox_events_published.order_paid_x:1|c\n"
                      "telltale.webhook_attempts.delivered.2xx:1|c\n"
                      "telltale.webhook_attempt_duration_seconds:12.5|ms\n");
  stop(&r);
}

static void sends_lines_with_tags(void **state) {
  (void)state;
  static receiver r;
  name_unix(&r);
  listen_unix(&r);
  tt_metrics *m = statsd_to(r.address, NEVER_MS, TT_STATSD_TAGS_DOGSTATSD);
  count_some(m);
  tt_metrics_free(m);
  assert_string_equal(
      packet(&r),
      "\ntelltale.events_received:5|c\n"
      "telltale.store_queue:-2.5|g\n"
      "telltale.store_wal_bytes:1234000|g\n"
      "telltale.outbox_events_published:1|c|#type:order.paid_x\n"
      "telltale.webhook_attempts:1|c|#outcome:delivered,status_class:2xx\n"
      "telltale.webhook_attempt_duration_seconds:12.5|ms\n");
  stop(&r);
}

/* Each interval brings what has come in it; a gauge comes again. */
static void sends_what_is_new(void **state) {
  (void)state;
  static receiver r;
  listen_udp(&r);
  tt_metrics *m = statsd_to(r.address, 20, TT_STATSD_TAGS_NONE);
  uint64_t sum = 0;
  tt_metrics_set(m, TT_METRIC_STORE_QUEUE, 7, NULL, NULL);
  for (uint64_t i = 1; i <= 5; i++) {
    tt_metrics_add(m, TT_METRIC_EVENTS_STORED, i, NULL, NULL);
    while (sum < i * (i + 1) / 2) {
      const char *text = packet(&r);
      const char *line = strstr(text, "\ntelltale.events_stored:");
      assert_non_null(strstr(text, "\ntelltale.store_queue:7|g\n"));
      sum += line ? strtoull(line + 24, NULL, 10) : 0;
    }
    assert_int_equal(sum, i * (i + 1) / 2);
  }
  tt_metrics_free(m);
  assert_null(strstr(packet(&r), "events_stored"));
  stop(&r);
}

static void fill(receiver *r, size_t packet_max) {
  char type[32];
  unsigned lines = 0, packets = 0;
  tt_metrics *m = statsd_to(r->address, NEVER_MS, TT_STATSD_TAGS_DOGSTATSD);
  for (int i = 0; i < 256; i++) {
    snprintf(type, sizeof(type), "/route/number/%d", i);
    tt_metrics_add(m, TT_METRIC_HTTP_REQUESTS, 1, type, "2xx");
  }
  tt_metrics_free(m);
  for (; lines < 256; packets++) {
    const char *text = packet(r);
    size_t len = strlen(text) - 2;
    assert_true(len <= packet_max);
    assert_int_equal(strncmp(text, "\ntelltale.http_requests:1|c|#route:", 35),
                     0);
    for (const char *at = text + 1; *at; at++)
      lines += *at == '\n';
  }
  assert_int_equal(lines, 256);
  assert_true(packets <= 256 * 75 / packet_max + 1);
}

static void keeps_packets_small(void **state) {
  (void)state;
  static receiver udp, un;
  listen_udp(&udp);
  fill(&udp, 1432);
  stop(&udp);
  name_unix(&un);
  listen_unix(&un);
  fill(&un, 8192);
  stop(&un);
}

/* More timings than an interval sends come with the rate at which they were
 * chosen. */
static void samples_timings(void **state) {
  (void)state;
  static receiver r;
  listen_udp(&r);
  unsigned lines = 0;
  tt_metrics *m = statsd_to(r.address, NEVER_MS, TT_STATSD_TAGS_NONE);
  for (int i = 0; i < 1024; i++)
    tt_metrics_observe(m, TT_METRIC_WEBHOOK_DURATION, i + 1, NULL, NULL);
  tt_metrics_observe(m, TT_METRIC_WEBHOOK_DURATION, INFINITY, NULL, NULL);
  tt_metrics_free(m);
  while (lines < 512)
    for (const char *at = packet(&r); (at = strstr(at, "000|ms|@0.5\n")); at++)
      lines++;
  assert_int_equal(lines, 512);
  stop(&r);
}

/* ---- Nobody there ---- */

typedef struct complaint {
  sem_t came;
  char text[300];
} complaint;

static void on_log(void *context, tt_level level, const char *message) {
  complaint *c = context;
  assert_int_equal(level, TT_LEVEL_WARN);
  snprintf(c->text, sizeof(c->text), "%s", message);
  sem_post(&c->came);
}

/* A server that is away costs a line in the log and a count of the failure, no
 * sums: they go out when it is there. */
static void keeps_sums_until_there_is_a_server(void **state) {
  (void)state;
  static receiver r;
  static complaint c;
  char *text = NULL;
  tt_metrics *m = NULL, *failures = NULL;
  name_unix(&r);
  sem_init(&c.came, 0, 0);
  assert_int_equal(tt_metrics_prometheus_new(&failures), TT_OK);
  tt_metrics_statsd_options options = {
      .push = {.interval_ms = 10, .failures = failures, .log = {on_log, &c}},
      .address = r.address};
  assert_int_equal(tt_metrics_statsd_new(&options, NULL, &m), TT_OK);
  tt_metrics_add(m, TT_METRIC_EVENTS_STORED, 3, NULL, NULL);
  while (sem_wait(&c.came))
    ;
  assert_non_null(strstr(c.text, r.folder));
  assert_non_null(strstr(c.text, "No such file"));
  tt_metrics_add(m, TT_METRIC_EVENTS_STORED, 4, NULL, NULL);
  listen_unix(&r);
  uint64_t sum = 0;
  bool told = false;
  while (sum < 7 || !told) {
    const char *line = strstr(packet(&r), "\ntelltale.events_stored:");
    sum += line ? strtoull(line + 24, NULL, 10) : 0;
    told |= strstr(r.packet, "export_failures.statsd.unreachable:") != NULL;
  }
  assert_int_equal(sum, 7);
  assert_int_equal(tt_metrics_prometheus_render(failures, false, &text, NULL),
                   TT_OK);
  assert_non_null(strstr(text, "telltale_metrics_export_failures_total{"
                               "backend=\"statsd\",reason=\"unreachable\"} "));
  free(text);
  tt_metrics_free(m);
  tt_metrics_free(failures);
  sem_destroy(&c.came);
  stop(&r);
}

/* A child counts, and frees, without the parent's thread and socket. */
static void survives_a_fork(void **state) {
  (void)state;
  static receiver r;
  int status;
  listen_udp(&r);
  tt_metrics *m = statsd_to(r.address, NEVER_MS, TT_STATSD_TAGS_NONE);
  tt_metrics_add(m, TT_METRIC_EVENTS_STORED, 1, NULL, NULL);
  pid_t child = fork_for_test();
  if (child == 0) {
    tt_metrics_add(m, TT_METRIC_EVENTS_STORED, 1, NULL, NULL);
    tt_metrics_free(m);
    _exit(0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  tt_metrics_free(m);
  assert_string_equal(packet(&r), "\ntelltale.events_stored:1|c\n");
  stop(&r);
}

/* ---- Options ---- */

static void says_which_option_is_wrong(void **state) {
  (void)state;
  static const struct {
    const char *address, *prefix;
    int interval_ms;
    const char *problem;
  } rows[] = {
      {"127.0.0.1:8125", NULL, 0, "address"},
      {"udp://127.0.0.1", NULL, 0, "address"},
      {"udp://127.0.0.1:0", NULL, 0, "address"},
      {"udp://127.0.0.1:65536", NULL, 0, "address"},
      {"udp://::1:8125", NULL, 0, "address"},
      {"udp://:8125", NULL, 0, "address"},
      {"unix:relative", NULL, 0, "address"},
      {"tcp://127.0.0.1:8125", NULL, 0, "address"},
      {NULL, "a b", 0, "prefix"},
      {NULL, "a:", 0, "prefix"},
      {NULL, NULL, -1, "interval_ms"},
      {NULL, NULL, 3600001, "interval_ms"},
  };
  char problem[TELLTALE_PROBLEM_MAX];
  tt_metrics *m = NULL;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tt_metrics_statsd_options options = {
        .push = {.interval_ms = rows[i].interval_ms},
        .address = rows[i].address,
        .prefix = rows[i].prefix};
    assert_int_equal(tt_metrics_statsd_new(&options, problem, &m), TT_EINVAL);
    assert_int_equal(strncmp(problem, rows[i].problem, strlen(rows[i].problem)),
                     0);
    assert_int_equal(tt_metrics_statsd_new(&options, NULL, &m), TT_EINVAL);
  }
  /* Only checked: there is nothing to free, and nothing is sent. */
  assert_int_equal(tt_metrics_statsd_new(NULL, NULL, NULL), TT_OK);
}

static void reads_addresses(void **state) {
  (void)state;
  tti_statsd_address a;
  assert_true(tti_statsd_address_parse("udp://[::1]:8125", &a));
  assert_string_equal(a.host, "::1");
  assert_string_equal(a.port, "8125");
  assert_true(tti_statsd_address_parse("udp://statsd.example:1", &a));
  assert_string_equal(a.host, "statsd.example");
  assert_false(a.is_unix);
  assert_true(tti_statsd_address_parse("unix:/var/run/dsd.socket", &a));
  assert_string_equal(a.host, "/var/run/dsd.socket");
  assert_true(a.is_unix);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sends_lines_without_tags),
      cmocka_unit_test(sends_lines_with_tags),
      cmocka_unit_test(sends_what_is_new),
      cmocka_unit_test(keeps_packets_small),
      cmocka_unit_test(samples_timings),
      cmocka_unit_test(keeps_sums_until_there_is_a_server),
      cmocka_unit_test(survives_a_fork),
      cmocka_unit_test(says_which_option_is_wrong),
      cmocka_unit_test(reads_addresses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
