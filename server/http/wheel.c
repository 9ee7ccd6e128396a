#include "server/http/wheel.h"

#include <string.h>

void http_wheel_init(http_wheel *wheel, uint64_t tick_ms, uint64_t now_ms) {
  memset(wheel, 0, sizeof(*wheel));
  wheel->tick_ms = tick_ms;
  wheel->turned = now_ms / tick_ms;
}

void http_wheel_remove(http_wheel_item *item) {
  if (!item->link)
    return;
  *item->link = item->next;
  if (item->next)
    item->next->link = item->link;
  item->link = NULL;
}

static void insert(http_wheel *wheel, http_wheel_item *item) {
  uint64_t tick = item->deadline_ms / wheel->tick_ms + 1;
  if (tick <= wheel->turned)
    tick = wheel->turned + 1;
  /* Further away than the wheel is round: looked at again on the way. */
  if (tick >= wheel->turned + HTTP_WHEEL_SLOTS)
    tick = wheel->turned + HTTP_WHEEL_SLOTS - 1;
  http_wheel_item **slot = &wheel->slots[tick % HTTP_WHEEL_SLOTS];
  item->slot_ms = tick * wheel->tick_ms;
  item->next = *slot;
  item->link = slot;
  if (item->next)
    item->next->link = &item->next;
  *slot = item;
}

void http_wheel_set(http_wheel *wheel, http_wheel_item *item,
                    uint64_t deadline_ms) {
  item->deadline_ms = deadline_ms;
  if (!deadline_ms)
    return;
  if (item->link && item->slot_ms <= deadline_ms + wheel->tick_ms)
    return;
  http_wheel_remove(item);
  insert(wheel, item);
}

void http_wheel_turn(http_wheel *wheel, uint64_t now_ms,
                     void (*expired)(http_wheel_item *item)) {
  uint64_t until = now_ms / wheel->tick_ms;
  if (until > wheel->turned + HTTP_WHEEL_SLOTS)
    wheel->turned = until - HTTP_WHEEL_SLOTS;
  while (wheel->turned < until) {
    wheel->turned++;
    http_wheel_item *due = wheel->slots[wheel->turned % HTTP_WHEEL_SLOTS];
    wheel->slots[wheel->turned % HTTP_WHEEL_SLOTS] = NULL;
    if (due)
      due->link = &due;
    while (due) {
      http_wheel_item *item = due;
      http_wheel_remove(item);
      if (item->deadline_ms == 0)
        continue;
      if (item->deadline_ms <= now_ms)
        expired(item);
      else
        insert(wheel, item);
    }
  }
}
