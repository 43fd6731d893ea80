/* listener.c -- see listener.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "listener.h"
#include "log.h"
#include "systemd.h"

#define PLACE_MAX (CONFIG_SOCKET_MAX + 8)
#define NAMES_MAX ((CONFIG_LISTENERS_MAX + 1) * 16)
#define ELDER     "elder"

/* What a socket goes by on its way to this process, or to the next. */
static const struct kind {
	const char *name;
	bool given, ops, proxy, https;
} kinds[] = {
	{ "listen",        true,  false, false, false },        /* and any other name */
	{ "proxy",         true,  false, true,  false },
	{ "https",         true,  false, false, true  },
	{ "ops",           true,  true,  false, false },
	{ "ops-proxy",     true,  true,  true,  false },
	{ "ops-https",     true,  true,  false, true  },
	{ "own",           false, false, false, false },
	{ "own-proxy",     false, false, true,  false },
	{ "own-https",     false, false, false, true  },
	{ "own-ops",       false, true,  false, false },
	{ "own-ops-proxy", false, true,  true,  false },
	{ "own-ops-https", false, true,  false, true  },
};

static bool complain(const char *what, const char *which, const char *why)
{
	fprintf(stderr, "sidecart: %s: %s: %s\n", what, which, why);
	return false;
}

static bool is_unix(const struct config_listener *l)
{
	return l->path[0] != '\0';
}

/* `192.0.2.1:80`, `[2001:db8::1]:80` or `unix:/path`, NUL-terminated. */
static const char *place_text(char out[PLACE_MAX], const struct config_listener *l)
{
	struct buf text = { out, 0, PLACE_MAX - 1, false };
	bool v4 = address_is_ipv4(&l->address);

	buf_str(&text, is_unix(l) ? "unix:" : v4 ? "" : "[");
	if (is_unix(l)) {
		buf_str(&text, l->path);
	} else {
		address_write(&text, &l->address);
		buf_str(&text, v4 ? ":" : "]:");
		buf_uint(&text, l->port);
	}
	out[text.len] = '\0';
	return out;
}

void listener_log(const struct config *c, const int fds[CONFIG_LISTENERS_MAX])
{
	for (uint32_t i = 0; i < c->listener_count; i++) {
		struct config_listener l = c->listeners[i];
		struct sockaddr_storage bound = { 0 };
		socklen_t len = sizeof bound;
		char place[PLACE_MAX];

		getsockname(fds[i], (struct sockaddr *)&bound, &len);
		address_from_sockaddr(&bound, &l.address, &l.port);
		log_event(LOG_INFO, "listening", "address=%s%s%s%s%s", place_text(place, &l),
		          l.proxy ? " proxy=on" : "", l.https ? " tls=on" : "",
		          l.ops ? " surface=ops" : "", l.given ? " from=systemd" : "");
	}
}

/* A socket's file goes while it is still listened on: whoever finds none there may make his. */
void listener_close(const struct config *c, int fds[CONFIG_LISTENERS_MAX], bool last)
{
	for (uint32_t i = 0; i < c->listener_count; i++) {
		const struct config_listener *l = &c->listeners[i];

		if (fds[i] < 0)
			continue;
		if (last && is_unix(l) && !l->given)
			unlink(l->path);
		close(fds[i]);
		fds[i] = -1;
	}
}

