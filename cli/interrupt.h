#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

/* From here on SIGINT and SIGTERM do not end the process but are counted. */
void cli_catch_interrupts(void);

/* How many have come. */
int cli_interrupts(void);

#endif
