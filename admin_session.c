/* admin_session.c -- /admin/sessions: listed, shown, ended. */
#include "admin.h"
#include "session.h"
#include "view.h"

static bool read_key(struct slice text, uint8_t key[RECORD_SESSION_KEY_LEN])
{
	return hex_decode(text, key, RECORD_SESSION_KEY_LEN);
}

static enum call_result unknown(struct call *c)
{
	return admin_unknown(c, "No live session has this key.");
}

/* What narrows a list: all sessions, or those of one customer (0: of guests). */
struct of {
	bool all;
	uint64_t customer_id;
	struct record_key after;
};

/* Places are the keys of records without their kind, in hexadecimal. False: it is none. */
static bool read_place(struct slice text, struct of *of)
{
	uint8_t bytes[2 * RECORD_SESSION_KEY_LEN];
	struct record_key prefix;
	size_t len = text.len / 2;

	if (len > sizeof bytes || !hex_decode(text, bytes, len))
		return false;
	if (of->all) {
		record_session_key(&of->after, bytes);
		return len == RECORD_SESSION_KEY_LEN;
	}
	record_owner_prefix(&prefix, of->customer_id);
	of->after = prefix;
	memcpy(of->after.bytes + 1, bytes, len);
	of->after.len = len + 1;
	return len == 16 + RECORD_SESSION_KEY_LEN &&
	       slice_starts(slice_bytes(of->after.bytes, of->after.len),
	                    slice_bytes(prefix.bytes, prefix.len));
}

/* The parameters `customer`, in value[2], and `after`, in value[1]; false: c->response says what
 * is wrong. */
static bool read_of(struct call *c, const struct admin_query *q, struct of *of)
{
	*of = (struct of){ .all = !slice_given(q->value[2]) };
	if (!of->all && !slice_uint(q->value[2], UINT64_MAX, &of->customer_id))
		admin_invalid(c, "customer is the id of one; 0: guests.");
	else if (slice_given(q->value[1]) && !read_place(q->value[1], of))
		admin_invalid(c, "after is what another list had as next.");
	else
		return true;
	return false;
}

static enum kv_status next(struct call *c, struct of *of, uint8_t key[RECORD_SESSION_KEY_LEN],
                           struct session_record *s)
{
	return of->all ? session_next(c->kv, &of->after, key, s) :
	                 session_next_of(c->kv, of->customer_id, &of->after, key, s);
}

static void put_place(struct buf *out, const struct of *of)
{
	if (of->after.len > 0)
		buf_hex(out, slice_bytes(of->after.bytes + 1, of->after.len - 1));
}

/* A dead session is not listed: for everybody who asks it is not there. */
enum call_result admin_session_list(struct call *c)
{
	static const char *const names[] = { "limit", "after", "customer" };
	struct print_cell cells[VIEW_SESSION_CELLS];
	uint8_t key[RECORD_SESSION_KEY_LEN];
	char place_text[4 * RECORD_SESSION_KEY_LEN];
	struct buf place = BUF(place_text);
	enum kv_status status = KV_OK;
	struct session_record s;
	struct admin_query q;
	struct admin_list l;
	struct of of;

	if (!admin_query_read(c, &q, names, COUNT_OF(names)) || !read_of(c, &q, &of) ||
	    !admin_list_begin(&l, c, "sessions", q.value[0]))
		return CALL_DONE;
	while (admin_list_more(&l) && (status = next(c, &of, key, &s)) == KV_OK) {
		char text[VIEW_TEXT_MAX];
		struct buf room = BUF(text);

		status = session_find(c->kv, key, call_now_s(c), &s);
		if (status != KV_OK && status != KV_NOT_FOUND)
			break;
		if (status == KV_NOT_FOUND)
			continue;
		view_session(cells, &room, key, &s, call_now_s(c));
		admin_list_put(&l, cells, VIEW_SESSION_CELLS);
	}
	put_place(&place, &of);
	return admin_list_end(&l, status, buf_slice(&place));
}

