#include "server/webhooks/internal.h"

static const http_parameter webhook_id[] = {
    {"id", "As `GET /api/v1/webhooks` shows it.", .in = HTTP_IN_PATH},
    {.name = NULL}};
static const http_parameter delivery_id[] = {
    {"delivery", "As the list of deliveries shows it.", .in = HTTP_IN_PATH},
    {.name = NULL}};
static const http_parameter event_id[] = {
    {"id", "As `GET /api/v1/events` shows it.", .in = HTTP_IN_PATH},
    {.name = NULL}};
static const http_parameter idempotency[] = {
    {"Idempotency-Key",
     "Makes a retry safe: the same key and body do it once, for 24 hours.",
     HTTP_IN_HEADER, HTTP_TEXT, .max = 255, .code = "invalid_idempotency_key"},
    {.name = NULL}};

#define JSON(status_, help_, schema_)                                          \
  {                                                                            \
    .status = status_, .help = help_, .type = "application/json",              \
    .schema = schema_                                                          \
  }
#define REPEATABLE(status_, help_, schema_)                                    \
  {                                                                            \
    .status = status_, .help = help_, .type = "application/json",              \
    .schema = schema_, .headers = "Idempotency-Replayed"                       \
  }
#define NO_WEBHOOK                                                             \
  { 404, "There is no such webhook.", .codes = "webhook_not_found" }
#define NO_EVENT                                                               \
  {404, "There is no such event.", .codes = "event_not_found"}, {              \
    410, "It was published more than 30 days ago.", .codes = "event_expired"   \
  }
#define MISMATCH                                                               \
  {                                                                            \
    422, "The key came before with another body; nothing was done.",           \
        .codes = "idempotency_mismatch"                                        \
  }
#define NOT_STORED                                                             \
  {                                                                            \
    503, "Nothing has changed.",                                               \
        .codes = "store_unavailable,store_busy,out_of_memory"                  \
  }
#define NOT_READ                                                               \
  {                                                                            \
    503, "The store cannot be read now, or too many reads wait.",              \
        .codes = "store_failed,store_busy,out_of_memory"                       \
  }

const http_description webhook_create_about = {
    .summary = "Make a webhook",
    .help = "Published events whose type is among `events` (`order.paid`, "
            "`order.*`, `*`) and which pass all `filters` are sent to `url` "
            "from now on.",
    .tag = "webhooks",
    .parameters = {idempotency},
    .body = {{"application/json", "WebhookRequest"}},
    .answers = {REPEATABLE(201,
                           "The webhook, with its signing secret, which is "
                           "shown this once.",
                           "WebhookWithSecret"),
                {400, "The body makes no sense.",
                 .codes = "invalid_json,unknown_field,invalid_webhook"},
                {409, "There are as many as there may be.",
                 .codes = "webhook_limit_reached"},
                MISMATCH,
                NOT_STORED}};

const http_description webhook_list_about = {
    .summary = "The webhooks",
    .tag = "webhooks",
    .parameters = {webhook_page_parameters},
    .answers = {JSON(200, "Newest first.", "WebhookPage"), NOT_READ}};

const http_description webhook_show_about = {
    .summary = "One webhook",
    .tag = "webhooks",
    .parameters = {webhook_id},
    .answers = {JSON(200, "Without its secret.", "Webhook"), NO_WEBHOOK,
                NOT_READ}};

const http_description webhook_update_about = {
    .summary = "Change a webhook",
    .help = "What is left out stays as it is; `filters` and `headers` are "
            "replaced as a whole, or taken away with null.",
    .tag = "webhooks",
    .parameters = {webhook_id},
    .body = {{"application/json", "WebhookRequest"}},
    .answers = {JSON(200, "As it is now.", "Webhook"),
                {400, "The body makes no sense; nothing has changed.",
                 .codes = "invalid_json,unknown_field,invalid_webhook"},
                NO_WEBHOOK,
                {409, "It was disabled for its failures a moment ago.",
                 .codes = "webhook_cooldown"},
                NOT_STORED}};

const http_description webhook_delete_about = {
    .summary = "Delete a webhook",
    .help = "Its deliveries go with it; those that are pending are not sent.",
    .tag = "webhooks",
    .parameters = {webhook_id},
    .answers = {
        {.status = 204, .help = "It is gone."}, NO_WEBHOOK, NOT_STORED}};

const http_description webhook_rotate_about = {
    .summary = "Give a webhook another signing secret",
    .help = "For 24 hours the old one signs too, so that receivers can be "
            "changed one after the other. Rotating again within that time "
            "replaces the old one.",
    .tag = "webhooks",
    .parameters = {webhook_id, idempotency},
    .answers = {REPEATABLE(200, "The new secret, which is shown this once.",
                           "Rotation"),
                NO_WEBHOOK, MISMATCH, NOT_STORED}};

