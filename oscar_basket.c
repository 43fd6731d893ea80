/* oscar_basket.c -- /api/basket/, /api/baskets/ and one of them. */
#include <bearssl.h>
#include <stdio.h>

#include "oscar.h"

#define TAG_MAX 64      /* bytes of an entity tag */

static enum kv_status write_tag(struct call *c, struct buf *tag, char kind, uint64_t id,
                                uint32_t version)
{
	uint64_t book;
	enum kv_status status = product_book(c->kv, &book);

	buf_char(tag, '"');
	buf_char(tag, kind);
	buf_uint(tag, id);
	buf_char(tag, '.');
	buf_uint(tag, version);
	buf_char(tag, '.');
	buf_uint(tag, book);
	buf_char(tag, '"');
	return status;
}

enum kv_status oscar_put_etag(struct call *c, char kind, uint64_t id, uint32_t version)
{
	char text[TAG_MAX];
	struct buf tag = BUF(text);
	enum kv_status status = write_tag(c, &tag, kind, id, version);

	http_field_put(c->response, "ETag", buf_slice(&tag));
	return status;
}

bool oscar_if_match(struct call *c, char kind, uint64_t id, uint32_t version,
                    enum call_result *result)
{
	char text[TAG_MAX];
	struct buf tag = BUF(text);
	enum kv_status status;

	if (!slice_given(c->request->field[HTTP_IF_MATCH]))
		return true;
	status = write_tag(c, &tag, kind, id, version);
	if (status != KV_OK) {
		*result = call_store(c, status);
		return false;
	}
	if (http_if_match(c->request, buf_slice(&tag)))
		return true;
	*result = oscar_error(c, HTTP_PRECONDITION_FAILED,
	                      "It has changed: read it again (If-Match).");
	return false;
}

bool oscar_may(struct call *c, struct basket *b, bool hide, enum call_result *result)
{
	uint64_t id;

	if (!slice_uint(c->arg[0], UINT64_MAX, &id)) {
		*result = oscar_not_found(c);
		return false;
	}
	return call_may(c, id, b, oscar_not_found, hide ? oscar_not_found : oscar_forbidden,
	                result);
}

static void put_amount(struct buf *body, const char *name, int64_t cents)
{
	buf_lit(body, ",\"");
	buf_str(body, name);
	buf_lit(body, "\":\"");
	money_put_cents(body, cents);
	buf_char(body, '"');
}

static void put_totals(struct buf *body, const struct basket_totals *t)
{
	put_amount(body, "total_excl_tax", t->excl_cents);
	put_amount(body, "total_excl_tax_excl_discounts", t->full_excl_cents);
	put_amount(body, "total_incl_tax", t->excl_cents + t->tax_cents);
	put_amount(body, "total_incl_tax_excl_discounts", t->full_excl_cents + t->full_tax_cents);
	put_amount(body, "total_tax", t->tax_cents);
	buf_lit(body, ",\"currency\":");
	if (slice_given(t->currency))
		json_put_string(body, t->currency);
	else
		buf_lit(body, "null");
	buf_lit(body, ",\"voucher_discounts\":[],\"offer_discounts\":[],\"is_tax_known\":");
	buf_str(body, t->tax_known ? "true" : "false");
}

static enum kv_status put_basket(struct call *c, const struct basket *b)
{
	struct buf *body = &c->response->body;
	unsigned long long id = b->id;
	struct basket_totals totals;
	enum kv_status status = basket_totals(c->kv, b, &totals);

	if (status != KV_OK)
		return status;
	buf_lit(body, "{\"id\":");
	buf_uint(body, b->id);
	buf_lit(body, ",\"owner\":");
	if (b->customer_id != 0)
		oscar_put_url(c, "users/%llu/", (unsigned long long)b->customer_id);
	else
		buf_lit(body, "null");
	buf_lit(body, ",\"status\":\"");
	buf_str(body, basket_status_text((enum basket_status)b->status));
	buf_lit(body, "\",\"lines\":");
	oscar_put_url(c, "baskets/%llu/lines/", id);
	buf_lit(body, ",\"url\":");
	oscar_put_url(c, "baskets/%llu/", id);
	put_totals(body, &totals);
	buf_char(body, '}');
	return KV_OK;
}

enum call_result oscar_basket_show(struct call *c, const struct basket *b)
{
	enum kv_status status;

	oscar_begin(c, HTTP_OK);
	status = oscar_put_etag(c, 'b', b->id, b->version);
	if (status == KV_OK)
		status = put_basket(c, b);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

enum call_result oscar_basket_get(struct call *c)
{
	struct basket b;
	enum kv_status status = call_open_basket(c, true, &b);

	return status == KV_OK ? oscar_basket_show(c, &b) : call_store(c, status);
}

/* Lists what a shopper has, while `digest` takes in the tags of all of it. */
static enum kv_status list_one(struct call *c, const struct basket *b, br_sha256_context *digest)
{
	char text[TAG_MAX];
	struct buf tag = BUF(text);
	enum kv_status status = write_tag(c, &tag, 'b', b->id, b->version);

	br_sha256_update(digest, tag.ptr, tag.len);
	if (c->response->body.len > 1)
		buf_char(&c->response->body, ',');
	return status == KV_OK ? put_basket(c, b) : status;
}

static enum kv_status list_of_customer(struct call *c, br_sha256_context *digest)
{
	struct basket b;
	uint64_t id = 0;
	enum kv_status status;

