#include "lib/fleet/fleet.h"

#include "lib/base/log.h"
#include "lib/emit/fork.h"
#include "lib/fleet/identity.h"
#include "lib/json/scan.h"
#include "lib/json/write.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_ITEMS          100000
#define MAX_BYTES          ((size_t)4 * 1024 * 1024)
#define REQUEST_TIMEOUT_MS 60000

/* What one process has of the client. */
typedef struct side {
  pid_t pid;
  tti_collector *collector;
  tti_cycle *cycle;
} side;

/* In fork memory: a child finds no side and makes its own. */
typedef struct shared {
  _Atomic(side *) side;
} shared;

struct tt_fleet {
  tti_collector_options collecting;
  char **disabled_keys; /* ended by NULL */
  tti_cycle_options emitting;
  tt_log_hook log;
  bool wiped;
  shared *shared;
};

struct tt_fleet_counter {
  tt_fleet *fleet;
  side *side;           /* whose counter it is: not a forked child's */
  tti_counter *counter; /* NULL: there was no room for one */
  char key[];
};

/* -- The side of this process. -- */

static void side_free(side *s) {
  if (!s)
    return;
  tti_cycle_free(s->cycle);
  tti_collector_free(s->collector);
  free(s);
}

static side *side_new(const tt_fleet *f) {
  side *s = calloc(1, sizeof(*s));
  if (!s)
    return NULL;
  s->pid = getpid();
  s->collector = tti_collector_new(&f->collecting);
  if (s->collector)
    s->cycle = tti_cycle_new(&f->emitting, s->collector);
  if (s->cycle)
    return s;
  side_free(s);
  return NULL;
}

/* NULL when it has none. */
static side *find_side(tt_fleet *f) {
  /* Acquire: with the pointer we see what it points to. */
  side *s = atomic_load_explicit(&f->shared->side, memory_order_acquire);
  if (!s || f->wiped || s->pid == getpid())
    return s;
  /* If another thread was first, s becomes NULL or its new one. */
  return atomic_compare_exchange_strong_explicit(&f->shared->side, &s, NULL,
                                                 memory_order_acquire,
                                                 memory_order_acquire)
             ? NULL
             : s;
}

static side *make_side(tt_fleet *f) {
  side *fresh = side_new(f);
  side *winner = NULL;
  if (!fresh || atomic_compare_exchange_strong_explicit(
                    &f->shared->side, &winner, fresh, memory_order_acq_rel,
                    memory_order_acquire))
    return fresh;
  side_free(fresh);
  return winner;
}

static side *side_of(tt_fleet *f) {
  side *s = find_side(f);
  return s ? s : make_side(f);
}

tti_collector *tti_fleet_collector(tt_fleet *fleet) {
  side *s = side_of(fleet);
  return s ? s->collector : NULL;
}

tti_cycle *tti_fleet_cycle(tt_fleet *fleet) {
  side *s = side_of(fleet);
  return s ? s->cycle : NULL;
}

/* -- Life. -- */

/* Copies `text` with `more`; no text: NULL, which is fine. */
static bool join(const char *before, const char *text, const char *more,
                 char **out_text) {
  if (!text || !*text)
    return true;
  size_t size = strlen(before) + strlen(text) + strlen(more) + 1;
  char *joined = malloc(size);
  if (!joined)
    return false;
  snprintf(joined, size, "%s%s%s", before, text, more);
  *out_text = joined;
  return true;
}

static tt_error configure_cycle(tt_fleet *f, const tt_fleet_options *o,
                                const char *instance_id) {
  tti_cycle_options *cycle = &f->emitting;
  char path[TELLTALE_UUID_TEXT + 1];
  cycle->log = o->log;
  cycle->request_timeout_ms =
      o->request_timeout_ms ? o->request_timeout_ms : REQUEST_TIMEOUT_MS;
  snprintf(path, sizeof(path), "/%s", instance_id);
  tt_error error = tti_http_url(o->url, path, &cycle->url);
  if (!error)
    error = tti_http_url_shown(o->url, &cycle->shown_url);
  if (error)
    return error;
  cycle->instance_id = strdup(instance_id);
  bool ok =
      cycle->instance_id &&
      join("", o->id_file, ".update", &cycle->kept_path) &&
      join("Authorization: Bearer ", o->token, "", &cycle->authorization) &&
      join("", o->ca_file, "", &cycle->ca_file);
  return ok ? TT_OK : TT_ENOMEM;
}

