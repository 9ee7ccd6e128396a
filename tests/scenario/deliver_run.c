/* Sends requests as the deliverer does, one after another, and prints a line of
 * JSON for each: what came of it.
 *
 *   deliver-run [--allow NETWORK] [--name NAME:PORT:ADDRESS[,ADDRESS]] URL...
 *
 * --allow adds to the networks that webhooks may reach, --name gives a name an
 * address from there on. */

#include "lib/json/write.h"
#include "server/deliver/transfer.h"

#include <stdio.h>
#include <stdlib.h>

static http_network networks[16];
static guard rules = {.allowed = networks};

static CURLcode run(CURLM *multi) {
  int running, left;
  for (;;) {
    CURLMsg *message;
    curl_multi_perform(multi, &running);
    while ((message = curl_multi_info_read(multi, &left)))
      if (message->msg == CURLMSG_DONE)
        return message->data.result;
    curl_multi_poll(multi, NULL, 0, 1000, NULL);
  }
}

static void print(const char *url, const transfer_outcome *outcome) {
  tti_buf line;
  tti_buf_init(&line, 65536);
  tti_buf_append_text(&line, "{\"url\":");
  tti_json_write_text(&line, url);
  tti_buf_printf(&line, ",\"status\":%d,\"sent\":%s,\"retry_after\":%lld",
                 outcome->answer.status,
                 outcome->answer.sent ? "true" : "false",
                 (long long)outcome->answer.retry_after_s);
  tti_buf_append_text(&line, ",\"kept\":");
  tti_json_write_string(&line, outcome->kept);
  tti_buf_append_text(&line, ",\"error\":");
  tti_json_write_text(&line, outcome->error);
  printf("%.*s}\n", (int)line.len, line.data);
  tti_buf_fini(&line);
}

static int post(CURLM *multi, const char *url) {
  transfer *t;
  transfer_outcome outcome;
  if (transfer_new(&rules, "deliver-run", &t) != TT_OK ||
      transfer_begin(t, multi, url,
                     curl_slist_append(NULL, "Content-Type: application/json"),
                     TTI_SLICE("{\"type\":\"test\"}")) != TT_OK)
    return 1;
  transfer_end(t, multi, run(multi), &outcome);
  print(url, &outcome);
  transfer_free(t);
  return 0;
}

int main(int argc, char **argv) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURLM *multi = transfer_multi_new();
  int status = 0;
  for (int i = 1; i < argc && status == 0; i++) {
    if (strcmp(argv[i], "--allow") == 0 && i + 1 < argc)
      status = !http_network_parse(tti_slice_of(argv[++i]),
                                   &networks[rules.allowed_count++]);
    else if (strcmp(argv[i], "--name") == 0 && i + 1 < argc)
      status = setenv("TELLTALE_TEST_RESOLVE", argv[++i], 1);
    else
      status = post(multi, argv[i]);
  }
  curl_multi_cleanup(multi);
  return status;
}
