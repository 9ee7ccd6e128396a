/* The library: events, the stream, metrics, emitters. */
#include "tests/torture/scenario.h"

#include "lib/event/filter.h"
#include "lib/event/parse.h"
#include "lib/event/view.h"
#include "lib/fleet/fleet.h"
#include "lib/http/client.h"
#include "lib/json/write.h"
#include "lib/stream/stream.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <telltale/logger.h>
#include <telltale/metrics.h>

static const tt_metadata pairs[] = {{"env", "prod"}, {"host", "a"}};

static const tt_event an_event = {.source = "torture",
                                  .type = "deploy",
                                  .category = "api",
                                  .level_name = "notice",
                                  .agent_id = "agent-7",
                                  .metadata = pairs,
                                  .metadata_count = 2,
                                  .data = "{\"rows\": 42}"};

#define EVENT                                                                  \
  "{\"source\":\"torture\",\"action\":\"deploy\",\"channel\":\"api\","         \
  "\"level\":\"warn\",\"metadata\":{\"k\":\"v\\n\"},"                          \
  "\"data\":{\"a\":[1,2,3]}}"

#define LINE                                                                   \
  "{\"level\":\"warn\",\"message\":\"a\",\"logger\":\"d\\n\","                 \
  "\"fields\":{\"k\":1},\"caller\":\"a.c:3\"}"

static bool parse_one(tt_error (*parse)(tti_slice, const tti_parse_options *,
                                        tti_batch *, tti_parse_error *),
                      tti_parse_form form, const char *text, size_t expected) {
  tti_parse_options options = {.now_us = 1, .form = form};
  tti_parse_error error = {0};
  tti_batch batch;
  tti_batch_init(&batch, 100, 1 << 20);
  tt_error result = parse(tti_slice_of(text), &options, &batch, &error);
  require(result == TT_OK || result == TT_ENOMEM);
  require(batch.count == (result ? 0 : expected));
  require(!result || error.reason[0]);
  /* Only one request fails: the batch still takes what comes next. */
  if (result) {
    result = parse(tti_slice_of(text), &options, &batch, &error);
    require(result == TT_OK && batch.count == expected);
    result = TT_ENOMEM;
  }
  tti_batch_fini(&batch);
  return result == TT_OK;
}

static bool parse(void) {
  bool well = parse_one(tti_parse_relay, TTI_PARSE_ONE, EVENT, 1);
  well =
      parse_one(tti_parse_relay, TTI_PARSE_ARRAY, "[" EVENT "," EVENT "]", 2) &&
      well;
  well =
      parse_one(tti_parse_relay, TTI_PARSE_LINES, EVENT "\n\n" EVENT "\n", 2) &&
      well;
  return parse_one(tti_parse_log, TTI_PARSE_ARRAY, "[" LINE "," LINE "]", 2) &&
         well;
}

static bool views(void) {
  tti_buf metadata, out;
  tti_buf_init(&metadata, 1 << 20);
  tti_buf_init(&out, 1 << 20);
  tti_record record;
  tt_error error =
      tti_record_from_event(&an_event, TTI_KIND_RELAY, &metadata, &record);
  require(error == TT_OK || error == TT_ENOMEM);
  if (!error) {
    tti_view_render(&out, TTI_VIEW_RELAY, 7, &record);
    tti_view_render(&out, TTI_VIEW_ENVELOPE, 7, &record);
    tti_json_write_text(&out, "\x01 \xff");
    error = out.error;
  }
  size_t len;
  char *text = tti_buf_take(&out, &len);
  require(error || text);
  free(text);
  tti_buf_fini(&metadata);
  tti_buf_fini(&out);
  return error == TT_OK;
}

static bool filter(void) {
  tti_filter *f;
  tt_error error = tti_filter_new(&f);
  if (error)
    return false;
  error = tti_filter_add(f, TTI_SLICE("source"), TTI_SLICE("a,b,torture"));
  if (!error)
    error = tti_filter_add(f, TTI_SLICE("level"), TTI_SLICE(">=warn"));
  if (!error)
    error = tti_filter_add(f, TTI_SLICE("channel"), TTI_SLICE("api"));
  require(error == TT_OK || error == TT_ENOMEM);
  require(error || strlen(tti_filter_text(f)) > 0);
  tti_filter_free(f);
  return error == TT_OK;
}

