/* command_session.c -- sidecart session and sidecart sid: sessions listed, shown, revoked. */
#include <time.h>

#include "clock.h"
#include "command.h"
#include "print.h"
#include "secret.h"
#include "session.h"
#include "sid.h"
#include "view.h"

#define HEADER_MAX 4096      /* bytes of the Session-Id that sidecart sid reads */

static uint64_t now_s(const struct command_line *l)
{
	return l->now_us / 1000000;
}

enum kv_status command_session_end_all(struct command_line *l, uint64_t customer_id,
                                       enum kv_status status, uint32_t *ended)
{
	uint32_t deleted = 0;

	*ended = 0;
	while (status == KV_OK) {
		status = session_delete_some(l->kv, customer_id, COMMAND_CHUNK, &deleted);
		*ended += deleted;
		if (status != KV_OK || deleted < COMMAND_CHUNK)
			break;
		status = command_commit(l);
		if (status == KV_OK)
			status = command_begin(l);
	}
	return status;
}

enum kv_status command_session_print(struct command_line *l,
                                     const uint8_t key[RECORD_SESSION_KEY_LEN],
                                     const struct session_record *s)
{
	char room_text[VIEW_TEXT_MAX], text[PRINT_RECORD_MAX];
	struct buf room = BUF(room_text), object = BUF(text);
	struct print_cell cells[VIEW_SESSION_CELLS];
	struct record_key place;
	struct slice value, json;
	enum kv_status status = kv_get(l->kv, record_data_key(&place, key), &value);

	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	view_session(cells, &room, key, s, now_s(l));
	print_object(&object, cells, VIEW_SESSION_CELLS - 2);
	object.len--;
	buf_lit(&object, ",\"data\":");
	if (status == KV_NOT_FOUND)
		buf_lit(&object, "{}");
	else if (record_data_read(value, &json))
		buf_put(&object, json);
	else
		return KV_IO;
	buf_char(&object, '}');
	print_text(buf_slice(&object));
	return KV_OK;
}

/* Prints a session that is live, as a row or a sheet; KV_NOT_FOUND where it is not. */
static enum kv_status print_live(struct command_line *l,
                                 const uint8_t key[RECORD_SESSION_KEY_LEN],
                                 void (*print)(const struct print_cell *, size_t))
{
	char text[VIEW_TEXT_MAX];
	struct buf room = BUF(text);
	struct print_cell cells[VIEW_SESSION_CELLS];
	struct session_record s;
	enum kv_status status = session_find(l->kv, key, now_s(l), &s);

	if (status != KV_OK)
		return status;
	view_session(cells, &room, key, &s, now_s(l));
	print(cells, VIEW_SESSION_CELLS);
	return KV_OK;
}

/* A dead session is not listed: for everybody who asks it is not there. */
static enum kv_status list(struct command_line *l, const struct customer_record *of)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct record_key after = { .len = 0 };
	struct session_record s;
	uint64_t id = of != NULL ? of->id : 0;
	enum kv_status status = KV_OK;

	while (status == KV_OK) {
		status = of != NULL ? session_next_of(l->kv, id, &after, key, &s) :
		                      session_next(l->kv, &after, key, &s);
		if (status != KV_OK)
			return status == KV_NOT_FOUND ? KV_OK : status;
		status = print_live(l, key, print_row);
		if (status == KV_OK || status == KV_NOT_FOUND)
			status = command_breathe(l);
	}
	return status;
}

int command_session_list(struct command_line *l)
{
	struct customer_record customer;
	enum kv_status status;
	bool one = command_has(l, OPTION_CUSTOMER);
	bool guests = one && strcmp(l->option[OPTION_CUSTOMER], "-") == 0;
	int code = command_open(l, KV_READ);

	customer.id = 0;
	if (code == COMMAND_DONE && one && !guests)
		code = command_customer_find(l, l->option[OPTION_CUSTOMER], &customer);
	if (code != COMMAND_DONE)
		return code;
	status = list(l, one ? &customer : NULL);
	return status == KV_OK ? COMMAND_DONE : command_store(l, status);
}

static int read_key(const struct command_line *l, uint8_t key[RECORD_SESSION_KEY_LEN])
{
	if (hex_decode(slice_of(l->arguments[0]), key, RECORD_SESSION_KEY_LEN))
		return COMMAND_DONE;
	return command_wrong("\"%s\" is no session key: 40 hexadecimal digits, as sidecart sid "
	                     "prints them", l->arguments[0]);
}

static int not_found(const struct command_line *l)
{
	return command_refuse("%s: no live session has this key", l->arguments[0]);
}

int command_session_show(struct command_line *l)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	enum kv_status status;
	int code = read_key(l, key);

	if (code == COMMAND_DONE)
		code = command_open(l, KV_READ);
	if (code != COMMAND_DONE)
		return code;
	status = print_live(l, key, print_sheet);
	if (status == KV_NOT_FOUND)
		return not_found(l);
	return status == KV_OK ? COMMAND_DONE : command_store(l, status);
}

static int revoke_one(struct command_line *l)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	enum kv_status status;
	int code = read_key(l, key);

	if (code == COMMAND_DONE)
		code = command_open(l, KV_WRITE);
	if (code != COMMAND_DONE)
		return code;
	status = command_begin(l);
	if (status == KV_OK)
		status = session_end(l->kv, key);
	if (status == KV_NOT_FOUND) {
		command_abort(l);
		return not_found(l);
	}
	command_subject(l, "session=%.8s", l->arguments[0]);
	code = command_finish(l, status);
	if (code == COMMAND_DONE)
		command_say("session %.8s... was ended", l->arguments[0]);
	return code;
}

