/* command_key.c -- sidecart key: API keys added, listed, disabled, revoked. */
#include "client.h"
#include "command.h"
#include "print.h"
#include "secret.h"
#include "view.h"

#define SHORT_KEY 20            /* characters; a shorter one is soon guessed */

/* One line of the list; `key` is given by `key add` alone. */
static void print_client(const struct command_line *l, const struct client_record *r,
                         struct slice key)
{
	char text[VIEW_TEXT_MAX];
	struct buf room = BUF(text);
	struct print_cell cells[VIEW_CLIENT_CELLS];

	view_client(cells, &room, r, key, l->now_us / 1000000);
	print_row(cells, VIEW_CLIENT_CELLS - !slice_given(key));
}

static int read_sources(const struct command_line *l, struct client_record *r)
{
	for (size_t i = 0; i < l->source_count; i++) {
		struct slice bad;

		if (client_sources_parse(slice_of(l->sources[i]), r, &bad))
			continue;
		if (!slice_given(bad))
			return command_wrong("--source: %d networks at most", RECORD_SOURCES_MAX);
		return command_wrong("--source: \"%.*s\" is no network (such as 10.0.0.0/8)",
		                     (int)bad.len, bad.ptr);
	}
	return COMMAND_DONE;
}

static int read_origins(const struct command_line *l, struct buf *out)
{
	struct slice bad;

	for (size_t i = 0; i < l->origin_count; i++)
		if (!client_origins_parse(slice_of(l->origins[i]), out, &bad))
			return command_wrong("--origin: \"%.*s\" is no origin (such as "
			                     "https://shop.example)", (int)bad.len, bad.ptr);
	if (out->full)
		return command_wrong("--origin: %d bytes at most, all together",
		                     RECORD_ORIGINS_BYTES);
	return COMMAND_DONE;
}

/* The new key's record, from the command line. */
static int read_record(const struct command_line *l, struct client_record *r)
{
	struct slice scopes = command_value(l, OPTION_SCOPE), bad;
	enum client_error error;
	uint64_t life_ms;

	*r = (struct client_record){
		.created_s = l->now_us / 1000000,
		.scopes    = SCOPE_SHOP,
		.name      = slice_of(l->arguments[0]),
		.owner     = command_value(l, OPTION_OWNER),
	};
	error = client_judge(SLICE("any"), r);
	if (error != CLIENT_ADDED)
		return command_wrong("%s%s", error == CLIENT_OWNER_BAD ? "--owner: " : "",
		                     client_error_text(error));
	if (command_has(l, OPTION_SCOPE) && !client_scopes_parse(scopes, &r->scopes, &bad))
		return command_wrong("--scope: \"%.*s\" is none of shop, trusted, login, "
		                     "resolve, admin",
		                     (int)bad.len, bad.ptr);
	if (command_has(l, OPTION_EXPIRES)) {
		if (!config_duration(command_value(l, OPTION_EXPIRES), &life_ms) || life_ms < 1000)
			return command_wrong("--expires: \"%s\" is no duration (such as 90d)",
			                     l->option[OPTION_EXPIRES]);
		r->expires_s = r->created_s + life_ms / 1000;
	}
	return read_sources(l, r);
}

/* The key's text: given, read, or drawn. */
static int read_key(const struct command_line *l, const struct client_record *r,
                    struct buf *key)
{
	uint8_t random[20];
	bool drawn = !command_has(l, OPTION_VALUE) && !command_has(l, OPTION_VALUE_STDIN);

	if (command_has(l, OPTION_VALUE) && command_has(l, OPTION_VALUE_STDIN))
		return command_wrong("--value or --value-stdin, not both");
	if (drawn) {
		secret_random(random, sizeof random);
		client_generate(key, random);
	} else if (command_has(l, OPTION_VALUE_STDIN)) {
		if (!command_read_line(key))
			return COMMAND_REFUSED;
	} else {
		buf_put(key, command_value(l, OPTION_VALUE));
	}
	if (key->full || client_judge(buf_slice(key), r) != CLIENT_ADDED)
		return command_refuse("%s", client_error_text(CLIENT_KEY_BAD));
	if (key->len < SHORT_KEY)
		command_say("sidecart: warning: a key of %zu characters is soon guessed", key->len);
	return COMMAND_DONE;
}

