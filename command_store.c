/* command_store.c -- sidecart check and sidecart stat: is the store sound, and how big. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "basket.h"
#include "client.h"
#include "command.h"
#include "customer.h"
#include "json.h"
#include "password.h"
#include "print.h"
#include "product.h"
#include "secret.h"
#include "token.h"

#define SESSION_KEY_BYTES  (1 + RECORD_SESSION_KEY_LEN)
#define CUSTOMER_KEY_BYTES (1 + 8)
#define CLIENT_KEY_BYTES   (1 + RECORD_DIGEST_LEN)
#define REPLAY_KEY_BYTES   (1 + RECORD_DIGEST_LEN)

/* What a check holds while it walks over one snapshot of the whole store. */
struct check {
	struct kv *kv;
	uint64_t next_id;               /* ids of customers are below it */
	struct basket_ids next;         /* those of baskets, lines and options too */
	bool has_seal_key;
	uint8_t seal_key[SEAL_KEY_LEN];
	enum kv_status status;          /* the first look-up that failed */
};

static struct basket basket;    /* the one that is looked at: too large for the stack's taste */

/* Looks a record up; a failure of the store is kept. */
static bool find(struct check *c, struct slice key, struct slice *value)
{
	enum kv_status status = kv_get(c->kv, key, value);

	if (status != KV_OK && status != KV_NOT_FOUND && c->status == KV_OK)
		c->status = status;
	return status == KV_OK;
}

static bool is_there(struct check *c, struct slice key)
{
	struct slice value;

	return find(c, key, &value);
}

static bool find_session(struct check *c, const uint8_t key[RECORD_SESSION_KEY_LEN],
                         struct session_record *s)
{
	struct record_key k;
	struct slice value;

	return find(c, record_session_key(&k, key), &value) && record_session_read(value, s);
}

/* What the session copies of its customer; NULL where it is as it should be. */
static const char *check_copies(struct check *c, const struct session_record *s)
{
	struct customer_record r;
	struct record_key k;
	struct slice value;

	if (s->customer_id == 0)
		return s->login.len == 0 ? NULL : "a guest's session has a login";
	if (!find(c, record_customer_key(&k, s->customer_id), &value) ||
	    !record_customer_read(value, &r))
		return "its customer is not there";
	if ((r.flags & CUSTOMER_DISABLED) != 0)
		return "its customer is disabled: disable him again";
	if (!slice_eq(s->login, r.login))
		return "its login is not its customer's";
	return s->basket_id == r.basket_id ? NULL : "its basket is not its customer's";
}

/* A guest may refer to what is gone, or was merged by another who had its cookie; never to what
 * is a customer's. */
static const char *check_guest_basket(struct check *c, const struct session_record *s)
{
	struct record_key k;
	struct slice value;

	if (s->customer_id != 0 || s->basket_id == 0 ||
	    !find(c, record_basket_key(&k, s->basket_id), &value) ||
	    !record_basket_read(value, &basket))
		return NULL;
	return basket.customer_id == 0 ? NULL : "a guest's session has a customer's basket";
}

static const char *check_session(struct check *c, struct slice key, struct slice value)
{
	const uint8_t *session_key = (const uint8_t *)key.ptr + 1;
	const char *problem;
	struct session_record s;
	struct record_key k;

	if (key.len != SESSION_KEY_BYTES)
		return "a session's key of another length";
	if (!record_session_read(value, &s))
		return "cannot be decoded";
	if (!is_there(c, record_owner_key(&k, s.customer_id, s.created_s, session_key)))
		return "its owner's list of sessions lacks it";
	if (s.due_s != RECORD_NEVER && !is_there(c, record_sweep_key(&k, s.due_s, key)))
		return "the list of what expires lacks it";
	problem = check_copies(c, &s);
	return problem != NULL ? problem : check_guest_basket(c, &s);
}

static const char *check_data(struct check *c, struct slice key, struct slice value)
{
	char error[JSON_ERROR_MAX];
	struct session_record s;
	struct slice json;

	if (key.len != SESSION_KEY_BYTES)
		return "a session's key of another length";
	if (!record_data_read(value, &json))
		return "cannot be decoded";
	if (!find_session(c, (const uint8_t *)key.ptr + 1, &s))
		return "belongs to a session that is not there";
	if (json.len > RECORD_DATA_MAX)
		return "longer than a session's data may be";
	return json_is_object(json_parse(json, error)) ? NULL : "no JSON object";
}

