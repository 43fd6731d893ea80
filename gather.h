/* gather.h -- a dump's records, in whatever order they come, put into the order that they are
 * stored in, each with what it needs of the others.
 *
 * Take all records, join, then ask for one after the other: customers; API keys; products,
 * each followed by its stock records; baskets, each followed by its lines and these by what
 * was chosen for them; sessions. What is left has this added:
 *   product   its class's track_stock in DUMP_FLAG (true without a class), the title of its
 *             parent where it has none, and the codes of its options as DUMP_LIST.
 *   basket    DUMP_FLAG: it has no owner, or he is in the dump; DUMP_LOGIN: his.
 *   session   DUMP_FLAG, enum gather_found; DUMP_LOGIN.
 * Classes and options come out of it no more.
 * Memory  two sorters; a record lives until the next call.
 * Errors  false with errno: a sorter's. A record that is alone is given to `bad`.
 */
#ifndef GATHER_H
#define GATHER_H

#include "dump.h"
#include "sorter.h"

/* What became of a session's user, or without one of its basket. */
enum gather_found {
	GATHER_GONE,            /* not in the dump; a guest's: or no open basket without an owner */
	GATHER_OTHER,           /* the user's password is another by now: Django ends the session */
	GATHER_SAME,
};

#define GATHER_CLASSES_MAX 1024
#define GATHER_OPTIONS_MAX 4096
#define GATHER_LIST_MAX    256
#define GATHER_CODE_MAX    128
#define GATHER_CODES_MAX   1024         /* bytes of one product's */

typedef void gather_bad(void *context, const struct dump_record *r, const char *why);

struct gather {
	struct slice secret;            /* of sessions; empty: there are none */
	gather_bad *bad;
	void *context;
	struct sorter joins, sorted;
	struct slice key;               /* of the last record: two with one key are one too many */
	char key_bytes[64];
	/* Its own, while it joins: what the records that follow belong to. */
	struct slice head;
	char head_bytes[16];
	struct dump_record of;
	char of_bytes[4096];
	char codes[GATHER_CODES_MAX];
	size_t class_count, option_count;
	struct {
		uint64_t id;
		bool counted;
		uint16_t len;
		char options[GATHER_LIST_MAX];
	} classes[GATHER_CLASSES_MAX];
	struct {
		uint64_t id;
		uint8_t len;
		char code[GATHER_CODE_MAX];
	} options[GATHER_OPTIONS_MAX];
};

/* `dir` is where files without a name may be made. */
bool gather_open(struct gather *g, const char *dir, size_t bytes);
void gather_close(struct gather *g);

/* Takes a record, a session opened. */
bool gather_take(struct gather *g, const struct dump_record *r);

/* No more is taken. */
bool gather_join(struct gather *g);

/* False: none is left. */
bool gather_next(struct gather *g, struct dump_record *r);

#endif
