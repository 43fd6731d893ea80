/* command_customer.c -- sidecart customer: added, shown, exported, disabled, deleted. */
#include "basket.h"
#include "command.h"
#include "customer.h"
#include "json.h"
#include "money.h"
#include "oscar.h"
#include "password.h"
#include "print.h"
#include "secret.h"
#include "session.h"
#include "view.h"

#define BASKETS_AT_ONCE 300     /* of one transaction: three puts each at most */

int command_customer_find(struct command_line *l, const char *login, struct customer_record *r)
{
	enum kv_status status = customer_find(l->kv, slice_of(login), r);

	if (status == KV_NOT_FOUND)
		return command_refuse("%s: no customer has this login", login);
	return status == KV_OK ? COMMAND_DONE : command_store(l, status);
}

int command_customer_begin(struct command_line *l, const char *login,
                           struct customer_record *r)
{
	int code = l->kv == NULL ? command_open(l, KV_WRITE) : COMMAND_DONE;
	enum kv_status status;

	if (code != COMMAND_DONE)
		return code;
	status = command_begin(l);
	if (status != KV_OK)
		return command_store(l, status);
	kv_use_reserve(l->kv);
	code = command_customer_find(l, login, r);
	if (code != COMMAND_DONE)
		command_abort(l);
	else
		command_subject(l, "customer=%llu", (unsigned long long)r->id);
	return code;
}

/* The new password's hash: the one given, or one made of a line of standard input. */
static int read_hash(const struct command_line *l, struct buf *hash)
{
	char text[PASSWORD_MAX];
	struct buf password = BUF(text);
	uint8_t salt[16];
	uint32_t iterations;
	bool read;

	if (command_has(l, OPTION_HASH)) {
		buf_put(hash, command_value(l, OPTION_HASH));
		if (!hash->full && password_hash_valid(buf_slice(hash), &iterations))
			return COMMAND_DONE;
		return command_refuse("--hash: no pbkdf2_sha256$ITERATIONS$SALT$HASH of 1 to %d "
		                      "iterations; no other algorithm is taken",
		                      PASSWORD_ITERATIONS_MAX);
	}
	if (!command_has(l, OPTION_PASSWORD_STDIN))
		return COMMAND_DONE;
	read = command_read_line(&password);
	if (read) {
		secret_random(salt, sizeof salt);
		password_make(hash, buf_slice(&password), l->config.password_iterations, salt);
	}
	explicit_bzero(text, sizeof text);
	return read ? COMMAND_DONE : COMMAND_REFUSED;
}

/* Exactly one of the options that say what the password is. */
static bool one_password(const struct command_line *l)
{
	return command_has(l, OPTION_PASSWORD_STDIN) + command_has(l, OPTION_HASH) +
	       command_has(l, OPTION_NO_PASSWORD) == 1;
}

/* Seals the hash for the customer; without a hash there is nothing to seal. */
static void seal(struct buf *sealed, const uint8_t key[SEAL_KEY_LEN], uint64_t id,
                 struct slice hash)
{
	uint8_t nonce[12];

	if (hash.len == 0)
		return;
	secret_random(nonce, sizeof nonce);
	password_seal(sealed, key, nonce, id, hash);
}

static int read_seal_key(const struct command_line *l, uint8_t key[SEAL_KEY_LEN])
{
	char error[SECRET_ERROR_MAX];

	if (secret_read_seal_key(l->config.data, key, error))
		return COMMAND_DONE;
	return command_fail(COMMAND_SYSTEM, "%s", error);
}

/* In one transaction, which gives the id that the password is sealed for. */
static int add(struct command_line *l, struct customer_record *r,
               const uint8_t key[SEAL_KEY_LEN], struct slice hash, struct buf *sealed)
{
	enum customer_error error = CUSTOMER_STORE;
	enum kv_status status = command_begin(l);

	if (status != KV_OK)
		return command_store(l, status);
	status = customer_next_id(l->kv, &r->id);
	if (status == KV_OK) {
		seal(sealed, key, r->id, hash);
		r->sealed_password = buf_slice(sealed);
		error = customer_add(l->kv, r, &status);
	}
	if (error == CUSTOMER_OK)
		status = command_commit(l);
	else
		command_abort(l);
	if (error != CUSTOMER_OK && error != CUSTOMER_STORE)
		return command_refuse("%s: %s", l->arguments[0], customer_error_text(error));
	return status == KV_OK ? COMMAND_DONE : command_store(l, status);
}