	while ((status = basket_next_of(c->kv, c->identity.session.customer_id, &id)) == KV_OK) {
		status = basket_get(c->kv, id, call_now_s(c), &b);
		if (status == KV_OK && b.status <= BASKET_SAVED)
			status = list_one(c, &b, digest);
		if (status != KV_OK && status != KV_NOT_FOUND)
			return status;
	}
	return status;
}

/* A guest has one at most. */
static enum kv_status list_of_guest(struct call *c, br_sha256_context *digest)
{
	struct basket b;
	enum kv_status status = call_open_basket(c, false, &b);

	return status == KV_OK ? list_one(c, &b, digest) : status;
}

enum call_result oscar_basket_list(struct call *c)
{
	uint8_t bytes[br_sha256_SIZE];
	char text[TAG_MAX];
	struct buf tag = BUF(text);
	br_sha256_context digest;
	enum kv_status status;

	oscar_begin(c, HTTP_OK);
	br_sha256_init(&digest);
	buf_char(&c->response->body, '[');
	status = c->identity.kind == IDENTITY_CUSTOMER ? list_of_customer(c, &digest)
	                                               : list_of_guest(c, &digest);
	if (status != KV_OK && status != KV_NOT_FOUND)
		return call_store(c, status);
	buf_char(&c->response->body, ']');
	br_sha256_out(&digest, bytes);
	buf_char(&tag, '"');
	buf_hex(&tag, slice_bytes(bytes, 8));
	buf_char(&tag, '"');
	http_field_put(c->response, "ETag", buf_slice(&tag));
	return CALL_DONE;
}

enum call_result oscar_basket_detail(struct call *c)
{
	struct basket b;
	enum call_result result;

	return oscar_may(c, &b, false, &result) ? oscar_basket_show(c, &b) : result;
}

static enum call_result bad_status(struct call *c, struct slice word)
{
	struct oscar_errors e = { .body = &c->response->body };
	char sentence[OSCAR_TEXT_BYTES + 40];

	snprintf(sentence, sizeof sentence, "\"%.*s\" is not a valid choice.", (int)word.len,
	         word.ptr);
	oscar_errors_add(&e, "status", sentence);
	return oscar_errors_end(c, &e, HTTP_BAD_REQUEST);
}

/* An owner has one open basket. Another one that is empty gives way. */
static enum kv_status make_way(struct call *c, const struct basket *b, bool *taken)
{
	struct basket other;
	enum kv_status status = call_other_open(c, b, &other);

	*taken = status == KV_OK && other.line_count > 0;
	if (status == KV_OK && !*taken)
		status = call_delete_basket(c, &other);
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* Open and Saved are the shopper's to set, Frozen and Submitted an order system's. */
static enum call_result set_status(struct call *c, struct basket *b, enum basket_status to)
{
	const struct client_record *client = c->identity.client;
	bool trusted = client != NULL && (client->scopes & SCOPE_TRUSTED) != 0;
	bool taken = false;
	enum kv_status status = KV_OK;

	if (to > BASKET_SAVED && !trusted)
		return oscar_error(c, HTTP_FORBIDDEN, "Only an API key of scope trusted freezes "
		                   "or submits a basket.");
	if (to == (enum basket_status)b->status)
		return oscar_basket_show(c, b);
	if (to == BASKET_OPEN)
		status = make_way(c, b, &taken);
	if (status == KV_OK && taken)
		return oscar_error(c, HTTP_CONFLICT, "Another basket of this owner is open: save "
		                   "or delete it first.");
	b->status = (uint8_t)to;
	b->submitted_us = to == BASKET_SUBMITTED ? c->now_us : 0;
	if (status == KV_OK)
		status = call_put_basket(c, b, true);
	return status == KV_OK ? oscar_basket_show(c, b) : call_store(c, status);
}

/* PUT and PATCH: of a basket's own fields, the status alone is not read-only. */
enum call_result oscar_basket_change(struct call *c)
{
	struct oscar_text word = { .name = "status", .max_chars = OSCAR_TEXT_MAX };
	struct oscar_errors e = { .body = &c->response->body };
	enum basket_status to;
	struct oscar_form form;
	struct basket b;
	enum call_result result;

	if (!oscar_may(c, &b, false, &result) || !oscar_if_match(c, 'b', b.id, b.version, &result))
		return result;
	if (!oscar_form_read(c, &form))
		return CALL_DONE;
	if (form.error != NULL)
		oscar_errors_add(&e, "non_field_errors", form.error);
	else if (oscar_form_has(&form, word.name))
		oscar_form_text(&form, &word, &e);
	else
		return oscar_basket_show(c, &b);
	if (e.count > 0)
		return oscar_errors_end(c, &e, HTTP_BAD_REQUEST);
	if (!basket_status_read(word.value, &to) || to == BASKET_MERGED)
		return bad_status(c, word.value);
	return set_status(c, &b, to);
}

enum call_result oscar_basket_delete(struct call *c)
{
	struct basket b;
	enum call_result result;
	enum kv_status status;

	if (!oscar_may(c, &b, false, &result) || !oscar_if_match(c, 'b', b.id, b.version, &result))
		return result;
	oscar_begin(c, HTTP_NO_CONTENT);
	status = call_delete_basket(c, &b);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}
