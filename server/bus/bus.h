#ifndef BUS_BUS_H
#define BUS_BUS_H

#include "lib/stream/stream.h"
#include "server/store/store.h"

/* The log that assigns seq and makes envelopes durable before anyone sees them
 * (under durability `memory`: the ring first). Each implementation is a folder
 * beside this file and passes tests/contract/bus.c unchanged. */
typedef struct bus bus;

typedef enum bus_verdict {
  BUS_ACCEPTED,
  BUS_REPLAYED, /* seen before: first_seq and count are the first answer's */
  BUS_MISMATCH, /* the key was seen with another body */
  BUS_EXISTS,   /* `run` refused it as STORE_EXISTS; nothing was stored */
  BUS_RETRY     /* nothing was stored; reason says why */
} bus_verdict;

/* One ingest request: all or nothing. Made by the caller, borrowed until `done`
 * (exactly once, on any thread, must not block; may free). */
typedef struct bus_publish {
  tti_batch batch; /* the caller's to fini, after done */
  store_key key;   /* all zero: none */
  void (*done)(struct bus_publish *publish);
  /* What comes into the tables in the rows' own transaction, see store_job.run;
   * the publish is answered when it is written then, whatever the durability.
   * (Under `memory` the rows stay when it refuses.) NULL: nothing. */
  tt_error (*run)(struct bus_publish *publish, store_job *job, store_tx *tx);
  bus_verdict verdict;
  uint64_t first_seq; /* the batch has first_seq … first_seq + count - 1 */
  uint64_t count;
  char reason[160];
  store_job job; /* the bus's */
} bus_publish;

typedef struct bus_counts {
  uint64_t received; /* events handed to bus_submit */
  uint64_t stored;
  uint64_t rejected_full;
  uint64_t rejected_failed; /* answered BUS_RETRY */
  uint64_t replayed; /* events of replayed and mismatched batches; they are
                        neither stored nor lost */
  uint64_t lost;     /* accepted under memory, then not written */
} bus_counts;

typedef struct bus_ops {
  const char *name;
  void (*close)(bus *b, int timeout_ms);
  tt_error (*submit)(bus *b, bus_publish *publish);
  uint64_t (*head)(bus *b);
  void (*counts)(bus *b, bus_counts *out_counts);
} bus_ops;

struct bus {
  const bus_ops *ops;
  tt_stream *stream; /* the ring; filled in order of seq */
};

typedef struct bus_options {
  store *store;
  store_durability durability;
  size_t ring_entries;         /* 0: 65,536 */
  size_t ring_bytes;           /* 0: 64 MiB */
  void (*wake)(void *context); /* the ring has more; any thread */
  void *wake_context;
} bus_options;

tt_error bus_local_new(const bus_options *options, bus **out_bus);

/* Any thread, never blocks. TT_EFULL: `done` is not called, answer 503. */
tt_error bus_submit(bus *b, bus_publish *publish);
/* The committed head: what "beyond the head" is judged against. */
uint64_t bus_head(bus *b);
tt_stream *bus_stream(bus *b);
/* Read downstream first, so received >= the rest. */
void bus_counts_get(bus *b, bus_counts *out_counts);
void bus_close(bus *b, int timeout_ms);

#endif