int command_customer_add(struct command_line *l)
{
	struct customer_record r = {
		.joined_us  = l->now_us,
		.login      = slice_of(l->arguments[0]),
		.email      = command_value(l, OPTION_EMAIL),
		.first_name = command_value(l, OPTION_FIRST_NAME),
		.last_name  = command_value(l, OPTION_LAST_NAME),
	};
	char hash_text[PASSWORD_HASH_MAX], sealed_text[PASSWORD_SEALED_MAX];
	struct buf hash = BUF(hash_text), sealed = BUF(sealed_text);
	uint8_t key[SEAL_KEY_LEN];
	struct print_cell cells[VIEW_CUSTOMER_CELLS];
	int code;

	if (!one_password(l))
		return command_wrong("one of --password-stdin, --hash and --no-password is due");
	code = read_hash(l, &hash);
	if (code == COMMAND_DONE)
		code = command_open(l, KV_CREATE);
	if (code == COMMAND_DONE)
		code = read_seal_key(l, key);
	if (code == COMMAND_DONE)
		code = add(l, &r, key, buf_slice(&hash), &sealed);
	explicit_bzero(key, sizeof key);
	if (code != COMMAND_DONE)
		return code;
	view_customer(cells, &r);
	if (command_has(l, OPTION_JSON)) {
		print_sheet(cells, VIEW_CUSTOMER_CELLS);
	} else {
		char line[24];
		struct buf id = BUF(line);

		buf_uint(&id, r.id);
		buf_char(&id, '\n');
		print_text(buf_slice(&id));
	}
	command_subject(l, "customer=%llu", (unsigned long long)r.id);
	command_say("customer %s was added", l->arguments[0]);
	return COMMAND_DONE;
}

int command_customer_list(struct command_line *l)
{
	struct print_cell cells[VIEW_CUSTOMER_CELLS];
	struct customer_record r;
	uint64_t after = 0;
	enum kv_status status;
	int code = command_open(l, KV_READ);

	if (code != COMMAND_DONE)
		return code;
	while ((status = customer_next(l->kv, &after, &r)) == KV_OK) {
		view_customer(cells, &r);
		print_row(cells, VIEW_CUSTOMER_CELLS);
		status = command_breathe(l);
		if (status != KV_OK)
			break;
	}
	return status == KV_NOT_FOUND ? COMMAND_DONE : command_store(l, status);
}

/* Opens the store for reading and finds the customer. */
static int find(struct command_line *l, struct customer_record *r)
{
	int code = command_open(l, KV_READ);

	return code != COMMAND_DONE ? code : command_customer_find(l, l->arguments[0], r);
}

int command_customer_show(struct command_line *l)
{
	struct print_cell cells[VIEW_CUSTOMER_CELLS];
	struct customer_record r;
	int code = find(l, &r);

	if (code != COMMAND_DONE)
		return code;
	view_customer(cells, &r);
	print_sheet(cells, VIEW_CUSTOMER_CELLS);
	return COMMAND_DONE;
}

/* The customer's object without its closing brace, which the sessions come before. */
static void print_opened(const struct customer_record *r)
{
	char text[PRINT_RECORD_MAX];
	struct buf object = BUF(text);
	struct print_cell cells[VIEW_CUSTOMER_CELLS];

	view_customer(cells, r);
	print_object(&object, cells, VIEW_CUSTOMER_CELLS);
	object.len--;
	buf_lit(&object, ",\"sessions\":[");
	print_text(buf_slice(&object));
}

/* `"name":"2026-11-22T05:50:27.206123Z"`, with a comma before it. */
static void put_time(struct buf *to, const char *name, uint64_t us)
{
	buf_lit(to, ",\"");
	buf_str(to, name);
	buf_lit(to, "\":\"");
	oscar_put_time(to, us);
	buf_char(to, '"');
}

