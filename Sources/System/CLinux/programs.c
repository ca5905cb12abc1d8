#define _GNU_SOURCE
#include <spawn.h>
#include "CLinux.h"

#include <fcntl.h>
#include <sys/mman.h>

int clinux_memory_file(void) { return memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING); }

int clinux_seal(int fd) {
  return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

int clinux_spawn_close_from(void *actions, int lowest) {
  return posix_spawn_file_actions_addclosefrom_np(actions, lowest);
}

short clinux_spawn_new_session(void) { return POSIX_SPAWN_SETSID; }
