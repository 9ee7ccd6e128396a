#include "cli/send_spool.h"

#include "cli/options.h"
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 5000

static void on_log(void *context, tt_level level, const char *message) {
  (void)context;
  (void)level;
  fprintf(stderr, "telltale send: %s\n", message);
}

static int report(const tt_emitter_stats *s, const char *directory, bool json) {
  uint64_t dropped = s->queued; /* neither server nor spool takes it */
  for (int i = 0; i < TT_DROP_REASON_COUNT; i++)
    dropped += s->dropped[i];
  if (json)
    printf("{\"sent\":%llu,\"spooled\":%llu,\"dropped\":%llu}\n",
           (unsigned long long)s->sent, (unsigned long long)s->spooled,
           (unsigned long long)dropped);
  else if (s->spooled)
    fprintf(stderr, "kept in %s (%llu sent, %llu kept)\n", directory,
            (unsigned long long)s->sent, (unsigned long long)s->spooled);
  else if (s->sent > 1)
    fprintf(stderr, "sent, with %llu that had been kept in %s\n",
            (unsigned long long)s->sent - 1, directory);
  else if (s->sent)
    fprintf(stderr, "sent\n");
  return dropped ? CLI_FAILED : CLI_OK;
}

int send_spool(const client_options *options, const char *directory,
               const tt_event *event, bool json) {
  tt_emitter *emitter = NULL;
  tti_buf url;
  tti_buf_init(&url, 1 << 16);
  tti_buf_printf(&url, "%s/events", options->url);
  tti_buf_append_char(&url, '\0');
  tt_emitter_options with = {.url = url.data,
                             .source = event->source,
                             .token = options->token,
                             .ca_file = options->ca,
                             .cert_file = options->cert,
                             .key_file = options->key,
                             .request_timeout_ms = TIMEOUT_MS,
                             .spool_directory = directory,
                             .log = {.log = on_log}};
  tt_error error = url.error ? url.error : tt_emitter_new(&with, &emitter);
  int status = CLI_FAILED;
  if (error) {
    fprintf(stderr, "telltale send: %s\n", tt_error_message(error));
  } else {
    tt_emitter_stats stats;
    tt_emit_full(emitter, event);
    tt_emitter_flush(emitter, TIMEOUT_MS);
    tt_emitter_stats_get(emitter, &stats);
    tt_emitter_free(emitter);
    status = report(&stats, directory, json);
  }
  tti_buf_fini(&url);
  return status;
}
