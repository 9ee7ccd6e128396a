#ifndef CLI_FILTERS_H
#define CLI_FILTERS_H

#include "cli/client.h"

/* The filter options that tail, recent and events share, as rows of an option
 * table and as names in a query string. Their order is CLI_FILTER_MAP's. */
#define CLI_FILTER_ROWS                                                        \
  {"--source", 's', "NAME", "only this source (a,b: either)"},                 \
      {"--channel", 'c', "NAME", "only this channel"},                         \
      {"--action", 'a', "NAME", "only this action"},                           \
      {"--level", 'l', "LEVEL", "only this level, or '>=warn'"},               \
      {"--agent-id", 0, "ID", "only this agent"}, {                            \
    "--include", 0, "log", "log lines too; --channel log: only those"          \
  }

enum { CLI_FILTER_COUNT = 6 };

/* Appends "&key=value" for each filter that was given. */
void cli_filters_query(tti_buf *path,
                       const char *const values[CLI_FILTER_COUNT]);

#endif
