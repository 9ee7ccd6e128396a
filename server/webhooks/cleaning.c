#include "server/webhooks/internal.h"

/* POST /janitor: answered when a whole run is over. */
typedef struct cleaning {
  janitor_wait wait;
  http_request *request;
  loop_task task;
  janitor_counts counts;
  bool whole;
} cleaning;

/* On the request's loop. */
static void answer_cleaning(loop_task *task) {
  cleaning *c = (cleaning *)((char *)task - offsetof(cleaning, task));
  tti_buf body;
  if (!c->whole) {
    http_reply_header(c->request, "Retry-After", "1");
    http_reply_error(c->request, 503, "store_unavailable",
                     "the store could not clear everything away; try again");
    return;
  }
  tti_buf_init(&body, 1024);
  tti_buf_printf(&body,
                 "{\"deleted\":{\"outbox\":%llu,\"deliveries\":%llu,"
                 "\"attempts\":%llu}}",
                 (unsigned long long)c->counts.outbox,
                 (unsigned long long)c->counts.deliveries,
                 (unsigned long long)c->counts.attempts);
  http_reply_json(c->request, 200, &body);
}

/* On the janitor's. */
static void cleaned(janitor_wait *wait, const janitor_counts *counts,
                    bool whole) {
  cleaning *c = (cleaning *)((char *)wait - offsetof(cleaning, wait));
  c->counts = *counts;
  c->whole = whole;
  loop_post(http_request_loop(c->request), &c->task);
}

void janitor_now_serve(http_request *request, void *context) {
  webhook_api *api = context;
  cleaning *c = http_request_alloc(request, sizeof(*c));
  if (!c) {
    http_reply_error(request, 503, "out_of_memory", "out of memory; try again");
    return;
  }
  *c = (cleaning){.wait.done = cleaned, .request = request};
  c->task.run = answer_cleaning;
  janitor_run(api->options.janitor, &c->wait);
}
