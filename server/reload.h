#ifndef RELOAD_H
#define RELOAD_H

#include "server/parts.h"

/* SIGHUP: reads the configuration again, from the places of the start, and puts
 * the settings that the option table marks LIVE in force; names the others that
 * changed. If anything about it is bad, nothing changes: the reason is logged
 * and counted. Main thread; may wait for the disk. */
void reload(server *s, int argc, char **argv);

/* The settings of the server's own log. */
void reload_log(const config *c);

/* The rules of a configuration, whose texts they borrow. TT_ENOMEM. */
tt_error reload_rules_new(const config *c, auth_rules **out_rules);

fleet_settings reload_fleet_settings(const config *c);

/* Reads the files of tls.cert, tls.key and tls.client_ca; *out_certificate is
 * NULL where the configuration names none. Answers as tls_certificate_load. */
tt_error reload_certificate(const config *c, tti_buf *out_error,
                            tls_certificate **out_certificate);

#endif
