/* feed.c -- see feed.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "feed.h"

/* How far a record has been looked at. */
struct scan {
	uint64_t depth;         /* brackets that are open */
	bool quoted;            /* within quotes */
	bool escaped;           /* behind a backslash */
	bool done;
};

/* Looks at the next bytes of a record; says how many of them belong to it. */
typedef size_t look(struct scan *s, struct slice in);

void feed_open_fd(struct feed *f, int fd)
{
	struct stat file;

	f->fd = fd;
	f->error = NULL;
	f->size = fstat(fd, &file) == 0 && S_ISREG(file.st_mode) ? (uint64_t)file.st_size : 0;
	f->taken = f->passed = 0;
	f->line = 1;
	f->chunk = f->start = f->end = f->given = 0;
	f->ended = f->opened = f->separated = false;
}

bool feed_open(struct feed *f, const char *path)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	struct stat file;

	if (fd < 0)
		return false;
	if (fstat(fd, &file) == 0 && S_ISDIR(file.st_mode)) {
		close(fd);
		errno = EISDIR;
		return false;
	}
	feed_open_fd(f, fd);
	return true;
}

void feed_close(struct feed *f)
{
	if (f->fd > STDIN_FILENO)
		close(f->fd);
	f->fd = -1;
}

static enum feed_status broken(struct feed *f, const char *error)
{
	f->error = error;
	return FEED_BROKEN;
}

static struct slice held(const struct feed *f)
{
	return (struct slice){ f->bytes + f->start, f->end - f->start };
}

/* Reads on; false at the end of the file, and where reading fails (f->error). */
static bool more(struct feed *f)
{
	size_t room;
	ssize_t n;

	if (f->ended)
		return false;
	if (f->start > 0)
		memmove(f->bytes, f->bytes + f->start, f->end - f->start);
	f->end -= f->start;
	f->start = 0;
	assert(f->end < sizeof f->bytes);
	room = sizeof f->bytes - f->end;
	if (f->chunk > 0 && f->chunk < room)
		room = f->chunk;
	do
		n = read(f->fd, f->bytes + f->end, room);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		f->ended = true;
		f->error = n < 0 ? strerror(errno) : NULL;
		return false;
	}
	f->end += (size_t)n;
	f->taken += (uint64_t)n;
	return true;
}

/* Lets go of the first `n` bytes that are held, and counts their lines. */
static void pass(struct feed *f, size_t n)
{
	struct slice rest = { f->bytes + f->start, n };

	while (rest.len > 0) {
		const char *end = memchr(rest.ptr, '\n', rest.len);

		if (end == NULL)
			break;
		f->passed++;
		rest = slice_skip(rest, (size_t)(end - rest.ptr) + 1);
	}
	f->start += n;
}

/* Lets go of the record that was given last. */
static void next(struct feed *f)
{
	pass(f, f->given);
	f->given = 0;
	f->line = f->passed + 1;
}

/* The record in front, whose end `looks` knows. Where the file ends first, what is there is
 * given all the same. */
static enum feed_status cut(struct feed *f, look *looks, struct slice *record, struct scan *s)
{
	size_t seen = 0;
	bool over = false;

	do {
		seen += looks(s, slice_skip(held(f), seen));
		if (seen > FEED_RECORD_MAX && !over) {
			over = true;
			memcpy(f->head, f->bytes + f->start, sizeof f->head);
		}
		if (over) {
			pass(f, seen);
			seen = 0;
		}
	} while (!s->done && more(f));
	f->given = seen;
	if (f->error != NULL)
		return FEED_BROKEN;
	*record = over ? (struct slice){ f->head, sizeof f->head } :
	                 (struct slice){ f->bytes + f->start, seen };
	if (over)
		return FEED_LONG;
	return s->done || seen > 0 ? FEED_RECORD : FEED_END;
}

/* The bytes up to and with the first end of a line. */
static size_t look_line(struct scan *s, struct slice in)
{
	const char *end = in.len > 0 ? memchr(in.ptr, '\n', in.len) : NULL;

	s->done = end != NULL;
	return s->done ? (size_t)(end - in.ptr) + 1 : in.len;
}

/* An end of a line within quotes ends no row. A doubled quote closes and opens. */
static size_t look_row(struct scan *s, struct slice in)
{
	for (size_t i = 0; i < in.len; i++) {
		if (in.ptr[i] == '"')
			s->quoted = !s->quoted;
		s->done = in.ptr[i] == '\n' && !s->quoted;
		if (s->done)
			return i + 1;
	}
	return in.len;
}

/* The bytes of a string, up to its closing quote. */
static size_t look_string(struct scan *s, struct slice in)
{
	size_t i;

	for (i = 0; i < in.len && s->quoted; i++) {
		if (s->escaped)
			s->escaped = false;
		else if (in.ptr[i] == '\\')
			s->escaped = true;
		else
			s->quoted = in.ptr[i] != '"';
	}
	return i;
}

