#include "server/sinks/internal.h"

#include "lib/json/write.h"
#include "server/io/log.h"
#include <stdlib.h>

/* How long one that is taken out while the server runs may hand over what it
 * has, and then end what it does. */
#define STOP_US      ((int64_t)5000000)
#define INTERRUPT_US ((int64_t)2000000)
/* How soon such a wait sees that the server leaves. */
#define SLICE_US ((int64_t)100000)

static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

/* ---- Taking out ---- */

static bool is_leaving(sinks *all) {
  pthread_mutex_lock(&all->mutex);
  bool leave = all->leave;
  pthread_mutex_unlock(&all->mutex);
  return leave;
}

/* Waits until then, in a server that leaves no longer than a moment: it ends
 * all of them together. */
static bool wait_for(sinks *all, sink *s, int64_t until_us, bool leaving) {
  if (leaving)
    return sink_wait(s, until_us);
  for (;;) {
    int64_t slice_us = now_us() + SLICE_US;
    bool last = slice_us >= until_us || is_leaving(all);
    if (sink_wait(s, slice_us < until_us ? slice_us : until_us))
      return true;
    if (last)
      return false;
  }
}

/* Ends those that were taken out; some may stay in the list. */
static void end(sinks *all, int64_t by_us, int64_t last_us, bool leaving) {
  size_t kept = 0;
  sink **list = all->leaving;
  for (size_t i = 0; i < all->leaving_count; i++)
    sink_ask_stop(list[i], by_us);
  for (size_t i = 0; i < all->leaving_count; i++)
    if (!wait_for(all, list[i], by_us, leaving))
      sink_interrupt(list[i]);
  for (size_t i = 0; i < all->leaving_count; i++) {
    if (wait_for(all, list[i], last_us, leaving)) {
      sink_free(list[i]);
    } else {
      server_log(TT_LEVEL_WARN, "sinks", "%s does not end what it does",
                 sink_name(list[i]));
      list[kept++] = list[i];
    }
  }
  all->leaving_count = kept;
}

/* NULL when memory is short. */
static sink **grow(sink ***list, size_t count) {
  sink **grown = realloc(*list, (count + 1) * sizeof(*grown));
  if (grown)
    *list = grown;
  return grown;
}

/* Under the mutex. */
static bool is_wanted(const sinks *all, const sink *s) {
  for (size_t i = 0; i < all->spec_count; i++) {
    const sink_spec *spec = &all->specs[i];
    if (!spec->sessions && sink_is_of(s, spec, NULL))
      return true;
    for (size_t k = 0; spec->sessions && k < all->export_count; k++)
      if (all->exports[k].on && sink_is_of(s, spec, all->exports[k].session))
        return true;
  }
  return false;
}

static void take_out(sinks *all, bool every) {
  size_t kept = 0;
  pthread_mutex_lock(&all->mutex);
  for (size_t i = 0; i < all->count; i++) {
    sink *s = all->items[i];
    if ((every || !is_wanted(all, s)) &&
        grow(&all->leaving, all->leaving_count))
      all->leaving[all->leaving_count++] = s;
    else
      all->items[kept++] = s;
  }
  all->count = kept;
  pthread_mutex_unlock(&all->mutex);
}

/* ---- Putting in ---- */

static bool is_in(sink *const *list, size_t count, const sink_spec *spec,
                  const char *session) {
  for (size_t i = 0; i < count; i++)
    if (sink_is_named(list[i], spec, session))
      return true;
  return false;
}

/* Only `work` changes the list, so it may be looked at without the mutex. */
static void put_in(sinks *all, const sink_plan *plan) {
  tti_buf why;
  sink *made = NULL;
  tti_buf_init(&why, 2048);
  tt_error error = TT_EBUSY;
  if (is_in(all->leaving, all->leaving_count, plan->spec, plan->session)) {
    tti_buf_append_text(&why, "the one that it replaces does not end");
    sink_position_free(plan->position);
  } else {
    error = sink_start(&all->options, plan, &why, &made);
  }
  pthread_mutex_lock(&all->mutex);
  if (made && grow(&all->items, all->count)) {
    all->items[all->count++] = made;
    made = NULL;
  }
  pthread_mutex_unlock(&all->mutex);
  if (made) {
    error = TT_ENOMEM;
    sink_ask_stop(made, now_us());
    sink_free(made);
  }
  if (error)
    server_log(TT_LEVEL_ERROR, "sinks",
               "%s does not run: %.*s; SIGHUP tries again", plan->spec->name,
               why.len ? (int)why.len : 100,
               why.len ? why.data : tt_error_message(error));
  tti_buf_fini(&why);
}