static bool stream(void) {
  tt_stream_options options = {.entries = 8, .bytes = 4096};
  tt_stream *s = NULL;
  tt_reader *r = NULL;
  tt_cancel *c = NULL;
  uint64_t published = 0, seen = 0, failed = 0;
  bool well = !tt_stream_new(&options, &s);
  well = well && !tt_reader_new(s, 0, &r) && !tt_cancel_new(&c);
  for (int i = 0; well && i < 40; i++) {
    tt_error error = tt_stream_publish(s, &an_event, NULL);
    require(error == TT_OK || error == TT_ENOMEM);
    *(error ? &failed : &published) += 1;
  }
  tt_read_result result;
  while (r && tt_reader_try_read(r, &result))
    seen += result.envelope ? 1 : result.dropped;
  require(seen == published);
  /* What failed left no hole, and the stream goes on. */
  if (s)
    require(tt_stream_seq(s) == published);
  if (c) {
    tt_error error = tt_reader_read(r, 1, c, &result);
    require(error == TT_ETIMEOUT || error == TT_ENOMEM);
    well = well && error == TT_ETIMEOUT;
    tt_cancel_trigger(c);
    require(tt_reader_read(r, TELLTALE_FOREVER, c, &result) == TT_ECANCELLED);
  }
  tt_stream_close(s);
  if (r)
    require(tt_reader_read(r, TELLTALE_FOREVER, NULL, &result) == TT_ECLOSED);
  tt_reader_free(r);
  tt_cancel_free(c);
  tt_stream_free(s);
  return well && failed == 0;
}

/* With seqs from outside a failure must not look like one that never was. */
static bool stream_append(void) {
  tt_stream_options options = {.entries = 8, .bytes = 4096};
  static const char record[200];
  tt_stream *s;
  tt_reader *r;
  if (tt_stream_new(&options, &s))
    return false;
  if (tt_reader_new(s, 0, &r)) {
    tt_stream_free(s);
    return false;
  }
  uint64_t failed = 0, holes = 0;
  for (uint64_t seq = 2; seq <= 80; seq += 2) {
    size_t len = seq % 3 ? 40 : sizeof(record);
    tt_error error = tti_stream_append(s, seq, 0, (tti_slice){record, len});
    require(error == TT_OK || error == TT_ENOMEM);
    failed += error != 0;
    tti_stream_entry entry;
    tt_read_result drop;
    tti_read got = tti_reader_next(r, &entry, &drop);
    require(got == (error ? TTI_READ_DROPPED : TTI_READ_ENTRY));
    if (error)
      require(drop.dropped == 1 && drop.to_seq == seq);
    else
      require(entry.seq == seq && entry.record.len == len);
    require(tti_reader_next(r, &entry, &drop) == TTI_READ_NONE);
  }
  /* One that comes later passes over what of it is still in the ring. */
  tti_stream_entry entry;
  tt_read_result drop;
  uint64_t last = 0;
  tti_reader_seek(r, 0);
  for (tti_read got; (got = tti_reader_next(r, &entry, &drop));) {
    holes += got == TTI_READ_DROPPED;
    last = got == TTI_READ_DROPPED ? drop.to_seq : entry.seq;
  }
  require(last == 80 && holes <= failed);
  tt_reader_free(r);
  tt_stream_free(s);
  return failed == 0;
}

static bool prometheus(void) {
  tt_metrics *m = NULL;
  char *text = NULL;
  size_t len;
  if (tt_metrics_prometheus_new(&m))
    return false;
  tt_metrics_add(m, TT_METRIC_EVENTS_RECEIVED, 3, NULL, NULL);
  for (char label[] = "a"; label[0] < 'q'; label[0]++)
    tt_metrics_add(m, TT_METRIC_EVENTS_REJECTED, 1, label, NULL);
  tt_metrics_set(m, TT_METRIC_STORE_BYTES, 4.5, NULL, NULL);
  tt_error error = tt_metrics_prometheus_render(m, true, &text, &len);
  require(error == TT_OK || error == TT_ENOMEM);
  if (error) /* it can be scraped the next time */
    require(tt_metrics_prometheus_render(m, false, &text, &len) == TT_OK);
  require(strlen(text) == len);
  /* Labels there was no memory for are counted under "other". */
  bool whole = !strstr(text, "other");
  free(text);
  tt_metrics_free(m);
  return !error && whole;
}

static void on_log(void *context, tt_level level, const char *message) {
  (void)context;
  (void)level;
  (void)message;
}

static bool metrics_log(void) {
  tt_metrics_log_options options = {.log = {.log = on_log}};
  tt_metrics *parts[2] = {NULL, NULL}, *tee = NULL;
  bool well = !tt_metrics_log_new(&options, NULL, &parts[0]);
  well = !tt_metrics_noop_new(&parts[1]) && well;
  if (tt_metrics_tee_new(parts, 2, &tee)) {
    tt_metrics_free(parts[0]);
    tt_metrics_free(parts[1]);
    return false;
  }
  tt_metrics_add(tee, TT_METRIC_EVENTS_RECEIVED, 1, NULL, NULL);
  tt_metrics_add(tee, TT_METRIC_OUTBOX_PUBLISHED, 1, "order.paid", NULL);
  tt_metrics_free(tee);
  return well;
}

