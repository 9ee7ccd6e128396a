#ifndef TTI_OTLP_METRICS_H
#define TTI_OTLP_METRICS_H

#include "lib/metrics/tally.h"
#include "lib/otlp/resource.h"

/* Appends an ExportMetricsServiceRequest of all that was counted since
 * `start_us`, as of `now_us` (unix). Counters are monotonic sums and histograms
 * are cumulative; names are "telltale." and the instrument's, units those of
 * UCUM. The arena is cleared first. TT_ENOMEM, or the buffer's error. */
tt_error tti_otlp_metrics(tti_arena *arena, const tti_otlp_resource *resource,
                          tti_tally *tally, int64_t start_us, int64_t now_us,
                          tti_buf *out);

#endif
