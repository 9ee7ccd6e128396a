#ifndef TELLTALE_EXPORT_H
#define TELLTALE_EXPORT_H

/* Marks what a program may call; everything else is hidden in the library. */
#if defined(__GNUC__)
#define TELLTALE_API __attribute__((visibility("default")))
#define TELLTALE_PRINTF(format_at, args_at)                                    \
  __attribute__((format(printf, format_at, args_at)))
#else
#define TELLTALE_API
#define TELLTALE_PRINTF(format_at, args_at)
#endif

#endif
