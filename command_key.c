/* command_key.c -- sidecart key: API keys added, listed, disabled, revoked. */
#include "client.h"
#include "command.h"
#include "print.h"
#include "secret.h"

#define SHORT_KEY     20        /* characters; a shorter one is soon guessed */
#define SOURCES_MAX   (RECORD_SOURCES_MAX * (ADDRESS_TEXT_MAX + 5))
#define SCOPES_MAX    64

/* Between `low` and `high`, each of the bytes. */
static bool made_of(struct slice s, unsigned char low, unsigned char high)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < low || (unsigned char)s.ptr[i] > high)
			return false;
	return true;
}

/* `10.0.0.0/8,192.0.2.1`: as network_parse() reads them. */
static void put_sources(struct buf *out, const struct client_record *r)
{
	for (uint32_t i = 0; i < r->source_count; i++) {
		const struct network *n = &r->sources[i];
		bool four = address_is_ipv4(&n->base) && n->prefix >= 96;

		if (i > 0)
			buf_char(out, ',');
		address_write(out, &n->base);
		if (n->prefix == 128)
			continue;
		buf_char(out, '/');
		buf_uint(out, four ? n->prefix - 96u : n->prefix);
	}
}

static const char *state_of(const struct client_record *r, uint64_t now_s)
{
	if ((r->flags & CLIENT_REVOKED) != 0)
		return "revoked";
	if ((r->flags & CLIENT_DISABLED) != 0)
		return "disabled";
	return r->expires_s != 0 && now_s >= r->expires_s ? "expired" : "active";
}

/* One line of the list; `key` is given by `key add` alone. */
static void print_client(const struct command_line *l, const struct client_record *r,
                         struct slice key)
{
	char scopes_text[SCOPES_MAX], sources_text[SOURCES_MAX];
	struct buf scopes = BUF(scopes_text), sources = BUF(sources_text);

	client_scopes_write(&scopes, r->scopes);
	put_sources(&sources, r);
	{
		const struct print_cell cells[] = {
			{ "name", PRINT_TEXT, r->name, 0 },
			{ "scopes", PRINT_LIST, buf_slice(&scopes), 0 },
			{ "state", PRINT_TEXT, slice_of(state_of(r, l->now_us / 1000000)), 0 },
			{ "created", PRINT_TIME, { 0 }, r->created_s },
			{ "expires", PRINT_TIME, { 0 }, r->expires_s },
			{ "used", PRINT_TIME, { 0 }, r->used_s },
			{ "owner", PRINT_TEXT, r->owner, 0 },
			{ "sources", PRINT_LIST, buf_slice(&sources), 0 },
			{ "origins", PRINT_LIST, r->origins, 0 },
			{ "key", PRINT_TEXT, key, 0 },
		};

		print_row(cells, COUNT_OF(cells) - !slice_given(key));
	}
}

static int read_sources(const struct command_line *l, struct client_record *r)
{
	for (size_t i = 0; i < l->source_count; i++) {
		struct slice list = slice_of(l->sources[i]);

		while (slice_given(list)) {
			struct slice one = slice_trim(slice_cut(&list, ','));

			if (r->source_count == RECORD_SOURCES_MAX)
				return command_wrong("--source: %d networks at most",
				                     RECORD_SOURCES_MAX);
			if (!network_parse(one, &r->sources[r->source_count++]))
				return command_wrong("--source: \"%.*s\" is no network (such as "
				                     "10.0.0.0/8)", (int)one.len, one.ptr);
		}
	}
	return COMMAND_DONE;
}

static int read_origins(const struct command_line *l, struct buf *out)
{
	char origin[CONFIG_ORIGIN_MAX];

	for (size_t i = 0; i < l->origin_count; i++) {
		struct slice list = slice_of(l->origins[i]);

		while (slice_given(list)) {
			struct slice one = slice_trim(slice_cut(&list, ','));

			if (!config_origin(one, origin))
				return command_wrong("--origin: \"%.*s\" is no origin (such as "
				                     "https://shop.example)", (int)one.len,
				                     one.ptr);
			if (out->len > 0)
				buf_char(out, ',');
			buf_str(out, origin);
		}
	}
	if (out->full)
		return command_wrong("--origin: %d bytes at most, all together",
		                     RECORD_ORIGINS_BYTES);
	return COMMAND_DONE;
}