/* An object, from its opening bracket to the one that closes it. Which kind closes which is
 * not looked at: json_parse() does. */
static size_t look_object(struct scan *s, struct slice in)
{
	size_t i = 0;

	while (i < in.len) {
		char c = in.ptr[i];

		if (s->quoted) {
			i += look_string(s, slice_skip(in, i));
			continue;
		}
		i++;
		if (c == '"')
			s->quoted = true;
		else if (c == '{' || c == '[')
			s->depth++;
		else if (c == '}' || c == ']')
			s->done = --s->depth == 0;
		if (s->done)
			break;
	}
	return i;
}

static struct slice without_end(struct slice line)
{
	if (line.len > 0 && line.ptr[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	return line;
}

enum feed_status feed_line(struct feed *f, struct slice *line)
{
	struct scan s = { .depth = 0 };
	enum feed_status status;

	next(f);
	status = cut(f, look_line, line, &s);
	if (status == FEED_RECORD)
		*line = without_end(*line);
	return status;
}

/* The cell in front of `*rest`, unquoted in place, without the comma behind it. */
static const char *take_cell(struct slice *rest, struct slice *cell)
{
	char *to = (char *)(uintptr_t)rest->ptr;
	size_t i = 1, len = 0;

	if (rest->len == 0 || rest->ptr[0] != '"') {
		*cell = slice_cut(rest, ',');
		return slice_has(*cell, '"') ? "a quote within a cell without quotes" : NULL;
	}
	for (; i < rest->len; i++) {
		if (rest->ptr[i] == '"' && (i + 1 == rest->len || rest->ptr[i + 1] != '"'))
			break;
		i += rest->ptr[i] == '"';
		to[len++] = rest->ptr[i];
	}
	*cell = (struct slice){ to, len };
	*rest = slice_skip(*rest, i + 1);
	if (rest->len == 0) {
		*rest = (struct slice){ 0 };
		return NULL;
	}
	if (rest->ptr[0] != ',')
		return "text behind a closing quote";
	*rest = slice_skip(*rest, 1);
	return NULL;
}

enum feed_status feed_row(struct feed *f, struct slice cells[FEED_CELLS_MAX], size_t *count)
{
	struct scan s = { .depth = 0 };
	struct slice row;
	enum feed_status status;

	next(f);
	*count = 0;
	status = cut(f, look_row, &row, &s);
	if (status != FEED_END && status != FEED_BROKEN && s.quoted)
		return broken(f, "a quote that is not closed");
	if (status != FEED_RECORD)
		return status;
	row = without_end(row);
	do {
		const char *error;

		if (*count == FEED_CELLS_MAX)
			return broken(f, "too many cells in a row");
		error = take_cell(&row, &cells[(*count)++]);
		if (error != NULL)
			return broken(f, error);
	} while (slice_given(row));
	return FEED_RECORD;
}

/* Goes over blanks. */
static int peek(struct feed *f)
{
	static const char blanks[] = " \t\r\n";

	do {
		size_t n = 0;
		struct slice s = held(f);

		while (n < s.len && slice_has(SLICE(blanks), s.ptr[n]))
			n++;
		pass(f, n);
	} while (f->start == f->end && more(f));
	f->line = f->passed + 1;
	return f->start < f->end ? (unsigned char)f->bytes[f->start] : -1;
}

int feed_peek(struct feed *f)
{
	next(f);
	return peek(f);
}

/* Behind the array there may be blanks alone. */
static enum feed_status close_array(struct feed *f)
{
	pass(f, 1);
	if (peek(f) >= 0)
		return broken(f, "something stands behind the end of the array");
	return f->error != NULL ? FEED_BROKEN : FEED_END;
}

/* Goes to the next element: over the opening bracket or a comma. The byte that is there. */
static int step(struct feed *f)
{
	int c = peek(f);

	if (!f->opened && c == '[') {
		f->opened = true;
		pass(f, 1);
		return peek(f);
	}
	if (f->separated && c == ',') {
		f->separated = false;
		pass(f, 1);
		c = peek(f);
		return c == ']' ? ',' : c;
	}
	return c;
}

enum feed_status feed_element(struct feed *f, struct slice *object)
{
	struct scan s = { .depth = 0 };
	enum feed_status status;
	int c;

	next(f);
	c = step(f);
	if (f->error != NULL)
		return FEED_BROKEN;
	if (!f->opened)
		return broken(f, "this is no JSON array");
	if (c == ']')
		return close_array(f);
	if (c < 0)
		return broken(f, "the file ends before its array does");
	if (f->separated)
		return broken(f, "a comma is missing between two records");
	if (c != '{')
		return broken(f, "a record is to be an object");
	status = cut(f, look_object, object, &s);
	if (status != FEED_BROKEN && !s.done)
		return broken(f, "the file ends within a record");
	f->separated = true;
	return status;
}
