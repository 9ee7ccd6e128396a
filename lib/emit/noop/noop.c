#include <telltale/emitter.h>

tt_error tt_emitter_noop_new(tt_emitter **out_emitter) {
  static const tt_emitter_ops nothing = {.version = 1};
  return tt_emitter_from_ops(&nothing, NULL, NULL, out_emitter);
}
