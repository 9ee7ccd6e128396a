#ifndef TTI_OUTBOX_H
#define TTI_OUTBOX_H

#include "lib/base/buf.h"
#include <pthread.h>
#include <telltale/outbox.h>

/* What is kept ready for one connection; a kind of database has more of it
 * behind this. */
typedef struct tti_outbox_attached {
  struct tti_outbox_attached *next;
  const void *db;
  void (*free)(struct tti_outbox_attached *attached);
} tti_outbox_attached;

struct tt_outbox {
  tt_metrics *metrics; /* borrowed; may be NULL */
  tt_log_hook log;
  pthread_mutex_t lock;
  tti_outbox_attached *attached; /* under the lock; owned */
};

/* Any thread. The outbox owns what it has, until it is taken out or the outbox
 * is freed. NULL: nothing is kept for the connection. */
void tti_outbox_keep(tt_outbox *outbox, tti_outbox_attached *attached);
tti_outbox_attached *tti_outbox_kept(tt_outbox *outbox, const void *db);
tti_outbox_attached *tti_outbox_take_out(tt_outbox *outbox, const void *db);

/* Counts a publish that failed and says why. Returns `error`. */
tt_error tti_outbox_failed(tt_outbox *outbox, tt_error error,
                           const char *format, ...) TELLTALE_PRINTF(3, 4);

/* How long an event is kept. */
#define TTI_OUTBOX_KEEP_US ((int64_t)30 * 86400 * 1000000)

/* An event as a database keeps it. What is not there has a NULL pointer. Times
 * are unix microseconds. */
typedef struct tti_outbox_row {
  int64_t n; /* the order of publishing; 0 before it is written */
  tti_slice id;
  tti_slice type;
  tti_slice subject;
  tti_slice source;
  tti_slice category;
  tti_slice agent_id;
  tti_slice level;  /* its name */
  tti_slice labels; /* a JSON array of strings */
  tti_slice body;
  int64_t created_us;
  int64_t next_poll_us; /* due from here on */
  int64_t expires_us;
} tti_outbox_row;

#define TTI_OUTBOX_ID_MAX   68 /* of ids that a caller gives */
#define TTI_OUTBOX_TYPE_MAX 128

/* An event that was checked, and its row. */
typedef struct tti_outbox_draft {
  tti_outbox_row row; /* borrows from the event, and from here */
  char id[TELLTALE_OUTBOX_ID_SIZE];
  tti_buf body;
  tti_buf labels;
} tti_outbox_draft;

/* Checks the event and makes its row. *out_problem is a static sentence set on
 * failure: TT_EINVAL, TT_EPARSE, TT_ETOOBIG or TT_ENOMEM. `draft` is to be
 * ended with _fini in either case, and must stay where it is. */
tt_error tti_outbox_draft_init(tti_outbox_draft *draft,
                               const tt_outbox_event *event, int64_t now_us,
                               const char **out_problem);
void tti_outbox_draft_fini(tti_outbox_draft *draft);

#endif
