#ifndef CLI_LINE_H
#define CLI_LINE_H

#include "lib/json/scan.h"

#include <stdio.h>

/* Whether to write colours to `out`: a terminal, and NO_COLOR not set. */
bool cli_colours(FILE *out);

/* Text of somebody else's. Control characters are shown as \xNN, so that it
 * cannot drive the terminal. */
void cli_text_print(FILE *out, tti_slice text);

/* A string without its quotes, anything else as it is written. What cannot be
 * text (a lone surrogate, U+0000) stays escaped. */
void cli_value_print(FILE *out, const tti_json_value *value);

/* One event, JSON in the relay view, as one line for people: local time, level,
 * source/channel action, agent, duration, data as key=value. Values that are no
 * strings stand as the producer wrote them. */
void cli_line_print(FILE *out, tti_slice event, bool colours);

/* JSON as it is, and a line end; to a terminal the control characters that may
 * stand raw in JSON (DEL and C1) go as \u00NN, which means the same. */
void cli_json_print(FILE *out, tti_slice json);

#endif
