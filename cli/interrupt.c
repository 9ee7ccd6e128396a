#include "cli/interrupt.h"

#include <signal.h>

static volatile sig_atomic_t interrupts;

static void on_signal(int number) {
  (void)number;
  interrupts = interrupts + 1;
}

void cli_catch_interrupts(void) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

int cli_interrupts(void) {
  return interrupts;
}