/* A socket's file that nobody listens on, which is what a killed server leaves behind. */
static bool is_stale(const struct sockaddr_un *at)
{
	struct stat file;
	bool refused;
	int fd;

	if (lstat(at->sun_path, &file) != 0 || !S_ISSOCK(file.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 &&
	          errno == ECONNREFUSED;
	close(fd);
	return refused;
}

/* Owner and group may connect. */
static bool bind_path(int fd, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	mode_t before = umask(0117);
	bool bound;

	static_assert(sizeof at.sun_path >= CONFIG_SOCKET_MAX, "a path of the settings fits");
	memcpy(at.sun_path, path, strlen(path));
	bound = bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
	if (!bound && errno == EADDRINUSE) {
		if (is_stale(&at) && unlink(path) == 0)
			bound = bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
		else
			errno = EADDRINUSE;
	}
	umask(before);
	return bound;
}

/* Accepted sockets inherit it. */
static void set_nodelay(int fd)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static bool bind_address(int fd, const struct sockaddr_storage *at, socklen_t len)
{
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	set_nodelay(fd);
	if (at->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	return bind(fd, (const struct sockaddr *)at, len) == 0;
}

static bool listen_at(const struct config_listener *l, int *listener)
{
	struct sockaddr_storage at = { .ss_family = AF_UNIX };
	socklen_t len = is_unix(l) ? 0 : address_to_sockaddr(&l->address, l->port, &at);
	int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error;

	if (fd >= 0 && (is_unix(l) ? bind_path(fd, l->path) : bind_address(fd, &at, len)) &&
	    listen(fd, SOMAXCONN) == 0) {
		*listener = fd;
		return true;
	}
	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return false;
}

bool listener_open(const struct config *c, int fds[CONFIG_LISTENERS_MAX], bool paths)
{
	for (uint32_t i = 0; i < c->listener_count; i++) {
		const struct config_listener *l = &c->listeners[i];
		char place[PLACE_MAX];
		int error;

		if (fds[i] >= 0 || is_unix(l) != paths || listen_at(l, &fds[i]))
			continue;
		error = errno;
		return complain(l->ops ? "ops_listen" : "listen", place_text(place, l),
		                strerror(error));
	}
	return true;
}

static const struct kind *kind_named(struct slice name)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (slice_eq(name, slice_of(kinds[i].name)))
			return &kinds[i];
	return &kinds[0];
}

static const struct kind *kind_of(const struct config_listener *l)
{
	const struct kind *k = kinds;

	while (k->given != l->given || k->ops != l->ops || k->proxy != l->proxy ||
	       k->https != l->https)
		k++;
	assert(k < kinds + COUNT_OF(kinds));
	return k;
}

/* What the socket listens on; false where it does not listen, or no stream comes of it. */
static bool look_at(int fd, const struct kind *kind, struct config_listener *l)
{
	struct sockaddr_storage bound = { 0 };
	struct sockaddr_un path = { 0 };
	socklen_t len = sizeof bound;
	int value = 0;

	*l = (struct config_listener){ .given = kind->given, .ops = kind->ops,
		                       .proxy = kind->proxy, .https = kind->https };
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &(socklen_t){ sizeof value }) != 0 ||
	    value == 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &(socklen_t){ sizeof value }) != 0 ||
	    value != SOCK_STREAM || getsockname(fd, (struct sockaddr *)&bound, &len) != 0)
		return false;
	if (bound.ss_family == AF_INET || bound.ss_family == AF_INET6) {
		address_from_sockaddr(&bound, &l->address, &l->port);
		set_nodelay(fd);
		return true;
	}
	memcpy(&path, &bound, sizeof path);
	if (bound.ss_family != AF_UNIX || memchr(path.sun_path, '\0', sizeof l->path) == NULL)
		return false;
	memcpy(l->path, path.sun_path, sizeof l->path);
	if (!is_unix(l))        /* an abstract name */
		l->path[0] = '@';
	return true;
}

/* Port 0 of the settings is any port. */
static bool same_place(const struct config_listener *set, const struct config_listener *l)
{
	if (set->ops != l->ops || set->proxy != l->proxy || set->https != l->https ||
	    set->given != l->given)
		return false;
	if (is_unix(set) || is_unix(l))
		return slice_eq(slice_of(set->path), slice_of(l->path));
	return (set->port == 0 || set->port == l->port) &&
	       slice_eq(slice_bytes(set->address.bytes, sizeof set->address.bytes),
	                slice_bytes(l->address.bytes, sizeof l->address.bytes));
}

