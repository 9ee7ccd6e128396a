#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "lib/base/slice.h"
#include <stdint.h>

/* The texts of option values. Each answers false, and sets nothing, for a text
 * that is not one. */

/* "65536", "64KiB", "5GB": KB MB GB TB are powers of 1000, KiB … of 1024,
 * without regard to case. Bytes. */
bool config_parse_size(tti_slice text, uint64_t *out_bytes);

/* "500ms", "10s", "1h30m", "7d", "2w", and "0" alone. Milliseconds. */
bool config_parse_duration(tti_slice text, uint64_t *out_ms);

#define CONFIG_VALUE_MAX 32

/* The same the other way, in the unit that takes the fewest digits and is
 * exact: "64MiB", "5GB", "7d"; "0" alone. */
void config_format_size(uint64_t bytes, char out_text[CONFIG_VALUE_MAX]);
void config_format_duration(uint64_t ms, char out_text[CONFIG_VALUE_MAX]);

/* true false yes no on off 1 0. */
bool config_parse_bool(tti_slice text, bool *out_value);

#endif
