#include "server/http/decode.h"

#include "server/http/connection.h"
#include "server/http/inflate.h"
#include "server/http/worker.h"
#include <stdlib.h>

#define ON_LOOP_MAX ((size_t)64 << 10)
#define POOL_STEP   ((size_t)1 << 20)

typedef struct decoding {
  loop_work work;
  http_request *request;
  http_inflate *inflate;
  size_t until;  /* decoded bytes that are paid for */
  size_t memory; /* of the decoder, likewise */
  http_inflated result;
  const http_refusal *refusal;
  bool alone; /* no request behind this one may start */
} decoding;

static void refuse(http_request *r, const http_refusal *why) {
  if (why->status == 413) {
    http_reply_error(r, 413, why->code,
                     "%s; %s takes %zu decoded bytes, at most %u for each byte "
                     "sent",
                     why->message, r->route->pattern, r->route->max_body_bytes,
                     r->worker->options->inflate_ratio);
    return;
  }
  if (why->status == 503)
    http_reply_header(r, "Retry-After", "1");
  http_reply_error(r, why->status, why->code, "%s", why->message);
}

static const http_refusal no_memory = {
    503, "overloaded",
    "the memory for requests is used up; try again in a second"};

/* What the gate left with the connection is this request's until its handler
 * has been called. */
static void hold_others(decoding *d) {
  if (!d->alone)
    d->request->connection->running_alone++;
  d->alone = true;
}

static void free_decoding(decoding *d) {
  http_connection *c = d->request->connection;
  if (d->alone) {
    c->running_alone--;
    http_worker_mark(c->worker, c);
  }
  http_inflate_free(d->inflate);
  http_request_unhold(d->request, d->memory);
  free(d);
}

/* The decoded body takes the place of the compressed one, and counts as what it
 * came to: its memory grows in steps of its own. */
static void finish(decoding *d) {
  http_request *r = d->request;
  size_t len, memory;
  char *body = http_inflate_take(d->inflate, &len, &memory);
  if (memory > d->until && !http_request_charge(r, memory - d->until)) {
    free(body);
    refuse(r, &no_memory);
    free_decoding(d);
    return;
  }
  if (memory < d->until)
    http_request_unhold(r, d->until - memory);
  if (r->body_owned)
    free(r->body);
  r->body = body;
  r->body_len = len;
  r->body_cap = memory;
  r->body_owned = true;
  free_decoding(d);
  http_request_reweigh(r);
  r->route->handler(r, r->route->context);
}

static void run(decoding *d) {
  d->result = http_inflate_run(d->inflate, d->until, d->memory, &d->refusal);
}

static void on_pool(loop_work *work) {
  run((decoding *)work);
}

static void go_on(decoding *d);

static void on_decoded(loop_work *work) {
  go_on((decoding *)work);
}

/* More bytes, or a larger decoder, against the budget. */
static bool pay(decoding *d) {
  bool larger = d->result == HTTP_INFLATED_MEMORY;
  size_t more =
      larger ? http_inflate_memory(d->inflate) - d->memory : POOL_STEP;
  if (!http_request_charge(d->request, more))
    return false;
  *(larger ? &d->memory : &d->until) += more;
  return true;
}

/* After each piece: the end, a refusal, or the next piece by the pool; a small
 * body stays here while it gets its decoder. */
static void go_on(decoding *d) {
  http_request *r = d->request;
  while (d->result == HTTP_INFLATED_MEMORY && d->until <= ON_LOOP_MAX && pay(d))
    run(d);
  if (d->result == HTTP_INFLATED_ALL) {
    finish(d);
    return;
  }
  if (d->result != HTTP_INFLATED_REFUSED) {
    if (pay(d)) {
      hold_others(d);
      d->work.run = on_pool;
      d->work.done = on_decoded;
      if (loop_offload(r->worker->l, &d->work) == TT_OK)
        return;
    }
    d->refusal = &no_memory;
  }
  refuse(r, d->refusal);
  free_decoding(d);
}

void http_decode(http_request *r) {
  http_inflate_limits limits = {r->route->max_body_bytes,
                                r->worker->options->inflate_ratio};
  bool zstd = r->head.coding == HTTP_CODING_ZSTD;
  decoding *d = calloc(1, sizeof(*d));
  if (!d) {
    refuse(r, &no_memory);
    return;
  }
  d->request = r;
  d->inflate = http_inflate_new(zstd ? &codec_zstd : &codec_gzip,
                                http_request_body(r), &limits);
  d->result = HTTP_INFLATED_PART;
  if (!d->inflate) {
    refuse(r, &no_memory);
    free_decoding(d);
    return;
  }
  if (r->body_len <= ON_LOOP_MAX) {
    if (!http_request_charge(r, ON_LOOP_MAX)) {
      refuse(r, &no_memory);
      free_decoding(d);
      return;
    }
    d->until = ON_LOOP_MAX;
    run(d);
  }
  go_on(d);
}
