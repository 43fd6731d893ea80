/* supervisor.h -- the parent of all: listening sockets, children, links, signals.
 *
 * It opens nothing of the store and touches no request. It takes or binds the listeners, drops
 * privileges, starts the writer, then the fronts, and hashers when they are asked for; links
 * them to each other; starts anew who died or hangs; takes new settings on SIGHUP; lets the
 * next generation take over on SIGUSR2; and lets all end in order on SIGTERM or SIGINT.
 * The service manager hears of each (systemd.h).
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "config.h"

/* Makes the store's directory where there is none; as root, for the account that is to
 * serve. Returns 0; 100 where that account is unknown, 111 where the system failed: then one
 * line on standard error says so. */
int supervisor_make_data(const struct config *config);

struct supervisor_start {
	const struct config *config;
	/* Reads the settings anew, from where they were read; false with one line in `error`. */
	bool (*read_settings)(void *context, struct config *c, char error[CONFIG_ERROR_MAX]);
	void *context;
	char *const *arguments;         /* of this process: the next generation gets the same */
};

/* Serves until it is told to stop; returns the exit status: 0, 100 where a setting is wrong,
 * 111 where the system failed. */
int supervisor_run(const struct supervisor_start *begin);

#endif
