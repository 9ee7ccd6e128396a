#include "server/config/option.h"

#include <stdlib.h>

static const config_option route_options[] = {
#define X(field, key, help)                                                    \
  {CONFIG_TYPE_STRING,                                                         \
   false,                                                                      \
   key,                                                                        \
   "",                                                                         \
   "",                                                                         \
   "",                                                                         \
   help,                                                                       \
   offsetof(outbox_rule_spec, field)},
    OUTBOX_RULE_FIELD_MAP(X)
#undef X
};

const config_table config_route = {route_options, sizeof(route_options) /
                                                      sizeof(route_options[0])};

tt_error config_route_check(config *c, uint64_t given, tti_buf *out_error) {
  outbox_rule_spec *spec = &c->routes[c->route_count - 1];
  (void)given; /* each of the fields may be given */
  if (!(spec->text = config_entry_text(&config_route, spec)))
    return TT_ENOMEM;
  return outbox_rule_check(spec, out_error);
}
