// What Transport uses of libssh, and of Linux for waiting on sockets. Only Transport imports this module.
#pragma once

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <malloc.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

// Declared in libssh/server.h, which drags the whole server side in. Reads what the socket holds, once and without
// waiting, and answers requests that we serve nothing of: the one public call that does this for a client.
int ssh_execute_message_callbacks(ssh_session session);

#include <sys/prctl.h>
#ifndef POLLRDHUP
#define POLLRDHUP 0x2000
#endif

/// The calling thread's name, as tools show it; at most 15 bytes. pthread_setname_np(3) is not in Swift's Glibc.
static inline void portcullis_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
