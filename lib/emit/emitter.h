#ifndef TTI_EMIT_EMITTER_H
#define TTI_EMIT_EMITTER_H

#include <telltale/emitter.h>

/* What an emitter that passes events on needs of those that it passes them to.
 */

/* False when what is emitted to it goes nowhere, so that a caller may spare
 * itself the work. */
bool tti_emitter_keeps(const tt_emitter *emitter);

/* tt_emit_full with, unless `fields` is NULL, the object of these fields as
 * data. Nothing on NULL. */
void tti_emitter_emit(tt_emitter *emitter, const tt_event *event,
                      const tt_field *fields);

/* What tt_emitter_free may take of it. */
int tti_emitter_free_timeout_ms(const tt_emitter *emitter);

/* tt_emitter_free, in no more than timeout_ms. NULL is fine. */
void tti_emitter_free_within(tt_emitter *emitter, int timeout_ms);

#endif
