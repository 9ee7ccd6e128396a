#ifndef HTTP_BUDGET_H
#define HTTP_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* The memory that requests and answers may take in all, over all loops.
 * Each loop holds a share, so that a small request costs no shared cache line.
 */
typedef struct http_budget {
  size_t limit; /* bytes */
  atomic_size_t taken;
} http_budget;

typedef struct http_budget_share {
  http_budget *budget;
  size_t spare;       /* taken from the budget, not in use */
  atomic_size_t used; /* written by the share's loop, read by any thread */
} http_budget_share;

void http_budget_init(http_budget *budget, size_t limit);
void http_budget_share_init(http_budget_share *share, http_budget *budget);

/* False, and nothing taken: the limit would be passed. Loop thread. */
bool http_budget_take(http_budget_share *share, size_t bytes);
void http_budget_give(http_budget_share *share, size_t bytes);

#endif