/* A copy of an export that is on and is to be started; false: there is none
 * from `*at` on. Its position goes with it. */
static bool next_export(sinks *all, size_t *at, sink_export *out_export) {
  bool found = false;
  pthread_mutex_lock(&all->mutex);
  for (; *at < all->export_count && !found; ++*at) {
    sink_export *e = &all->exports[*at];
    *out_export = (sink_export){.session = strdup(e->session),
                                .session_id = strdup(e->session_id),
                                .position = e->position};
    found = e->on && out_export->session && out_export->session_id;
    if (found)
      e->position = NULL;
    else
      sink_export_fini(&(sink_export){.session = out_export->session,
                                      .session_id = out_export->session_id});
  }
  pthread_mutex_unlock(&all->mutex);
  return found;
}

static void put_in_exports(sinks *all, const sink_spec *spec) {
  sink_export e;
  for (size_t at = 0; next_export(all, &at, &e);) {
    sink_plan plan = {spec, e.session, e.session_id, e.position};
    if (is_in(all->items, all->count, spec, e.session))
      sink_position_free(e.position); /* off and on again: it just goes on */
    else
      put_in(all, &plan);
    e.position = NULL;
    sink_export_fini(&e);
  }
}

void sinks_reconcile(sinks *all) {
  take_out(all, false);
  int64_t by_us = now_us() + STOP_US;
  end(all, by_us, by_us + INTERRUPT_US, false);
  for (size_t i = 0; i < all->spec_count; i++) {
    const sink_spec *spec = &all->specs[i];
    if (spec->sessions)
      put_in_exports(all, spec);
    else if (!is_in(all->items, all->count, spec, NULL))
      put_in(all, &(sink_plan){.spec = spec});
  }
}

void sinks_apply(sinks *all, const sink_spec *specs, size_t count) {
  pthread_mutex_lock(&all->work);
  pthread_mutex_lock(&all->mutex);
  all->specs = specs;
  all->spec_count = count;
  pthread_mutex_unlock(&all->mutex);
  sinks_reconcile(all);
  pthread_mutex_unlock(&all->work);
}

/* ---- Life ---- */

tt_error sinks_new(const sinks_options *options, sinks **out_sinks) {
  sinks *all = calloc(1, sizeof(*all));
  if (!all)
    return TT_ENOMEM;
  all->options = *options;
  pthread_mutex_init(&all->work, NULL);
  pthread_mutex_init(&all->mutex, NULL);
  pthread_cond_init(&all->switched, NULL);
  *out_sinks = all;
  return TT_OK;
}

bool sinks_stop(sinks *all, int timeout_ms) {
  int64_t last_us = now_us() + (int64_t)timeout_ms * 1000;
  int64_t by_us = now_us() + (int64_t)timeout_ms * 750;
  sinks_exports_stop(all);
  take_out(all, true);
  end(all, by_us, last_us, true);
  return all->count + all->leaving_count == 0;
}

void sinks_free(sinks *all) {
  if (!all)
    return;
  for (size_t i = 0; i < all->export_count; i++)
    sink_export_fini(&all->exports[i]);
  free(all->exports);
  pthread_cond_destroy(&all->switched);
  pthread_mutex_destroy(&all->mutex);
  pthread_mutex_destroy(&all->work);
  free(all->items);
  free(all->leaving);
  free(all);
}

/* ---- What is told ---- */

void sinks_scrape(sinks *all) {
  pthread_mutex_lock(&all->mutex);
  for (size_t i = 0; i < all->count; i++)
    sink_scrape(all->items[i], all->options.metrics);
  pthread_mutex_unlock(&all->mutex);
}

void sinks_write_status(sinks *all, tti_buf *out) {
  bool first = true;
  pthread_mutex_lock(&all->mutex);
  tti_buf_printf(out, "\"sinks\":{\"count\":%zu,\"failing\":[", all->count);
  for (size_t i = 0; i < all->count; i++) {
    sink_state state;
    sink_state_get(all->items[i], &state);
    if (!state.stats.failing)
      continue;
    if (!first)
      tti_buf_append_char(out, ',');
    tti_json_write_text(out, state.name);
    first = false;
  }
  pthread_mutex_unlock(&all->mutex);
  tti_buf_append_text(out, "]}");
}
