#ifndef FEED_LIST_H
#define FEED_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A ring of links through the structs themselves, so that a subscriber moves
 * between waiting lists without allocating and leaves one without knowing
 * which. */
typedef struct list_node {
  struct list_node *next;
  struct list_node *prev;
} list_node;

#define LIST_ENTRY(node, type, member)                                         \
  ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(list_node *head) {
  head->next = head;
  head->prev = head;
}

static inline bool list_is_empty(const list_node *head) {
  return head->next == head;
}

/* Fine for a node that is in no list but was initialised. */
static inline void list_remove(list_node *node) {
  /* The analyzer does not see that a list node comes out of its neighbours. */
  node->prev->next = node->next; /* NOLINT(clang-analyzer-unix.Malloc) */
  node->next->prev = node->prev;
  list_init(node);
}

static inline void list_push(list_node *head, list_node *node) {
  node->prev = head->prev;
  node->next = head;
  head->prev->next = node;
  head->prev = node;
}

/* Takes the node out of whatever list it is in, to the end of this one. */
static inline void list_move(list_node *head, list_node *node) {
  list_remove(node);
  list_push(head, node);
}

/* All of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice(list_node *to, list_node *from) {
  if (list_is_empty(from))
    return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  list_init(from);
}

#endif
