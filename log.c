/* log.c -- see log.h. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "date.h"
#include "log.h"

#define LOG_LINE_MAX 1024

static const char *const level_text[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN]  = "warn",
	[LOG_INFO]  = "info",
	[LOG_DEBUG] = "debug",
};
static_assert(COUNT_OF(level_text) == LOG_LEVELS, "a new log_level needs its name");

static enum log_level level_max = LOG_INFO;
static const char *process_name = "sidecart";

/* How much of a text of `len` bytes snprintf() has written into `room` bytes. */
static size_t written(int len, size_t room)
{
	if (len < 0)
		return 0;
	return (size_t)len < room ? (size_t)len : room - 1;
}

/* Writes time=YYYY-MM-DDThh:mm:ssZ. */
static size_t put_time(char *out, size_t cap, uint64_t now_s)
{
	struct buf to = { out, 0, cap, false };

	buf_lit(&to, "time=");
	date_put(&to, now_s);
	buf_lit(&to, "Z ");
	return to.len;
}

void log_open(enum log_level max, const char *process)
{
	level_max = max;
	process_name = process;
}

bool log_wants(enum log_level level)
{
	return level <= level_max;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	size_t len;
	va_list fields;
	int saved = errno;

	if (!log_wants(level))
		return;
	len = put_time(line, sizeof line, (uint64_t)time(NULL));
	len += written(snprintf(line + len, sizeof line - len, "level=%s process=%s event=%s ",
	                        level_text[level], process_name, event), sizeof line - len);
	va_start(fields, fmt);
	len += written(vsnprintf(line + len, sizeof line - len, fmt, fields), sizeof line - len);
	va_end(fields);
	if (line[len - 1] == ' ')       /* no fields */
		len--;
	line[len++] = '\n';
	while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		;
	errno = saved;
}

const char *log_key(char out[LOG_KEY_LEN], const uint8_t *key)
{
	struct buf hex = { out, 0, LOG_KEY_LEN - 1, false };

	buf_hex(&hex, slice_bytes(key, (LOG_KEY_LEN - 1) / 2));
	out[hex.len] = '\0';
	return out;
}

const char *log_quote(char *out, size_t cap, struct slice s)
{
	static const char digit[] = "0123456789abcdef";
	size_t len = 0;

	if (cap < 3) {
		if (cap > 0)
			out[0] = '\0';
		return out;
	}
	out[len++] = '"';
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';

		if (len + (plain ? 1 : 4) > cap - 2)
			break;
		if (plain) {
			out[len++] = (char)c;
			continue;
		}
		out[len++] = '\\';
		out[len++] = 'x';
		out[len++] = digit[c >> 4];
		out[len++] = digit[c & 15];
	}
	out[len++] = '"';
	out[len] = '\0';
	return out;
}
