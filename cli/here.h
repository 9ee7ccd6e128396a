#ifndef CLI_HERE_H
#define CLI_HERE_H

#include "cli/client.h"

/* The store on this machine, and the server that may have it open. */

/* The file of the store that `serve` would use with the same --store and
 * --config (NULL: not given); "" for a memory store. Freed by the caller. An
 * exit status; a failure was told on standard error. */
int cli_store_path(const char *command, const char *store_text,
                   const char *config_file, char **out_path);

/* A client on the admin socket beside that store. NULL: out of memory. */
client *cli_store_client(const char *path);

#endif
