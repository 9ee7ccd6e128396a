#ifndef SERVE_H
#define SERVE_H

/* `telltale serve`: argv[0] is "serve". Returns the exit status. */
int serve_main(int argc, char **argv);

#endif