static const char *check_owner(struct check *c, struct slice key, struct slice value)
{
	const uint8_t *session_key;
	uint64_t id, created_s;
	struct session_record s;

	if (!record_owner_key_read(key, &id, &created_s, &session_key) || value.len > 0)
		return "no entry of a customer's list of sessions";
	if (!find_session(c, session_key, &s))
		return "lists a session that is not there";
	return s.customer_id == id && s.created_s == created_s ? NULL :
	       "lists a session of another customer or time";
}

/* What the list of what expires says of a session, a basket, or a kept answer. */
static const char *check_due_session(struct check *c, struct slice of, uint64_t due_s)
{
	struct session_record s;

	if (of.len != SESSION_KEY_BYTES)
		return "no entry of the list of what expires";
	if (!find_session(c, (const uint8_t *)of.ptr + 1, &s))
		return "lists a session that is not there";
	return s.due_s == due_s ? NULL : "lists a session at a time that is not its own";
}

static const char *check_due_basket(struct check *c, struct slice of, uint64_t due_s)
{
	struct slice value;
	uint64_t id;

	if (!record_basket_key_read(of, &id))
		return "no entry of the list of what expires";
	if (!find(c, of, &value) || !record_basket_read(value, &basket))
		return "lists a basket that is not there";
	return basket.due_s == due_s ? NULL : "lists a basket at a time that is not its own";
}

static const char *check_due_replay(struct check *c, struct slice of, uint64_t due_s)
{
	struct replay_record r;
	struct slice value;

	if (!find(c, of, &value) || !record_replay_read(value, &r))
		return "lists a kept answer that is not there";
	return r.due_s == due_s ? NULL : "lists a kept answer at a time that is not its own";
}

static const char *check_sweep(struct check *c, struct slice key, struct slice value)
{
	uint64_t due_s;
	struct slice of;

	if (!record_sweep_key_read(key, &due_s, &of) || value.len > 0)
		return "no entry of the list of what expires";
	switch (of.ptr[0]) {
	case RECORD_SESSION:
		return check_due_session(c, of, due_s);
	case RECORD_BASKET:
		return check_due_basket(c, of, due_s);
	case RECORD_REPLAY:
		return check_due_replay(c, of, due_s);
	default:
		return "no entry of the list of what expires";
	}
}

/* A seal that does not open: the record, or seal.key, is not the one it was made with. */
static bool seal_broken(const struct check *c, const struct customer_record *r)
{
	char hash_text[PASSWORD_HASH_MAX];
	struct buf hash = BUF(hash_text);
	bool broken;

	if (!c->has_seal_key || r->sealed_password.len == 0)
		return false;
	broken = !password_unseal(&hash, c->seal_key, r->id, r->sealed_password);
	explicit_bzero(hash_text, sizeof hash_text);
	return broken;
}

static const char *check_customer(struct check *c, struct slice key, struct slice value)
{
	struct customer_record r;
	struct record_key k;
	struct slice number;
	uint64_t id;

	if (key.len != CUSTOMER_KEY_BYTES)
		return "a customer's key of another length";
	if (!record_customer_read(value, &r))
		return "cannot be decoded";
	if (!slice_eq(record_customer_key(&k, r.id), key))
		return "stands under another customer's id";
	if (r.id >= c->next_id)
		return "its id is still to be given";
	if (!find(c, record_login_key(&k, r.login), &number) || !record_number_read(number, &id) ||
	    id != r.id)
		return "its login does not lead to it";
	if (r.email.len > 0 && !is_there(c, record_email_key(&k, r.email, r.id)))
		return "its e-mail address does not lead to it";
	return seal_broken(c, &r) ? "its password is sealed with another seal.key" : NULL;
}

static const char *check_login(struct check *c, struct slice key, struct slice value)
{
	struct customer_record r;
	struct record_key k;
	struct slice found;
	uint64_t id;

	if (!record_number_read(value, &id))
		return "cannot be decoded";
	if (!find(c, record_customer_key(&k, id), &found) || !record_customer_read(found, &r))
		return "leads to a customer that is not there";
	return slice_eq(r.login, slice_skip(key, 1)) ? NULL : "leads to another login's customer";
}

