#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include "lib/base/buf.h"
#include "server/metrics/spec.h"
#include <telltale/metrics.h>

/* Where what the server counts goes: to /metrics, and to the backends that the
 * configuration names. */

/* Whether the entry's backend can be made; *out_error has a sentence that says
 * what is wrong and where. TT_EINVAL, TT_ENOMEM. */
tt_error metrics_check(const metrics_spec *spec, tti_buf *out_error);

/* One handle for `prometheus` (which is it, or becomes the handle's on success)
 * and a backend for each entry. `collect` is called on a backend's thread
 * before it sends. Errors as of metrics_check. */
tt_error metrics_new(tt_metrics *prometheus, const metrics_spec *specs,
                     size_t count, void (*collect)(void *context),
                     void *context, tti_buf *out_error,
                     tt_metrics **out_metrics);

#endif
