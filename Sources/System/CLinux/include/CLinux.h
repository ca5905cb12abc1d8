// What Swift cannot call itself: variadic functions, macros and system calls without a wrapper in the Glibc module.
#pragma once

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

/// pidfd_open(2): a descriptor that becomes readable when the process ends, or -1 with errno.
int clinux_pidfd_open(pid_t pid);

/// pidfd_send_signal(2): never reaches another process that got the same id meanwhile.
int clinux_pidfd_send_signal(int pidfd, int signal);

/// unshare(2). Acts on the calling thread only, so callers are re-executed children with one thread.
int clinux_unshare(int flags);

/// setns(2). Acts on the calling thread only.
int clinux_setns(int fd, int kind);

/// pivot_root(2).
int clinux_pivot_root(const char *new_root, const char *put_old);

/// SO_PEERCRED of a connected unix socket; 0, or -1 with errno.
int clinux_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid);

/// ioctl(FIONREAD): bytes waiting in a descriptor, or -1 with errno.
int clinux_bytes_waiting(int fd);