static const char *check_email(struct check *c, struct slice key, struct slice value)
{
	struct customer_record r;
	struct record_key k;
	struct slice email, found;
	uint64_t id;

	if (!record_email_key_read(key, &email, &id) || value.len > 0)
		return "no entry of the list of e-mail addresses";
	if (!find(c, record_customer_key(&k, id), &found) || !record_customer_read(found, &r))
		return "leads to a customer that is not there";
	return slice_eq(record_email_key(&k, r.email, id), key) ? NULL :
	       "leads to another address's customer";
}

static const char *check_client(struct check *c, struct slice key, struct slice value)
{
	struct client_record r;
	struct record_key k;
	struct slice digest;

	if (key.len != CLIENT_KEY_BYTES)
		return "an API key's digest of another length";
	if (!record_client_read(value, &r))
		return "cannot be decoded";
	if ((r.flags & CLIENT_REVOKED) != 0)    /* its name may be another's by now */
		return NULL;
	if (!find(c, record_client_name_key(&k, r.name), &digest) ||
	    !slice_eq(digest, slice_skip(key, 1)))
		return "its name does not lead to it";
	return NULL;
}

static const char *check_client_name(struct check *c, struct slice key, struct slice value)
{
	struct client_record r;
	struct record_key k;
	struct slice found;

	if (value.len != RECORD_DIGEST_LEN)
		return "cannot be decoded";
	if (!find(c, record_client_key(&k, (const uint8_t *)value.ptr), &found) ||
	    !record_client_read(found, &r))
		return "leads to an API key that is not there";
	return slice_eq(r.name, slice_skip(key, 1)) ? NULL : "leads to an API key of another name";
}

static const char *check_product(struct check *c, struct slice key, struct slice value)
{
	struct product_record r;
	struct record_key k;

	(void)c;
	if (!record_product_read(value, &r))
		return "cannot be decoded";
	if (!slice_eq(record_product_key(&k, r.id), key))
		return "stands under another product's id";
	return product_judge(&r) == PRODUCT_OK ? NULL : product_error_text(product_judge(&r));
}

/* Ids of lines and options are below what is given next, lines stand by theirs. */
static const char *check_lines(const struct check *c, const struct basket *b)
{
	for (uint32_t i = 0; i < b->line_count; i++) {
		if (b->lines[i].id >= c->next.line)
			return "a line's id is still to be given";
		if (i > 0 && b->lines[i].id <= b->lines[i - 1].id)
			return "its lines do not stand by their ids";
	}
	for (uint32_t i = 0; i < b->option_count; i++)
		if (b->options[i].id >= c->next.option)
			return "an option's id is still to be given";
	return NULL;
}

/* A customer's open basket is the one that his record names; others are of his list alone. */
static const char *check_basket_owner(struct check *c, const struct basket *b)
{
	struct customer_record r;
	struct record_key k;
	struct slice value;

	if (b->customer_id == 0)
		return NULL;
	if (!is_there(c, record_baskets_of_key(&k, b->customer_id, b->id)))
		return "its owner's list of baskets lacks it";
	if (!find(c, record_customer_key(&k, b->customer_id), &value) ||
	    !record_customer_read(value, &r))
		return "its owner is not there";
	return b->status != BASKET_OPEN || r.basket_id == b->id ? NULL :
	       "is open, and its owner's record names another";
}

static const char *check_basket(struct check *c, struct slice key, struct slice value)
{
	struct record_key k;
	const char *problem;

	if (!record_basket_read(value, &basket))
		return "cannot be decoded";
	if (!slice_eq(record_basket_key(&k, basket.id), key))
		return "stands under another basket's id";
	if (basket.id >= c->next.basket)
		return "its id is still to be given";
	if (basket.due_s > basket.expires_s && basket.due_s != RECORD_NEVER)
		return "the sweep looks at it when it has expired long since";
	if (basket.due_s == RECORD_NEVER && basket.expires_s != RECORD_NEVER)
		return "expires, and the sweep never looks at it";
	if (basket.due_s != RECORD_NEVER && !is_there(c, record_sweep_key(&k, basket.due_s, key)))
		return "the list of what expires lacks it";
	problem = check_lines(c, &basket);
	return problem != NULL ? problem : check_basket_owner(c, &basket);
}