/* Gives an earlier generation's socket its place, or closes it. */
static void take_own(const struct config *c, int fds[CONFIG_LISTENERS_MAX], int fd,
                     const struct config_listener *l)
{
	for (uint32_t i = 0; i < c->listener_count; i++)
		if (fds[i] < 0 && same_place(&c->listeners[i], l)) {
			fds[i] = fd;
			return;
		}
	close(fd);
}

/* The first of its kind takes the place of what the settings say of it. */
static bool add_given(struct config *c, int fds[CONFIG_LISTENERS_MAX], int fd,
                      const struct config_listener *l)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->listener_count; i++)
		if (c->listeners[i].given || c->listeners[i].ops != l->ops) {
			fds[kept] = fds[i];
			c->listeners[kept++] = c->listeners[i];
		}
	c->listener_count = kept;
	if (kept == CONFIG_LISTENERS_MAX)
		return complain("LISTEN_FDS", "more sockets", "16 at most");
	fds[kept] = fd;
	c->listeners[c->listener_count++] = *l;
	return true;
}

static bool take_one(struct config *c, int fds[CONFIG_LISTENERS_MAX], int fd,
                     const struct kind *kind)
{
	struct config_listener l;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || !look_at(fd, kind, &l) ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		return complain("LISTEN_FDS", kind->name, "not a listening stream socket");
	if (kind->given)
		return add_given(c, fds, fd, &l);
	take_own(c, fds, fd, &l);
	return true;
}

/* All that were given, or all of an earlier generation. */
static bool take_all(struct config *c, int fds[CONFIG_LISTENERS_MAX], int elder, bool given)
{
	const uint32_t count = systemd_socket_count();

	for (uint32_t i = 0; i < count; i++) {
		const struct kind *kind = kind_named(systemd_socket_name(i));
		int fd = SYSTEMD_FIRST_SOCKET + (int)i;

		if (fd != elder && kind->given == given && !take_one(c, fds, fd, kind))
			return false;
	}
	return true;
}

bool listener_take(struct config *c, int fds[CONFIG_LISTENERS_MAX], int *elder)
{
	const uint32_t count = systemd_socket_count();

	*elder = -1;
	for (uint32_t i = 0; i < count; i++)
		if (slice_eq(systemd_socket_name(i), SLICE(ELDER)))
			*elder = SYSTEMD_FIRST_SOCKET + (int)i;
	if (*elder >= 0)
		fcntl(*elder, F_SETFD, FD_CLOEXEC);
	/* Given ones first: they change the list that the others are looked for in. */
	return take_all(c, fds, *elder, true) && take_all(c, fds, *elder, false);
}

bool listener_pass(const struct config *c, const int fds[CONFIG_LISTENERS_MAX], int elder)
{
	const uint32_t count = c->listener_count + 1;
	char text[NAMES_MAX];
	struct buf names = { text, 0, sizeof text - 1, false };
	int aside[CONFIG_LISTENERS_MAX + 1];

	/* Aside first: any of them may lie where another is to go. */
	for (uint32_t i = 0; i < count; i++) {
		aside[i] = fcntl(i < c->listener_count ? fds[i] : elder, F_DUPFD_CLOEXEC,
		                 SYSTEMD_FIRST_SOCKET + (int)count);
		if (aside[i] < 0)
			return false;
		buf_str(&names, i < c->listener_count ? kind_of(&c->listeners[i])->name : ELDER);
		buf_str(&names, i + 1 < count ? ":" : "");
	}
	for (uint32_t i = 0; i < count; i++)
		if (dup2(aside[i], SYSTEMD_FIRST_SOCKET + (int)i) < 0)
			return false;
	assert(!names.full);
	text[names.len] = '\0';
	return systemd_pass_sockets(count, text);
}
