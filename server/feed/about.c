#include "server/feed/feed.h"

#include "server/history/query.h"

static const char *const replays[] = {"all", NULL};

const http_parameter feed_position[] = {
    {"Last-Event-ID",
     "The id that was seen last; 0: everything that is kept. Wins over the "
     "others.",
     HTTP_IN_HEADER, HTTP_NUMBER, .code = "invalid_position"},
    {"after", "The same as Last-Event-ID, which wins.", HTTP_IN_QUERY,
     HTTP_NUMBER, .code = "invalid_position"},
    {"replay", "Begin with the oldest event that is kept.", HTTP_IN_QUERY,
     HTTP_WORD, .words = replays, .code = "invalid_position"},
    {.name = NULL}};

#define STREAM_ANSWERS                                                         \
  {200, "The stream; it does not end.", .type = "text/event-stream",           \
   .schema = "{\"type\":\"string\"}", .headers = "Telltale-Log"},              \
  {                                                                            \
    503, "Not now.", .codes = "shutting_down,too_many_filters"                 \
  }

const http_description feed_stream_about = {
    .summary = "Events as they come, as server-sent events",
    .help = "Live, or from any position on. `id` is the seq and `data` the "
            "event. `event: dropped` tells what is gone, `event: reset` that "
            "the position is beyond the end of the log.",
    .tag = "events",
    .parameters = {feed_position, query_filters, query_include, query_views},
    .answers = {STREAM_ANSWERS}};

const http_description feed_log_stream_about = {
    .summary = "Log lines as they come, as server-sent events",
    .help = "As /events/stream. A `level` alone stands for itself and those "
            "above.",
    .tag = "logs",
    .parameters = {feed_position, query_filters, query_include, query_views},
    .answers = {STREAM_ANSWERS}};
