#include "lib/event/record.h"

static const tti_slice names[] = {
    [TT_LEVEL_UNSET] = {"info", 4},  [TT_LEVEL_DEBUG] = {"debug", 5},
    [TT_LEVEL_INFO] = {"info", 4},   [TT_LEVEL_WARN] = {"warn", 4},
    [TT_LEVEL_ERROR] = {"error", 5}, [TT_LEVEL_FATAL] = {"fatal", 5},
};

static bool known(tt_level level) {
  return (unsigned)level < sizeof(names) / sizeof(names[0]);
}

const char *tt_level_name(tt_level level) {
  return names[known(level) ? level : TT_LEVEL_UNSET].ptr;
}

tt_level tti_level_parse(tti_slice text) {
  for (int level = TT_LEVEL_DEBUG; level <= TT_LEVEL_FATAL; level++)
    if (tti_slice_eq_nocase(text, names[level]))
      return (tt_level)level;
  return TT_LEVEL_UNSET;
}

tti_slice tti_record_level_text(const tti_record *record) {
  if (record->level_name.len)
    return record->level_name;
  return names[known(record->level) ? record->level : TT_LEVEL_UNSET];
}

void tti_record_set_level(tti_record *record, tti_slice text) {
  tt_level level = tti_level_parse(text);
  record->level_name = TTI_SLICE("");
  if (level == TT_LEVEL_UNSET && text.len)
    record->level_name = text;
  record->level = level == TT_LEVEL_UNSET ? TT_LEVEL_INFO : level;
}
