/* Stands in for libFuzzer where it is not: feeds every file named, or every
 * file of a folder named, to the fuzzer once, so that a kept breaker stays
 * fixed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    perror(path);
    return 1;
  }
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  /* The size asked for is the size used, so that ASan sees any overrun. */
  uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
  size_t got = data ? fread(data, 1, (size_t)size, file) : 0;
  fclose(file);
  if (!data)
    return 1;
  LLVMFuzzerTestOneInput(data, got);
  free(data);
  return 0;
}

int main(int argc, char **argv) {
  size_t count = 0;
  for (int i = 1; i < argc; i++) {
    struct stat info;
    if (stat(argv[i], &info) != 0) {
      perror(argv[i]);
      return 1;
    }
    if (!S_ISDIR(info.st_mode)) {
      if (replay_file(argv[i]))
        return 1;
      count++;
      continue;
    }
    DIR *dir = opendir(argv[i]);
    if (!dir)
      return 1;
    for (struct dirent *entry; (entry = readdir(dir));) {
      char path[4096];
      if (entry->d_name[0] == '.')
        continue;
      snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
      if (replay_file(path))
        return 1;
      count++;
    }
    closedir(dir);
  }
  printf("%zu inputs replayed\n", count);
  return count == 0;
}
