#ifndef TTI_EVENT_FILTER_H
#define TTI_EVENT_FILTER_H

#include "lib/event/record.h"

/* The five filters, the same everywhere: source, channel, action, level,
 * agent_id. Exact; a comma list is OR within a key; AND across keys; level also
 * takes ">=warn". Immutable once built. */
typedef struct tti_filter tti_filter;

/* NULL filter: matches everything. TT_ENOMEM. */
tt_error tti_filter_new(tti_filter **out_filter);
void tti_filter_free(tti_filter *filter);

/* Adds a key's value as it stands in a query string (already percent-decoded).
 * Empty values are no constraint; a key given again adds to its list. Of the
 * five levels case does not matter. TT_ENOTFOUND: not a filter key. TT_EINVAL:
 * ">=" on another key than level or before an unknown level, or over 50 values
 * or 4,096 bytes for one key. TT_ENOMEM. After an error free the filter: part
 * of a list may have been taken. */
tt_error tti_filter_add(tti_filter *filter, tti_slice key, tti_slice value);

/* Passes only records whose session's id begins so. A server's sessions of one
 * name share the beginning of their ids. TT_ETOOBIG, TT_ENOMEM. */
#define TTI_FILTER_SESSION_MAX 32
tt_error tti_filter_session(tti_filter *filter, const char *prefix);

bool tti_filter_is_empty(const tti_filter *filter);

/* Whether any value was given for `channel`, and whether it is among them. */
bool tti_filter_names_channel(const tti_filter *filter, tti_slice channel);

/* A filter that names one of the five levels, and nothing else under `level`,
 * from now on also passes those above it. TT_ENOMEM. */
tt_error tti_filter_from_level(tti_filter *filter);

bool tti_filter_match(const tti_filter *filter, const tti_record *record);

/* What is known of a set of records without looking at them: whether a value
 * may occur under a filter key (true when in doubt), and the ranks of their
 * levels, one bit (1u << tt_level) each. */
typedef struct tti_filter_hint {
  bool (*may_have)(const void *context, tti_slice key, tti_slice value);
  const void *context;
  unsigned levels;
} tti_filter_hint;

/* False: none of those records matches. */
bool tti_filter_may_match(const tti_filter *filter,
                          const tti_filter_hint *hint);

/* A canonical text: equal filters have equal texts. It is a query string, but
 * for ">=" which stands as it is. NUL-terminated, owned by the filter. "" for
 * one that matches everything. */
const char *tti_filter_text(const tti_filter *filter);

#endif
