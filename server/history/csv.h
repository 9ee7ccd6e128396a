#ifndef HISTORY_CSV_H
#define HISTORY_CSV_H

#include "lib/event/record.h"

/* Events as CSV (RFC 4180), a header row and one row each. Pure. */

void csv_header(tti_buf *out);

/* `scratch` is overwritten. */
void csv_row(tti_buf *out, uint64_t seq, const tti_record *record,
             tti_buf *scratch);

#endif
