/* systemd.c -- see systemd.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "systemd.h"

#define MESSAGE_MAX 256
#define SOCKETS_MAX 1024

/* A number of the environment; false where it is absent or none. */
static bool read_number(const char *name, uint64_t max, uint64_t *n)
{
	const char *text = getenv(name);

	return text != NULL && slice_uint(slice_of(text), max, n);
}

/* True where `name` is absent or says this process. */
static bool is_meant(const char *name, bool absent)
{
	uint64_t pid;

	if (getenv(name) == NULL)
		return absent;
	return read_number(name, INT32_MAX, &pid) && pid == (uint64_t)getpid();
}

/* The address of NOTIFY_SOCKET; its length, or 0 where it has none. */
static socklen_t manager(struct sockaddr_un *at)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path != NULL ? strlen(path) : 0;

	if (len < 2 || len >= sizeof at->sun_path || (path[0] != '/' && path[0] != '@'))
		return 0;
	*at = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(at->sun_path, path, len);
	if (path[0] == '@')     /* an abstract name begins with NUL, and ends with its length */
		at->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

void systemd_notify(const char *fmt, ...)
{
	struct sockaddr_un at;
	socklen_t at_len = manager(&at);
	char message[MESSAGE_MAX];
	va_list values;
	int len, fd;

	if (at_len == 0)
		return;
	va_start(values, fmt);
	len = vsnprintf(message, sizeof message, fmt, values);
	va_end(values);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (len > 0 && len < (int)sizeof message)
		sendto(fd, message, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT,
		       (const struct sockaddr *)&at, at_len);
	close(fd);
}

void systemd_notify_reloading(void)
{
	struct timespec t;
	unsigned long long us;

	clock_gettime(CLOCK_MONOTONIC, &t);
	us = (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000;
	systemd_notify("RELOADING=1\nMONOTONIC_USEC=%llu", us);
}

uint64_t systemd_watchdog_ms(void)
{
	uint64_t us;

	if (!read_number("WATCHDOG_USEC", UINT32_MAX * (uint64_t)1000, &us) ||
	    !is_meant("WATCHDOG_PID", true))
		return 0;
	return us / 1000;
}

uint32_t systemd_socket_count(void)
{
	uint64_t count;

	if (!read_number("LISTEN_FDS", SOCKETS_MAX, &count) || !is_meant("LISTEN_PID", false))
		return 0;
	return (uint32_t)count;
}

struct slice systemd_socket_name(uint32_t index)
{
	const char *names = getenv("LISTEN_FDNAMES");
	struct slice rest = slice_of(names != NULL ? names : ""), name;

	do {
		name = slice_cut(&rest, ':');
	} while (index-- > 0);
	return name;
}

bool systemd_pass_sockets(uint32_t count, const char *names)
{
	char count_text[16], pid[16];

	snprintf(count_text, sizeof count_text, "%u", count);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	return setenv("LISTEN_FDS", count_text, 1) == 0 && setenv("LISTEN_PID", pid, 1) == 0 &&
	       setenv("LISTEN_FDNAMES", names, 1) == 0 &&
	       (getenv("WATCHDOG_PID") == NULL || setenv("WATCHDOG_PID", pid, 1) == 0);
}