/* In one transaction; nothing is kept unless it is done. */
static int add(struct command_line *l, struct slice key, const struct client_record *r)
{
	enum kv_status status = command_begin(l);
	enum client_error error;

	if (status != KV_OK)
		return command_store(l, status);
	error = client_add(l->kv, key, r, &status);
	if (error == CLIENT_ADDED)
		status = command_commit(l);
	else
		command_abort(l);
	if (error != CLIENT_ADDED && error != CLIENT_STORE)
		return command_refuse("%s: %s", l->arguments[0], client_error_text(error));
	return status == KV_OK ? COMMAND_DONE : command_store(l, status);
}

int command_key_add(struct command_line *l)
{
	char text[CLIENT_KEY_MAX], origins_text[RECORD_ORIGINS_BYTES];
	struct buf key = BUF(text), origins = BUF(origins_text);
	struct client_record r;
	int code = read_record(l, &r);

	if (code == COMMAND_DONE)
		code = read_origins(l, &origins);
	r.origins = buf_slice(&origins);
	if (code == COMMAND_DONE)
		code = read_key(l, &r, &key);
	if (code == COMMAND_DONE)
		code = command_open(l, KV_CREATE);
	if (code == COMMAND_DONE)
		code = add(l, buf_slice(&key), &r);
	if (code != COMMAND_DONE)
		return code;
	if (command_has(l, OPTION_JSON)) {
		print_client(l, &r, buf_slice(&key));
	} else {
		print_text(buf_slice(&key));
		print_text(SLICE("\n"));
	}
	command_say("key %s was added; it is shown this once", l->arguments[0]);
	return COMMAND_DONE;
}

/* By name: every key but those whose name was given to another since. */
static enum kv_status list_named(struct command_line *l)
{
	struct record_key after = { .len = 0 };
	struct client_record r;
	enum kv_status status;

	while ((status = client_next_named(l->kv, &after, &r)) == KV_OK) {
		print_client(l, &r, (struct slice){ 0 });
		status = command_breathe(l);
		if (status != KV_OK)
			return status;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* Revoked keys whose name another one bears now. */
static enum kv_status list_replaced(struct command_line *l)
{
	uint8_t digest[RECORD_DIGEST_LEN], bearer[RECORD_DIGEST_LEN];
	struct record_key after = { .len = 0 };
	struct client_record r, named;
	enum kv_status status;

	while ((status = client_next(l->kv, &after, digest, &r)) == KV_OK) {
		status = client_find_name(l->kv, r.name, bearer, &named);
		if (status != KV_OK && status != KV_NOT_FOUND)
			return status;
		if (status == KV_NOT_FOUND || !slice_eq(slice_bytes(digest, sizeof digest),
		                                        slice_bytes(bearer, sizeof bearer)))
			print_client(l, &r, (struct slice){ 0 });
		status = command_breathe(l);
		if (status != KV_OK)
			return status;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

int command_key_list(struct command_line *l)
{
	int code = command_open(l, KV_READ);
	enum kv_status status;

	if (code != COMMAND_DONE)
		return code;
	status = list_named(l);
	if (status == KV_OK)
		status = list_replaced(l);
	return status == KV_OK ? COMMAND_DONE : command_store(l, status);
}

/* Sets and clears flags of the named key. A revoked one stays as it is. */
static int change(struct command_line *l, uint32_t set, uint32_t clear, const char *done)
{
	int code = command_open(l, KV_WRITE);
	enum client_error error;
	enum kv_status status;

	if (code != COMMAND_DONE)
		return code;
	status = command_begin(l);
	if (status != KV_OK)
		return command_store(l, status);
	error = client_change(l->kv, slice_of(l->arguments[0]), set, clear, &status);
	if (error == CLIENT_ADDED)
		status = command_commit(l);
	else
		command_abort(l);
	if (status == KV_NOT_FOUND)
		return command_refuse("%s: no key of this name", l->arguments[0]);
	if (status != KV_OK)
		return command_store(l, status);
	if (error != CLIENT_ADDED)
		return command_refuse("%s: %s", l->arguments[0], client_error_text(error));
	command_say("key %s is %s", l->arguments[0], done);
	return COMMAND_DONE;
}

int command_key_disable(struct command_line *l)
{
	return change(l, CLIENT_DISABLED, 0, "disabled");
}

int command_key_enable(struct command_line *l)
{
	return change(l, 0, CLIENT_DISABLED, "enabled");
}

int command_key_revoke(struct command_line *l)
{
	return change(l, CLIENT_REVOKED, 0, "revoked");
}
