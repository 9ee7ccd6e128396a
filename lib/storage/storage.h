#ifndef TTI_STORAGE_STORAGE_H
#define TTI_STORAGE_STORAGE_H

#include "lib/storage/source.h"
#include <telltale/storage.h>

/* tt_storage_writer_new for any source, which it owns from here on, also when
 * this fails. */
tt_error tti_storage_writer_new(tti_source source, tt_storage *storage,
                                const tt_storage_writer_options *options,
                                tt_storage_writer **out_writer);

/* Tells the storage that the call under way, and all later ones but close, are
 * to end soon. Any thread. */
void tti_storage_writer_interrupt(tt_storage_writer *writer);

#endif
