/* probe.h -- asks a sidecart server for one document over HTTP/1.1: what commands need.
 *
 * A server is named as a listener is in the settings. One that listens on all addresses is
 * asked on the loopback, one behind proxy: gets a PROXY header. Nothing here resolves names,
 * and nothing speaks TLS.
 * Errors  one line in `error`.
 * Limits  PROBE_WAIT_MS from the first step to the last byte.
 */
#ifndef PROBE_H
#define PROBE_H

#include "config.h"

#define PROBE_WAIT_MS   5000
#define PROBE_ERROR_MAX 256
#define PROBE_URL_MAX   512

struct probe {
	struct config_listener server;
	char document[PROBE_URL_MAX];   /* the request's target */
	char name[PROBE_URL_MAX];       /* of the server, for people */
};

/* The server that listens there; false: the kernel picks its port, so nobody can know it. */
bool probe_listener(struct probe *p, const struct config_listener *l, const char *document);

/* Reads `http://ADDRESS:PORT/DOCUMENT`, also without http:// or the document (then /healthz),
 * or `unix:PATH`. Port 80 is what http:// has without one; localhost is 127.0.0.1. */
bool probe_parse(struct probe *p, struct slice url, char error[PROBE_ERROR_MAX]);

/* The answer's status and its body, which points into `answer`; 0 with `error`: none came. */
uint32_t probe_ask(const struct probe *p, struct buf *answer, struct slice *body,
                   char error[PROBE_ERROR_MAX]);

#endif
