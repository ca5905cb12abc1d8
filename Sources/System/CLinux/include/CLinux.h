// What Swift cannot call itself: variadic functions, macros and system calls without a wrapper in the Glibc module.
#pragma once

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

/// Marks an upper folder of an overlay as opaque: nothing of the folder under it shows. 0, or -1 with errno.
int clinux_overlay_opaque(const char *path);

/// mount_setattr(2): makes the mount at `path` and all below it read-only, in this mount namespace. 0, or -1 with errno.
int clinux_mounts_read_only(const char *path);

/// Sets an interface up. 0, or -1 with errno; ENODEV when there is none of that name.
int clinux_interface_up(const char *name);

/// Gives an interface a numeric address of either family with a prefix length. 0, or -1 with errno; an address it has
/// already is not an error.
int clinux_interface_address(const char *name, const char *address, int prefix);

/// Adds the default route of the gateway's family through an interface. 0, or -1 with errno.
int clinux_default_route(const char *name, const char *gateway);

/// A packet(7) socket that reads and writes whole Ethernet frames of one interface, each after a `struct virtio_net_hdr`
/// (PACKET_VNET_HDR) which carries what the sender left to the hardware: checksums and segmentation. It never reads what
/// it wrote itself, never blocks, and is closed on exec. The descriptor, or -1 with errno.
int clinux_frame_socket(const char *name);

/// accept4(2) with SOCK_CLOEXEC and SOCK_NONBLOCK: no moment in which a program started by another thread could inherit
/// the connection. The descriptor, or -1 with errno.
int clinux_accept(int listener);

/// pipe2(2) with O_CLOEXEC and O_NONBLOCK. 0, or -1 with errno.
int clinux_pipe(int ends[2]);

/// timerfd_create(2) of CLOCK_BOOTTIME, close-on-exec and never blocking: readable as soon as its time has come, also when
/// that was while the machine slept. The descriptor, or -1 with errno.
int clinux_boot_timer(void);

/// timerfd_settime(2): to a time of CLOCK_BOOTTIME in nanoseconds, or to none with 0. It is not readable until then. 0, or
/// -1 with errno.
int clinux_boot_timer_set(int timer, uint64_t nanoseconds);

/// memfd_create(2) with MFD_CLOEXEC and MFD_ALLOW_SEALING: a file in memory only. The descriptor, or -1 with errno.
int clinux_memory_file(void);

/// F_ADD_SEALS (fcntl(2)): from now on nobody can write, shrink, grow or unseal the memory file. 0, or -1 with errno.
int clinux_seal(int fd);

/// posix_spawn_file_actions_addclosefrom_np(3), `actions` being a posix_spawn_file_actions_t, which is void here so that
/// this header defines no type of the C library a second time: the child closes every descriptor from `lowest` on. 0, or
/// an errno.
int clinux_spawn_close_from(void *actions, int lowest);

/// POSIX_SPAWN_SETSID (posix_spawnattr_setflags(3)): the child leads a session of its own, without a terminal.
short clinux_spawn_new_session(void);

/// madvise(2) with MADV_DONTNEED over the executable's own code and constants: these pages leave this process, and come
/// back from the page cache as they are used again. They are mapped read-only, so nothing is lost. 0, or -1 with errno.
int clinux_release_code(void);

/// malloc_trim(3): gives what is free on every heap back to the kernel.
void clinux_release_heap(void);

/// fallocate(2) with FALLOC_FL_KEEP_SIZE: the disk keeps these bytes free for the file, which does not grow. 0, or -1 with
/// errno.
int clinux_keep_room(int fd, off_t offset, off_t length);
