#include "lib/event/category.h"

#include <telltale/session.h>

const char *const tt_all_categories[TELLTALE_ALL_CATEGORIES_COUNT] = {
    TELLTALE_CATEGORY_CONSOLE, TELLTALE_CATEGORY_NETWORK,
    TELLTALE_CATEGORY_PAGE,    TELLTALE_CATEGORY_INTERACTION,
    TELLTALE_CATEGORY_API,     TELLTALE_CATEGORY_SYSTEM};

/* Their lengths tell all but two apart: one comparison decides. */
static int candidate(tti_slice text) {
  switch (text.len) {
  case 3:
    return 4;
  case 4:
    return 2;
  case 6:
    return TTI_CATEGORY_SYSTEM;
  case 7:
    return text.ptr[0] == 'c' ? 0 : 1;
  case 11:
    return 3;
  default:
    return -1;
  }
}

int tti_category_index(tti_slice text) {
  int i = candidate(text);
  if (i < 0 || memcmp(text.ptr, tt_all_categories[i], text.len) != 0)
    return -1;
  return i;
}
