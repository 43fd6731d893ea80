/* server.h -- a front: connections on an edge-triggered epoll loop, answers out of the store.
 *
 * It parses, judges and answers what only reads at once, on a snapshot of its own read-only
 * store; what writes goes whole to the writer and comes back as a finished response.
 * Memory  all had at start and sized by the settings; a page is touched when first used. An
 *         idle connection holds no buffer.
 */
#ifndef SERVER_H
#define SERVER_H

#include "config.h"

struct tls_identity;

/* Serves `listeners` (sockets that listen and do not block, in the order of the settings'
 * listeners), those with https: under `identity`, which it wipes here, until the supervisor at
 * the other end of `control` is gone, or says so and the last connection has ended; returns the
 * exit status of the process. */
int server_run(const struct config *config, int control, const int *listeners,
               struct tls_identity *identity);

#endif
