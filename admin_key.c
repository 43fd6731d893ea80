/* admin_key.c -- /admin/keys: listed, added, shown, disabled, enabled, revoked. */
#include "admin.h"
#include "client.h"
#include "view.h"

#define WORDS_MAX 1024          /* bytes of one list's words */

static enum call_result unknown(struct call *c)
{
	return admin_unknown(c, "No key has this name.");
}

static enum call_result show(struct call *c, enum http_status status,
                             const struct client_record *r, struct slice key)
{
	struct print_cell cells[VIEW_CLIENT_CELLS];
	char text[VIEW_TEXT_MAX];
	struct buf room = BUF(text);

	view_client(cells, &room, r, key, call_now_s(c));
	return admin_record(c, status, cells, VIEW_CLIENT_CELLS - !slice_given(key));
}

/* By name: every key but revoked ones whose name was given to another since. */
enum call_result admin_key_list(struct call *c)
{
	static const char *const names[] = { "limit", "after" };
	struct print_cell cells[VIEW_CLIENT_CELLS];
	struct record_key after = { .len = 0 };
	struct client_record r;
	struct admin_query q;
	struct admin_list l;
	enum kv_status status = KV_OK;

	if (!admin_query_read(c, &q, names, COUNT_OF(names)))
		return CALL_DONE;
	if (slice_given(q.value[1]) && !slice_given(record_client_name_key(&after, q.value[1])))
		return admin_invalid(c, "after is the name of a key.");
	if (!admin_list_begin(&l, c, "keys", q.value[0]))
		return CALL_DONE;
	while (admin_list_more(&l) && (status = client_next_named(c->kv, &after, &r)) == KV_OK) {
		char text[VIEW_TEXT_MAX];
		struct buf room = BUF(text);

		view_client(cells, &room, &r, (struct slice){ 0 }, call_now_s(c));
		admin_list_put(&l, cells, VIEW_CLIENT_CELLS - 1);
	}
	return admin_list_end(&l, status, slice_bytes(after.bytes + 1, after.len > 0 ?
	                                              after.len - 1 : 0));
}

enum call_result admin_key_show(struct call *c)
{
	uint8_t digest[RECORD_DIGEST_LEN];
	struct client_record r;
	enum kv_status status = client_find_name(c->kv, c->arg[0], digest, &r);

	if (status == KV_NOT_FOUND)
		return unknown(c);
	return status == KV_OK ? show(c, HTTP_OK, &r, (struct slice){ 0 }) : call_store(c, status);
}

/* The words of a list, with commas between them; absent without the member. False: c->response
 * says that it is no list of words. */
static bool read_words(struct call *c, const json_t *body, const char *name, struct buf *out,
                       struct slice *words)
{
	const json_t *list = json_object_get(body, name), *word;
	size_t i, start = out->len;
	bool good = list == NULL || json_is_array(list);

	*words = (struct slice){ 0 };
	json_array_foreach(list, i, word) {
		struct slice text = { json_string_value(word), json_string_length(word) };

		good = good && json_is_string(word) && text.len > 0 && !slice_has(text, ',');
		if (i > 0)
			buf_char(out, ',');
		buf_put(out, text);
	}
	if (!good || out->full) {
		admin_invalid(c, "scopes, sources and origins are lists of text.");
		return false;
	}
	if (list != NULL)
		*words = (struct slice){ out->ptr + start, out->len - start };
	return true;
}

/* What is not text of itself; false: c->response says what is wrong. */
static bool read_limits(struct call *c, const json_t *body, struct client_record *r,
                        struct buf *origins)
{
	char text[2 * WORDS_MAX];
	struct buf room = BUF(text);
	struct slice scopes, sources, from, expires, bad;
	uint64_t life_ms;

