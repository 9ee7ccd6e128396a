/* Emits one event: example-hello [URL], or TELLTALE_URL in the environment.
 * Without either the program runs the same and nothing is sent. */
#include <stdlib.h>
#include <telltale/emitter.h>

int main(int argc, char **argv) {
  tt_emitter *emitter = NULL;
  tt_emitter_new(
      &(tt_emitter_options){
          .url = argc > 1 ? argv[1] : getenv("TELLTALE_URL"),
          .source = "hello",
          .token = getenv("TELLTALE_TOKEN"),
      },
      &emitter);
  tt_emit(emitter, "deploy", tt_str("env", "prod"), tt_int("rows", 42));
  tt_emitter_free(emitter); /* sends what is queued first */
  return 0;
}
