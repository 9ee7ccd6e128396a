#ifndef HISTORY_CHAIN_H
#define HISTORY_CHAIN_H

#include "server/http/http.h"
#include "server/store/store.h"
#include <pthread.h>

/* Bounded reads of the store, one after the other, on behalf of one request.
 * All of a chain happens on its request's loop but for the read itself. */

/* Answers at the same time that may hold more than a page each. */
#define CHAINS_HEAVY_MAX 16

typedef struct chain chain;

/* All chains, for the end: it waits for the reads and frees what is left. */
typedef struct chains {
  store *store;
  pthread_mutex_t lock;
  pthread_cond_t ended;
  size_t reads; /* on their way */
  size_t heavy;
  chain *first;
} chains;

struct chain {
  chains *set;
  store_read *read; /* the owner's */
  /* Each read's end, on the loop; read->error says how. */
  void (*step)(chain *c);
  /* Frees what holds the chain: at chain_end, and at the end of all. */
  void (*free_fn)(chain *c);
  loop *loop;
  loop_task task;
  bool heavy;
  chain *next, **link;
};

void chains_init(chains *set, store *s);
/* With the loops stopped. */
void chains_fini(chains *set);

/* False: `heavy`, and there are too many of those. The caller then owns the
 * chain still. `read`, `step` and `free_fn` are set before. */
bool chain_begin(chain *c, chains *set, http_request *request, bool heavy);
/* Ends it and calls free_fn. Not while a read is on its way. */
void chain_end(chain *c);

/* Asks for c->read; `step` follows, at once when the store refuses. */
void chain_submit(chain *c);

/* Answers a request whose read failed. */
void chain_reply_failed(http_request *request, tt_error error);
void chain_reply_memory(http_request *request);

#endif
