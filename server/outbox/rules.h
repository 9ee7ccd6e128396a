#ifndef OUTBOX_RULES_H
#define OUTBOX_RULES_H

#include "lib/event/parse.h"
#include "server/store/store.h"
#include <telltale/metrics.h>

/* The rules under `routes:`: which events of the relay and of sessions are
 * published too, in the transaction of their row in history. */

/* The fields of an entry; all are texts. X(field, key, help). */
#define OUTBOX_RULE_FIELD_MAP(X)                                               \
  X(source, "routes.source", "only events of these sources")                   \
  X(channel, "routes.channel", "... of these channels")                        \
  X(action, "routes.action", "... with these actions")                         \
  X(level, "routes.level", "... of these levels, such as \">=error\"")         \
  X(agent_id, "routes.agent_id", "... of these agents")                        \
  X(publish, "routes.publish",                                                 \
    "the type to publish as; {source}, {channel}, {action}, {level} and "      \
    "{agent_id} stand for the event's")                                        \
  X(subject, "routes.subject", "the subject, likewise")

/* One entry, checked. Made and freed by config; texts are never NULL. */
typedef struct outbox_rule_spec {
#define X(field, key, help) char *field;
  OUTBOX_RULE_FIELD_MAP(X)
#undef X
  char *origin; /* "telltale.yaml:12" */
  char *text;   /* all of it: equal specs have equal texts */
} outbox_rule_spec;

/* TT_EINVAL: *out_error says what is wrong with which field. */
tt_error outbox_rule_check(const outbox_rule_spec *spec, tti_buf *out_error);

/* Immutable: any thread. */
typedef struct outbox_rules outbox_rules;

/* The specs are borrowed. The log's name makes the ids of what is published:
 * the same event under the same type is published once. TT_ENOMEM. */
tt_error outbox_rules_new(const outbox_rule_spec *specs, size_t count,
                          const char *log_uuid, tt_metrics *metrics,
                          outbox_rules **out_rules);
/* NULL is fine. */
void outbox_rules_free(outbox_rules *rules);

/* Whether any event of the batch is to be published. */
bool outbox_rules_want(const outbox_rules *rules, const tti_batch *batch);

/* Publishes what the job appends, as part of it. One that cannot
 * be (its JSON is larger than an outbox takes) is counted as a failure and
 * logged, and its row stays. */
tt_error outbox_rules_write(const outbox_rules *rules, const store_job *job,
                            store_tx *tx);

#endif
