#include "server/sinks/internal.h"

#include "lib/json/write.h"

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
