#include "server/fleet/internal.h"

#define JSON  "application/json"
#define RULES "FleetControl"

static const http_parameter instance[] = {
    {"instance", "The instance's UUID, the same as in the body.", HTTP_IN_PATH,
     HTTP_TEXT, .required = true},
    {.name = NULL}};

static const http_parameter if_match[] = {
    {"If-Match",
     "The ETag of the rules that are replaced, so that nobody else's change is "
     "lost.",
     .in = HTTP_IN_HEADER},
    {.name = NULL}};

const http_description fleet_update_about = {
    .summary = "An installed program reports",
    .help = "The protocol of fleet clients. Every error has its message in "
            "`error` too. An update that comes again under the timestamp of "
            "the last one is answered and not added.",
    .tag = "fleet",
    .parameters = {instance},
    .body = {{JSON, "FleetUpdate"}},
    .answers = {{200, "Kept.", .type = JSON, .schema = "FleetOrders"},
                {400, "Something in it is malformed; nothing was kept.",
                 .codes = "invalid_json,invalid_instance,instance_mismatch,"
                          "invalid_update,too_many_items"},
                {410, "The operator wants no more updates: stop for good.",
                 .codes = "gone"},
                {429, "Too early; `next_update` says when.",
                 .codes = "too_early,too_many_new_instances"},
                {451, "The operator takes no updates: stop for good.",
                 .codes = "legal_reasons"},
                {503, "Nothing was kept.",
                 .codes = "store_unavailable,store_busy,too_many_instances"}}};

const http_description fleet_control_get_about = {
    .summary = "The rules by which installed programs are steered",
    .tag = "fleet",
    .answers = {{200, "As they were set.", .type = JSON, .schema = RULES,
                 .headers = "ETag"}}};

const http_description fleet_control_put_about = {
    .summary = "Replace the rules by which installed programs are steered",
    .help = "In force when answered, and after a restart.",
    .tag = "fleet",
    .parameters = {if_match},
    .body = {{JSON, RULES}},
    .answers = {
        {200, "In force.", .type = JSON, .schema = RULES, .headers = "ETag"},
        {400, "Something in it is wrong; nothing has changed.",
         .codes = "invalid_json,invalid_control,unknown_field"},
        {412, "The rules are others by now; nothing has changed.",
         .codes = "control_changed"},
        {503, "Nothing has changed.",
         .codes = "store_unavailable,store_busy"}}};

const http_description fleet_preview_about = {
    .summary = "How many of the known instances rules would touch",
    .help = "Changes nothing. The walk over all instances is given up after "
            "10 s, and `complete` is false then.",
    .tag = "fleet",
    .body = {{JSON, RULES}},
    .answers = {{200, "Counts, in the order of the rules.", .type = JSON,
                 .schema = "FleetPreview"},
                {400, "Something in it is wrong.",
                 .codes = "invalid_json,invalid_control,unknown_field"},
                {503, "Not now.", .codes = "store_failed,store_busy"}}};
