#ifndef BUS_LOCAL_LOCAL_H
#define BUS_LOCAL_LOCAL_H

#include "server/bus/bus.h"
#include "server/store/key.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* The bus that is the store's own log table.
 *
 * commit, sync:  submit ─► store ─► COMMIT ─► ring ─► wake ─► done
 * memory:        submit ─► seq and a slot in the store's queue ─► ring ─► wake
 *                ─► done; the store writes later. A key is looked up first.
 *
 * Under memory the numbers come from a block that the store reserved, the next
 * one being asked for when half of this one is used. */

#define RESERVE_BLOCK (UINT64_C(1) << 18)
#define FLIGHT_SLOTS  1024

typedef struct local_bus local_bus;

/* A batch that is answered before it is written, or has numbers by then. */
typedef struct late {
  store_job job;
  local_bus *bus;
  bus_publish *publish; /* until it is answered */
  tti_batch batch;
  /* Two: the writer, and the thread that puts it into the ring. */
  atomic_int owners;
  uint64_t accepted_seq;
  bool keyed;
  struct late *next_flight;
  unsigned char digest[STORE_KEY_DIGEST];
  uint64_t number;
  char text[]; /* scope and key */
} late;

struct local_bus {
  bus base;
  store *store;
  bool answers_first;
  void (*wake)(void *context);
  void *wake_context;

  /* The commit path; the store's writing thread alone. */
  store_job *first_settled; /* in the ring, to be answered after the wake */
  store_job *last_settled;

  /* The memory path. Under the lock: number, queue and ring go in one order. */
  pthread_mutex_t lock;
  uint64_t next_seq;
  uint64_t reserved_to;
  int64_t received_us;
  bool reserving;
  store_job reserve_job;
  sem_t reserved;              /* the first block is there, or refused */
  late *flights[FLIGHT_SLOTS]; /* keyed and not yet written */

  atomic_bool closing;
  /* An event is counted as received before the store sees it, and again when
   * its fate is known. The second is a release and is read first, with acquire,
   * so nobody sees more fates than arrivals. */
  _Atomic uint64_t received, stored, rejected_full, rejected_failed, replayed,
      lost;
  _Atomic uint64_t outstanding; /* jobs that the store holds */
  _Atomic uint64_t head;
};

static inline void bus_count(_Atomic uint64_t *counter, uint64_t n) {
  atomic_fetch_add_explicit(counter, n, memory_order_release);
}

/* Puts a batch into the ring. */
void local_fill_ring(local_bus *b, const tti_batch *batch, uint64_t first_seq,
                     int64_t received_us);

/* The last touch of the bus on behalf of a job that the store has answered:
 * the release pairs with the acquire of close, which frees the bus. */
static inline void local_give_back(local_bus *b) {
  atomic_fetch_sub_explicit(&b->outstanding, 1, memory_order_release);
}

/* store_submit, counted as outstanding. */
tt_error local_lend(local_bus *b, store_job *job);

/* ---- memory.c ---- */

/* Reserves the first block and waits for it. */
tt_error local_memory_start(local_bus *b);
tt_error local_memory_submit(local_bus *b, bus_publish *publish);

#endif
