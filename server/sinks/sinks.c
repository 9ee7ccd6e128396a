#include "server/sinks/sink.h"

#include "lib/json/write.h"
#include "server/io/log.h"
#include <pthread.h>
#include <stdlib.h>

/* How long one that is taken out while the server runs may hand over what it
 * has, and then end what it does. */
#define STOP_US      ((int64_t)5000000)
#define INTERRUPT_US ((int64_t)2000000)

struct sinks {
  sinks_options options;
  pthread_mutex_t mutex; /* for the list; a sink in it is not freed */
  sink **items;          /* owned */
  size_t count;
  /* The main thread's: taken out, but something in them hangs. */
  sink **leaving; /* owned */
  size_t leaving_count;
};

/* ---- Taking out ---- */

static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

/* Ends the sinks and frees those that end; the others come to the front of the
 * list, whose new length is answered. */
static size_t end(sink **list, size_t count, int64_t by_us, int64_t last_us) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++)
    sink_ask_stop(list[i], by_us);
  for (size_t i = 0; i < count; i++)
    if (!sink_wait(list[i], by_us))
      sink_interrupt(list[i]);
  for (size_t i = 0; i < count; i++) {
    if (sink_wait(list[i], last_us)) {
      sink_free(list[i]);
    } else {
      server_log(TT_LEVEL_ERROR, "sinks", "%s does not end what it does",
                 sink_name(list[i]));
      list[kept++] = list[i];
    }
  }
  return kept;
}

/* NULL when memory is short. */
static sink **grow(sink ***list, size_t count) {
  sink **grown = realloc(*list, (count + 1) * sizeof(*grown));
  if (grown)
    *list = grown;
  return grown;
}

/* Moves those that are not of any of the specs to `leaving`. */
static void take_out(sinks *all, const sink_spec *specs, size_t count) {
  size_t kept = 0;
  pthread_mutex_lock(&all->mutex);
  for (size_t i = 0; i < all->count; i++) {
    sink *s = all->items[i];
    bool stays = false;
    for (size_t k = 0; k < count && !stays; k++)
      stays = sink_is_of(s, &specs[k]);
    if (!stays && grow(&all->leaving, all->leaving_count))
      all->leaving[all->leaving_count++] = s;
    else
      all->items[kept++] = s;
  }
  all->count = kept;
  pthread_mutex_unlock(&all->mutex);
}

/* ---- Putting in ---- */

static bool is_in(sink *const *list, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(sink_name(list[i]), name) == 0)
      return true;
  return false;
}

static void put_in(sinks *all, const sink_spec *spec) {
  tti_buf why;
  sink *made;
  tti_buf_init(&why, 2048);
  tt_error error = TT_EBUSY;
  if (is_in(all->leaving, all->leaving_count, spec->name))
    tti_buf_append_text(&why, "the one that it replaces does not end");
  else
    error = sink_start(&all->options, spec, false, &why, &made);
  pthread_mutex_lock(&all->mutex);
  if (!error && grow(&all->items, all->count)) {
    all->items[all->count++] = made;
  } else if (!error) {
    error = TT_ENOMEM;
    sink_ask_stop(made, now_us());
    sink_free(made);
  }
  pthread_mutex_unlock(&all->mutex);
  if (error)
    server_log(TT_LEVEL_ERROR, "sinks",
               "%s is left out: %.*s; SIGHUP tries again", spec->name,
               why.len ? (int)why.len : 100,
               why.len ? why.data : tt_error_message(error));
  tti_buf_fini(&why);
}

void sinks_apply(sinks *all, const sink_spec *specs, size_t count) {
  take_out(all, specs, count);
  int64_t by_us = now_us() + STOP_US;
  all->leaving_count =
      end(all->leaving, all->leaving_count, by_us, by_us + INTERRUPT_US);
  for (size_t i = 0; i < count; i++)
    if (!is_in(all->items, all->count, specs[i].name))
      put_in(all, &specs[i]);
}

