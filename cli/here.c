#include "cli/here.h"

#include "cli/options.h"
#include "server/config/config.h"

#include <stdio.h>

int cli_store_path(const char *command, const char *store_text,
                   const char *config_file, char **out_path) {
  char *argv[6] = {(char *)"serve"};
  int argc = 1;
  if (store_text) {
    argv[argc++] = (char *)"--store";
    argv[argc++] = (char *)store_text;
  }
  if (config_file) {
    argv[argc++] = (char *)"--config";
    argv[argc++] = (char *)config_file;
  }
  config c = {0};
  tti_buf why;
  tti_buf_init(&why, 4096);
  tt_error error = config_load(argc, argv, &why, &c);
  if (!error) {
    error = config_store_path(&c, &why, out_path);
    config_fini(&c);
  }
  if (error)
    fprintf(stderr, "telltale %s: %.*s\n", command, (int)why.len,
            why.data ? why.data : "");
  tti_buf_fini(&why);
  return error ? CLI_FAILED : CLI_OK;
}

client *cli_store_client(const char *path) {
  tti_buf socket;
  tti_buf_init(&socket, 4200);
  tti_buf_printf(&socket, "%s.sock", path);
  tti_buf_append(&socket, "", 1);
  client *c = socket.error
                  ? NULL
                  : client_new(&(client_options){.url = "http://localhost",
                                                 .unix_socket = socket.data});
  tti_buf_fini(&socket);
  return c;
}
