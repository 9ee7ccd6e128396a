#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdint.h>

/* Tells the service manager ("READY=1", "STOPPING=1") over the datagram socket
 * that NOTIFY_SOCKET names; without the variable nothing happens. The protocol
 * is that of sd_notify(3). */
void notify_manager(const char *state);

/* Within how long the manager wants to hear "WATCHDOG=1" each time, as
 * sd_watchdog_enabled(3) has it; 0: it does not. Milliseconds. */
uint64_t notify_watchdog_ms(void);

#endif
