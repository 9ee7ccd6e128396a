#include "cli/filters.h"

void cli_filters_query(tti_buf *path,
                       const char *const values[CLI_FILTER_COUNT]) {
  static const char *const keys[CLI_FILTER_COUNT] = {
      "source", "channel", "action", "level", "agent_id", "include"};
  for (int i = 0; i < CLI_FILTER_COUNT; i++) {
    if (!values[i])
      continue;
    tti_buf_printf(path, "&%s=", keys[i]);
    client_escape(path, values[i]);
  }
}
