#include "server/fleet/read_internal.h"

#include "server/auth/auth.h"
#include <stdlib.h>

tt_error fleet_read_new(store *s, relay *r, const fleet_follow *follow,
                        fleet_read **out_read) {
  fleet_read *made = calloc(1, sizeof *made);
  if (!made)
    return TT_ENOMEM;
  *made = (fleet_read){.store = s, .follow = follow};
  const http_route routes[] = {
#define X(path, label)                                                         \
  {.methods = HTTP_GET_,                                                       \
   .pattern = "/api/v1/fleet/" path,                                           \
   .name = #label,                                                             \
   .handler = label##_serve,                                                   \
   .context = made,                                                            \
   .scope = AUTH_READ,                                                         \
   .about = &label##_about},
      FLEET_READ_ROUTES(X)
#undef X
  };
  relay_add_routes(r, routes, sizeof routes / sizeof routes[0]);
  *out_read = made;
  return TT_OK;
}

void fleet_read_free(fleet_read *r) {
  free(r);
}
