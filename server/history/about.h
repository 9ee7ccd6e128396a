#ifndef HISTORY_ABOUT_H
#define HISTORY_ABOUT_H

#include "server/http/describe.h"

/* The parameters of the history routes: lists of one. */
extern const http_parameter history_after[], history_before[], history_since[],
    history_until[], history_limit[], history_cursor[], history_n[],
    history_by[], history_by_level[], history_buckets[];

#endif
