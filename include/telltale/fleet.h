#ifndef TELLTALE_FLEET_H
#define TELLTALE_FLEET_H

#include <stddef.h>
#include <telltale/error.h>
#include <telltale/event.h>
#include <telltale/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fleet telemetry (libtelltale-http): an installed program collects figures
 * about itself, as its user allows, and reports them now and then to a server
 * that steers how often and what.
 *
 * All calls are thread-safe, and do nothing on a NULL fleet. Nothing here is
 * the process's own: two libraries in one program may each have a fleet client.
 *
 * A child of fork may go on using it: it begins with nothing collected, and
 * reports nothing unless it calls tt_fleet_start_emitting itself. */
typedef struct tt_fleet tt_fleet;

#define TELLTALE_UUID_TEXT 37 /* with the NUL */

/* All zero but the instance id is fine; everything is copied. */
typedef struct tt_fleet_options {
  const char *instance_id; /* a UUID, not all zero */
  /* Keys that the user does not want reported, trimmed. Nothing of them is ever
   * collected, whatever the server says. */
  const char *const *disabled_keys;
  size_t disabled_key_count;
  size_t max_items; /* values kept at a time; 0: 100,000 */
  size_t max_bytes; /* what they may take as JSON; 0: 4 MiB */
  tt_log_hook log;  /* may be all zero */
} tt_fleet_options;

/* Keys are 1 to 1,024 bytes. The part before the first ':' is what is disabled
 * and enabled: "client:<hash>" obeys "client". */
#define TELLTALE_FLEET_KEY_MAX 1024

/* A client that collects. *out_fleet has to be NULL: TT_ESTATE when it is not,
 * since a client is initialised once. TT_EINVAL for no or a zero UUID;
 * TT_ENOMEM. */
TELLTALE_API tt_error tt_fleet_new(const tt_fleet_options *options,
                                   tt_fleet **out_fleet);

/* NULL fine. No other call may be on its way; handles of counters are freed
 * before. */
TELLTALE_API void tt_fleet_free(tt_fleet *fleet);

/* -- Collecting. None of these waits for the network. What cannot be done
 * changes nothing and is told to the log hook (at most 16 lines an update):
 *
 * TT_EINVAL    no key, or an empty one, or a double that is not finite
 * TT_ETOOBIG   a key longer than TELLTALE_FLEET_KEY_MAX
 * TT_EPARSE    a JSON value that is none
 * TT_ECONFLICT the key has another shape already
 * TT_EFULL     there are max_items values or max_bytes of them, counted in
 *              the statistics
 * TT_ENOMEM
 *
 * A key that is disabled is left out: TT_OK. -- */

/* A value under the key, instead of what was there, whatever its shape. */
TELLTALE_API tt_error tt_fleet_set(tt_fleet *fleet, tt_field field);

/* The field under its own key in the map `key`. */
TELLTALE_API tt_error tt_fleet_set_nested(tt_fleet *fleet, const char *key,
                                          tt_field field);

/* The field's value at the end of the list that has the field's key. */
TELLTALE_API tt_error tt_fleet_append(tt_fleet *fleet, tt_field field);

/* The field's value into the counting set that has the field's key: each
 * different value is kept once, with how often it came. */
TELLTALE_API tt_error tt_fleet_append_unique(tt_fleet *fleet, tt_field field);

/* Adds to the integer under the key; a new one begins at 0. After the first
 * time that a key is seen, an amount above 0 takes no lock and no memory (but
 * for a key that was left alone for a whole update: it takes the lock once). */
TELLTALE_API tt_error tt_fleet_add(tt_fleet *fleet, const char *key,
                                   int64_t amount);
TELLTALE_API tt_error tt_fleet_increment(tt_fleet *fleet, const char *key);

static inline tt_error tt_fleet_set_int(tt_fleet *fleet, const char *key,
                                        int64_t value) {
  return tt_fleet_set(fleet, tt_int(key, value));
}
static inline tt_error tt_fleet_set_double(tt_fleet *fleet, const char *key,
                                           double value) {
  return tt_fleet_set(fleet, tt_double(key, value));
}
static inline tt_error tt_fleet_set_string(tt_fleet *fleet, const char *key,
                                           const char *value) {
  return tt_fleet_set(fleet, tt_str(key, value));
}
static inline tt_error tt_fleet_set_bool(tt_fleet *fleet, const char *key,
                                         bool value) {
  return tt_fleet_set(fleet, tt_bool(key, value));
}
static inline tt_error tt_fleet_set_json(tt_fleet *fleet, const char *key,
                                         const char *json) {
  return tt_fleet_set(fleet, tt_json(key, json));
}

/* A counter by handle: the same integer as tt_fleet_add, without looking for
 * its key. Freed before the fleet. NULL, which a NULL fleet gives, counts
 * nothing. TT_EINVAL, TT_ETOOBIG, TT_ENOMEM. */
typedef struct tt_fleet_counter tt_fleet_counter;

TELLTALE_API tt_error tt_fleet_counter_new(tt_fleet *fleet, const char *key,
                                           tt_fleet_counter **out_counter);
TELLTALE_API tt_error tt_fleet_counter_add(tt_fleet_counter *counter,
                                           int64_t amount);
TELLTALE_API void tt_fleet_counter_free(tt_fleet_counter *counter);

/* Forgets all values. Disabled keys and the schedule stay. */
TELLTALE_API void tt_fleet_reset(tt_fleet *fleet);

typedef struct tt_fleet_stats {
  uint64_t items;     /* values kept now */
  uint64_t refused;   /* values there was no room for */
  uint64_t conflicts; /* calls for a key of another shape */
} tt_fleet_stats;

TELLTALE_API void tt_fleet_stats_get(tt_fleet *fleet,
                                     tt_fleet_stats *out_stats);

/* A 32-bit hash (FNV-1a) in hexadecimal without leading zeros, for values that
 * are to be counted but not told. Not fit for secrets: what has few possible
 * values is found out by trying them. */
#define TELLTALE_FLEET_HASH_TEXT 9
TELLTALE_API void tt_fleet_fast_hash(const void *bytes, size_t len,
                                     char out_text[TELLTALE_FLEET_HASH_TEXT]);

#ifdef __cplusplus
}
#endif
#endif
