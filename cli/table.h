#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/client.h"

/* What the API answers, for people. Values are shown without the quotes of
 * JSON; what is no string stands as the server wrote it. */

/* One member of an item; a table of these ends with an all-zero row. */
typedef struct cli_column {
  const char *key;
  const char *title;
  int width; /* at least so many characters; of the last column 0 */
} cli_column;

enum { CLI_COLUMNS_MAX = 12 };

/* Walks the pages of a list of the API and prints up to `limit` items, a row
 * each, or a line of JSON each. The request's path has a '?' in it. An exit
 * status; what is wrong was said. */
int cli_table_print(client *c, const char *command,
                    const client_request *request, unsigned long long limit,
                    const cli_column *columns, bool json);

/* An answer: an object, a line a member, and of an array of objects a line
 * each; or as JSON. */
void cli_answer_print(tti_slice object, bool json);

/* A member of an object as it stands there, a text without its quotes; empty:
 * it has none. */
tti_slice cli_member(tti_slice object, const char *key);

/* Calls, and says on standard error what the server answered; with a 2xx prints
 * the answer. An exit status. */
int cli_call_and_print(client *c, const char *command,
                       const client_request *request, bool json);

/* ---- Bodies ---- */

/* Adds a member; a comma goes before it unless it follows a brace. NULL: none
 * is added. */
void cli_put_text(tti_buf *body, const char *key, const char *value);
/* The value is JSON as it was typed. */
void cli_put_json(tti_buf *body, const char *key, const char *value);
/* "a,b" as an array of texts. */
void cli_put_list(tti_buf *body, const char *key, const char *value);

/* Whether an option's value is JSON, or was not given. */
bool cli_is_json(const char *text);

#endif