/* ---- Life ---- */

tt_error sinks_new(const sinks_options *options, sinks **out_sinks) {
  sinks *all = calloc(1, sizeof(*all));
  if (!all)
    return TT_ENOMEM;
  all->options = *options;
  pthread_mutex_init(&all->mutex, NULL);
  *out_sinks = all;
  return TT_OK;
}

bool sinks_stop(sinks *all, int timeout_ms) {
  int64_t last_us = now_us() + (int64_t)timeout_ms * 1000;
  int64_t by_us = now_us() + (int64_t)timeout_ms * 750;
  all->leaving_count =
      end(all->leaving, all->leaving_count, now_us(), now_us());
  all->count = end(all->items, all->count, by_us, last_us);
  return all->count + all->leaving_count == 0;
}

void sinks_free(sinks *all) {
  if (!all)
    return;
  pthread_mutex_destroy(&all->mutex);
  free(all->items);
  free(all->leaving);
  free(all);
}

/* ---- What is told ---- */

void sinks_scrape(sinks *all) {
  pthread_mutex_lock(&all->mutex);
  for (size_t i = 0; i < all->count; i++)
    sink_scrape(all->items[i], all->options.metrics);
  pthread_mutex_unlock(&all->mutex);
}

void sinks_write_status(sinks *all, tti_buf *out) {
  bool first = true;
  pthread_mutex_lock(&all->mutex);
  tti_buf_printf(out, "\"sinks\":{\"count\":%zu,\"failing\":[", all->count);
  for (size_t i = 0; i < all->count; i++) {
    sink_state state;
    sink_state_get(all->items[i], &state);
    if (!state.stats.failing)
      continue;
    if (!first)
      tti_buf_append_char(out, ',');
    tti_json_write_text(out, state.name);
    first = false;
  }
  pthread_mutex_unlock(&all->mutex);
  tti_buf_append_text(out, "]}");
}

/* ---- Over HTTP ---- */

static void write_time(tti_buf *out, const char *key, int64_t us) {
  char text[TTI_RFC3339_MAX];
  tti_rfc3339_format(us, text);
  tti_buf_printf(out, ",\"%s\":\"%s\"", key, text);
}

static void write_problem(tti_buf *out, const tt_storage_writer_stats *stats) {
  if (!stats->problem_us)
    return;
  write_time(out, "last_error_at", stats->problem_us);
  tti_buf_append_text(out, ",\"last_error\":");
  tti_json_write_text(out, stats->problem);
}

static void write_requeue(tti_buf *out, const sink_requeue *requeue) {
  if (requeue->state == SINK_REQUEUE_NONE)
    return;
  bool done = requeue->state == SINK_REQUEUE_DONE;
  tti_buf_printf(out, ",\"requeue\":{\"state\":\"%s\"",
                 !done            ? "running"
                 : requeue->error ? "failed"
                                  : "done");
  if (done && !requeue->error)
    tti_buf_printf(out, ",\"sent\":%llu,\"left\":%llu",
                   (unsigned long long)requeue->sent,
                   (unsigned long long)requeue->left);
  if (requeue->error) {
    tti_buf_append_text(out, ",\"message\":");
    tti_json_write_text(out, requeue->error == TT_ESTATE
                                 ? "the sink is not open"
                                 : tt_error_message(requeue->error));
  }
  tti_buf_append_char(out, '}');
}