enum call_result admin_session_show(struct call *c)
{
	struct print_cell cells[VIEW_SESSION_CELLS];
	uint8_t key[RECORD_SESSION_KEY_LEN];
	char text[VIEW_TEXT_MAX];
	struct buf room = BUF(text);
	struct session_record s;
	enum kv_status status = KV_NOT_FOUND;

	if (read_key(c->arg[0], key))
		status = session_find(c->kv, key, call_now_s(c), &s);
	if (status == KV_NOT_FOUND)
		return unknown(c);
	if (status != KV_OK)
		return call_store(c, status);
	view_session(cells, &room, key, &s, call_now_s(c));
	return admin_record(c, HTTP_OK, cells, VIEW_SESSION_CELLS);
}

enum call_result admin_session_revoke(struct call *c)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	char shown[LOG_KEY_LEN];
	enum kv_status status = KV_NOT_FOUND;

	if (read_key(c->arg[0], key))
		status = session_end(c->kv, key);
	if (status == KV_NOT_FOUND)
		return unknown(c);
	if (status != KV_OK)
		return call_store(c, status);
	call_audit(c, "session_revoked", "session=%s", log_key(shown, key));
	c->response->status = HTTP_NO_CONTENT;
	http_field_lit(c->response, "Cache-Control: no-store");
	return CALL_DONE;
}

/* Those of one customer, the oldest first: what is ended is no longer in his list. */
static enum kv_status end_of_customer(struct call *c, const struct of *of, uint32_t *ended)
{
	return session_delete_some(c->kv, of->customer_id, ADMIN_ENDED_MAX, ended);
}

/* All in the order of their keys, from a place on: those made since behind it live on. */
static enum kv_status end_all(struct call *c, struct of *of, uint32_t *ended)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	enum kv_status status = KV_OK;
	struct session_record s;

	for (*ended = 0; status == KV_OK && *ended < ADMIN_ENDED_MAX; ++*ended) {
		status = session_next(c->kv, &of->after, key, &s);
		if (status != KV_OK)
			break;
		status = session_end(c->kv, key);
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* Answers how many were ended, and where to go on: no request ends more than
 * ADMIN_ENDED_MAX. */
enum call_result admin_session_revoke_some(struct call *c)
{
	static const char *const names[] = { "all", "after", "customer" };
	struct print_cell cells[] = { { "sessions_ended", PRINT_NUMBER, { 0 }, 0 },
		                      { "sessions_left", PRINT_YES, { 0 }, 0 },
		                      { "next", PRINT_TEXT, { 0 }, 0 } };
	char place_text[4 * RECORD_SESSION_KEY_LEN];
	struct buf place = BUF(place_text);
	struct admin_query q;
	enum kv_status status;
	uint32_t ended;
	struct of of;

	if (!admin_query_read(c, &q, names, COUNT_OF(names)))
		return CALL_DONE;
	if (slice_eq(q.value[0], SLICE("1")) == slice_given(q.value[2]))
		return admin_invalid(c, "One of all=1 and customer=ID is due.");
	if (!read_of(c, &q, &of))
		return CALL_DONE;
	status = of.all ? end_all(c, &of, &ended) : end_of_customer(c, &of, &ended);
	if (status != KV_OK)
		return call_store(c, status);
	if (of.all)
		call_audit(c, "sessions_revoked", "of=all sessions_ended=%u", ended);
	else
		call_audit(c, "sessions_revoked", "customer=%llu sessions_ended=%u",
		           (unsigned long long)of.customer_id, ended);
	cells[0].number = ended;
	cells[1].number = ended == ADMIN_ENDED_MAX;
	put_place(&place, &of);
	cells[2].text = buf_slice(&place);
	return admin_record(c, HTTP_OK, cells, of.all ? 3 : 2);
}