static const char *check_baskets_of(struct check *c, struct slice key, struct slice value)
{
	struct record_key k;
	struct slice found;
	uint64_t customer_id, id;

	if (!record_baskets_of_key_read(key, &customer_id, &id) || value.len > 0)
		return "no entry of a customer's list of baskets";
	if (!find(c, record_basket_key(&k, id), &found) || !record_basket_read(found, &basket))
		return "lists a basket that is not there";
	return basket.customer_id == customer_id ? NULL : "lists another customer's basket";
}

static const char *check_replay(struct check *c, struct slice key, struct slice value)
{
	struct replay_record r;
	struct record_key k;

	if (key.len != REPLAY_KEY_BYTES)
		return "a kept answer's key of another length";
	if (!record_replay_read(value, &r))
		return "cannot be decoded";
	return is_there(c, record_sweep_key(&k, r.due_s, key)) ? NULL :
	       "the list of what expires lacks it";
}

/* Whether an ES256 key's private one, unsealed, is the one of its point. */
static bool is_pair(const struct check *c, const struct token_key_record *r)
{
	uint8_t scalar[JWT_SCALAR_LEN], point[JWT_POINT_LEN];
	bool pair = token_unseal(r, c->seal_key, scalar) && jwt_public_point(scalar, point) &&
	            slice_eq(r->public, slice_bytes(point, sizeof point));

	explicit_bzero(scalar, sizeof scalar);
	return pair;
}

static const char *check_token_key(struct check *c, struct slice key, struct slice value)
{
	struct token_key_record r;
	struct jwt_key public;

	if (!record_token_key_read(value, &r))
		return "cannot be decoded";
	if (!slice_eq(r.kid, slice_skip(key, 1)))
		return "stands under another kid";
	if (r.alg != TOKEN_ES256)
		return NULL;
	token_public(&r, &public);
	jwt_key_name(&public);
	if (!slice_eq(r.kid, (struct slice){ public.kid, public.kid_len }))
		return "its kid is not its thumbprint";
	return !c->has_seal_key || is_pair(c, &r) ? NULL :
	       "its private key is sealed with another seal.key";
}

static const char *check_meta(struct check *c, struct slice key, struct slice value)
{
	uint64_t n;

	(void)c;
	(void)key;
	return record_number_read(value, &n) ? NULL : "cannot be decoded";
}

/* clang-format off */
static const struct {
	enum record_kind kind;
	const char *name;
	const char *(*check)(struct check *c, struct slice key, struct slice value);
} kinds[] = {
	{ RECORD_CUSTOMER,    "customers",      check_customer },
	{ RECORD_LOGIN,       "logins",         check_login },
	{ RECORD_EMAIL,       "emails",         check_email },
	{ RECORD_SESSION,     "sessions",       check_session },
	{ RECORD_DATA,        "session_data",   check_data },
	{ RECORD_OWNER,       "session_owners", check_owner },
	{ RECORD_SWEEP,       "expiries",       check_sweep },
	{ RECORD_CLIENT,      "keys",           check_client },
	{ RECORD_CLIENT_NAME, "key_names",      check_client_name },
	{ RECORD_PRODUCT,     "products",       check_product },
	{ RECORD_BASKET,      "baskets",        check_basket },
	{ RECORD_BASKETS_OF,  "basket_owners",  check_baskets_of },
	{ RECORD_REPLAY,      "kept_answers",   check_replay },
	{ RECORD_TOKEN_KEY,   "token_keys",     check_token_key },
	{ RECORD_META,        "numbers",        check_meta },
};
/* clang-format on */

#define KINDS COUNT_OF(kinds)

/* The place in `kinds`, or KINDS where the key is of no kind known here. */
static size_t kind_of(struct slice key)
{
	size_t i = 0;

	while (i < KINDS && key.ptr[0] != (char)kinds[i].kind)
		i++;
	return i;
}

/* The next record of all; `after` starts zeroed. */
static enum kv_status next(struct kv *kv, struct record_key *after, struct slice *key,
                           struct slice *value)
{
	/* No key sorts before a NUL, and LMDB looks for no empty one. */
	struct slice place = after->len > 0 ? slice_bytes(after->bytes, after->len) : SLICE("\0");
	enum kv_status status = kv_scan(kv, (struct slice){ 0 }, place, key, value);

	if (status == KV_OK) {
		memcpy(after->bytes, key->ptr, key->len);
		after->len = key->len;
	}
	return status;
}

static void fill_counts(struct print_cell *cells, const uint64_t counts[KINDS])
{
	for (size_t i = 0; i < KINDS; i++)
		cells[i] = (struct print_cell){ kinds[i].name, PRINT_NUMBER, { 0 }, counts[i] };
}

