#ifndef TELLTALE_OUTBOX_H
#define TELLTALE_OUTBOX_H

#include <telltale/metrics.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Events that are written in the application's own transaction: when it commits
 * they are as durable as what they tell of; when it rolls back they never were.
 *
 *   tt_outbox_new(NULL, &outbox);
 *   tt_outbox_migrate(outbox, db);                     once, at start
 *   ...
 *   BEGIN; INSERT INTO orders ...;
 *   tt_outbox_id(id, "order", number, "paid");
 *   tt_outbox_publish(outbox, db, &(tt_outbox_event){
 *       .id = id, .type = "order.paid", .data = json});
 *   COMMIT;
 *
 * tt_outbox_new and tt_outbox_free are part of libtelltale, the rest, which
 * uses the program's own connection to SQLite, of libtelltale-sqlite. */
typedef struct tt_outbox tt_outbox;
struct sqlite3;

/* All zero is a good default. */
typedef struct tt_outbox_options {
  tt_metrics *metrics; /* borrowed until the outbox is freed; NULL: none */
  tt_log_hook log;     /* why something failed; may be all zero */
} tt_outbox_options;

/* Options may be NULL. TT_EINVAL (no place for the result), TT_ENOMEM. */
TELLTALE_API tt_error tt_outbox_new(const tt_outbox_options *options,
                                    tt_outbox **out_outbox);
/* NULL is fine. */
TELLTALE_API void tt_outbox_free(tt_outbox *outbox);

/* Makes or updates the tables tt_outbox_… in the main database: in the caller's
 * transaction, if there is one, else in its own. Does nothing but look when
 * they are right, so it may be called at each start. Changes no setting of the
 * database; what would make the program and the reader of its outbox wait for
 * each other, or would lose events, is told as a warning by the log hook.
 * TT_EVERSION: the tables were made by a newer version; TT_EBUSY, TT_EIO,
 * TT_ENOSPACE, TT_ENOMEM, TT_ECORRUPT, TT_EINVAL; TT_ESTATE: the database
 * cannot be written. */
TELLTALE_API tt_error tt_outbox_migrate(tt_outbox *outbox, struct sqlite3 *db);

#define TELLTALE_OUTBOX_BODY_MAX   1000000 /* bytes */
#define TELLTALE_OUTBOX_TEXT_MAX   200     /* bytes of subject, source, … */
#define TELLTALE_OUTBOX_LABELS_MAX 50

/* What happened, for others to hear. Only `type` is required. All is borrowed
 * for the call; texts are UTF-8, at most TELLTALE_OUTBOX_TEXT_MAX bytes, and
 * NULL or "" is none. */
typedef struct tt_outbox_event {
  const char *id;      /* "evt_" and [A-Za-z0-9_-]{1,64}; NULL: a random one.
                          What has the id of an earlier event is not written
                          again */
  const char *type;    /* [a-z0-9_.-]{1,128} */
  const char *subject; /* what it is about; part of the body */
  const char *source;  /* the rest is for webhooks to choose by */
  const char *category;
  const char *agent_id;
  tt_level level;
  const char *const *labels; /* [a-z0-9:_-]{1,64} each */
  size_t label_count;        /* at most TELLTALE_OUTBOX_LABELS_MAX */
  const char *data; /* any JSON value, kept byte for byte, but that raw line
                       breaks between tokens become spaces; NULL: null */
  size_t data_len;  /* bytes; 0 with data set: data is NUL-terminated */
  int64_t ts_us;    /* when it happened, unix microseconds; 0: now */
} tt_outbox_event;

/* Writes the event in the transaction that `db` is in; outside of one it is a
 * transaction of its own. The body that subscribers get is made here, and is
 * the same byte for byte ever after:
 *
 *   {"type","id","timestamp","schema_version":"1","subject"?,"data"}
 *
 * An id that is there already: nothing is written, nothing counted, TT_OK.
 * Otherwise outbox_events_published counts it, here, whatever becomes of the
 * transaction. sqlite3_last_insert_rowid stays what it was, sqlite3_changes
 * does not. After an error nothing of the event is written, outbox_failures
 * counts it under "publish", the log hook says why, and the transaction is the
 * caller's to roll back. TT_EINVAL: a part of the event is not as described;
 * TT_EPARSE: data is not JSON; TT_ETOOBIG: the body would be over
 * TELLTALE_OUTBOX_BODY_MAX; TT_ESTATE: no tables, or a database that cannot be
 * written; TT_EBUSY, TT_ENOSPACE, TT_EIO, TT_ENOMEM, TT_ECORRUPT, TT_ECANCELLED
 * (interrupted). Thread-safe, as far as `db` is. */
TELLTALE_API tt_error tt_outbox_publish(tt_outbox *outbox, struct sqlite3 *db,
                                        const tt_outbox_event *event);

/* The same under a savepoint, for an event that is not worth the transaction:
 * whatever fails, what the transaction did before stays, and it can go on. The
 * result may be ignored. (What SQLite answers with a rollback of the whole
 * transaction, an I/O error or an interrupt, cannot be held off; the log hook
 * says so.) */
TELLTALE_API tt_error tt_outbox_publish_best_effort(
    tt_outbox *outbox, struct sqlite3 *db, const tt_outbox_event *event);

/* Keeps the statements of publishing prepared on this connection, which makes a
 * publish about twice as fast; without it they are prepared each time. Called
 * after tt_outbox_migrate, and again it does nothing. TT_ESTATE: no tables;
 * TT_EINVAL, TT_EBUSY, TT_ENOMEM, TT_EIO, TT_ECORRUPT.
 *
 * While it is attached the connection has statements of ours: sqlite3_close
 * answers SQLITE_BUSY, and sqlite3_close_v2 puts the closing off. So detach
 * before closing. tt_outbox_free detaches what still is attached, open or not.
 * Any thread may attach a connection and detach it, as far as it may use the
 * connection, while none publishes through it. */
TELLTALE_API tt_error tt_outbox_attach(tt_outbox *outbox, struct sqlite3 *db);
/* What is not attached is fine. */
TELLTALE_API void tt_outbox_detach(tt_outbox *outbox, struct sqlite3 *db);

#define TELLTALE_OUTBOX_ID_SIZE 37

/* The id of what may happen twice but must be heard once: "evt_" and 32 hex
 * digits of the SHA-256 of the parts, joined by '|'. The same parts are the
 * same event. TT_EINVAL: no part, or one that is NULL; TT_ENOMEM.
 *
 *   char id[TELLTALE_OUTBOX_ID_SIZE];
 *   tt_outbox_id(id, "order", number, "paid"); */
#ifndef __cplusplus
#define tt_outbox_id(out_id, ...)                                              \
  tt_outbox_id_of((const char *const[]){__VA_ARGS__},                          \
                  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), \
                  out_id)
#endif
TELLTALE_API tt_error tt_outbox_id_of(const char *const *parts, size_t count,
                                      char out_id[TELLTALE_OUTBOX_ID_SIZE]);

#ifdef __cplusplus
}

template <typename... Parts>
inline tt_error tt_outbox_id(char *out_id, Parts... parts) {
  const char *const list[] = {parts...};
  return tt_outbox_id_of(list, sizeof...(parts), out_id);
}
#endif
#endif
