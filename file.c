/* file.c -- see file.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

bool file_write(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno != EINTR)
			return false;
		bytes = slice_skip(bytes, n > 0 ? (size_t)n : 0);
	}
	return true;
}

bool file_read(int fd, struct buf *text)
{
	ssize_t n = 1;

	while (n != 0 && text->len < text->cap) {
		n = read(fd, text->ptr + text->len, text->cap - text->len);
		if (n < 0 && errno != EINTR)
			return false;
		text->len += n > 0 ? (size_t)n : 0;
	}
	return true;
}

bool file_load(const char *path, struct buf *text)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), why;
	bool done;

	if (fd < 0)
		return false;
	done = file_read(fd, text);
	why = errno;
	close(fd);
	errno = why;
	return done;
}

int file_make(const char *dir, char path[FILE_PATH_MAX])
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);

	snprintf(path, FILE_PATH_MAX, "/proc/self/fd/%d", fd);
	if (fd >= 0 && access(path, F_OK) == 0)
		return fd;
	if (fd >= 0)            /* there is no /proc */
		close(fd);
	if (snprintf(path, FILE_PATH_MAX, "%s/new.XXXXXX", dir) < FILE_PATH_MAX)
		return mkostemp(path, O_CLOEXEC);
	errno = ENAMETOOLONG;
	return -1;
}
