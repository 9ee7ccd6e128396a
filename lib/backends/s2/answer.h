#ifndef TTI_BACKENDS_S2_ANSWER_H
#define TTI_BACKENDS_S2_ANSWER_H

#include "lib/base/slice.h"
#include <stdint.h>

/* What the S2 API answers, read out of its JSON. False: it is not that. */

/* {"tail":{"seq_num":N}} or {"end":{"seq_num":N}} */
bool tti_s2_position(tti_slice body, const char *name, uint64_t *out_seq_num);

/* {"seq_num_mismatch":N} */
bool tti_s2_mismatch(tti_slice body, uint64_t *out_seq_num);

/* The header `seq` of the first record that a read has answered. */
bool tti_s2_first_seq(tti_slice body, uint64_t *out_seq);

#endif
