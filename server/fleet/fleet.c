#include "server/fleet/internal.h"

#include "server/store/tables/fleet_instances.h"
#include "server/store/tables/fleet_rules.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

/* ---- What is in force ---- */

void fleet_settings_get(fleet *f, fleet_settings *out_settings) {
  pthread_mutex_lock(&f->mutex);
  *out_settings = f->settings;
  pthread_mutex_unlock(&f->mutex);
}

void fleet_set(fleet *f, const fleet_settings *settings) {
  pthread_mutex_lock(&f->mutex);
  f->settings = *settings;
  pthread_mutex_unlock(&f->mutex);
}

fleet_control *fleet_control_get(fleet *f) {
  pthread_mutex_lock(&f->mutex);
  fleet_control *control = fleet_control_ref(f->control);
  pthread_mutex_unlock(&f->mutex);
  return control;
}

void fleet_control_put(fleet *f, fleet_control *control) {
  pthread_mutex_lock(&f->mutex);
  fleet_control *before = f->control;
  f->control = control;
  pthread_mutex_unlock(&f->mutex);
  fleet_control_unref(before);
}

/* ---- What the store has ---- */

typedef struct start {
  store_read read;
  sem_t done;
  tti_buf rules;
  int64_t instances;
} start;

static tt_error read_tables(store_read *read, store_tx *tx) {
  start *s = read->owner;
  tt_error error = fleet_totals_get(tx, FLEET_TOTAL_INSTANCES, &s->instances);
  if (error)
    return error;
  error = fleet_rules_get(tx, &s->rules);
  return error == TT_ENOTFOUND ? TT_OK : error;
}

static void read_done(store_read *read) {
  sem_post(&((start *)read->owner)->done);
}

static tt_error read_store(fleet *f, tti_buf *out_error) {
  fleet_refusal refusal = {.message = ""};
  start s = {.read = {.run = read_tables, .done = read_done, .owner = &s}};
  tti_buf_init(&s.rules, FLEET_CONTROL_BYTES);
  sem_init(&s.done, 0, 0);
  tt_error error = store_read_submit(f->store, &s.read);
  if (!error) {
    while (sem_wait(&s.done) != 0 && errno == EINTR)
      ;
    error = s.read.error;
  }
  if (!error)
    error = fleet_control_parse(s.rules.len ? tti_buf_slice(&s.rules)
                                            : TTI_SLICE(FLEET_NO_RULES),
                                &f->control, &refusal);
  if (error)
    tti_buf_printf(out_error,
                   "the rules of the fleet that the store keeps cannot be "
                   "read: %s",
                   refusal.message[0] ? refusal.message
                                      : tt_error_message(error));
  atomic_init(&f->instances, (uint64_t)s.instances);
  tt_metrics_set(f->metrics, TT_METRIC_FLEET_INSTANCES, (double)s.instances,
                 NULL, NULL);
  sem_destroy(&s.done);
  tti_buf_fini(&s.rules);
  return error;
}

/* ---- Life ---- */

enum { UPDATE_BODY = 8 << 20 };

static void add_routes(fleet *f, relay *r) {
  const http_route routes[] = {
      {.methods = HTTP_POST_,
       .pattern = "/v1/update/{instance}",
       .name = "fleet_update",
       .handler = fleet_serve_update,
       .scope = AUTH_INGEST | AUTH_OPEN_FLEET,
       .max_body_bytes = UPDATE_BODY,
       .overlaps = true,
       .errors_say_error = true,
       .context = f,
       .about = &fleet_update_about},
      {.methods = HTTP_GET_,
       .pattern = "/api/v1/fleet/control",
       .name = "fleet_control",
       .handler = fleet_serve_control_get,
       .scope = AUTH_READ,
       .context = f,
       .about = &fleet_control_get_about},
      {.methods = HTTP_PUT_,
       .pattern = "/api/v1/fleet/control",
       .name = "fleet_control_put",
       .handler = fleet_serve_control_put,
       .scope = AUTH_ADMIN,
       .max_body_bytes = FLEET_CONTROL_BYTES,
       .context = f,
       .about = &fleet_control_put_about},
      {.methods = HTTP_POST_,
       .pattern = "/api/v1/fleet/control/preview",
       .name = "fleet_preview",
       .handler = fleet_serve_preview,
       .scope = AUTH_READ,
       .max_body_bytes = FLEET_CONTROL_BYTES,
       .context = f,
       .about = &fleet_preview_about},
  };
  relay_add_routes(r, routes, sizeof routes / sizeof *routes);
}

tt_error fleet_new(const fleet_options *options, tti_buf *out_error,
                   fleet **out_fleet) {
  fleet *f = calloc(1, sizeof *f);
  if (!f)
    return TT_ENOMEM;
  f->store = options->store;
  f->loop = options->loop;
  f->follow = options->follow;
  f->metrics = options->metrics;
  f->settings = options->settings;
  pthread_mutex_init(&f->mutex, NULL);
  tt_error error = read_store(f, out_error);
  if (error) {
    fleet_free(f);
    return error;
  }
  add_routes(f, options->relay);
  fleet_upkeep_start(f);
  *out_fleet = f;
  return TT_OK;
}

void fleet_free(fleet *f) {
  if (!f)
    return;
  fleet_control_unref(f->control);
  pthread_mutex_destroy(&f->mutex);
  free(f);
}
