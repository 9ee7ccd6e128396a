// A C++17 program that uses what is installed, and nothing else.
#ifdef CONSUMER_SQLITE
#include <sqlite3.h>
#endif
#include <telltale/emitter.h>
#include <telltale/fleet.h>
#include <telltale/logger.h>
#include <telltale/metrics.h>
#include <telltale/outbox.h>
#include <telltale/session.h>
#include <telltale/signature.h>
#include <telltale/stream.h>

int main() {
  tt_stream *stream = nullptr;
  tt_emitter *emitter = nullptr;
  if (tt_stream_new(nullptr, &stream) ||
      tt_emitter_stream_new(stream, "consumer", &emitter))
    return 1;
  tt_emit(emitter, "bare");
  tt_emit_warn(emitter, "deploy", tt_str("env", "prod"), tt_int("rows", 42));
  const tt_timer timer = tt_timer_start(emitter, "query");
  tt_timer_emit(&timer);
  tt_timer_emit(&timer, tt_int("rows", 42));
  tt_log_info(emitter, "db", "ready");
  tt_log_with(emitter, TT_LEVEL_WARN, "db", tt_log_fields(tt_int("rows", 42)),
              "query took %d ms", 7);
#ifdef CONSUMER_HTTP
  tt_emitter_options options{};
  options.source = "consumer";
  tt_emitter *http = nullptr;
  if (tt_emitter_new(&options, &http))
    return 1;
  tt_emit(http, "nobody hears", tt_bool("ok", true));
  tt_emitter_free(http);
  char secret[TELLTALE_SECRET_SIZE], signature[TELLTALE_SIGNATURE_SIZE];
  tt_signature_secret_new(secret);
  tt_signature_options signing{};
  signing.secrets[0] = secret;
  if (tt_signature_sign(&signing, "evt_1", 7, "{}", 2, signature))
    return 1;
  tt_fleet *fleet = nullptr;
  tt_fleet_options fleet_options{};
  fleet_options.url = "http://127.0.0.1:1/v1/update";
  fleet_options.instance_id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
  if (tt_fleet_new(&fleet_options, &fleet))
    return 1;
  tt_fleet_increment(fleet, "runs");
  tt_fleet_set_string(fleet, "version", "1.2.3");
  tt_fleet_append_unique(fleet, tt_str("os", "linux"));
  tt_fleet_free(fleet);
#endif
#ifdef CONSUMER_SQLITE
  sqlite3 *db = nullptr;
  tt_outbox *outbox = nullptr;
  char id[TELLTALE_OUTBOX_ID_SIZE];
  tt_outbox_event event{};
  event.id = id;
  event.type = "order.paid";
  if (sqlite3_open(":memory:", &db) || tt_outbox_new(nullptr, &outbox) ||
      tt_outbox_migrate(outbox, db) || tt_outbox_id(id, "order", "17") ||
      tt_outbox_publish(outbox, db, &event))
    return 1;
  tt_outbox_free(outbox);
  sqlite3_close(db);
#endif
  const bool ok = tt_stream_seq(stream) == 6;
  tt_emitter_free(emitter);
  tt_stream_free(stream);
  return ok ? 0 : 1;
}
