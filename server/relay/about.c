#include "server/relay/relay_state.h"

const http_parameter relay_minutes[] = {
    {"minutes", "How far back.", HTTP_IN_QUERY, HTTP_NUMBER, .min = 1,
     .max = RELAY_RATE_SECONDS / 60, .fallback = "5",
     .code = "invalid_parameter"},
    {.name = NULL}};
const http_parameter relay_buckets[] = {
    {"buckets", "How many figures.", HTTP_IN_QUERY, HTTP_NUMBER, .min = 1,
     .max = RELAY_BUCKETS_MAX, .fallback = "60"},
    {.name = NULL}};

static const http_parameter ingest_headers[] = {
    {"Idempotency-Key",
     "Makes a retry safe: the same key and body are stored once, and the first "
     "answer is repeated.",
     HTTP_IN_HEADER, HTTP_TEXT, .max = 255, .code = "invalid_idempotency_key"},
    {"Telltale-Dropped",
     "What the sender had to drop, by reason: `queue_full=12,retries=3`.",
     .in = HTTP_IN_HEADER},
    {.name = NULL}};

#define INGEST_ERRORS(invalid)                                                 \
  {400, "Something in it is malformed; nothing was stored.",                   \
   .codes = invalid},                                                          \
      {409, "The first request with this key is not answered yet.",            \
       .codes = "idempotency_in_flight"},                                      \
      {413, "Too large; nothing was stored.", .codes = "batch_too_large"},     \
      {422, "The key came before with another body; nothing was stored.",      \
       .codes = "idempotency_mismatch"},                                       \
  {                                                                            \
    503, "Nothing was stored.", .codes = "store_unavailable,shutting_down"     \
  }

#define RATE_ANSWER                                                            \
  {                                                                            \
    200, "Counts, oldest first.",                                              \
        .type = "application/json",                                            \
        .schema = "{\"type\":\"array\",\"items\":{\"type\":\"integer\","       \
                  "\"minimum\":0}}"                                            \
  }

const http_description relay_event_about = {
    .summary = "Store one event",
    .help = "200 means kept as the durability promises. The content type is "
            "not looked at.",
    .tag = "ingest",
    .parameters = {ingest_headers},
    .body = {{"application/json", "Event"}},
    .answers = {{200, "Stored.", .type = "application/json", .schema = "Stored",
                 .headers = "Telltale-Log,Idempotency-Replayed"},
                INGEST_ERRORS("invalid_event")}};

const http_description relay_batch_about = {
    .summary = "Store many events, all or none",
    .tag = "ingest",
    .parameters = {ingest_headers},
    .body = {{"application/json", "{\"type\":\"array\",\"items\":{\"$ref\":"
                                  "\"#/components/schemas/Event\"}}"},
             {"application/x-ndjson",
              "{\"description\":\"One Event a line.\",\"type\":\"string\"}"}},
    .answers = {{200, "Stored.", .type = "application/json",
                 .schema = "StoredBatch",
                 .headers = "Telltale-Log,Idempotency-Replayed"},
                INGEST_ERRORS("invalid_event")}};

const http_description relay_log_about = {
    .summary = "Store one log line",
    .help = "A line below the server's `log_min_level` is not kept, and told "
            "so. The content type is not looked at.",
    .tag = "ingest",
    .parameters = {ingest_headers},
    .body = {{"application/json", "LogLine"}},
    .answers = {{200, "Stored, or below the level that is kept.",
                 .type = "application/json", .schema = "StoredLogLine",
                 .headers = "Telltale-Log,Idempotency-Replayed"},
                INGEST_ERRORS("invalid_log_line")}};

const http_description relay_log_batch_about = {
    .summary = "Store many log lines, all or none",
    .tag = "ingest",
    .parameters = {ingest_headers},
    .body = {{"application/json", "{\"type\":\"array\",\"items\":{\"$ref\":"
                                  "\"#/components/schemas/LogLine\"}}"},
             {"application/x-ndjson",
              "{\"description\":\"One LogLine a line.\",\"type\":\"string\"}"}},
    .answers = {{200, "Stored, but for those below the level that is kept.",
                 .type = "application/json", .schema = "StoredLogBatch",
                 .headers = "Telltale-Log,Idempotency-Replayed"},
                INGEST_ERRORS("invalid_log_line")}};

const http_description relay_log_stats_about = {
    .summary = "Counts of log lines",
    .tag = "logs",
    .answers = {{200, "The counts.", .type = "application/json",
                 .schema = "LogStats"}}};

const http_description relay_log_rate_about = {
    .summary = "Log lines by time of receipt, for the last hour at most",
    .tag = "logs",
    .parameters = {relay_minutes, relay_buckets},
    .answers = {RATE_ANSWER}};

const http_description relay_stats_about = {
    .summary = "Counts of all that came",
    .help = "In every answer received = stored + the sum of rejected + "
            "in_flight + lost.",
    .tag = "events",
    .answers = {
        {200, "The counts.", .type = "application/json", .schema = "Stats"}}};

const http_description relay_rate_about = {
    .summary = "Events by time of receipt, for the last hour at most",
    .tag = "events",
    .parameters = {relay_minutes, relay_buckets},
    .answers = {RATE_ANSWER}};

const http_description relay_channels_about = {
    .summary = "The channels that occur",
    .tag = "events",
    .answers = {
        {200, "Their names, sorted.", .type = "application/json",
         .schema = "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"}}};

const http_description relay_healthz_about = {
    .summary = "Whether the process answers",
    .tag = "server",
    .answers = {
        {200, "It does.", .type = "application/json", .schema = "Health"}}};

const http_description relay_readyz_about = {
    .summary = "Whether the server can do its work",
    .tag = "server",
    .answers = {
        {200, "It can.", .type = "application/json", .schema = "Readiness"},
        {503, "It cannot, for the reason given.", .type = "application/json",
         .schema = "Readiness"}}};

const http_description relay_metrics_about = {
    .summary = "Metrics for Prometheus",
    .tag = "server",
    .answers = {{200, "Prometheus text, or OpenMetrics to whoever asks for it.",
                 .type = "text/plain", .schema = "{\"type\":\"string\"}"},
                {200, NULL, .type = "application/openmetrics-text",
                 .schema = "{\"type\":\"string\"}"}}};

const http_description relay_status_about = {
    .summary = "Version, limits, store, ring and connections",
    .tag = "server",
    .answers = {
        {200, "How it is.", .type = "application/json", .schema = "Status"}}};

const http_description relay_openapi_about = {
    .summary = "This document",
    .tag = "server",
    .answers = {{200, "OpenAPI 3.1.", .type = "application/json",
                 .schema = "{\"type\":\"object\"}"}}};

const http_description relay_page_about = {
    .summary = "The page for browsers, and what it loads",
    .tag = "page",
    .answers = {
        {200, "A file.", .type = "*/*", .schema = "{\"type\":\"string\"}"}}};
