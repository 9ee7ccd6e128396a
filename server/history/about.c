#include "server/history/about.h"

#include "server/history/history.h"
#include "server/history/query.h"
#include "server/history/tally.h"

#define TIME_TEXT(more) "By time of receipt, " more "."

const http_parameter history_after[] = {
    {"after", "Only what has a greater seq.", HTTP_IN_QUERY, HTTP_NUMBER,
     .code = "invalid_after"},
    {.name = NULL}};
const http_parameter history_before[] = {
    {"before", "Only what has a smaller seq.", HTTP_IN_QUERY, HTTP_NUMBER,
     .code = "invalid_before"},
    {.name = NULL}};
const http_parameter history_since[] = {{"since", TIME_TEXT("inclusive"),
                                         HTTP_IN_QUERY, HTTP_TIME,
                                         .code = "invalid_since"},
                                        {.name = NULL}};
const http_parameter history_until[] = {{"until", TIME_TEXT("exclusive"),
                                         HTTP_IN_QUERY, HTTP_TIME,
                                         .code = "invalid_until"},
                                        {.name = NULL}};
const http_parameter history_limit[] = {
    {"limit",
     "How many events at most. A page has 100 unless this says otherwise, and "
     "never more than 1,000; an export has no limit unless this gives one.",
     HTTP_IN_QUERY, HTTP_NUMBER, .min = 1, .code = "invalid_limit"},
    {.name = NULL}};
const http_parameter history_cursor[] = {
    {"cursor",
     "`next_cursor` of the page before, with the same filters and bounds.",
     HTTP_IN_QUERY, .code = "invalid_cursor"},
    {.name = NULL}};
const http_parameter history_n[] = {{"n", "How many events at most.",
                                     HTTP_IN_QUERY, HTTP_NUMBER, .min = 1,
                                     .max = 10000, .fallback = "100"},
                                    {.name = NULL}};
const http_parameter history_by[] = {
    {"by", "What is counted together.", HTTP_IN_QUERY, HTTP_WORD,
     .words = tally_by_names, .required = true, .code = "invalid_by"},
    {.name = NULL}};

static const char *const levels[] = {"level", NULL};
const http_parameter history_by_level[] = {
    {"by", "What a bucket is divided by.", HTTP_IN_QUERY, HTTP_WORD,
     .words = levels, .fallback = "level", .code = "invalid_by"},
    {.name = NULL}};
const http_parameter history_buckets[] = {
    {"buckets", "How many buckets.", HTTP_IN_QUERY, HTTP_NUMBER, .min = 1,
     .max = TIMELINE_MAX, .fallback = "60", .code = "invalid_buckets"},
    {.name = NULL}};

#define READ_FAILED                                                            \
  {                                                                            \
    503, "The store cannot be read now, or too many reads wait.",              \
        .codes = "busy,store_failed"                                           \
  }
#define HEADS "Telltale-Head,Telltale-Log"

const http_description history_list_about = {
    .summary = "History: the events that match, as pages or as one export",
    .help = "Items ascend by seq. With `after` or `since` pages go forwards; "
            "with neither, the first page has the newest events and the cursor "
            "leads to older ones. An export (`Accept: application/x-ndjson` or "
            "`text/csv`) has everything, and is cut off where it cannot be "
            "whole.",
    .tag = "events",
    .parameters = {query_filters, query_include, query_views, query_text,
                   history_after, history_before, history_since, history_until,
                   history_limit, history_cursor},
    .answers = {{200, "A page, or an export.", .type = "application/json",
                 .schema = "Page", .headers = HEADS},
                {200, NULL, .type = "application/x-ndjson",
                 .schema = "{\"description\":\"One StoredEvent a line.\","
                           "\"type\":\"string\"}"},
                {200, NULL, .type = "text/csv",
                 .schema =
                     "{\"description\":\"A header row and one row an event.\","
                     "\"type\":\"string\"}"},
                READ_FAILED,
                {505, "An export needs HTTP/1.1.", .codes = "http_version"}}};

#define RECENT_ANSWERS                                                         \
  {200, "Ascending by seq.", .type = "application/json",                       \
   .schema = "{\"type\":\"array\",\"items\":{\"$ref\":"                        \
             "\"#/components/schemas/StoredEvent\"}}",                         \
   .headers = HEADS ",Telltale-Complete"},                                     \
      READ_FAILED

const http_description history_recent_about = {
    .summary = "The newest events that match",
    .tag = "events",
    .parameters = {query_filters, query_include, query_views, history_n},
    .answers = {RECENT_ANSWERS}};

const http_description history_log_recent_about = {
    .summary = "The newest log lines that match",
    .help = "A `level` alone stands for itself and those above.",
    .tag = "logs",
    .parameters = {query_filters, query_include, query_views, history_n},
    .answers = {RECENT_ANSWERS}};

const http_description history_histogram_about = {
    .summary = "How many events by time and level",
    .help = "Without `since` it is the hour before `until`; without `until` it "
            "ends now.",
    .tag = "events",
    .parameters = {query_filters, query_include, query_text, history_since,
                   history_until, history_by_level, history_buckets},
    .answers = {{200, "The counts.", .type = "application/json",
                 .schema = "Histogram", .headers = HEADS},
                READ_FAILED}};

const http_description history_aggregate_about = {
    .summary = "How many events by a key, with errors and durations",
    .tag = "events",
    .parameters = {query_filters, query_include, query_text, history_since,
                   history_until, history_by},
    .answers = {{200, "The counts.", .type = "application/json",
                 .schema = "Aggregate", .headers = HEADS},
                READ_FAILED}};
