/* An installed program that reports how it is used, if its user allows.
 * usage: fleet URL ID-FILE [DISABLED-KEY]... */
#include <stdio.h>
#include <telltale/fleet.h>

static void print_log(void *context, tt_level level, const char *message) {
  (void)context;
  (void)level;
  fprintf(stderr, "%s\n", message);
}

int main(int argc, char **argv) {
  tt_fleet *fleet = NULL;
  tt_fleet_options options = {.log = {.log = print_log}};
  if (argc < 3) {
    fprintf(stderr, "usage: %s URL ID-FILE [DISABLED-KEY]...\n", argv[0]);
    return 2;
  }
  options.url = argv[1];
  options.id_file = argv[2];
  options.disabled_keys = (const char *const *)argv + 3;
  options.disabled_key_count = (size_t)argc - 3;
  if (tt_fleet_new(&options, &fleet) != TT_OK)
    return 1;
  puts(fleet ? "Telemetry is on: TELLTALE_TELEMETRY=0 switches it off."
             : "Telemetry is off.");
  tt_fleet_set_string(fleet, "version", "1.4.2");
  tt_fleet_start_emitting(fleet);
  for (int i = 0; i < 1000; i++) {
    tt_fleet_increment(fleet, "orders");
    tt_fleet_append_unique(fleet, tt_str("paid_by", i % 3 ? "card" : "cash"));
  }
  tt_fleet_set_nested(fleet, "cache", tt_int("entries", 42));
  tt_error error = tt_fleet_stop_emitting(fleet, 2000);
  tt_fleet_free(fleet);
  printf("%s\n", tt_error_message(error));
  return error ? 1 : 0;
}