	if (!read_words(c, body, "scopes", &room, &scopes) ||
	    !read_words(c, body, "sources", &room, &sources) ||
	    !read_words(c, body, "origins", &room, &from) ||
	    !admin_text(c, body, "expires", &expires))
		return false;
	if (slice_given(scopes) && !client_scopes_parse(scopes, &r->scopes, &bad)) {
		admin_invalid(c, "scopes: shop, trusted, login, resolve, admin.");
		return false;
	}
	if (slice_given(expires)) {
		if (!config_duration(expires, &life_ms) || life_ms < 1000) {
			admin_invalid(c, "expires: a duration is due, such as 90d.");
			return false;
		}
		r->expires_s = r->created_s + life_ms / 1000;
	}
	if (!client_origins_parse(from, origins, &bad) || origins->full) {
		admin_invalid(c, "origins: such as https://shop.example; 1024 bytes at most.");
		return false;
	}
	r->origins = buf_slice(origins);
	if (client_sources_parse(sources, r, &bad))
		return true;
	admin_invalid(c, slice_given(bad) ? "sources: networks are due, such as 10.0.0.0/8."
	                                  : "sources: too many networks.");
	return false;
}

enum call_result admin_key_add(struct call *c)
{
	static const char *const names[] = { "name", "owner", "value", "scopes", "sources",
		                             "origins", "expires" };
	json_t *body = admin_body(c, names, COUNT_OF(names));
	struct client_record r = { .created_s = call_now_s(c), .scopes = SCOPE_SHOP };
	char text[CLIENT_KEY_MAX], origins_text[RECORD_ORIGINS_BYTES];
	struct buf drawn = BUF(text), origins = BUF(origins_text);
	enum client_error error;
	enum kv_status status;
	struct slice key;

	if (body == NULL || !admin_text(c, body, names[0], &r.name) ||
	    !admin_text(c, body, names[1], &r.owner) || !admin_text(c, body, names[2], &key) ||
	    !read_limits(c, body, &r, &origins))
		return CALL_DONE;
	client_generate(&drawn, c->random);
	if (!slice_given(key))
		key = buf_slice(&drawn);
	error = client_judge(key, &r);
	if (error != CLIENT_ADDED)
		return admin_invalid(c, client_error_text(error));
	error = client_add(c->kv, key, &r, &status);
	if (error == CLIENT_STORE)
		return call_store(c, status);
	if (error != CLIENT_ADDED)
		return call_problem(c, HTTP_CONFLICT, "name_taken", client_error_text(error));
	call_audit(c, "key_added", "name=%.*s", (int)r.name.len, r.name.ptr);
	show(c, HTTP_CREATED, &r, key);
	explicit_bzero(text, sizeof text);
	return CALL_DONE;
}

/* Sets and clears flags of the key that the path names, and shows it. */
static enum call_result change(struct call *c, uint32_t set, uint32_t clear, const char *event)
{
	enum kv_status status;
	enum client_error error = client_change(c->kv, c->arg[0], set, clear, &status);

	if (error == CLIENT_STORE)
		return status == KV_NOT_FOUND ? unknown(c) : call_store(c, status);
	if (error != CLIENT_ADDED)
		return call_problem(c, HTTP_CONFLICT, "key_revoked", client_error_text(error));
	call_audit(c, event, "name=%.*s", (int)c->arg[0].len, c->arg[0].ptr);
	return admin_key_show(c);
}

enum call_result admin_key_revoke(struct call *c)
{
	kv_use_reserve(c->kv);
	return change(c, CLIENT_REVOKED, 0, "key_revoked");
}

enum call_result admin_key_change(struct call *c)
{
	static const char *const names[] = { "state" };
	json_t *body = admin_body(c, names, COUNT_OF(names));
	struct slice state;

	if (body == NULL || !admin_text(c, body, names[0], &state))
		return CALL_DONE;
	if (slice_eq(state, SLICE("active")))
		return change(c, 0, CLIENT_DISABLED, "key_enabled");
	kv_use_reserve(c->kv);          /* in a full store, too, a key can be stopped */
	if (slice_eq(state, SLICE("disabled")))
		return change(c, CLIENT_DISABLED, 0, "key_disabled");
	if (slice_eq(state, SLICE("revoked")))
		return admin_key_revoke(c);
	return admin_invalid(c, "state is active, disabled or revoked.");
}
