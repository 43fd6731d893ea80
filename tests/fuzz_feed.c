/* fuzz_feed.c -- files cut into records: byte by byte as at once; and sessions of Django. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "django.h"
#include "feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CUTS_MAX 4096

static void need(bool true_always)
{
	if (!true_always)
		abort();
}

/* What came out: lengths of records and cells, lines, and how it ended. */
struct seen {
	uint64_t sum, line, records;
	enum feed_status end;
};

static void add(struct seen *s, struct slice part)
{
	for (size_t i = 0; i < part.len; i++)
		s->sum = s->sum * 31 + (unsigned char)part.ptr[i];
	s->sum = s->sum * 31 + part.len;
}

static enum feed_status take(struct feed *f, int how, struct seen *s)
{
	struct slice cells[FEED_CELLS_MAX];
	size_t count = 1;
	enum feed_status status = how == 0 ? feed_line(f, &cells[0]) :
	                          how == 1 ? feed_row(f, cells, &count) :
	                                     feed_element(f, &cells[0]);

	s->end = status;
	s->line = f->line;
	if (status != FEED_RECORD)
		return status;
	need(count > 0 && count <= FEED_CELLS_MAX);
	for (size_t i = 0; i < count; i++) {
		need(cells[i].len == 0 || (cells[i].ptr >= f->bytes &&
		     cells[i].ptr + cells[i].len <= f->bytes + f->end));
		add(s, cells[i]);
	}
	if (how == 2)
		need(cells[0].ptr[0] == '{');
	s->records++;
	return status;
}

static struct seen read_all(int fd, int how, size_t chunk)
{
	static struct feed f;
	struct seen s = { .sum = 0 };

	lseek(fd, 0, SEEK_SET);
	feed_open_fd(&f, fd);
	f.chunk = chunk;
	while (take(&f, how, &s) == FEED_RECORD)
		continue;
	need((s.end == FEED_BROKEN) == (f.error != NULL));
	return s;
}

static void check_feed(struct slice text)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("feed", MFD_CLOEXEC);
	need(ftruncate(fd, 0) == 0 && pwrite(fd, text.ptr, text.len, 0) == (ssize_t)text.len);
	for (int how = 0; how < 3; how++) {
		struct seen whole = read_all(fd, how, 0), bytes = read_all(fd, how, 1);

		need(whole.sum == bytes.sum && whole.line == bytes.line);
		need(whole.records == bytes.records && whole.end == bytes.end);
	}
}

static void check_session(struct slice stored)
{
	static char bytes[DJANGO_SESSION_MAX], again_bytes[2 * DJANGO_SESSION_MAX];
	struct buf json = BUF(bytes), again = BUF(again_bytes);
	uint64_t written_s, us;

	django_session_read(stored, SLICE("secret"), &json, &written_s);
	django_time_read(stored, &us);
	/* Signed as it should be: what is packed is reached. */
	if (stored.len < DJANGO_SESSION_MAX / 2) {
		django_session_write(&again, SLICE("secret"), stored, 1);
		json.len = 0;
		need(django_session_read(buf_slice(&again), SLICE("secret"), &json, &written_s) ==
		     DJANGO_OK);
		need(slice_eq(buf_slice(&json), stored));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice text = slice_bytes(data, len < CUTS_MAX ? len : CUTS_MAX);

	if (text.len == 0)
		return 0;
	check_feed(text);
	check_session(text);
	return 0;
}
