/* seccomp.h -- the few system calls that a process makes from here on; any other kills it.
 *
 * Each kind of process has its own list. What a process opens, it opens before: none of the
 * lists has open, socket, connect, execve or fork, and no memory can be made executable.
 * Errors  one line on standard error that names the setting to turn it off.
 * Source  seccomp(2); Documentation/userspace-api/seccomp_filter.rst of Linux.
 */
#ifndef SECCOMP_H
#define SECCOMP_H

#include "config.h"

enum seccomp_role {
	SECCOMP_FRONT  = 1 << 0,
	SECCOMP_WRITER = 1 << 1,
	SECCOMP_HASHER = 1 << 2,
};

/* Enters the filter for good; with seccomp=off does nothing. False: the kernel refused. */
bool seccomp_enter(const struct config *config, enum seccomp_role role);

#endif