static void print_problem(struct slice key, const char *problem)
{
	char hex_text[2 * RECORD_KEY_MAX];
	struct buf hex = BUF(hex_text);
	size_t kind = kind_of(key);

	buf_hex(&hex, key);
	{
		const struct print_cell cells[] = {
			{ "among", PRINT_TEXT, slice_of(kind < KINDS ? kinds[kind].name : "-"), 0 },
			{ "problem", PRINT_TEXT, slice_of(problem), 0 },
			{ "record", PRINT_TEXT, buf_slice(&hex), 0 },
		};

		print_row(cells, COUNT_OF(cells));
	}
}

/* Walks over one snapshot, so that a server's changes meanwhile are no contradictions. */
static enum kv_status walk(struct check *c, uint64_t counts[KINDS], uint64_t *problems)
{
	struct record_key after = { .len = 0 };
	struct slice key, value;
	enum kv_status status;

	while ((status = next(c->kv, &after, &key, &value)) == KV_OK && c->status == KV_OK) {
		size_t kind = kind_of(key);
		const char *problem = "a kind of record that this version does not know";

		if (kind < KINDS) {
			counts[kind]++;
			problem = kinds[kind].check(c, key, value);
		}
		if (problem == NULL)
			continue;
		++*problems;
		print_problem(key, problem);
		if (print_due())
			print_flush();
	}
	return status == KV_NOT_FOUND ? c->status : status;
}

/* Judges the store that is open; `problems` were found before. */
static int check(struct command_line *l, struct check *c, uint64_t problems)
{
	struct print_cell cells[KINDS + 1];
	uint64_t counts[KINDS] = { 0 };
	enum kv_status status;

	c->kv = l->kv;
	status = customer_next_id(c->kv, &c->next_id);
	if (status == KV_OK)
		status = basket_next_ids(c->kv, &c->next);
	if (status == KV_OK)
		status = walk(c, counts, &problems);
	explicit_bzero(c->seal_key, sizeof c->seal_key);
	if (status != KV_OK)
		return command_store(l, status);
	fill_counts(cells, counts);
	cells[KINDS] = (struct print_cell){ "problems", PRINT_NUMBER, { 0 }, problems };
	print_sheet(cells, KINDS + 1);
	return problems == 0 ? COMMAND_DONE : COMMAND_REFUSED;
}

static int check_live(struct command_line *l)
{
	char error[SECRET_ERROR_MAX];
	struct check c = { .status = KV_OK };
	int code = command_open(l, KV_READ);

	if (code != COMMAND_DONE)
		return code;
	c.has_seal_key = secret_read_seal_key(l->config.data, c.seal_key, error);
	if (!c.has_seal_key)
		command_say("sidecart: %s", error);
	return check(l, &c, !c.has_seal_key);
}

/* Where a backup is unpacked to be looked at. */
static char folder[CONFIG_PATH_MAX];

static int check_backup(struct command_line *l)
{
	static struct backup b;
	char error[BACKUP_ERROR_MAX];
	struct check c = { .status = KV_OK, .has_seal_key = true };
	enum kv_status status;
	int code;

	if (!backup_open(l->arguments[0], &b, command_progress, error))
		return command_refuse("%s", error);
	code = command_load_backup(l, folder, &b, false);
	if (code != COMMAND_DONE)
		return code;
	memcpy(c.seal_key, b.seal_key, sizeof c.seal_key);
	explicit_bzero(&b, sizeof b);
	status = kv_begin_read(l->kv);
	return status == KV_OK ? check(l, &c, 0) : command_store(l, status);
}

int command_check(struct command_line *l)
{
	const char *temporary = getenv("TMPDIR");
	bool ended;
	int code;

	if (l->argument_count == 0) {
		code = command_apart(l, check_live, &ended);
		if (code == COMMAND_DONE && command_has(l, OPTION_UPGRADE))
			command_say("every record is of the newest version: nothing to upgrade");
		return code;
	}
	if (command_has(l, OPTION_UPGRADE))
		return command_wrong("a backup is not upgraded: restore it first");
	snprintf(folder, sizeof folder, "%.256s/sidecart-check.XXXXXX",
	         temporary != NULL && temporary[0] != '\0' ? temporary : "/var/tmp");
	if (mkdtemp(folder) == NULL)
		return command_fail(COMMAND_SYSTEM, "%s: %s; set TMPDIR", folder, strerror(errno));
	code = command_apart(l, check_backup, &ended);
	command_drop_store(folder);
	return code;
}

