#ifndef TTI_FLEET_IDENTITY_H
#define TTI_FLEET_IDENTITY_H

#include <stdbool.h>

/* Whether it is the text of a UUID that is not all zero. */
bool tti_is_instance_id(const char *text);

#endif
