#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

/* Each answers the exit status of the process (cli/options.h). argv[0] is the
 * command's own name. */
int cli_send(int argc, char **argv);
int cli_tail(int argc, char **argv);
int cli_config(int argc, char **argv);
int cli_events(int argc, char **argv);
int cli_recent(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_token(int argc, char **argv);

#endif
