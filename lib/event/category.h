#ifndef TTI_EVENT_CATEGORY_H
#define TTI_EVENT_CATEGORY_H

#include "lib/base/slice.h"

/* The six categories of capture sessions as numbers, in the order of
 * tt_all_categories. */
enum { TTI_CATEGORIES = 6, TTI_CATEGORY_SYSTEM = 5 };

/* Which of the six the text is; -1 for any other. */
int tti_category_index(tti_slice text);

#endif
