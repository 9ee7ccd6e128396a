#include "server/auth/auth.h"

static const http_parameter token_id[] = {
    {"id", "As `GET /api/v1/tokens` shows it.", .in = HTTP_IN_PATH},
    {.name = NULL}};

#define NOT_STORED                                                             \
  { 503, "The change was not made.", .codes = "store_unavailable,store_busy" }

const http_description auth_token_create_about = {
    .summary = "Make a token",
    .tag = "tokens",
    .body = {{"application/json", "TokenRequest"}},
    .answers = {{201, "The token, with its text, which is shown this once.",
                 .type = "application/json", .schema = "Token"},
                {400, "The body makes no sense.",
                 .codes = "invalid_json,unknown_field,invalid_token"},
                {409, "As many as there may be are in force.",
                 .codes = "too_many_tokens"},
                NOT_STORED}};

const http_description auth_token_list_about = {
    .summary = "The tokens in force",
    .tag = "tokens",
    .answers = {{200, "Without their texts.", .type = "application/json",
                 .schema = "TokenPage"}}};

const http_description auth_token_revoke_about = {
    .summary = "Revoke a token",
    .tag = "tokens",
    .parameters = {token_id},
    .answers = {{.status = 204,
                 .help = "It is no longer in force; its streams end soon."},
                {404, "No such token is in force.", .codes = "token_not_found"},
                NOT_STORED}};