/* Both send when they are freed, to where nobody takes it. What there is no
 * memory for is sent the next time, of which there is none here. */
static bool metrics_that_send(void) {
  tt_metrics_statsd_options statsd = {.address = "udp://127.0.0.1:9"};
  tt_metrics_otlp_options otlp = {.endpoint = "http://127.0.0.1:9",
                                  .compression = "gzip"};
  tt_metrics *parts[2] = {NULL, NULL}, *tee = NULL;
  bool well = !tt_metrics_statsd_new(&statsd, NULL, &parts[0]);
  well = !tt_metrics_otlp_new(&otlp, NULL, &parts[1]) && well;
  if (tt_metrics_tee_new(parts, 2, &tee)) {
    tt_metrics_free(parts[0]);
    tt_metrics_free(parts[1]);
    return false;
  }
  for (char label[] = "a"; label[0] < 'q'; label[0]++)
    tt_metrics_add(tee, TT_METRIC_OUTBOX_PUBLISHED, 1, label, NULL);
  tt_metrics_set(tee, TT_METRIC_STORE_BYTES, 4.5, NULL, NULL);
  tt_metrics_observe(tee, TT_METRIC_WEBHOOK_DURATION, 0.5, NULL, NULL);
  tt_metrics_free(tee);
  return well;
}

/* ---- Emitters ---- */

static void emit_some(tt_emitter *e) {
  tt_emit(e, "deploy", tt_str("env", "prod"), tt_int("rows", 42),
          tt_json("extra", "[1]"), tt_double("half", 0.5));
  tt_emit_as(e, "agent-8", "deploy", tt_bool("done", true));
  tt_emit_full(e, &an_event);
  tt_emitter_set_agent_id(e, "agent-9");
  tt_emit_warn(e, "slow");
  /* A message and fields that need memory of their own. */
  tt_log_with(e, TT_LEVEL_INFO, "db", tt_log_fields(tt_int("rows", 1)),
              "%1500d", 7);
}

/* Every event is somewhere. */
static uint64_t dropped(tt_emitter *e) {
  tt_emitter_stats stats;
  tt_emitter_stats_get(e, &stats);
  uint64_t lost = 0;
  for (int i = 0; i < TT_DROP_REASON_COUNT; i++)
    lost += stats.dropped[i];
  require(stats.emitted == 5);
  require(stats.emitted + stats.adopted ==
          stats.sent + stats.queued + stats.spooled + lost);
  return lost;
}

static bool emitter_noop(void) {
  tt_emitter *e;
  if (tt_emitter_noop_new(&e))
    return false;
  emit_some(e);
  require(tt_emitter_flush(e, 100) == TT_OK);
  tt_emitter_free(e);
  return true;
}

static bool emitter_stream(void) {
  tt_stream_options options = {.entries = 16};
  tt_stream *s = NULL;
  tt_emitter *e = NULL;
  if (tt_stream_new(&options, &s))
    return false;
  bool well = !tt_emitter_stream_new(s, "torture", &e);
  if (well) {
    emit_some(e);
    uint64_t lost = dropped(e);
    require(tt_stream_seq(s) == 5 - lost);
    well = lost == 0;
  }
  tt_emitter_free(e);
  tt_stream_free(s);
  return well;
}

/* Port 1 of this machine: nobody listens. */
static bool emitter_http(void) {
  tt_emitter_options options = {.url = "http://127.0.0.1:1/events?a=b",
                                .source = "torture",
                                .agent_id = "agent-7",
                                .token = "tt_token",
                                .queue_events = 64,
                                .queue_bytes = 65536,
                                .max_attempts = 1,
                                .free_timeout_ms = 1,
                                .log = {.log = on_log}};
  tt_emitter *e;
  tt_error error = tt_emitter_new(&options, &e);
  require(error == TT_OK || error == TT_ENOMEM);
  if (error)
    return false;
  emit_some(e);
  tt_error flushed = tt_emitter_flush(e, 10000);
  require(flushed == TT_OK || flushed == TT_ETIMEOUT);
  require(dropped(e) == 5 || flushed);
  tt_emitter_free(e);
  return true;
}

