#include "server/sinks/sinks.h"

static const http_parameter sink_name_path[] = {
    {"name", "As `GET /api/v1/sinks` shows it.", .in = HTTP_IN_PATH},
    {.name = NULL}};

const http_description sinks_list_about = {
    .summary = "The sinks: how far each came, and what is wrong with it",
    .tag = "sinks",
    .answers = {{200, "All of them.", .type = "application/json",
                 .schema = "SinkPage"}}};

const http_description sinks_requeue_about = {
    .summary = "Send a sink's dead letters again",
    .help = "It goes on by itself; the sink's `requeue` tells how it went.",
    .tag = "sinks",
    .parameters = {sink_name_path},
    .answers = {
        {202, "It has begun.", .type = "application/json", .schema = "Sink"},
        {404, "No such sink.", .codes = "sink_not_found"},
        {409, "It is being done, or there is no file of them.",
         .codes = "requeue_running,no_dead_letters"},
        {503, "There is no memory for it.", .codes = "out_of_memory"}}};
