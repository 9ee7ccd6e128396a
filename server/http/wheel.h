#ifndef HTTP_WHEEL_H
#define HTTP_WHEEL_H

#include <stddef.h>
#include <stdint.h>

/* Coarse deadlines of many connections on one timer. Moving a deadline back is
 * a store: the place in the wheel is corrected only when its slot comes up. */
#define HTTP_WHEEL_SLOTS 128

typedef struct http_wheel_item {
  struct http_wheel_item *next, **link; /* link NULL: in no slot */
  uint64_t deadline_ms;                 /* 0: none */
  uint64_t slot_ms;                     /* when its slot comes up */
} http_wheel_item;

typedef struct http_wheel {
  http_wheel_item *slots[HTTP_WHEEL_SLOTS];
  uint64_t tick_ms;
  uint64_t turned; /* ticks done: slots up to here are empty */
} http_wheel;

void http_wheel_init(http_wheel *wheel, uint64_t tick_ms, uint64_t now_ms);
void http_wheel_set(http_wheel *wheel, http_wheel_item *item,
                    uint64_t deadline_ms);
void http_wheel_remove(http_wheel_item *item);

/* Calls `expired` for what is due; it may set, remove and free items. */
void http_wheel_turn(http_wheel *wheel, uint64_t now_ms,
                     void (*expired)(http_wheel_item *item));

#endif
