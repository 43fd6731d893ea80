/* file.c -- see file.h. */
#include <errno.h>
#include <fcntl.h>
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