static void write_sink(tti_buf *out, const sink_state *state) {
  const tt_storage_writer_stats *stats = &state->stats;
  const struct {
    const char *key;
    uint64_t value;
  } numbers[] = {{"position", stats->position},
                 {"lag", stats->lag},
                 {"appended", stats->appended},
                 {"rejected", stats->rejected},
                 {"given_up", stats->given_up},
                 {"dead_letters", stats->dead_letters},
                 {"errors", stats->failures},
                 {"retention_used_percent", state->reach_percent}};
  tti_buf_append_text(out, "{\"name\":");
  tti_json_write_text(out, state->name);
  tti_buf_printf(out, ",\"type\":\"%s\",\"destination\":", state->type);
  tti_json_write_text(out, state->destination);
  tti_buf_printf(out, ",\"state\":\"%s\"",
                 stats->failing ? "failing" : "running");
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
    tti_buf_printf(out, ",\"%s\":%llu", numbers[i].key,
                   (unsigned long long)numbers[i].value);
  if (state->missed.count) {
    tti_buf_printf(out,
                   ",\"missed\":{\"count\":%llu,\"from_seq\":%llu,"
                   "\"to_seq\":%llu",
                   (unsigned long long)state->missed.count,
                   (unsigned long long)state->missed.from_seq,
                   (unsigned long long)state->missed.to_seq);
    write_time(out, "at", state->missed.at_us);
    tti_buf_append_char(out, '}');
  }
  write_problem(out, stats);
  write_requeue(out, &state->requeue);
  tti_buf_append_char(out, '}');
}

static void reply(http_request *request, int status, tti_buf *body) {
  http_reply_header(request, "Cache-Control", "no-store");
  if (body->error)
    http_reply_error(request, 503, "out_of_memory",
                     "out of memory while answering; try again");
  else
    http_reply(request, status, "application/json", body->data, body->len);
}

void sinks_serve_list(http_request *request, void *context) {
  sinks *all = context;
  tti_buf body;
  tti_buf_init(&body, 1 << 20);
  tti_buf_append_text(&body, "{\"items\":[");
  pthread_mutex_lock(&all->mutex);
  for (size_t i = 0; i < all->count; i++) {
    sink_state state;
    sink_state_get(all->items[i], &state);
    if (i)
      tti_buf_append_char(&body, ',');
    write_sink(&body, &state);
  }
  pthread_mutex_unlock(&all->mutex);
  tti_buf_append_text(&body, "],\"next_cursor\":null}");
  reply(request, 200, &body);
  tti_buf_fini(&body);
}

static sink *find(sinks *all, tti_slice name) {
  for (size_t i = 0; i < all->count; i++)
    if (tti_slice_eq(name, tti_slice_of(sink_name(all->items[i]))))
      return all->items[i];
  return NULL;
}

static void refuse_requeue(http_request *request, tti_slice name,
                           tt_error error) {
  int len = name.len > 64 ? 64 : (int)name.len;
  if (error == TT_ENOTFOUND)
    http_reply_error(request, 404, "sink_not_found",
                     "no sink is called %.*s; `telltale sinks` lists them", len,
                     name.ptr);
  else if (error == TT_EBUSY)
    http_reply_error(request, 409, "requeue_running",
                     "the dead letters of %.*s are being sent: wait for it",
                     len, name.ptr);
  else if (error == TT_ESTATE)
    http_reply_error(request, 409, "no_dead_letters",
                     "%.*s keeps no dead letters: give it dead_letters in the "
                     "configuration",
                     len, name.ptr);
  else
    http_reply_error(request, 503, "out_of_memory",
                     "no thread for it; try again");
}

void sinks_serve_requeue(http_request *request, void *context) {
  sinks *all = context;
  tti_slice name = http_request_param(request, "name");
  tti_buf body;
  sink_state state;
  tti_buf_init(&body, 1 << 16);
  pthread_mutex_lock(&all->mutex);
  sink *s = find(all, name);
  tt_error error = s ? sink_requeue_start(s) : TT_ENOTFOUND;
  if (!error) {
    sink_state_get(s, &state);
    write_sink(&body, &state);
  }
  pthread_mutex_unlock(&all->mutex);
  if (error)
    refuse_requeue(request, name, error);
  else
    reply(request, 202, &body);
  tti_buf_fini(&body);
}
