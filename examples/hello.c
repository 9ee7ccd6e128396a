/* Sends one event: hello [URL]. */
#include <stdio.h>
#include <stdlib.h>
#include <telltale/emitter.h>

int main(int argc, char **argv) {
  tt_emitter *emitter = NULL;
  tt_emitter_options options = {
      .url = argc > 1 ? argv[1] : "http://127.0.0.1:6060/events",
      .source = "hello",
      .token = getenv("TELLTALE_TOKEN"),
  };
  tt_error error = tt_emitter_new(&options, &emitter);
  if (!error) {
    tt_emit(emitter, "deploy", tt_str("env", "prod"), tt_int("rows", 42));
    error = tt_emitter_flush(emitter, 2000);
  }
  if (error)
    fprintf(stderr, "hello: %s: %s\n", options.url, tt_error_message(error));
  tt_emitter_free(emitter);
  return error ? 1 : 0;
}
