/* command_import.c -- sidecart import oscar: another shop's dump, moved in.
 *
 * The whole file is read before anything is put, so that a secret that does not fit, and under
 * --strict any bad record, stops the import with nothing changed.
 * Where there is no store yet, a new one has its name when all is in it (kv_building()). Its
 * sessions' entries wait in a sorter, and so does what stands behind their place by then: put in
 * order, behind all others, they fill their pages.
 */
#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "command.h"
#include "feed.h"
#include "print.h"
#include "secret.h"
#include "transfer.h"

#define SORT_BYTES ((size_t)32 << 20)   /* of each of two sorters */
#define LARGE_CHUNK 10000               /* records of one transaction where no server waits */
#define ENTRIES_CHUNK 100000            /* the same, of entries that are put in order */

struct import {
	struct command_line *line;
	const char *file, *dir;         /* the dump; where sorters keep what they sort */
	int code;                       /* of what was said, once the import is to stop */
	bool strict, has_sessions;
	bool too_many;                  /* a customer has more sessions than he may */
	size_t held, chunk;             /* records in the transaction at hand, and at most */
	uint64_t taken, put, kept;
	struct buf secret;
	char secret_bytes[SECRET_MAX];
	char no_secret[SECRET_ERROR_MAX];
	uint8_t seal_key[SEAL_KEY_LEN];
	struct feed feed;
	struct gather gather;
	struct sorter entries;          /* of a new store */
	struct transfer transfer;
};

static struct import importing;

/* Of a cookie's session the key is a secret. */
#define KEY_SHOWN 8

/* Names a bad record: it is passed over, or under --strict the last one looked at. */
static void bad(void *context, const struct dump_record *r, const char *why)
{
	struct import *i = context;
	const char *model = dump_model(r->kind);
	char text[32];
	struct buf name = { text, 0, sizeof text - 1, false };

	i->transfer.count[r->kind].bad++;
	if (r->kind == DUMP_OTHER)
		buf_uint(&name, i->feed.line);
	else if (r->kind != DUMP_SESSION)
		buf_uint(&name, r->number[DUMP_PK]);
	else
		buf_put(&name, (struct slice){ r->text[DUMP_NAME].ptr,
		        r->text[DUMP_NAME].len < KEY_SHOWN ? r->text[DUMP_NAME].len : KEY_SHOWN });
	text[name.len] = '\0';
	model = r->kind == DUMP_OTHER ? "line" : model;
	if (!i->strict)
		command_say("left out: %s %s: %s", model, text, why);
	else if (i->code == COMMAND_DONE)
		i->code = command_refuse("%s: %s %s: %s", i->file, model, text, why);
}

static void bad_line(struct import *i, const char *why)
{
	const struct dump_record r = { .kind = DUMP_OTHER };

	bad(i, &r, why);
}

static int sorter_failed(struct import *i)
{
	return command_fail(COMMAND_SYSTEM, "sorting the dump: %s: %s", i->dir, strerror(errno));
}

/* The first session tells whether the secret is the shop's. */
static int wrong_secret(struct import *i)
{
	const char *path = i->line->config.sid_secret_file;

	return command_refuse("%s: its sessions are signed with another secret than %s holds; put "
	                      "the old shop's SECRET_KEY there; nothing was changed", i->file,
	                      path);
}

/* Opens a session; false: it is bad, or the import is to stop. */
static bool open_session(struct import *i, struct dump_record *r, struct buf *room)
{
	char error[DUMP_ERROR_MAX];

	if (i->secret.len == 0) {
		i->code = command_refuse("%s: there are sessions in it, and no secret to read "
		                         "them with: %s; put the old shop's SECRET_KEY there",
		                         i->file, i->no_secret);
		return false;
	}
	switch (dump_open_session(r, buf_slice(&i->secret), room, error)) {
	case DUMP_SESSION_READ:
		i->has_sessions = true;
		return true;
	case DUMP_SESSION_FOREIGN:
		if (!i->has_sessions)
			i->code = wrong_secret(i);
		break;
	case DUMP_SESSION_BAD:
		break;
	}
	if (i->code == COMMAND_DONE)
		bad(i, r, error);
	return false;
}

