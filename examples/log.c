/* Writes log lines: example-log [URL], or TELLTALE_URL in the environment, the
 * URL being that of the events. */
#include <stdlib.h>
#include <telltale/logger.h>

int main(int argc, char **argv) {
  tt_emitter *emitter = NULL;
  tt_emitter_new(
      &(tt_emitter_options){
          .url = argc > 1 ? argv[1] : getenv("TELLTALE_URL"),
          .source = "log",
          .token = getenv("TELLTALE_TOKEN"),
      },
      &emitter);
  tt_log_info(emitter, "db", "connected to %s", "primary");
  tt_log_with(emitter, TT_LEVEL_WARN, "db",
              tt_log_fields(tt_str("table", "orders"), tt_int("rows", 42)),
              "query took %d ms", 730);
  tt_emitter_free(emitter); /* sends what is queued first */
  return 0;
}
