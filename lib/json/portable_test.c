/* The same cases for the way without SSE2, whatever this machine has: the
 * sources are built again, here, with the portable loops. */
#define TELLTALE_JSON_PORTABLE
#include "lib/json/conformance_test.c"
#include "lib/json/decode.c"
#include "lib/json/scan.c"
