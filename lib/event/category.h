#ifndef TTI_EVENT_CATEGORY_H
#define TTI_EVENT_CATEGORY_H

#include "lib/base/slice.h"

/* The six categories of capture sessions as numbers, in the order of
 * tt_all_categories. */
enum { TTI_CATEGORIES = 6, TTI_CATEGORY_SYSTEM = 5 };

/* Which of the six the text is; -1 for any other. Here, so that compilers make
 * one comparison of words of it: publishers ask before anything else. */
static inline int tti_category_index(tti_slice text) {
#define IS(literal) (memcmp(text.ptr, literal, sizeof(literal) - 1) == 0)
  switch (text.len) {
  case 3:
    return IS("api") ? 4 : -1;
  case 4:
    return IS("page") ? 2 : -1;
  case 6:
    return IS("system") ? TTI_CATEGORY_SYSTEM : -1;
  case 7:
    return IS("console") ? 0 : IS("network") ? 1 : -1;
  case 11:
    return IS("interaction") ? 3 : -1;
  default:
    return -1;
  }
#undef IS
}

#endif
