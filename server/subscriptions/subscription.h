#ifndef SUBSCRIPTIONS_SUBSCRIPTION_H
#define SUBSCRIPTIONS_SUBSCRIPTION_H

#include "server/subscriptions/matcher.h"

typedef struct subscription_list {
  tti_slice *items;
  size_t count;
} subscription_list;

/* One allocation: behind it the slices, behind those their texts. */
struct subscription {
  tti_slice id;
  bool enabled;
  unsigned levels; /* a bit for each that filters[WEBHOOK_LEVELS] lets pass */
  subscription_list events;
  subscription_list filters[WEBHOOK_FILTERS_COUNT];
};

#endif
