#include "server/fleet/read_internal.h"

#define JSON "application/json"

static const http_parameter instance[] = {
    {"instance", "The instance's UUID.", .in = HTTP_IN_PATH}, {.name = NULL}};

const http_parameter fleet_bounds[] = {
    {"since", "By time of receipt, inclusive.", HTTP_IN_QUERY, HTTP_TIME,
     .code = "invalid_since"},
    {"until", "By time of receipt, exclusive.", HTTP_IN_QUERY, HTTP_TIME,
     .code = "invalid_until"},
    {.name = NULL}};

static const char *const truths[] = {"true", "false", NULL};
const http_parameter fleet_selection[] = {
    {"where",
     "What an instance said of itself, such as `version:1.*,os:linux`: all of "
     "it has to be so, and a `*` at the end stands for anything.",
     HTTP_IN_QUERY, .code = "invalid_where"},
    {"key", "Those that ever sent this key; `prefix*` for one that begins so.",
     .in = HTTP_IN_QUERY},
    {"late", "Those whose next update is overdue, the latest ones first.",
     HTTP_IN_QUERY, HTTP_WORD, .words = truths, .fallback = "false",
     .code = "invalid_late"},
    {.name = NULL}};

const http_parameter fleet_question[] = {
    {"key", "Of which key; without it, the updates themselves.",
     .in = HTTP_IN_QUERY},
    {"by",
     "One item for each value of this dimension, `version` for example "
     "(`fleet.dimensions` in the configuration).",
     HTTP_IN_QUERY, .code = "invalid_by"},
    {"step",
     "Also in steps of this length: `6h`, `1d`. Hours are kept for "
     "seven days.",
     HTTP_IN_QUERY, .code = "invalid_step"},
    {"limit",
     "How many items, and values of each, at most: those that came most. What "
     "is left is added up as other.",
     HTTP_IN_QUERY, HTTP_NUMBER, .min = 1, .max = 200, .fallback = "20",
     .code = "invalid_limit"},
    {.name = NULL}};

#define READ_FAILED                                                            \
  {                                                                            \
    503, "The store cannot be read now, or too many reads wait.",              \
        .codes = "store_busy,store_failed"                                     \
  }
#define NO_INSTANCE                                                            \
  { 404, "It never reported.", .codes = "instance_not_found" }

const http_description fleet_instances_list_about = {
    .summary = "Installed programs that reported, the latest first",
    .help = "`since` and `until` ask for those whose last update was then.",
    .tag = "fleet",
    .parameters = {fleet_selection, fleet_bounds, api_list_parameters},
    .answers = {
        {200, "A page of them.", .type = JSON, .schema = "FleetInstancePage"},
        READ_FAILED}};

const http_description fleet_instance_show_about = {
    .summary = "An installed program, and its last update",
    .tag = "fleet",
    .parameters = {instance},
    .answers = {{200,
                 "What is known of it. `data` is left out once retention "
                 "took its updates.",
                 .type = JSON, .schema = "FleetInstance"},
                NO_INSTANCE,
                READ_FAILED}};

const http_description fleet_updates_list_about = {
    .summary = "The updates of an installed program, the latest first",
    .tag = "fleet",
    .parameters = {instance, api_list_parameters},
    .answers = {
        {200, "A page of them.", .type = JSON, .schema = "FleetUpdatePage"},
        NO_INSTANCE,
        READ_FAILED}};

const http_description fleet_keys_list_about = {
    .summary = "Every key that was ever reported, the newest first",
    .tag = "fleet",
    .parameters = {api_list_parameters},
    .answers = {
        {200, "A page of them.", .type = JSON, .schema = "FleetKeyPage"},
        READ_FAILED}};

const http_description fleet_aggregate_show_about = {
    .summary = "What the fleet reported, added up",
    .help =
        "Sums, counts, least and greatest are exact. Quantiles are off by at "
        "most 2 % of themselves. Instances are exact up to 256, beyond that "
        "an estimate with a standard error of 2.3 %. Time goes by whole hours "
        "or days, so `since` and `until` of the answer may be wider than what "
        "was asked for. `behind` is how many updates were not added yet; it is "
        "less than a second's.",
    .tag = "fleet",
    .parameters = {fleet_question, fleet_bounds},
    .answers = {{200,
                 "One item, or one for each value; those that came most first.",
                 .type = JSON, .schema = "FleetAggregate"},
                READ_FAILED}};
