#ifndef DELIVER_CHAT_H
#define DELIVER_CHAT_H

#include "lib/base/buf.h"
#include "server/store/tables/due.h"

/* An event as a chat message: "[level] source/category: type (agent: id)" and
 * its data in a fenced block, what is unknown left out. */

/* {"text": …}, with what Slack would take for markup or a mention escaped. */
void chat_slack(const due_delivery *due, tti_buf *out);

/* {"content": …} of at most 2,000 characters, that mentions nobody. */
void chat_discord(const due_delivery *due, tti_buf *out);

#endif
