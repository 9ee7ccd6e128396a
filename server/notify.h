#ifndef NOTIFY_H
#define NOTIFY_H

/* Tells the service manager ("READY=1", "STOPPING=1") over the datagram socket
 * that NOTIFY_SOCKET names; without the variable nothing happens. The protocol
 * is that of sd_notify(3). */
void notify_manager(const char *state);

#endif