static bool copy_keys(tt_fleet *f, const tt_fleet_options *o) {
  f->disabled_keys = calloc(o->disabled_key_count + 1, sizeof(char *));
  if (!f->disabled_keys)
    return false;
  for (size_t i = 0; i < o->disabled_key_count; i++) {
    f->disabled_keys[i] = strdup(o->disabled_keys[i]);
    if (!f->disabled_keys[i])
      return false;
  }
  f->collecting = (tti_collector_options){
      .max_items = o->max_items ? o->max_items : MAX_ITEMS,
      .max_bytes = o->max_bytes ? o->max_bytes : MAX_BYTES,
      .disabled_keys = (const char *const *)f->disabled_keys,
      .disabled_key_count = o->disabled_key_count};
  return true;
}

static void dispose(tt_fleet *f) {
  if (f->shared)
    side_free(find_side(f));
  tti_fork_memory_free(f->shared, sizeof(*f->shared));
  for (char **key = f->disabled_keys; key && *key; key++)
    free(*key);
  free(f->disabled_keys);
  free(f->emitting.url);
  free(f->emitting.shown_url);
  free(f->emitting.instance_id);
  free(f->emitting.kept_path);
  free(f->emitting.authorization);
  free(f->emitting.ca_file);
  free(f);
}

static tt_error refuse(const tt_fleet_options *o, tt_error error,
                       const char *why) {
  tti_log(&o->log, TT_LEVEL_ERROR, "fleet telemetry: %s", why);
  return error;
}

/* Header lines end at a control character: none may come from a token. */
static bool is_token(const char *text) {
  for (; text && *text; text++) {
    if ((unsigned char)*text <= ' ' || *text == 0x7f)
      return false;
  }
  return true;
}

static tt_error identify(const tt_fleet_options *o,
                         char out_id[TELLTALE_UUID_TEXT]) {
  tt_error error;
  if (o->instance_id || !o->id_file) {
    if (!o->instance_id || !tti_is_instance_id(o->instance_id))
      return refuse(o, TT_EINVAL, "the instance id is no UUID, or all zero");
    memcpy(out_id, o->instance_id, TELLTALE_UUID_TEXT);
    return TT_OK;
  }
  error = tt_fleet_instance_id(o->id_file, out_id);
  if (error)
    tti_log(&o->log, TT_LEVEL_ERROR, "fleet telemetry: instance id in %s: %s",
            o->id_file, tt_error_message(error));
  return error;
}

static tt_error create(const tt_fleet_options *o, const char *instance_id,
                       const tti_cycle_time *time, tt_fleet **out_fleet) {
  tt_fleet *f = calloc(1, sizeof(*f));
  if (!f)
    return TT_ENOMEM;
  f->log = o->log;
  f->emitting.time = time;
  tt_error error = configure_cycle(f, o, instance_id);
  if (error == TT_EINVAL)
    refuse(o, error, "the URL is not http or https");
  if (!error && !copy_keys(f, o))
    error = TT_ENOMEM;
  if (!error)
    f->shared = tti_fork_memory_new(sizeof(*f->shared), &f->wiped);
  if (!error && (!f->shared || !make_side(f)))
    error = TT_ENOMEM;
  if (error)
    dispose(f);
  else
    *out_fleet = f;
  return error;
}

tt_error tti_fleet_new(const tt_fleet_options *options,
                       const tti_cycle_time *time, tt_fleet **out_fleet) {
  char instance_id[TELLTALE_UUID_TEXT];
  if (!options || !out_fleet)
    return TT_EINVAL;
  if (*out_fleet)
    return refuse(options, TT_ESTATE, "initialised before");
  if (!options->url || !*options->url || !tt_fleet_consent())
    return TT_OK;
  if (!is_token(options->token) || options->request_timeout_ms < 0)
    return refuse(options, TT_EINVAL, "the token or a time is not valid");
  tt_error error = identify(options, instance_id);
  return error ? error : create(options, instance_id, time, out_fleet);
}

