/* metrics.h -- what the processes count, for /metrics.
 *
 * The supervisor makes one shared mapping before its first child, with a block for each process.
 * A block is written by its owner alone, with plain stores, and read by whoever answers
 * /metrics: no lock, no message, and a scrape may see one number a moment before another. What is
 * counted stays over a child's death; gauges begin anew with its successor.
 * Labels come from tables of this program: routes, classes, kinds. Nothing of a request is one
 * (requirements D10, S11).
 * Memory  the mapping; a block that stays behind where there is none, in commands and tests.
 * Source  Prometheus, text-based exposition format 0.0.4.
 */
#ifndef METRICS_H
#define METRICS_H

#include "bytes.h"

#define METRICS_SLOTS  96               /* processes */
#define METRICS_ROUTES 128              /* number 0: a path that no route has */

enum metrics_value {
	/* of fronts */
	METRICS_CONNECTIONS,            /* gauge */
	METRICS_ACCEPTED,
	METRICS_WAITING_WRITES,         /* gauge */
	METRICS_RATE_LIMITED,
	/* of the writer */
	METRICS_PARKED,                 /* gauge */
	METRICS_LOGINS_THROTTLED,
	METRICS_COMMITS_FAILED,
	METRICS_SWEPT,
	METRICS_SESSIONS_GUEST,         /* gauges */
	METRICS_SESSIONS_CUSTOMER,
	METRICS_READER_AGE_US,          /* gauge */
	/* of hashers: in the order of enum call_question_kind */
	METRICS_ASKED_PASSWORD,
	METRICS_ASKED_HASH,
	METRICS_ASKED_TOKEN_KEY,
	METRICS_ASKED_SIGNATURE,
	METRICS_ASKED_VERDICT,
	METRICS_HASHER_US,
	/* of the supervisor */
	METRICS_DIED_WRITER,
	METRICS_DIED_FRONT,
	METRICS_DIED_HASHER,
	METRICS_VALUES
};

enum metrics_histogram {
	METRICS_FRONT_US,               /* requests that a front answered */
	METRICS_WRITER_US,              /* those that went to the writer */
	METRICS_BATCH,                  /* requests of one commit */
	METRICS_COMMIT_US,
	METRICS_HISTOGRAMS
};

/* The supervisor's. Without memory nothing is counted together. */
void metrics_make(void);

/* A process's: counts in `slot` from now on. */
void metrics_take(uint32_t slot);

/* Counts, or sets what is a level, for this process; for nothing before metrics_take(). */
void metrics_add(enum metrics_value v, uint64_t n);
void metrics_set(enum metrics_value v, uint64_t n);

/* A request that was answered. */
void metrics_request(uint32_t route, uint32_t status);

/* `times` events of `value` each. */
void metrics_observe(enum metrics_histogram h, uint64_t value, uint64_t times);

/* Writes all blocks together. `route` gives a route's template, NULL behind the last; that of 0
 * is what stands for unknown paths. */
void metrics_write(struct buf *out, const char *(*route)(uint32_t number));

/* Writes one more metric, which is no process's own: HELP, TYPE and the value. */
void metrics_write_one(struct buf *out, const char *name, const char *type, const char *help,
                       uint64_t value);

#endif
