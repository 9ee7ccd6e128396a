#include "lib/fleet/process.h"

#include "lib/json/write.h"
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void put(tti_collector *collector, const char *name, double value) {
  tti_buf json;
  tti_buf_init(&json, 64);
  tti_json_write_double(&json, value);
  if (!json.error)
    tti_collector_put(collector, TTI_SHAPE_NESTED, TTI_SLICE("process"),
                      tti_slice_of(name), tti_buf_slice(&json));
  tti_buf_fini(&json);
}

/* The entries of a directory of /proc; -1: there is none. */
static long entries_in(const char *path) {
  DIR *dir = opendir(path);
  long count = 0;
  if (!dir)
    return -1;
  for (struct dirent *entry; (entry = readdir(dir));)
    count += entry->d_name[0] != '.';
  closedir(dir);
  return count;
}

static void collect_memory(tti_collector *collector) {
  long pages;
  FILE *file = fopen("/proc/self/statm", "re");
  if (!file)
    return;
  if (fscanf(file, "%*d %ld", &pages) == 1)
    put(collector, "resident_bytes",
        (double)pages * (double)sysconf(_SC_PAGESIZE));
  fclose(file);
}

static double seconds(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void tti_process_collect(tti_collector *collector) {
  struct rusage usage;
  collect_memory(collector);
  long threads = entries_in("/proc/self/task");
  if (threads >= 0)
    put(collector, "threads", (double)threads);
  long files = entries_in("/proc/self/fd");
  if (files > 0)
    put(collector, "open_files", (double)files - 1); /* without the reading */
  if (getrusage(RUSAGE_SELF, &usage) == 0)
    put(collector, "cpu_seconds",
        seconds(usage.ru_utime) + seconds(usage.ru_stime));
}
