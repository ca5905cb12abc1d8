#define _GNU_SOURCE
#include "CLinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_ether.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>
#include <unistd.h>

int clinux_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int clinux_pidfd_send_signal(int pidfd, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int clinux_unshare(int flags) { return unshare(flags); }

int clinux_setns(int fd, int kind) { return setns(fd, kind); }

int clinux_pivot_root(const char *new_root, const char *put_old) {
  return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int clinux_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
  *pid = peer.pid;
  *uid = peer.uid;
  *gid = peer.gid;
  return 0;
}

int clinux_bytes_waiting(int fd) {
  int waiting = 0;
  return ioctl(fd, FIONREAD, &waiting) == 0 ? waiting : -1;
}

int clinux_overlay_opaque(const char *path) { return lsetxattr(path, "trusted.overlay.opaque", "y", 1, 0); }

int clinux_mounts_read_only(const char *path) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &attributes, sizeof attributes);
}

// ioctl(2) on a socket of the family, which is how addresses were set before netlink, and takes no program and no
// message building.
static int interface_ioctl(int family, unsigned long request, void *argument) {
  int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int result = ioctl(fd, request, argument);
  int saved = errno;
  close(fd);
  errno = saved;
  return result;
}

static int named(struct ifreq *request, const char *name) {
  memset(request, 0, sizeof *request);
  if (strlen(name) >= IFNAMSIZ) {
    errno = EINVAL;
    return -1;
  }
  strcpy(request->ifr_name, name);
  return 0;
}

int clinux_interface_up(const char *name) {
  struct ifreq request;
  if (named(&request, name) != 0 || interface_ioctl(AF_INET, SIOCGIFFLAGS, &request) != 0) return -1;
  request.ifr_flags |= IFF_UP;
  return interface_ioctl(AF_INET, SIOCSIFFLAGS, &request);
}

// The kernel's struct in6_ifreq; its header does not go together with <netinet/in.h> everywhere.
struct address6_request {
  struct in6_addr address;
  uint32_t prefix;
  int index;
};

int clinux_interface_address(const char *name, const char *address, int prefix) {
  struct ifreq request;
  if (named(&request, name) != 0) return -1;
  struct sockaddr_in *v4 = (struct sockaddr_in *)&request.ifr_addr;
  struct address6_request v6 = {.prefix = (uint32_t)prefix};
  if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    if (interface_ioctl(AF_INET, SIOCSIFADDR, &request) != 0 && errno != EEXIST) return -1;
    v4->sin_addr.s_addr = prefix == 0 ? 0 : htonl(~0u << (32 - prefix));
    return interface_ioctl(AF_INET, SIOCSIFNETMASK, &request);
  }
  if (inet_pton(AF_INET6, address, &v6.address) != 1) {
    errno = EINVAL;
    return -1;
  }
  v6.index = (int)if_nametoindex(name);
  if (v6.index == 0) return -1;
  int result = interface_ioctl(AF_INET6, SIOCSIFADDR, &v6);
  return result != 0 && errno == EEXIST ? 0 : result;
}

// The kernel's struct in6_rtmsg.
struct route6_request {
  struct in6_addr destination, source, gateway;
  uint32_t type;
  uint16_t destination_length, source_length;
  uint32_t metric;
  unsigned long info;
  uint32_t flags;
  int index;
};

int clinux_default_route(const char *name, const char *gateway) {
  struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = (char *)name};
  struct sockaddr_in *v4 = (struct sockaddr_in *)&route.rt_gateway;
  struct route6_request v6 = {.metric = 1024, .flags = RTF_UP | RTF_GATEWAY};
  if (inet_pton(AF_INET, gateway, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    route.rt_dst.sa_family = route.rt_genmask.sa_family = AF_INET;
    return interface_ioctl(AF_INET, SIOCADDRT, &route);
  }
  if (inet_pton(AF_INET6, gateway, &v6.gateway) != 1) {
    errno = EINVAL;
    return -1;
  }
  v6.index = (int)if_nametoindex(name);
  return v6.index == 0 ? -1 : interface_ioctl(AF_INET6, SIOCADDRT, &v6);
}

int clinux_frame_socket(const char *name) {
  struct sockaddr_ll where = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
  where.sll_ifindex = (int)if_nametoindex(name);
  if (where.sll_ifindex == 0) return -1;
  // Without a protocol nothing is received until it is bound to the one interface.
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  int yes = 1, room = 8 << 20;
  if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof yes) != 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0 ||
      bind(fd, (struct sockaddr *)&where, sizeof where) != 0) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

int clinux_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK); }

int clinux_boot_timer(void) { return timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK); }

int clinux_boot_timer_set(int timer, uint64_t nanoseconds) {
  struct itimerspec when = {.it_value = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000}};
  return timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

// The first object that dl_iterate_phdr(3) shows is the executable itself.
static int release_code(struct dl_phdr_info *object, size_t size, void *result) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &object->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || (part->p_flags & PF_W) != 0) continue;
    uintptr_t start = ((uintptr_t)object->dlpi_addr + part->p_vaddr + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)object->dlpi_addr + part->p_vaddr + part->p_filesz) / page * page;
    if (start < end && madvise((void *)start, end - start, MADV_DONTNEED) != 0) *(int *)result = -1;
  }
  return 1;
}

int clinux_release_code(void) {
  int result = 0;
  dl_iterate_phdr(release_code, &result);
  return result;
}

void clinux_release_heap(void) { malloc_trim(0); }

int clinux_keep_room(int fd, off_t offset, off_t length) {
  return fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length);
}