tt_error tt_fleet_new(const tt_fleet_options *options, tt_fleet **out_fleet) {
  return tti_fleet_new(options, &tti_cycle_time_system, out_fleet);
}

void tt_fleet_free(tt_fleet *fleet) {
  if (fleet)
    dispose(fleet);
}

tt_error tt_fleet_start_emitting(tt_fleet *fleet) {
  if (!fleet)
    return TT_OK;
  side *s = side_of(fleet);
  tt_error error = s ? tti_cycle_start(s->cycle) : TT_ENOMEM;
  if (error == TT_ESTATE)
    tti_log(&fleet->log, TT_LEVEL_ERROR,
            "fleet telemetry: emitting was started before");
  return error;
}

tt_error tt_fleet_stop_emitting(tt_fleet *fleet, int timeout_ms) {
  side *s = fleet ? find_side(fleet) : NULL;
  return s ? tti_cycle_stop(s->cycle, timeout_ms) : TT_OK;
}

/* -- Collecting. -- */

static const char *reason_of(tt_error error) {
  switch (error) {
  case TT_ECONFLICT:
    return "it is already used with another shape";
  case TT_EFULL:
    return "no more values are kept before the next update";
  case TT_EINVAL:
    return "a key has to be there and a number finite";
  case TT_ETOOBIG:
    return "the key is too long";
  case TT_EPARSE:
    return "the value is not JSON";
  default:
    return tt_error_message(error);
  }
}

/* Tells of an error, and passes it on. */
static tt_error told(tt_fleet *f, side *s, const char *key, tt_error error) {
  if (error && tti_collector_may_complain(s->collector))
    tti_log(&f->log, TT_LEVEL_ERROR, "fleet telemetry: key %.100s: %s",
            key ? key : "(none)", reason_of(error));
  return error;
}

static tt_error check_key(const char *key, tti_slice *out_key) {
  tti_slice slice = tti_slice_of(key);
  if (!slice.len)
    return TT_EINVAL;
  if (slice.len > TELLTALE_FLEET_KEY_MAX)
    return TT_ETOOBIG;
  *out_key = slice;
  return TT_OK;
}

static tt_error render(tti_buf *out, const tt_field *field) {
  switch (field->kind) {
  case TT_FIELD_STRING:
    tti_json_write_text(out, field->value.string);
    break;
  case TT_FIELD_INT:
    tti_buf_append_i64(out, field->value.integer);
    break;
  case TT_FIELD_UINT:
    tti_buf_append_u64(out, field->value.unsigned_integer);
    break;
  case TT_FIELD_DOUBLE:
    if (!isfinite(field->value.real))
      return TT_EINVAL;
    tti_json_write_double(out, field->value.real);
    break;
  case TT_FIELD_BOOL:
    tti_json_write_bool(out, field->value.boolean);
    break;
  case TT_FIELD_JSON:
    if (tti_json_check(tti_slice_of(field->value.string), NULL, NULL))
      return TT_EPARSE;
    tti_json_write_one_line(out, tti_slice_of(field->value.string));
    break;
  case TT_FIELD_NULL:
    tti_buf_append_text(out, "null");
    break;
  default:
    return TT_EINVAL;
  }
  /* More than the ceiling would never fit. */
  return out->error == TT_ETOOBIG ? TT_EFULL : out->error;
}

static tt_error put(const tt_fleet *f, side *s, tti_shape shape,
                    const char *key_text, const tt_field *field) {
  tti_slice key, name;
  tti_buf json;
  tt_error error = check_key(key_text, &key);
  if (!error)
    error = check_key(field->key, &name);
  if (error)
    return error;
  if (shape == TTI_SHAPE_VALUE && field->kind == TT_FIELD_INT)
    return tti_collector_set_int(s->collector, key, field->value.integer);
  tti_buf_init(&json, f->collecting.max_bytes);
  error = render(&json, field);
  if (!error)
    error =
        tti_collector_put(s->collector, shape, key, name, tti_buf_slice(&json));
  tti_buf_fini(&json);
  return error;
}

