#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include "cli/bench_load.h"

/* A bench_progress: one line on standard error, over the one before. */
void bench_show_progress(void *context, int64_t elapsed_us,
                         const bench_result *so_far, uint64_t events,
                         const bench_times *answers);
void bench_end_progress(void);

/* What came of it, on standard output. */
void bench_print(const bench_options *options, const bench_result *result);
void bench_print_json(const bench_options *options, const bench_result *result);

#endif
