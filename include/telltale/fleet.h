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

/* Whether the environment allows telemetry: not when TELLTALE_TELEMETRY is "0",
 * "false", "off" or "no", nor when DO_NOT_TRACK is anything but empty or one of
 * these. tt_fleet_new and tt_fleet_instance_id ask it themselves. */
TELLTALE_API bool tt_fleet_consent(void);

/* The id of this installation, kept in the file `path`: made at random when
 * there is none, with mode 0600, and the same ever after. TT_ESTATE: no
 * consent, and no file is made; TT_ECORRUPT: the file holds something else and
 * is left alone; TT_ENOTFOUND: its directory does not exist; TT_ENOSPACE,
 * TT_EIO, TT_EINVAL, TT_ENOMEM. */
TELLTALE_API tt_error tt_fleet_instance_id(const char *path,
                                           char out_id[TELLTALE_UUID_TEXT]);

/* All zero but `url` and one of the instance ids is fine; everything is copied.
 */
typedef struct tt_fleet_options {
  /* Updates go to url + "/" + instance id. NULL or "": no client is made. */
  const char *url;
  const char *instance_id; /* a UUID, not all zero; NULL: that of id_file */
  /* The file of tt_fleet_instance_id. Beside it, in id_file + ".update", the
   * last update is kept when it is not delivered, and sent first by the next
   * process. NULL: then that is lost. */
  const char *id_file;
  /* Keys that the user does not want reported, trimmed. Nothing of them is ever
   * collected, whatever the server says. */
  const char *const *disabled_keys;
  size_t disabled_key_count;
  size_t max_items;       /* values kept at a time; 0: 100,000 */
  size_t max_bytes;       /* what they may take as JSON; 0: 4 MiB */
  const char *token;      /* bearer token; NULL or "": none */
  const char *ca_file;    /* PEM; NULL or "": the system's CAs */
  int request_timeout_ms; /* 0: 60,000 */
  tt_log_hook log;        /* may be all zero */
} tt_fleet_options;

/* Keys are 1 to 1,024 bytes. The part before the first ':' is what is disabled
 * and enabled: "client:<hash>" obeys "client". */
#define TELLTALE_FLEET_KEY_MAX 1024

/* A client that collects, and reports once emitting is started. Without a URL
 * or the consent of the environment there is none: TT_OK, and *out_fleet stays
 * NULL. *out_fleet has to be NULL: TT_ESTATE when it is not, since a client is
 * initialised once. TT_EINVAL for no or a zero UUID, a URL that is not http or
 * https, a token with spaces or control characters, or a negative option;
 * TT_ENOMEM; errors of tt_fleet_instance_id. */
TELLTALE_API tt_error tt_fleet_new(const tt_fleet_options *options,
                                   tt_fleet **out_fleet);

/* Stops without sending: what is left is kept as after tt_fleet_stop_emitting.
 * NULL fine. No other call may be on its way; handles of counters are freed
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

/* -- Reporting. -- */

/* Starts a thread, which sends an update now and then whenever the server
 * wishes: by default after an hour, and up to a minute more. Before each one it
 * sets the map `process`: resident_bytes, threads, open_files, cpu_seconds.
 *
 * An update that fails is tried again after 8, 27 and 64 s, or when the server
 * asks for it; then its values wait for the next update. When the server ends
 * it (410, 451, "stop") nothing more is collected or sent.
 *
 * Returns at once. TT_ESTATE: started before, also when it has been stopped
 * since; TT_ENOMEM, and it may be tried again. */
TELLTALE_API tt_error tt_fleet_start_emitting(tt_fleet *fleet);

/* Sends what is left, once, also when an update is on its way, and ends
 * collecting and emitting. Takes no longer than timeout_ms (negative: as long
 * as the requests take). TT_OK: delivered, or emitting never began or was ended
 * by the server; TT_EIO: not taken, and kept for the next process if there is
 * an id_file; TT_ETIMEOUT: not even that is certain yet. */
TELLTALE_API tt_error tt_fleet_stop_emitting(tt_fleet *fleet, int timeout_ms);

typedef struct tt_fleet_stats {
  uint64_t items;     /* values kept now */
  uint64_t refused;   /* values there was no room for */
  uint64_t conflicts; /* calls for a key of another shape */
  uint64_t updates;   /* delivered */
  uint64_t tries;     /* requests for that */
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