static int revoke_of_customer(struct command_line *l)
{
	struct customer_record r = { 0 };
	uint32_t ended;
	int code = command_customer_begin(l, l->option[OPTION_CUSTOMER], &r);

	if (code != COMMAND_DONE)
		return code;
	code = command_finish(l, command_session_end_all(l, r.id, KV_OK, &ended));
	if (code == COMMAND_DONE)
		command_say("sessions ended: %u", ended);
	return code;
}

/* Ends what one step of the walk finds; sessions made since the command began live on. */
static enum kv_status revoke_some(struct command_line *l, struct record_key *after,
                                  uint64_t *ended)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct session_record s;
	enum kv_status status = KV_OK;

	for (int i = 0; i < COMMAND_CHUNK && status == KV_OK; i++) {
		status = session_next(l->kv, after, key, &s);
		if (status != KV_OK || s.created_s > now_s(l))
			continue;
		status = session_end(l->kv, key);
		*ended += status == KV_OK;
	}
	return status;
}

/* No session is left that could live again: the store's clock may be the wall clock again. */
static enum kv_status set_clock_back(struct command_line *l)
{
	uint64_t wall_s = (uint64_t)time(NULL);
	enum kv_status status = KV_OK;

	if (wall_s >= now_s(l))
		return KV_OK;
	if ((status = command_begin(l)) != KV_OK)
		return status;
	kv_use_reserve(l->kv);
	status = clock_set(l->kv, wall_s);
	if (status == KV_OK)
		status = command_commit(l);
	else
		command_abort(l);
	if (status == KV_OK)
		command_say("the store's clock was set back by %llu s",
		            (unsigned long long)(now_s(l) - wall_s));
	return status;
}

static int revoke_all(struct command_line *l)
{
	struct record_key after = { .len = 0 };
	enum kv_status status = KV_OK, committed = KV_OK;
	uint64_t ended = 0;
	int code = command_open(l, KV_WRITE);

	if (code != COMMAND_DONE)
		return code;
	while (status == KV_OK) {
		status = command_begin(l);
		if (status == KV_OK)
			status = revoke_some(l, &after, &ended);
		if (status == KV_OK || status == KV_NOT_FOUND)
			committed = command_commit(l);
		else
			command_abort(l);
		if (committed != KV_OK)
			status = committed;
	}
	if (status == KV_NOT_FOUND)
		status = set_clock_back(l);
	if (status != KV_OK)
		return command_store(l, status);
	command_subject(l, "of=all sessions_ended=%llu", (unsigned long long)ended);
	command_say("sessions ended: %llu", (unsigned long long)ended);
	return COMMAND_DONE;
}

int command_session_revoke(struct command_line *l)
{
	bool customer = command_has(l, OPTION_CUSTOMER), all = command_has(l, OPTION_ALL);

	if ((l->argument_count > 0) + customer + all != 1)
		return command_wrong("one of KEY, --customer LOGIN and --all is due");
	if (all)
		return revoke_all(l);
	return customer ? revoke_of_customer(l) : revoke_one(l);
}

static void print_sid(const struct sid *s, struct slice secret, struct slice header, bool migrate)
{
	uint8_t key[SID_KEY_LEN];
	char hex_text[2 * SID_KEY_LEN], cut_text[2 * SID_KEY_LEN], echo_text[2 * HEADER_MAX];
	struct buf hex = BUF(hex_text), cut = BUF(cut_text), echo = BUF(echo_text);

	sid_key(s, s->type, secret, key);
	buf_hex(&hex, slice_bytes(key, sizeof key));
	if (migrate && sid_original_key(header, s, s->type, secret, key))
		buf_hex(&cut, slice_bytes(key, sizeof key));
	sid_write(&echo, s, s->type);
	{
		const struct print_cell cells[] = {
			{ "type", PRINT_TEXT, slice_of(s->type == SID_AUTH ? "AUTH" : "ANON"), 0 },
			{ "realm", PRINT_TEXT, s->realm, 0 },
			{ "identifier", PRINT_TEXT, s->identifier, 0 },
			{ "thread", PRINT_TEXT, s->thread, 0 },
			{ "count", PRINT_TEXT, s->count, 0 },
			{ "session_key", PRINT_TEXT, buf_slice(&hex), 0 },
			{ "session_id", PRINT_TEXT, buf_slice(&echo), 0 },
			{ "original_key", PRINT_TEXT, buf_slice(&cut), 0 },
		};

		print_sheet(cells, COUNT_OF(cells) - !migrate);
	}
}

int command_sid(struct command_line *l)
{
	char secret_text[SECRET_MAX], error[SECRET_ERROR_MAX];
	struct buf secret = BUF(secret_text);
	struct slice header = slice_trim(slice_of(l->arguments[0]));
	enum sid_error wrong;
	struct sid s;

	if (header.len > HEADER_MAX)
		return command_refuse("a Session-Id of more than %d bytes is not taken apart here",
		                      HEADER_MAX);
	wrong = sid_parse(header, l->config.sid_grammar, &s);
	if (wrong != SID_OK)
		return command_refuse("%s", sid_error_text(wrong));
	if (!secret_read(l->config.sid_secret_file, &secret, error))
		return command_fail(COMMAND_SYSTEM, "%s", error);
	print_sid(&s, buf_slice(&secret), header, l->config.sid_grammar == SID_MIGRATE);
	explicit_bzero(secret_text, sizeof secret_text);
	return COMMAND_DONE;
}
