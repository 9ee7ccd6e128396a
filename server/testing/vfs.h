#ifndef TESTING_VFS_H
#define TESTING_VFS_H

#include <stddef.h>
#include <stdint.h>

/* A disk that can lose power. Over the default SQLite VFS: what is written to a
 * database, its journal or its write-ahead log stays in memory, seen by every
 * connection of this process, until the file is synced. The cut lets a random
 * part of what was not synced reach the files, in whole writes or in 512-byte
 * sectors of them, and loses the rest. The index in shared memory, temporary
 * files, and the making and removing of files are as they always are. */
#define TESTING_VFS_NAME "telltale-power"

/* Registers it (not as the default), or starts it again with nothing held: the
 * power is on, and `seed` decides what the next cut keeps. Only while no file
 * is open through it. An SQLite result code. */
int testing_vfs_register(uint64_t seed);

/* TESTING_VFS_NAME, registered with the seed in the environment variable
 * TELLTALE_TEST_VFS; NULL where that is not set. Thread-safe. */
const char *testing_vfs_name(void);

/* The power goes: afterwards every call on a held file answers an error. */
void testing_vfs_cut(void);

/* The cut, then SIGKILL to this process. Without the VFS: only that. */
_Noreturn void testing_power_cut(void);

/* Writes and truncations that are held back now. */
size_t testing_vfs_held(void);

#endif