static void put_member(struct buf *to, const char *name, struct slice text)
{
	buf_lit(to, ",\"");
	buf_str(to, name);
	buf_lit(to, "\":");
	json_put_string(to, text);
}

/* What he chose for a line; each in its own piece, since there may be many. */
static void print_options(const struct basket *b, const struct basket_line *line)
{
	print_text(SLICE(",\"options\":["));
	for (uint32_t i = 0; i < line->option_count; i++) {
		const struct basket_option *o = &b->options[line->first_option + i];
		char text[8 * RECORD_OPTION_MAX * 2];
		struct buf to = BUF(text);

		buf_str(&to, i > 0 ? ",{\"id\":" : "{\"id\":");
		buf_uint(&to, o->id);
		put_member(&to, "option", o->option);
		put_member(&to, "value", o->value);
		buf_char(&to, '}');
		print_text(buf_slice(&to));
	}
	print_text(SLICE("]}"));
}

static void print_line(const struct basket *b, uint32_t i)
{
	char text[8 * RECORD_TEXT_MAX];
	const struct basket_line *line = &b->lines[i];
	struct buf to = BUF(text);

	buf_str(&to, i > 0 ? ",{\"id\":" : "{\"id\":");
	buf_uint(&to, line->id);
	put_member(&to, "product", line->product);
	buf_lit(&to, ",\"quantity\":");
	buf_uint(&to, line->quantity);
	put_time(&to, "created", line->created_us);
	put_time(&to, "updated", line->updated_us);
	if (line->priced) {
		put_member(&to, "name", line->name);
		buf_lit(&to, ",\"price\":\"");
		money_put_e4(&to, line->price_e4);
		buf_lit(&to, "\",\"discount\":\"");
		money_put_cents(&to, line->discount_cents);
		buf_char(&to, '"');
		put_member(&to, "currency", line->currency);
	}
	print_text(buf_slice(&to));
	print_options(b, line);
}

static void print_basket(const struct basket *b, bool first)
{
	char text[8 * RECORD_TEXT_MAX];
	struct buf to = BUF(text);

	buf_str(&to, first ? "{\"id\":" : ",{\"id\":");
	buf_uint(&to, b->id);
	put_member(&to, "status", slice_of(basket_status_text((enum basket_status)b->status)));
	put_time(&to, "created", b->created_us);
	put_time(&to, "updated", b->updated_us);
	if (b->email.len > 0)
		put_member(&to, "email", b->email);
	if (b->currency.len > 0)
		put_member(&to, "currency", b->currency);
	buf_lit(&to, ",\"lines\":[");
	print_text(buf_slice(&to));
	for (uint32_t i = 0; i < b->line_count; i++)
		print_line(b, i);
	print_text(SLICE("]}"));
}

static enum kv_status print_sessions(struct command_line *l, uint64_t customer_id)
{
	struct record_key after = { .len = 0 };
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct session_record s;
	enum kv_status status;
	bool first = true;

