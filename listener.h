/* listener.h -- the listening sockets: opened, taken over, handed on, closed.
 *
 * `fds` stands beside the listeners of the settings: fds[i] is the socket of listeners[i], -1
 * where it is not open. A socket has one of two origins. Those that a service manager opened
 * stand in place of all that the settings say of their kind: `ops_listen` where the socket's
 * name is `ops`, `ops-proxy` or `ops-https`, else `listen`; with `proxy` in its name connections
 * begin with a PROXY header, with `https` they are TLS. Those that an earlier generation of the
 * server opened are taken where the settings still name their place; else they are closed.
 *
 * Errors  false with one line on standard error.
 * Source  sd_listen_fds(3), unix(7).
 */
#ifndef LISTENER_H
#define LISTENER_H

#include "config.h"

/* Takes what this process was started with, which may change the list of `c`. `*elder`: the
 * other end is the generation before, which waits to hear that this one serves; -1: none. */
bool listener_take(struct config *c, int fds[CONFIG_LISTENERS_MAX], int *elder);

/* Opens those on addresses, which a port below 1024 may need root for, or those on paths, whose
 * files belong to the account that serves. */
bool listener_open(const struct config *c, int fds[CONFIG_LISTENERS_MAX], bool paths);

/* Logs one line each, with the port that the kernel gave. */
void listener_log(const struct config *c, const int fds[CONFIG_LISTENERS_MAX]);

/* Closes all. `last`: nobody else listens on them, and the files of their paths go too. */
void listener_close(const struct config *c, int fds[CONFIG_LISTENERS_MAX], bool last);

/* In the process that is about to become the next generation: puts the sockets and the other
 * end of its `elder` where listener_take() will look. */
bool listener_pass(const struct config *c, const int fds[CONFIG_LISTENERS_MAX], int elder);

#endif
