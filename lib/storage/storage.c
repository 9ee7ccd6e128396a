#include "lib/storage/internal.h"

#include <stdlib.h>

#define DEFAULT_RECORDS 256

tt_error tt_storage_from_ops(const tt_storage_ops *ops, void *self,
                             const char *name, tt_storage **out_storage) {
  if (!ops || ops->version != 1 || !ops->append || ops->linger_ms < 0 ||
      !out_storage)
    return TT_EINVAL;
  tt_storage *storage = calloc(1, sizeof(*storage));
  if (!storage)
    return TT_ENOMEM;
  storage->name = strdup(name ? name : "");
  if (!storage->name) {
    free(storage);
    return TT_ENOMEM;
  }
  storage->ops = *ops;
  if (storage->ops.max_records == 0)
    storage->ops.max_records = DEFAULT_RECORDS;
  storage->self = self;
  *out_storage = storage;
  return TT_OK;
}

void tt_storage_free(tt_storage *storage) {
  if (!storage)
    return;
  if (storage->ops.free)
    storage->ops.free(storage->self);
  free(storage->name);
  free(storage);
}
