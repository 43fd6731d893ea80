/* log.h -- one event, one line of logfmt on standard error.
 *
 * A line is `time=2026-11-23T05:00:00Z level=info process=front event=listening
 * address=127.0.0.1:8080` (on one line), written with one write(2), so that the lines of
 * several processes never mix. The time is the clock's, in UTC.
 * No secret and no identifier in full is ever handed to it (requirement S11).
 * Memory  a buffer on the stack; a line over 1 KiB is cut.
 */
#ifndef LOG_H
#define LOG_H

#include "bytes.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVELS };

/* Sets what is written (`max` and graver) and what stands as process=NAME; both
 * hold for this process until the next call. `process` must outlive it. */
void log_open(enum log_level max, const char *process);

/* True where a line of this level would be written. */
bool log_wants(enum log_level level);

/* Writes one line. `fmt` gives the fields after event=NAME, `key=value` pairs
 * with a blank between; the caller quotes values from outside with log_quote(). */
void log_event(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes `s` into `out` as a logfmt value, NUL-terminated: quoted, with control bytes,
 * quotes and bytes >= 0x7f as \xNN; cut to what fits. Returns `out`. */
const char *log_quote(char *out, size_t cap, struct slice s);

/* A session in a log: the first 8 hex digits of its key, which is a keyed hash. They tell
 * sessions apart and open none (requirement S11). Returns `out`. */
#define LOG_KEY_LEN 9
const char *log_key(char out[LOG_KEY_LEN], const uint8_t *key);

#endif
