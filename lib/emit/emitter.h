#ifndef TTI_EMIT_EMITTER_H
#define TTI_EMIT_EMITTER_H

#include <telltale/emitter.h>

/* What tt_emitter_free gives the implementation's `free`, in milliseconds;
 * 2,000 unless set. Before the emitter is shared with other threads. */
void tti_emitter_set_free_timeout(tt_emitter *emitter, int timeout_ms);

#endif
