#include "cli/commands.h"
#include "cli/options.h"
#include "lib/base/random.h"
#include "lib/json/scan.h"
#include "server/http/describe.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <telltale/signature.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX   ((size_t)16 << 20)
#define HEADER_MAX 512

enum { OPT_PORT, OPT_SECRET, OPT_FAIL, OPT_STATUS, OPT_DELAY };

static const cli_option options[] = {
    {"--port", 'p', "N", "listen on this port; default: a free one"},
    {"--secret", 's', "SECRET", "check signatures with it"},
    {"--fail", 0, "RATE", "answer 500 to so many of them: 0.3, or 30%"},
    {"--status", 0, "CODE", "answer this status (200)"},
    {"--delay", 0, "MS", "wait before answering"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_listen = {
    .name = "listen",
    .help = "receive webhooks on this machine, and show them",
    .run = run,
    .arguments = "",
    .summary =
        "Receives webhooks on a port of this machine until it is interrupted, "
        "and\n"
        "prints each with what is said about its signature. For trying things "
        "out:\n"
        "the options make it a receiver that fails, or is slow.",
    .details = "A server sends webhooks to this machine only when its "
               "configuration says\n"
               "webhooks: {allow_cidrs: [127.0.0.0/8]}.",
    .examples = "telltale listen --secret whsec_… --fail 0.3",
    .options = options};

/* What is answered, and how. The loop's. */
typedef struct receiver {
  const char *secret; /* NULL: nothing is checked */
  double fail;
  int status;
  uint64_t delay_ms;
} receiver;

/* ---- One request ---- */

static const char *header_of(http_request *request, const char *name,
                             char out[HEADER_MAX]) {
  tti_slice value = http_request_header(request, name);
  if (!value.ptr || value.len >= HEADER_MAX)
    return NULL;
  memcpy(out, value.ptr, value.len);
  out[value.len] = '\0';
  return out;
}

static void say_signature(const receiver *r, http_request *request) {
  char id[HEADER_MAX], timestamp[HEADER_MAX], signature[HEADER_MAX];
  tti_slice body = http_request_body(request);
  const char *problem = NULL;
  tt_signature_options wants = {.secrets = {r->secret}};
  tt_webhook webhook = {
      .id = header_of(request, "webhook-id", id),
      .timestamp = header_of(request, "webhook-timestamp", timestamp),
      .signature = header_of(request, "webhook-signature", signature),
      .body = body.ptr,
      .body_len = body.len};
  if (!webhook.signature &&
      (webhook.signature = header_of(request, "x-e2a-signature", signature)))
    wants.scheme = TT_SIGNATURE_E2A;
  if (!webhook.signature)
    printf("not signed");
  else if (!r->secret)
    printf("signature not checked");
  else if (tt_signature_verify(&wants, &webhook, &problem) == TT_OK)
    printf("signature good");
  else
    printf("signature BAD: %s", problem);
}

/* What a terminal would take for an order is left out. */
static void print_text(tti_slice text) {
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    putchar((c < ' ' && c != '\t') || c == 0x7f ? ' ' : c);
  }
}

static tti_slice type_of(tti_slice body) {
  static const tti_slice names[] = {{"type", 4}};
  tti_json_names table;
  tti_json_value type;
  tti_json_error error;
  tti_json_names_init(&table, names, 1);
  if (tti_json_check_fields(body, &table, &type, &error) != TT_OK ||
      type.type != TTI_JSON_STRING)
    return (tti_slice){NULL, 0};
  return tti_json_inside(type.text);
}

static void print_request(const receiver *r, http_request *request,
                          int status) {
  char now[16], id[HEADER_MAX];
  tti_slice body = http_request_body(request), type = type_of(body);
  time_t seconds = time(NULL);
  struct tm local;
  strftime(now, sizeof now, "%H:%M:%S", localtime_r(&seconds, &local));
  printf("%s ", now);
  print_text(type.len ? type : TTI_SLICE("(no type)"));
  const char *event = header_of(request, "webhook-id", id);
  printf("%s%s", event ? " " : "", event ? event : "");
  const char *delivery = header_of(request, "telltale-delivery-id", id);
  printf("%s%s, %zu bytes, ", delivery ? " as " : "", delivery ? delivery : "",
         body.len);
  say_signature(r, request);
  printf(", answering %d\n  ", status);
  print_text(body);
  putchar('\n');
  fflush(stdout);
}

/* ---- Its answer ---- */

typedef struct pending {
  loop_timer timer;
  http_request *request;
  int status;
} pending;

static void answer(http_request *request, int status) {
  static const char text[] = "telltale listen\n";
  http_reply(request, status, "text/plain", text, sizeof text - 1);
}

static void pending_closed(loop_timer *timer) {
  free(timer);
}

static void pending_due(loop_timer *timer) {
  pending *p = (pending *)timer; /* its first member */
  answer(p->request, p->status);
  loop_timer_close(timer, pending_closed);
}

static bool fails(double rate) {
  return (double)tti_random_below(1000000) < rate * 1000000;
}

static void on_request(http_request *request, void *context) {
  const receiver *r = context;
  int status = fails(r->fail) ? 500 : r->status;
  print_request(r, request, status);
  pending *p = r->delay_ms ? calloc(1, sizeof *p) : NULL;
  if (!p) {
    answer(request, status);
    return;
  }
  p->request = request;
  p->status = status;
  loop *l = http_request_loop(request);
  loop_timer_init(l, &p->timer, pending_due);
  loop_timer_start(&p->timer, r->delay_ms, 0);
}

/* ---- The process ---- */

static void say_how(const receiver *r, unsigned port) {
  printf("listening on http://127.0.0.1:%u/\n", port);
  if (!r->secret)
    printf("signatures are not checked: give --secret with what `telltale "
           "webhooks create` or `rotate` showed\n");
  printf("the server needs webhooks: {allow_cidrs: [127.0.0.0/8]} in its "
         "configuration to send here\n");
  fflush(stdout);
}

/* Signals are blocked: the loop's thread takes none, we wait for one. Answers
 * may still be waiting then, for nothing but time, so the process just ends. */
static int serve(loop *l, http_server *server, const receiver *r,
                 const sigset_t *signals) {
  int number;
  if (loop_start(l) != TT_OK)
    return CLI_FAILED;
  say_how(r, http_server_port(server));
  while (sigwait(signals, &number) != 0)
    ;
  fflush(stdout);
  _exit(CLI_OK);
}

static int receive(receiver *r, unsigned port) {
  const http_route routes[] = {{.methods = HTTP_POST_,
                                .pattern = "/",
                                .name = "root",
                                .handler = on_request,
                                .context = r,
                                .max_body_bytes = BODY_MAX},
                               {.methods = HTTP_POST_,
                                .pattern = "/{any}",
                                .name = "any",
                                .handler = on_request,
                                .context = r,
                                .max_body_bytes = BODY_MAX}};
  http_options wants = {.routes = routes, .route_count = 2};
  http_server *server = NULL;
  loop *l = NULL;
  tti_buf error;
  sigset_t signals;
  int status = CLI_FAILED;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  tti_buf_init(&error, 1000);
  if (loop_new(0, &l) == TT_OK &&
      http_server_new(&wants, &l, 1, "127.0.0.1", (uint16_t)port, &error,
                      &server) == TT_OK)
    status = serve(l, server, r, &signals);
  else
    fprintf(stderr, "telltale listen: %.*s\n", (int)error.len,
            error.len ? error.data : "");
  if (server)
    http_server_free(server);
  loop_free(l);
  tti_buf_fini(&error);
  return status;
}

/* "0.3" or "30%". */
static int take_rate(const char *text, double *rate) {
  char *end;
  if (!text)
    return CLI_OK;
  double value = strtod(text, &end);
  if (*end == '%') {
    value /= 100;
    end++;
  }
  if (end == text || *end || !(value >= 0 && value <= 1))
    return cli_usage_error(
        &cli_listen, "--fail takes 0 to 1, or 0%% to 100%%, not %s", text);
  *rate = value;
  return CLI_OK;
}

static int run(int argc, char **argv) {
  const char *values[OPT_DELAY + 1] = {0};
  unsigned long long port = 0, answered = 200, delay = 0;
  receiver r = {0};
  bool done;
  int status =
      cli_options_take(&cli_listen, argc, argv, values, NULL, NULL, &done);
  if (status || done)
    return status;
  r.secret = values[OPT_SECRET];
  if ((status =
           cli_option_number(&cli_listen, values, OPT_PORT, 0, 65535, &port)) ||
      (status = cli_option_number(&cli_listen, values, OPT_STATUS, 200, 599,
                                  &answered)) ||
      (status = cli_option_number(&cli_listen, values, OPT_DELAY, 0, 3600000,
                                  &delay)) ||
      (status = take_rate(values[OPT_FAIL], &r.fail)))
    return status;
  r.status = (int)answered;
  r.delay_ms = delay;
  return receive(&r, (unsigned)port);
}