/* Checks of a password in a second on this machine, in tenths, measured for a second. */
static uint64_t password_speed(uint32_t iterations)
{
	struct timespec start, now;
	uint64_t checks = 0, ns;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		password_check((struct slice){ 0 }, SLICE("password"), iterations);
		checks++;
		clock_gettime(CLOCK_MONOTONIC, &now);
		ns = (uint64_t)(now.tv_sec - start.tv_sec) * 1000000000 + (uint64_t)now.tv_nsec -
		     (uint64_t)start.tv_nsec;
	} while (ns < 1000000000);
	return checks * 10000000000 / ns;
}

/* Counts without holding one snapshot for long: a server's writer needs its pages back. */
static enum kv_status count(struct command_line *l, uint64_t counts[KINDS])
{
	struct record_key after = { .len = 0 };
	struct slice key, value;
	enum kv_status status = KV_OK;

	for (uint64_t n = 0; status == KV_OK; n++) {
		if (n % COMMAND_CHUNK == 0)
			status = kv_refresh(l->kv);
		if (status == KV_OK)
			status = next(l->kv, &after, &key, &value);
		if (status == KV_OK && kind_of(key) < KINDS)
			counts[kind_of(key)]++;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

static void print_stat(const struct command_line *l, const struct kv_stat *s,
                       const uint64_t counts[KINDS])
{
	uint64_t wall_s = (uint64_t)time(NULL), now_s = l->now_us / 1000000;
	uint64_t in_use = (s->used_bytes - s->free_bytes) * 1000 / s->map_bytes;
	uint64_t behind = s->oldest_reader > 0 ? s->last_snapshot - s->oldest_reader : 0;
	uint32_t rounds = l->config.password_iterations;
	const struct print_cell others[] = {
		{ "entries", PRINT_NUMBER, { 0 }, s->entries },
		{ "data", PRINT_TEXT, slice_of(l->config.data), 0 },
		{ "map_bytes", PRINT_BYTES, { 0 }, s->map_bytes },
		{ "used_bytes", PRINT_BYTES, { 0 }, s->used_bytes },
		{ "free_bytes", PRINT_BYTES, { 0 }, s->free_bytes },
		{ "tree_bytes", PRINT_BYTES, { 0 }, s->tree_bytes },
		{ "map_use_percent", PRINT_TENTHS, { 0 }, in_use },
		{ "depth", PRINT_NUMBER, { 0 }, s->depth },
		{ "page_bytes", PRINT_NUMBER, { 0 }, s->page_bytes },
		{ "last_snapshot", PRINT_NUMBER, { 0 }, s->last_snapshot },
		{ "readers", PRINT_NUMBER, { 0 }, s->readers },
		{ "readers_max", PRINT_NUMBER, { 0 }, s->readers_max },
		{ "oldest_reader_behind", PRINT_NUMBER, { 0 }, behind },
		{ "clock_ahead_s", PRINT_NUMBER, { 0 }, now_s > wall_s ? now_s - wall_s : 0 },
		{ "password_iterations", PRINT_NUMBER, { 0 }, rounds },
		{ "password_checks_per_second", PRINT_TENTHS, { 0 }, password_speed(rounds) },
	};
	struct print_cell cells[KINDS + COUNT_OF(others)];

	static_assert(COUNT_OF(cells) <= PRINT_CELLS_MAX, "one record holds them all");
	fill_counts(cells, counts);
	memcpy(cells + KINDS, others, sizeof others);
	print_sheet(cells, COUNT_OF(cells));
}

int command_stat(struct command_line *l)
{
	uint64_t counts[KINDS] = { 0 };
	struct kv_stat s;
	enum kv_status status;
	int code = command_open(l, KV_READ);

	if (code != COMMAND_DONE)
		return code;
	if (command_has(l, OPTION_WATCH))
		return command_watch(l);
	kv_reset(l->kv);        /* so that the oldest reader is not this one */
	status = kv_stat(l->kv, &s);
	if (status == KV_OK)
		status = count(l, counts);
	if (status != KV_OK)
		return command_store(l, status);
	kv_reset(l->kv);
	print_stat(l, &s, counts);
	return COMMAND_DONE;
}