	while ((status = session_next_of(l->kv, customer_id, &after, key, &s)) == KV_OK) {
		print_text(first ? SLICE("") : SLICE(","));
		if ((status = command_session_print(l, key, &s)) != KV_OK)
			break;
		first = false;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

static enum kv_status print_baskets(struct command_line *l, uint64_t customer_id)
{
	static struct basket b;
	uint64_t id = 0;
	enum kv_status status;
	bool first = true;

	while ((status = basket_next_of(l->kv, customer_id, &id)) == KV_OK) {
		status = basket_get(l->kv, id, l->now_us / 1000000, &b);
		if (status == KV_NOT_FOUND)
			continue;
		if (status != KV_OK)
			break;
		print_basket(&b, first);
		first = false;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

int command_customer_export(struct command_line *l)
{
	struct customer_record r;
	enum kv_status status;
	int code = find(l, &r);

	if (code != COMMAND_DONE)
		return code;
	print_opened(&r);
	status = print_sessions(l, r.id);
	print_text(SLICE("],\"baskets\":["));
	if (status == KV_OK)
		status = print_baskets(l, r.id);
	print_text(SLICE("]}\n"));
	return status == KV_OK ? COMMAND_DONE : command_store(l, status);
}

static int say_done(struct command_line *l, int code, const char *what, uint32_t ended)
{
	if (code == COMMAND_DONE)
		command_say("customer %s %s; sessions ended: %u", l->arguments[0], what, ended);
	return code;
}

/* Disables the customer, so that no login begins, and ends his sessions; what is left to do
 * in the last transaction is the caller's. */
static enum kv_status shut_out(struct command_line *l, struct customer_record *r,
                               uint32_t *ended)
{
	r->flags |= CUSTOMER_DISABLED;
	return command_session_end_all(l, r->id, customer_put(l->kv, r), ended);
}

int command_customer_disable(struct command_line *l)
{
	struct customer_record r = { 0 };
	uint32_t ended;
	int code = command_customer_begin(l, l->arguments[0], &r);

	if (code != COMMAND_DONE)
		return code;
	code = command_finish(l, shut_out(l, &r, &ended));
	return say_done(l, code, "is disabled", ended);
}

int command_customer_enable(struct command_line *l)
{
	struct customer_record r = { 0 };
	int code = command_customer_begin(l, l->arguments[0], &r);

	if (code != COMMAND_DONE)
		return code;
	r.flags &= ~(uint32_t)CUSTOMER_DISABLED;
	code = command_finish(l, customer_put(l->kv, &r));
	if (code == COMMAND_DONE)
		command_say("customer %s is enabled", l->arguments[0]);
	return code;
}

/* Removes all that he put into baskets, whatever became of them. */
static enum kv_status delete_baskets(struct command_line *l, uint64_t customer_id)
{
	enum kv_status status = KV_OK;

	for (uint32_t count = 1; status == KV_OK; count++) {
		uint64_t id = 0;

		status = basket_next_of(l->kv, customer_id, &id);
		if (status == KV_NOT_FOUND)
			return KV_OK;
		if (status == KV_OK)
			status = basket_delete(l->kv, id);
		if (status == KV_NOT_FOUND)
			return KV_IO;           /* the list names one that is not there: `check` */
		if (status == KV_OK && count % BASKETS_AT_ONCE == 0)
			status = command_commit(l);
		if (status == KV_OK && count % BASKETS_AT_ONCE == 0)
			status = command_begin(l);
	}
	return status;
}

int command_customer_delete(struct command_line *l)
{
	struct customer_record r = { 0 };
	enum kv_status status;
	uint32_t ended;
	int code = command_customer_begin(l, l->arguments[0], &r);

	if (code != COMMAND_DONE)
		return code;
	status = shut_out(l, &r, &ended);
	if (status == KV_OK)
		status = delete_baskets(l, r.id);
	if (status == KV_OK)
		status = customer_get(l->kv, r.id, &r); /* its strings have moved */
	if (status == KV_OK)
		status = customer_delete(l->kv, &r);
	code = command_finish(l, status);
	return say_done(l, code, "was deleted", ended);
}

int command_customer_set_password(struct command_line *l)
{
	char hash_text[PASSWORD_HASH_MAX], sealed_text[PASSWORD_SEALED_MAX];
	struct buf hash = BUF(hash_text), sealed = BUF(sealed_text);
	uint8_t key[SEAL_KEY_LEN];
	struct customer_record r = { 0 };
	uint32_t ended;
	int code;

	if (!one_password(l))
		return command_wrong("one of --password-stdin and --hash HASH is due");
	code = command_open(l, KV_WRITE);
	if (code == COMMAND_DONE)
		code = read_hash(l, &hash);
	if (code == COMMAND_DONE)
		code = read_seal_key(l, key);
	if (code == COMMAND_DONE)
		code = command_customer_begin(l, l->arguments[0], &r);
	if (code != COMMAND_DONE)
		return code;
	seal(&sealed, key, r.id, buf_slice(&hash));
	explicit_bzero(key, sizeof key);
	r.sealed_password = buf_slice(&sealed);
	code = command_finish(l, command_session_end_all(l, r.id, customer_put(l->kv, &r), &ended));
	return say_done(l, code, "has a new password", ended);
}
