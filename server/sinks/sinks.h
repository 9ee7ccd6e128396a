#ifndef SINKS_SINKS_H
#define SINKS_SINKS_H

#include "server/bus/bus.h"
#include "server/http/describe.h"
#include "server/sinks/spec.h"
#include "server/store/store.h"
#include <telltale/metrics.h>
#include <telltale/storage.h>

/* Storages that follow the server's events: one thread each, which reads the
 * ring while it reaches back and else the store, and keeps in the store how far
 * it came, so that it goes on there in the next life. One that hangs delays
 * nobody, and one that fails is tried again for as long as the store still
 * holds what it needs. */
typedef struct sinks sinks;

typedef struct sinks_options {
  bus *bus; /* outlive the sinks */
  store *store;
  const char *store_path; /* dead letters lie beside it; "": a memory store */
  tt_metrics *metrics;
} sinks_options;

/* Whether a sink can be made of an entry. Reads files of tokens and
 * certificates, opens nothing. TT_EINVAL with a sentence in *out_error;
 * TT_ENOMEM. */
tt_error sinks_check(const sink_spec *spec, tti_buf *out_error);

/* Without any sink yet. */
tt_error sinks_new(const sinks_options *options, sinks **out_sinks);

/* Runs these sinks and no others: ones that are new or changed are started,
 * ones that are gone or changed are stopped, the rest goes on. The specs are
 * borrowed for the call. A sink that cannot be opened is tried again and again;
 * one that cannot even be made is logged and left out. Waits for the disk, and
 * up to a few seconds for a sink to stop: the main thread. */
void sinks_apply(sinks *all, const sink_spec *specs, size_t count);

/* With the sinks as the context: switches the export of a session to those
 * sinks that have `sessions`: what is published to it from now on, or, when it
 * was `restored` by a restart, from where its export was. `session_id` is what
 * the ids of its records begin with. Any thread, does not wait. Without such a
 * sink it is only warned of. */
void sinks_export(void *context, const char *session, const char *session_id,
                  bool on, bool restored);

/* Stops all of them within the time, which they use to hand over what the ring
 * and the store have. False: one does not end, and nothing that it uses may be
 * freed. Once the loops have stopped. */
bool sinks_stop(sinks *all, int timeout_ms);
/* After sinks_stop answered true. NULL is fine. */
void sinks_free(sinks *all);

/* Tells the metrics how far each has come. Any thread. */
void sinks_scrape(sinks *all);

/* "sinks":{"count":2,"failing":["a"]}. Any thread. */
void sinks_write_status(sinks *all, tti_buf *out);

/* http_handlers with the sinks as their context. GET /api/v1/sinks; POST
 * /api/v1/sinks/{name}/requeue sends the dead letters again, on a thread of its
 * own: 202, and how it goes is in the list. */
void sinks_serve_list(http_request *request, void *context);
void sinks_serve_requeue(http_request *request, void *context);

extern const http_description sinks_list_about, sinks_requeue_about;

#endif