/* The new key's record, from the command line. */
static int read_record(const struct command_line *l, struct client_record *r)
{
	struct slice scopes = command_value(l, OPTION_SCOPE), bad;
	uint64_t life_ms;

	*r = (struct client_record){
		.created_s = l->now_us / 1000000,
		.scopes    = SCOPE_SHOP,
		.name      = slice_of(l->arguments[0]),
		.owner     = command_value(l, OPTION_OWNER),
	};
	/* `-` is what /resolve says where there is no key (requirement F03). */
	if (r->name.len == 0 || r->name.len > RECORD_NAME_MAX || !made_of(r->name, '!', '~') ||
	    slice_eq(r->name, SLICE("-")))
		return command_wrong("a key's name is 1 to %d visible ASCII characters, and not -",
		                     RECORD_NAME_MAX);
	if (r->owner.len > RECORD_TEXT_MAX || !made_of(r->owner, ' ', 0xff))
		return command_wrong("--owner: %d bytes at most, on one line",
		                     RECORD_TEXT_MAX);
	if (command_has(l, OPTION_SCOPE) && !client_scopes_parse(scopes, &r->scopes, &bad))
		return command_wrong("--scope: \"%.*s\" is none of shop, trusted, login, resolve",
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
static int read_key(const struct command_line *l, struct buf *key)
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
	if (key->full || key->len == 0 || !made_of(buf_slice(key), ' ', '~') ||
	    slice_trim(buf_slice(key)).len != key->len)
		return command_refuse("a key is 1 to %d characters of ASCII, no blank at an end",
		                      CLIENT_KEY_MAX);
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
	switch (error) {
	case CLIENT_NAME_TAKEN:
		return command_refuse("%s: a key of this name is there already",
		                      l->arguments[0]);
	case CLIENT_KEY_TAKEN:
		return command_refuse("this key is there already, perhaps under another "
		                      "name or revoked");
	case CLIENT_ADDED:
	case CLIENT_STORE:
		break;
	}
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
		code = read_key(l, &key);
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
	static const char kind = RECORD_CLIENT_NAME;
	uint8_t digest[RECORD_DIGEST_LEN];
	struct record_key after = { .len = 0 };
	struct client_record r;
	struct slice key, value;
	enum kv_status status = KV_OK;

	while (status == KV_OK) {
		status = kv_scan(l->kv, (struct slice){ &kind, 1 },
		                 slice_bytes(after.bytes, after.len), &key, &value);
		if (status != KV_OK)
			break;
		record_client_name_key(&after, slice_skip(key, 1));
		status = client_find_name(l->kv, slice_skip(key, 1), digest, &r);
		if (status != KV_OK)
			break;
		print_client(l, &r, (struct slice){ 0 });
		status = command_breathe(l);
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
	uint8_t digest[RECORD_DIGEST_LEN];
	struct client_record r;
	int code = command_open(l, KV_WRITE);
	enum kv_status status;
	bool revoked = false;

	if (code != COMMAND_DONE)
		return code;
	status = command_begin(l);
	if (status != KV_OK)
		return command_store(l, status);
	status = client_find_name(l->kv, slice_of(l->arguments[0]), digest, &r);
	if (status == KV_OK) {
		revoked = (r.flags & CLIENT_REVOKED) != 0;
		r.flags = (r.flags | set) & ~clear;
		status = revoked ? KV_OK : client_put(l->kv, digest, &r);
	}
	if (status != KV_OK || revoked)
		command_abort(l);
	else
		status = command_commit(l);
	if (status == KV_NOT_FOUND)
		return command_refuse("%s: no key of this name", l->arguments[0]);
	if (status != KV_OK)
		return command_store(l, status);
	if (revoked && set != CLIENT_REVOKED)
		return command_refuse("%s: this key was revoked, which is final; add a "
		                      "new one", l->arguments[0]);
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
