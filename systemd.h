/* systemd.h -- what a service manager and a service tell each other, without its library.
 *
 * Memory  names point into the environment.
 * Errors  a manager that cannot be reached is no fault: the service serves on.
 * Source  sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).
 */
#ifndef SYSTEMD_H
#define SYSTEMD_H

#include "bytes.h"

#define SYSTEMD_FIRST_SOCKET 3  /* SD_LISTEN_FDS_START */

/* Sends lines such as READY=1 to NOTIFY_SOCKET, a path or an abstract name; does nothing where
 * there is none. */
void systemd_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* READY=1 follows, once it was done. */
void systemd_notify_reloading(void);

/* Within which time WATCHDOG=1 is to be said again; 0: nobody waits for it. */
uint64_t systemd_watchdog_ms(void);

/* The sockets that this process was started with, SYSTEMD_FIRST_SOCKET and on; 0: none, or
 * they are meant for another process. */
uint32_t systemd_socket_count(void);

/* The name of the socket at `index`; empty where it has none. */
struct slice systemd_socket_name(uint32_t index);

/* In a process that is about to start the next generation: `count` sockets lie in place, and
 * go by `names`, a list with colons between. */
bool systemd_pass_sockets(uint32_t count, const char *names);

#endif
