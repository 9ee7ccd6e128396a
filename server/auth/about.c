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

const http_description auth_login_about = {
    .summary = "Log in",
    .help = "Gives a browser a cookie that stands for a token, for twelve "
            "hours or until the token is revoked.",
    .tag = "tokens",
    .body = {{"application/json", "LoginRequest"}},
    .answers = {
        {200, "What the login may do; the cookie is in `Set-Cookie`.",
         .type = "application/json", .schema = "Login"},
        {400, "The body makes no sense.", .codes = "invalid_json"},
        {401, "The token is not one in force.", .codes = "unauthorized"},
        {409, "No token is configured, so none is needed.",
         .codes = "no_tokens"},
        {429, "Too many wrong tokens came from this address.",
         .codes = "too_many_logins"},
        NOT_STORED}};

const http_description auth_login_state_about = {
    .summary = "What the login may do",
    .tag = "tokens",
    .answers = {{200, "Without scopes: nobody is logged in.",
                 .type = "application/json", .schema = "Login"}}};

const http_description auth_logout_about = {
    .summary = "Log out",
    .tag = "tokens",
    .answers = {{.status = 204, .help = "The cookie is worth nothing now."},
                NOT_STORED}};