/* Twice: the second one finds what the first one left. */
static bool emitter_spool(void) {
  char path[80];
  snprintf(path, sizeof(path), "%s/spool", scenario_folder());
  tt_emitter_options options = {.url = "http://127.0.0.1:1/events",
                                .source = "torture",
                                .queue_events = 64,
                                .queue_bytes = 65536,
                                .max_attempts = 1,
                                .free_timeout_ms = 1,
                                .spool_directory = path,
                                .log = {.log = on_log}};
  bool well = true;
  for (int i = 0; well && i < 2; i++) {
    tt_emitter *e;
    well = tt_emitter_new(&options, &e) == TT_OK;
    if (!well)
      break;
    emit_some(e);
    tt_error flushed = tt_emitter_flush(e, 10000);
    require(flushed == TT_OK || flushed == TT_ETIMEOUT);
    well = dropped(e) == 0;
    tt_emitter_free(e);
  }
  return well;
}

#define FLEET_OPTIONS                                                          \
  {                                                                            \
    .url = "http://127.0.0.1:1/v1/update",                                     \
    .instance_id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8",                     \
    .disabled_keys = &(const char *){"secret"}, .disabled_key_count = 1        \
  }

static bool collected(tt_error error) {
  require(error == TT_OK || error == TT_ENOMEM);
  return error == TT_OK;
}

/* Every addition that was taken is in one of the updates, once. */
static bool fleet(void) {
  tt_fleet_options options = FLEET_OPTIONS;
  tt_fleet *f = NULL;
  uint64_t added = 0, told = 0, tries = 0;
  tt_fleet_stats stats;
  tti_snapshot taken;
  if (!collected(tt_fleet_new(&options, &f)))
    return false;
  tti_collector *collector = tti_fleet_collector(f);
  bool well = true;
  for (int i = 0; i < 120; i++) {
    char key[16];
    snprintf(key, sizeof(key), "k%d", i % 40);
    bool ok = collected(tt_fleet_increment(f, key));
    added += ok;
    well = collected(tt_fleet_set_nested(f, "map", tt_int(key, i))) && ok &&
           collected(tt_fleet_append(f, tt_str("list", key))) &&
           collected(tt_fleet_append_unique(f, tt_str("set", key))) &&
           collected(tt_fleet_set_string(f, "text", key)) &&
           collected(tt_fleet_increment(f, "secret")) && well;
    if (i == 60 && collected(tti_collector_take(collector, &taken)))
      tti_collector_merge(collector, &taken);
  }
  for (tries = 0; !collected(tti_collector_take(collector, &taken)); tries++)
    require(tries < 2);
  for (size_t i = 0; i < taken.int_count; i++)
    told += (uint64_t)taken.ints[i].value;
  /* Where there was no memory for a counter. */
  for (tti_item *at = taken.items.first; at; at = at->after)
    told += at->shape == TTI_SHAPE_INT ? (uint64_t)at->count : 0;
  require(told == added);
  tti_snapshot_fini(&taken);
  tt_fleet_stats_get(f, &stats);
  tt_fleet_free(f);
  return well && tries == 0 && stats.refused == 0;
}

static bool fleet_emit(void) {
  tt_fleet_options options = FLEET_OPTIONS;
  char path[80];
  snprintf(path, sizeof(path), "%s/fleet-id", scenario_folder());
  options.id_file = path;
  tt_fleet *f = NULL;
  if (!collected(tt_fleet_new(&options, &f)))
    return false;
  tt_fleet_increment(f, "n");
  tt_error started = tt_fleet_start_emitting(f);
  require(started == TT_OK || started == TT_ENOMEM);
  /* Nobody listens, so it is not delivered. */
  require(tt_fleet_stop_emitting(f, 10000) == (started ? TT_OK : TT_EIO));
  tt_fleet_free(f);
  return true;
}

static bool http_url(void) {
  char *url = NULL, *shown = NULL;
  tt_error error = tti_http_url("http://u:p@a/x/?q#f", "/batch", &url);
  require(error == TT_OK || error == TT_ENOMEM);
  tt_error second = tti_http_url_shown("http://u:p@a/x/?q#f", &shown);
  require(second == TT_OK || second == TT_ENOMEM);
  free(url);
  free(shown);
  return !error && !second;
}

const scenario library_scenarios[] = {
    {"parse", parse, false},
    {"views", views, false},
    {"filter", filter, false},
    {"stream", stream, false},
    {"stream-append", stream_append, false},
    {"prometheus", prometheus, false},
    {"metrics-log", metrics_log, true},
    {"metrics-send", metrics_that_send, true},
    {"emitter-noop", emitter_noop, true},
    {"emitter-stream", emitter_stream, true},
    {"emitter-http", emitter_http, true},
    {"emitter-spool", emitter_spool, true},
    {"http-url", http_url, false},
    {"fleet", fleet, true},
    {"fleet-emit", fleet_emit, true},
};
const size_t library_scenario_count =
    sizeof(library_scenarios) / sizeof(library_scenarios[0]);