static void take(struct import *i, struct slice text)
{
	char error[DUMP_ERROR_MAX > JSON_ERROR_MAX ? DUMP_ERROR_MAX : JSON_ERROR_MAX];
	static char room_bytes[1024];
	struct buf room = BUF(room_bytes);
	struct dump_record r = { .kind = DUMP_OTHER };
	const json_t *object;

	i->taken++;
	if (!dump_read_session(text, &r)) {
		object = json_parse(text, error);
		if (object == NULL) {
			bad_line(i, error);
			return;
		}
		if (!dump_read(object, &r, error)) {
			bad(i, &r, error);
			return;
		}
	}
	if (r.kind == DUMP_SESSION && !open_session(i, &r, &room))
		return;
	if (!gather_take(&i->gather, &r))
		i->code = sorter_failed(i);
}

/* An array, as dumpdata writes, or with --format jsonl an object a line. */
static int read_all(struct import *i)
{
	bool lines = feed_peek(&i->feed) == '{';
	enum feed_status status;
	struct slice text;

	while (i->code == COMMAND_DONE) {
		status = lines ? feed_line(&i->feed, &text) : feed_element(&i->feed, &text);
		if (status == FEED_END)
			break;
		if (status == FEED_BROKEN)
			return command_refuse("%s: line %llu: %s; nothing was changed", i->file,
			                      (unsigned long long)i->feed.line, i->feed.error);
		if (status == FEED_LONG)
			bad_line(i, "longer than a record may be");
		else if (slice_trim(text).len > 0)
			take(i, text);
		command_progress(i->feed.taken, i->feed.size, i->taken);
	}
	if (i->code == COMMAND_DONE && !gather_join(&i->gather))
		i->code = sorter_failed(i);
	return i->code;
}

static enum kv_status keep_entry(void *context, struct slice key, struct slice value)
{
	struct import *i = context;

	if (!sorter_put(&i->entries, key, value))
		i->code = sorter_failed(i);
	i->kept++;
	return KV_OK;
}

/* Without a store there is nothing to judge by, and in a dry run none is made. */
static int open_store(struct import *i)
{
	struct command_line *l = i->line;
	struct transfer *t = &i->transfer;
	char error[SECRET_ERROR_MAX];
	int code;

	if (t->dry && !kv_exists(l->config.data))
		return COMMAND_DONE;
	code = command_open(l, t->dry ? KV_READ : KV_BUILD);
	if (code != COMMAND_DONE)
		return code;
	t->kv = l->kv;
	if (kv_building(l->kv)) {
		t->fresh = keep_entry;
		i->dir = l->config.data;
		i->chunk = LARGE_CHUNK;
		if (!sorter_open(&i->entries, i->dir, SORT_BYTES))
			return sorter_failed(i);
	}
	t->now_us = l->now_us;
	t->seal_key = i->seal_key;
	if (!secret_read_seal_key(l->config.data, i->seal_key, error))
		return command_fail(COMMAND_SYSTEM, "%s", error);
	return COMMAND_DONE;
}

/* Opens a transaction where none is, or closes one that has had its records. */
static enum kv_status step(struct import *i, bool last)
{
	enum kv_status status = KV_OK;

	if (i->transfer.dry)
		return KV_OK;
	if (kv_writing(i->line->kv) && (last || i->held >= i->chunk))
		status = command_commit(i->line);
	if (status != KV_OK || kv_writing(i->line->kv))
		return status;
	i->held = 0;
	if (!kv_building(i->line->kv))
		i->chunk = kv_watched(i->line->kv) ? COMMAND_CHUNK : LARGE_CHUNK;
	return last ? KV_OK : command_begin(i->line);
}

static const char first_lifted = RECORD_OWNER;
static_assert(RECORD_OWNER < RECORD_SESSION && RECORD_OWNER < RECORD_SWEEP,
              "all entries of sessions stand behind the first of an owner");