const http_description webhook_test_about = {
    .summary = "Send a test event to a webhook",
    .help = "Whatever its events and filters are. The event is in no list.",
    .tag = "webhooks",
    .parameters = {webhook_id, idempotency},
    .body = {{"application/json", "WebhookTest"}},
    .answers = {REPEATABLE(202, "It is about to be sent.", "WebhookTested"),
                {400, "The body makes no sense.",
                 .codes = "invalid_json,unknown_field,invalid_event"},
                NO_WEBHOOK,
                {409, "The webhook is disabled.", .codes = "webhook_disabled"},
                MISMATCH,
                NOT_STORED}};

const http_description webhook_match_about = {
    .summary = "Which webhooks an event would go to, without sending it",
    .tag = "webhooks",
    .parameters = {webhook_page_parameters},
    .body = {{"application/json", "MatchRequest"}},
    .answers = {
        JSON(200, "All webhooks, newest first, with the verdict.", "MatchPage"),
        {400, "The body makes no sense.",
         .codes = "invalid_json,unknown_field,invalid_event"},
        NOT_READ}};

const http_description delivery_list_about = {
    .summary = "A webhook's deliveries",
    .tag = "webhooks",
    .parameters = {webhook_id, delivery_status_parameter,
                   webhook_page_parameters},
    .answers = {JSON(200, "Newest first. A page may be short and not the last.",
                     "DeliveryPage"),
                NO_WEBHOOK, NOT_READ}};

const http_description delivery_show_about = {
    .summary = "One delivery, with all its attempts",
    .tag = "webhooks",
    .parameters = {webhook_id, delivery_id},
    .answers = {JSON(200, "The delivery.", "DeliveryWithHistory"),
                {404, "There is no such webhook or delivery.",
                 .codes = "webhook_not_found,delivery_not_found"},
                NOT_READ}};

const http_description since_start_about = {
    .summary = "Redeliver everything since a time",
    .help = "In the background; `GET` tells how far it came, `DELETE` ends it. "
            "An event of which a delivery is pending is passed over.",
    .tag = "webhooks",
    .parameters = {webhook_id},
    .body = {{"application/json", "SinceRequest"}},
    .answers = {JSON(202, "It has begun.", "Since"),
                {400, "The body makes no sense.",
                 .codes = "invalid_json,unknown_field,invalid_since"},
                NO_WEBHOOK,
                {429, "Once a minute for a webhook, and one at a time.",
                 .codes = "redelivery_too_soon,too_many_redeliveries",
                 .headers = "Retry-After"},
                NOT_READ}};

#define NO_SINCE                                                               \
  {                                                                            \
    404, "There is no such webhook, or nothing was redelivered.",              \
        .codes = "webhook_not_found,redelivery_not_found"                      \
  }

const http_description since_state_about = {
    .summary = "How far a redelivery came",
    .tag = "webhooks",
    .parameters = {webhook_id},
    .answers = {JSON(200, "The last one of this webhook.", "Since"), NO_SINCE,
                NOT_READ}};

const http_description since_cancel_about = {
    .summary = "End a redelivery",
    .help = "What it has made so far stays.",
    .tag = "webhooks",
    .parameters = {webhook_id},
    .answers = {JSON(200, "As it is left.", "Since"), NO_SINCE, NOT_READ}};

const http_description event_list_about = {
    .summary = "Published events",
    .tag = "webhooks",
    .parameters = {event_filter_parameters, webhook_page_parameters},
    .answers = {JSON(200, "Newest first. A page may be short and not the last.",
                     "PublishedPage"),
                NOT_READ}};

const http_description event_show_about = {
    .summary = "One published event, and what became of it",
    .tag = "webhooks",
    .parameters = {event_id},
    .answers = {JSON(200, "The event.", "PublishedWithStatus"), NO_EVENT,
                NOT_READ}};

const http_description event_explain_about = {
    .summary = "Why each webhook got an event, or did not",
    .help = "What has no delivery is judged as the webhook is now.",
    .tag = "webhooks",
    .parameters = {event_id, webhook_page_parameters},
    .answers = {JSON(200, "All webhooks, newest first.", "ExplainPage"),
                NO_EVENT, NOT_READ}};

const http_description event_redeliver_about = {
    .summary = "Redeliver an event",
    .help = "To one webhook, or to all that it matched. The event keeps its "
            "id; the delivery is a new one, signed with today's secret.",
    .tag = "webhooks",
    .parameters = {event_id, idempotency},
    .body = {{"application/json", "RedeliverRequest"}},
    .answers = {REPEATABLE(202, "The deliveries that are made.", "Redelivery"),
                {400, "The body makes no sense.",
                 .codes = "invalid_json,unknown_field,invalid_redelivery"},
                {404, "There is no such event or webhook.",
                 .codes = "event_not_found,webhook_not_found"},
                {409, "It cannot be sent to this webhook now.",
                 .codes = "not_originally_matched,replay_in_progress,"
                          "webhook_disabled"},
                {410, "It was published more than 30 days ago.",
                 .codes = "event_expired"},
                MISMATCH,
                NOT_STORED}};

const http_description janitor_now_about = {
    .summary = "Clear away what has had its time, now",
    .help = "The server does it each hour by itself.",
    .tag = "server",
    .answers = {JSON(200, "How many rows went, by table.", "Cleaned"),
                {503, "Not all of it could be done.",
                 .codes = "store_unavailable,out_of_memory"}}};
