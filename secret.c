/* secret.c -- see secret.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "seal.h"
#include "secret.h"


/* A long path is cut, so that what follows it is not. */
static bool fail(char error[SECRET_ERROR_MAX], const char *path, const char *what)
{
	(void)snprintf(error, SECRET_ERROR_MAX, "%.300s: %s", path, what);
	return false;
}

/* What the system has refused; errno says why. */
static bool fail_system(char error[SECRET_ERROR_MAX], const char *path, const char *what)
{
	(void)snprintf(error, SECRET_ERROR_MAX,
	               "%.300s: %s: %s; check the path and who owns it", path, what,
	               strerror(errno));
	return false;
}

static bool is_private(int fd, const char *path, char error[SECRET_ERROR_MAX])
{
	struct stat file;

	if (fstat(fd, &file) != 0)
		return fail_system(error, path, "cannot be examined");
	if (!S_ISREG(file.st_mode))
		return fail(error, path, "no regular file; a secret is kept in a file of its own");
	if ((file.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		(void)snprintf(error, SECRET_ERROR_MAX,
		               "%.300s: mode %04o lets others at the secret; set it to 0600",
		               path, (unsigned)file.st_mode & 07777);
		return false;
	}
	return true;
}

bool secret_sync_parent(const char *path, char error[SECRET_ERROR_MAX])
{
	char parent[PATH_MAX];
	size_t len = strlen(path);
	bool done;
	int fd;

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	(void)snprintf(parent, sizeof parent, "%.*s", len > 0 ? (int)len : 1, len > 0 ? path : ".");
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_system(error, parent, "cannot be opened");
	done = fsync(fd) == 0 || fail_system(error, parent, "cannot be synced");
	close(fd);
	return done;
}

/* Root makes files for the owner of the directory, who is to serve from it. */
static bool give(int fd, const struct stat *directory)
{
	return geteuid() != 0 || directory->st_uid == 0 ||
	       fchown(fd, directory->st_uid, directory->st_gid) == 0;
}

/* The text is written and synced under another name and only then linked to `path`, so that a
 * crash leaves no file or a whole one. One that came first, from another process, stays, unless
 * it is to be replaced. */
static bool write_file(const char *path, struct slice text, const struct stat *directory,
                       bool replace, char error[SECRET_ERROR_MAX])
{
	char name[PATH_MAX];
	uint64_t random;
	bool done;
	int fd;

	secret_random(&random, sizeof random);
	(void)snprintf(name, sizeof name, "%s.%016llx", path, (unsigned long long)random);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return fail_system(error, path, "cannot be made");
	done = give(fd, directory) && file_write(fd, text) && fsync(fd) == 0 &&
	       (replace ? rename(name, path) == 0 : link(name, path) == 0 || errno == EEXIST);
	if (!done)
		fail_system(error, path, "cannot be made");
	close(fd);
	unlink(name);
	return done && secret_sync_parent(path, error);
}

static bool exists(const char *path)
{
	struct stat file;

	return lstat(path, &file) == 0;
}

static bool make_directory(const char *data, struct stat *directory, char error[SECRET_ERROR_MAX])
{
	if (mkdir(data, S_IRWXU) == 0) {
		if (!secret_sync_parent(data, error))
			return false;
	} else if (errno != EEXIST) {
		return fail_system(error, data, "cannot be made");
	}
	if (stat(data, directory) != 0)
		return fail_system(error, data, "cannot be examined");
	if (!S_ISDIR(directory->st_mode))
		return fail(error, data, "no directory; data names the store's directory");
	return true;
}

static bool make_sid_secret(const char *path, const struct stat *directory,
                            char error[SECRET_ERROR_MAX])
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char text[32];
	bool done;

	secret_random(text, sizeof text);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = alphabet[text[i] & 63];
	done = write_file(path, (struct slice){ text, sizeof text }, directory, false, error);
	explicit_bzero(text, sizeof text);
	return done;
}

static bool make_seal_key(const char *path, const struct stat *directory,
                          char error[SECRET_ERROR_MAX])
{
	uint8_t key[SEAL_KEY_LEN];
	char text[2 * SEAL_KEY_LEN];
	struct buf hex = BUF(text);
	bool done;

	secret_random(key, sizeof key);
	buf_hex(&hex, slice_bytes(key, sizeof key));
	done = write_file(path, buf_slice(&hex), directory, false, error);
	explicit_bzero(key, sizeof key);
	explicit_bzero(text, sizeof text);
	return done;
}

static void seal_key_path(char path[PATH_MAX], const char *data)
{
	(void)snprintf(path, PATH_MAX, "%s/seal.key", data);
}

void secret_random(void *out, size_t len)
{
	char *at = out;

	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno != EINTR)
			abort();
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

bool secret_write(const char *path, struct slice secret, const char *data,
                  char error[SECRET_ERROR_MAX])
{
	struct stat directory;

	if (stat(data, &directory) != 0)
		return fail_system(error, data, "cannot be examined");
	return write_file(path, secret, &directory, true, error);
}

bool secret_read(const char *path, struct buf *out, char error[SECRET_ERROR_MAX])
{
	char text[SECRET_MAX + 2];      /* a newline, and one byte that is too much */
	struct buf file = BUF(text);
	struct slice secret;
	bool done = false;
	/* A FIFO would hold up an open() that waits. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return fail_system(error, path, "cannot be opened");
	if (is_private(fd, path, error))
		done = file_read(fd, &file) || fail_system(error, path, "cannot be read");
	close(fd);
	if (!done)
		return false;
	secret = buf_slice(&file);
	if (secret.len > 0 && text[secret.len - 1] == '\n')
		secret.len--;
	if (secret.len == 0)
		return fail(error, path, "empty; write the secret into it, or remove it");
	buf_put(out, secret);
	explicit_bzero(text, sizeof text);
	if (secret.len > SECRET_MAX || out->full)
		return fail(error, path, "too long for a secret; check that it is the right file");
	return true;
}

bool secret_create(const char *data, const char *sid_secret_path, char error[SECRET_ERROR_MAX])
{
	struct stat directory;
	char path[PATH_MAX];

	seal_key_path(path, data);
	return make_directory(data, &directory, error) &&
	       (exists(sid_secret_path) || make_sid_secret(sid_secret_path, &directory, error)) &&
	       (exists(path) || make_seal_key(path, &directory, error));
}

bool secret_read_seal_key(const char *data, uint8_t key[32], char error[SECRET_ERROR_MAX])
{
	char path[PATH_MAX], text[SECRET_MAX];
	struct buf hex = BUF(text);
	bool sound;

	seal_key_path(path, data);
	if (!secret_read(path, &hex, error))
		return false;
	sound = hex_decode(buf_slice(&hex), key, SEAL_KEY_LEN);
	explicit_bzero(text, sizeof text);
	return sound || fail(error, path, "not 64 hexadecimal digits; restore it from a backup");
}