/* Takes out what stands behind the place of the sessions' first entry. */
static enum kv_status lift(struct import *i)
{
	struct slice key, value;
	char bytes[RECORD_KEY_MAX];
	enum kv_status status = step(i, false);

	while (status == KV_OK && i->code == COMMAND_DONE) {
		struct buf copy = BUF(bytes);

		status = kv_scan(i->line->kv, SLICE(""), (struct slice){ &first_lifted, 1 }, &key,
		                 &value);
		if (status != KV_OK)
			break;
		buf_put(&copy, key);
		status = keep_entry(i, key, value);
		if (status == KV_OK)
			status = kv_del(i->line->kv, buf_slice(&copy));
		i->held++;
		if (status == KV_OK)
			status = step(i, false);
		command_progress(i->put, i->taken, i->put);
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* Counts the sessions of an owner, whose entries come one behind the other. */
static void count_owned(struct import *i, struct slice key)
{
	static uint64_t owner, count;
	uint32_t most = i->line->config.max_sessions_per_customer;
	uint64_t id, created_s;
	const uint8_t *session_key;

	if (key.ptr[0] != RECORD_OWNER ||
	    !record_owner_key_read(key, &id, &created_s, &session_key) || id == 0)
		return;
	count = id == owner ? count + 1 : 1;
	owner = id;
	i->too_many |= most > 0 && count > most;
}

static enum kv_status append(struct import *i)
{
	struct slice key, value;
	uint64_t appended = 0;
	enum kv_status status = KV_OK;

	if (!sorter_sort(&i->entries)) {
		i->code = sorter_failed(i);
		return KV_OK;
	}
	while (status == KV_OK && sorter_next(&i->entries, &key, &value)) {
		count_owned(i, key);
		status = kv_append(i->line->kv, key, value);
		i->held++;
		if (status == KV_OK)
			status = step(i, false);
		command_progress(++appended, i->kept, i->put);
	}
	return status;
}

/* All were started at one time: of equal ones the first by their keys go, as session_import()
 * has it. */
static enum kv_status trim(struct import *i)
{
	uint64_t customer_id = 1;
	enum kv_status status = KV_OK;

	i->chunk = COMMAND_CHUNK;
	while (i->too_many && status == KV_OK) {
		status = session_trim(i->line->kv, &i->line->config, &customer_id);
		i->held++;
		if (status == KV_OK)
			status = step(i, false);
		command_progress(i->put, i->taken, i->put);
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

static enum kv_status finish_new(struct import *i)
{
	enum kv_status status;

	i->chunk = ENTRIES_CHUNK;
	status = lift(i);
	if (status == KV_OK && i->code == COMMAND_DONE)
		status = append(i);
	if (status == KV_OK && i->code == COMMAND_DONE)
		status = trim(i);
	if (status == KV_OK && i->code == COMMAND_DONE)
		status = step(i, true);
	return status == KV_OK && i->code == COMMAND_DONE ? kv_publish(i->line->kv) : status;
}

static int put_all(struct import *i)
{
	struct dump_record r;
	enum kv_status status = step(i, false);
	bool more = true, is_new = i->transfer.fresh != NULL;

	while (status == KV_OK && more && i->code == COMMAND_DONE) {
		more = gather_next(&i->gather, &r);
		status = more ? transfer_put(&i->transfer, &r) : transfer_end(&i->transfer);
		i->held++;
		i->put += more;
		if (status == KV_OK)
			status = step(i, !more || i->code != COMMAND_DONE);
		command_progress(i->put, i->taken, i->put);
	}
	if (is_new && status == KV_OK && i->code == COMMAND_DONE)
		status = finish_new(i);
	if (i->line->kv != NULL && kv_writing(i->line->kv))
		command_abort(i->line);
	if (is_new && kv_building(i->line->kv)) {
		command_say("%snothing was changed", kv_exists(i->line->config.data) ?
		            "another store was made there meanwhile: run it again; " : "");
		i->line->changed = false;
	} else if (status != KV_OK || i->code != COMMAND_DONE) {
		command_say("what was put before that stays; run it again to go on");
	}
	return status == KV_OK ? i->code : command_store(i->line, status);
}

static void print_counts(const struct transfer *t)
{
	static const struct {
		enum dump_kind kind;
		const char *name;
	} rows[] = {
		{ DUMP_USER, "customers" }, { DUMP_API_KEY, "keys" }, { DUMP_PRODUCT, "products" },
		{ DUMP_STOCK, "stock records" }, { DUMP_BASKET, "baskets" }, { DUMP_LINE, "lines" },
		{ DUMP_ATTRIBUTE, "options of lines" }, { DUMP_SESSION, "sessions" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct transfer_count *n = &t->count[rows[i].kind];
		const struct print_cell cells[] = {
			{ "records", PRINT_TEXT, slice_of(rows[i].name), 0 },
			{ "added", PRINT_NUMBER, { 0 }, n->added },
			{ "changed", PRINT_NUMBER, { 0 }, n->changed },
			{ "unchanged", PRINT_NUMBER, { 0 }, n->same },
			{ "left_out", PRINT_NUMBER, { 0 }, n->left },
			{ "bad", PRINT_NUMBER, { 0 }, n->bad },
		};

		print_row(cells, COUNT_OF(cells));
	}
}

static void say_rest(const struct transfer *t)
{
	for (size_t i = 0; i < t->algorithm_count; i++)
		command_say("passwords: %llu %s%s",
		            (unsigned long long)t->algorithms[i].customers, t->algorithms[i].name,
		            t->algorithms[i].usable ? "" : ": needs reset");
	for (int w = 0; w < TRANSFER_LEFTS; w++)
		if (t->left[w] > 0)
			command_say("left out: %llu %s", (unsigned long long)t->left[w],
			            transfer_left_text((enum transfer_left)w));
	if (t->joined > 0)
		command_say("%llu open baskets went into their owner's oldest",
		            (unsigned long long)t->joined);
	if (t->dry)
		command_say("nothing was changed (--dry-run)");
}

static int import_all(struct import *i)
{
	int code = read_all(i);

	if (code == COMMAND_DONE)
		code = open_store(i);
	if (code == COMMAND_DONE)
		code = put_all(i);
	if (code != COMMAND_DONE)
		return code;
	print_counts(&i->transfer);
	say_rest(&i->transfer);
	return COMMAND_DONE;
}

int command_import_oscar(struct command_line *l)
{
	struct import *i = &importing;
	const char *dir = access(l->config.data, W_OK) == 0 ? l->config.data : "/tmp";
	int code;

	i->line = l;
	i->dir = dir;
	i->file = strcmp(l->arguments[0], "-") == 0 ? "standard input" : l->arguments[0];
	i->strict = command_has(l, OPTION_STRICT);
	i->secret = BUF(i->secret_bytes);
	if (!secret_read(l->config.sid_secret_file, &i->secret, i->no_secret))
		i->secret.len = 0;
	i->transfer.config = &l->config;
	i->transfer.secret = i->gather.secret = buf_slice(&i->secret);
	i->transfer.now_us = l->now_us;
	i->transfer.dry = command_has(l, OPTION_DRY_RUN);
	i->transfer.update = command_has(l, OPTION_UPDATE);
	i->transfer.bad = i->gather.bad = bad;
	i->entries.fd = -1;
	i->transfer.context = i->gather.context = i;
	if (!feed_open(&i->feed, l->arguments[0]))
		return command_refuse("%s: %s", i->file, strerror(errno));
	if (gather_open(&i->gather, dir, SORT_BYTES))
		code = import_all(i);
	else
		code = sorter_failed(i);
	gather_close(&i->gather);
	sorter_close(&i->entries);
	feed_close(&i->feed);
	explicit_bzero(i->secret_bytes, sizeof i->secret_bytes);
	explicit_bzero(i->seal_key, sizeof i->seal_key);
	return code;
}