static tt_error put_field(tt_fleet *fleet, tti_shape shape, const char *key,
                          const tt_field *field) {
  if (!fleet)
    return TT_OK;
  side *s = side_of(fleet);
  return s ? told(fleet, s, key, put(fleet, s, shape, key, field)) : TT_ENOMEM;
}

tt_error tt_fleet_set(tt_fleet *fleet, tt_field field) {
  return put_field(fleet, TTI_SHAPE_VALUE, field.key, &field);
}

tt_error tt_fleet_set_nested(tt_fleet *fleet, const char *key, tt_field field) {
  return put_field(fleet, TTI_SHAPE_NESTED, key, &field);
}

tt_error tt_fleet_append(tt_fleet *fleet, tt_field field) {
  return put_field(fleet, TTI_SHAPE_LIST, field.key, &field);
}

tt_error tt_fleet_append_unique(tt_fleet *fleet, tt_field field) {
  return put_field(fleet, TTI_SHAPE_UNIQUE, field.key, &field);
}

tt_error tt_fleet_add(tt_fleet *fleet, const char *key, int64_t amount) {
  tti_slice slice;
  if (!fleet)
    return TT_OK;
  side *s = side_of(fleet);
  if (!s)
    return TT_ENOMEM;
  tt_error error = check_key(key, &slice);
  if (!error)
    error = tti_collector_add(s->collector, slice, amount);
  return error ? told(fleet, s, key, error) : TT_OK;
}

tt_error tt_fleet_increment(tt_fleet *fleet, const char *key) {
  return tt_fleet_add(fleet, key, 1);
}

tt_error tt_fleet_counter_new(tt_fleet *fleet, const char *key,
                              tt_fleet_counter **out_counter) {
  tti_slice slice;
  if (!out_counter)
    return TT_EINVAL;
  if (!fleet) {
    *out_counter = NULL;
    return TT_OK;
  }
  side *s = side_of(fleet);
  if (!s)
    return TT_ENOMEM;
  tt_error error = check_key(key, &slice);
  if (error)
    return told(fleet, s, key, error);
  tt_fleet_counter *c = malloc(sizeof(*c) + slice.len + 1);
  if (!c)
    return TT_ENOMEM;
  c->fleet = fleet;
  c->side = s;
  c->counter = tti_collector_counter(s->collector, slice);
  memcpy(c->key, key, slice.len + 1);
  *out_counter = c;
  return TT_OK;
}

tt_error tt_fleet_counter_add(tt_fleet_counter *counter, int64_t amount) {
  if (!counter)
    return TT_OK;
  side *s = find_side(counter->fleet);
  if (s != counter->side || !counter->counter)
    return tt_fleet_add(counter->fleet, counter->key, amount);
  tt_error error = tti_collector_add_to(s->collector, counter->counter, amount);
  return error ? told(counter->fleet, s, counter->key, error) : TT_OK;
}

void tt_fleet_counter_free(tt_fleet_counter *counter) {
  free(counter);
}

void tt_fleet_reset(tt_fleet *fleet) {
  side *s = fleet ? find_side(fleet) : NULL;
  if (s)
    tti_collector_reset(s->collector);
}

void tt_fleet_stats_get(tt_fleet *fleet, tt_fleet_stats *out_stats) {
  side *s = fleet ? find_side(fleet) : NULL;
  *out_stats = (tt_fleet_stats){0};
  if (!s)
    return;
  tti_collector_stats stats = tti_collector_stats_of(s->collector);
  out_stats->items = stats.items;
  out_stats->refused = stats.refused;
  out_stats->conflicts = stats.conflicts;
  tti_cycle_stats cycle = tti_cycle_stats_of(s->cycle);
  out_stats->updates = cycle.updates;
  out_stats->tries = cycle.tries;
}

void tt_fleet_fast_hash(const void *bytes, size_t len,
                        char out_text[TELLTALE_FLEET_HASH_TEXT]) {
  const unsigned char *at = bytes;
  uint32_t hash = 0x811c9dc5u;
  for (size_t i = 0; i < len; i++)
    hash = (hash ^ at[i]) * 0x01000193u;
  snprintf(out_text, TELLTALE_FLEET_HASH_TEXT, "%x", (unsigned)hash);
}
