/* A C11 program that uses what is installed, and nothing else. */
#ifdef CONSUMER_SQLITE
#include <sqlite3.h>
#endif
#include <stdio.h>
#include <telltale/emitter.h>
#include <telltale/fleet.h>
#include <telltale/logger.h>
#include <telltale/metrics.h>
#include <telltale/outbox.h>
#include <telltale/session.h>
#include <telltale/signature.h>
#include <telltale/stream.h>

int main(void) {
  tt_stream *stream = NULL;
  tt_reader *reader = NULL;
  tt_session *session = NULL;
  tt_emitter *emitter = NULL;
  tt_read_result result;
  int status = 1;

  if (tt_stream_new(NULL, &stream) || tt_reader_new(stream, 0, &reader) ||
      tt_emitter_stream_new(stream, "consumer", &emitter))
    goto out;
  tt_emit(emitter, "bare");
  tt_emit(emitter, "deploy", tt_str("env", "prod"), tt_int("rows", 42));
  tt_timer timer = tt_timer_start(emitter, "query");
  tt_timer_emit(&timer);
  tt_timer_emit(&timer, tt_int("rows", 42));
  tt_log_info(emitter, "db", "ready");
  tt_log_with(emitter, TT_LEVEL_WARN, "db", tt_log_fields(tt_int("rows", 42)),
              "query took %d ms", 7);
  if (tt_emitter_flush(emitter, 1000))
    goto out;
  tt_event event = {.type = "up", .category = tt_all_categories[5]};
  if (tt_session_new(stream, &session) ||
      tt_session_start(session, "run", NULL) ||
      !tt_session_publish(session, &event, NULL))
    goto out;
  int events = 0;
  while (tt_reader_try_read(reader, &result))
    events += result.envelope != NULL;
  if (events != 7)
    goto out;
#ifdef CONSUMER_HTTP
  tt_emitter *http = NULL;
  /* No URL: an emitter that does nothing, so no server is needed. */
  if (tt_emitter_new(&(tt_emitter_options){.source = "consumer"}, &http))
    goto out;
  tt_emit(http, "nobody hears");
  tt_emitter_free(http);
  char secret[TELLTALE_SECRET_SIZE], signature[TELLTALE_SIGNATURE_SIZE];
  tt_signature_secret_new(secret);
  tt_signature_options options = {.secrets = {secret}, .now_s = 7};
  tt_webhook webhook = {"evt_1", "7", signature, "{}", 2};
  if (tt_signature_sign(&options, "evt_1", 7, "{}", 2, signature) ||
      tt_signature_verify(&options, &webhook, NULL))
    goto out;
  tt_fleet *fleet = NULL;
  tt_fleet_options fleet_options = {0};
  fleet_options.url = "http://127.0.0.1:1/v1/update";
  fleet_options.instance_id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
  if (tt_fleet_new(&fleet_options, &fleet))
    goto out;
  tt_fleet_increment(fleet, "runs");
  tt_fleet_set_string(fleet, "version", "1.2.3");
  tt_fleet_append_unique(fleet, tt_str("os", "linux"));
  tt_fleet_free(fleet);
#endif
#ifdef CONSUMER_SQLITE
  sqlite3 *db = NULL;
  tt_outbox *outbox = NULL;
  char id[TELLTALE_OUTBOX_ID_SIZE];
  if (sqlite3_open(":memory:", &db) || tt_outbox_new(NULL, &outbox) ||
      tt_outbox_migrate(outbox, db) || tt_outbox_id(id, "order", "17") ||
      tt_outbox_publish(outbox, db,
                        &(tt_outbox_event){.id = id, .type = "order.paid"}))
    goto out;
  tt_outbox_free(outbox);
  sqlite3_close(db);
#endif
  puts(tt_error_message(TT_OK));
  status = 0;
out:
  tt_emitter_free(emitter);
  tt_reader_free(reader);
  tt_session_free(session);
  tt_stream_free(stream);
  return status;
}
