#ifndef CLI_LINE_H
#define CLI_LINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Whether to write colours to `out`: a terminal, and NO_COLOR not set. */
bool cli_colours(FILE *out);

/* One event in the relay view as one line for people: local time, level,
 * source/channel action, agent, duration, data as key=value. Control characters
 * in the producer's text are shown as \xNN, so that no event can drive the
 * terminal. */
void cli_line_print(FILE *out, const json_t *event, bool colours);

#endif
