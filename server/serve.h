#ifndef SERVE_H
#define SERVE_H

/* Exit statuses, the same for every command. */
enum {
  SERVE_OK = 0,
  SERVE_FAILED = 1, /* the port, the store, the network, … */
  SERVE_USAGE = 2   /* bad options, wherever they come from */
};

/* `telltale serve`: argv[0] is "serve". Returns the exit status. */
int serve_main(int argc, char **argv);

#endif
