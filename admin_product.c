/* admin_product.c -- /admin/products: the price book listed, shown, imported, cut down. */
#include <stdio.h>

#include "admin.h"
#include "product.h"
#include "view.h"

#define LINES_MAX 1000          /* products of one request, which is one transaction */

static enum call_result unknown(struct call *c)
{
	return admin_unknown(c, "No product has this id.");
}

enum call_result admin_product_list(struct call *c)
{
	static const char *const names[] = { "limit", "after" };
	struct print_cell cells[VIEW_PRODUCT_CELLS];
	char last_text[RECORD_PRODUCT_ID_MAX];
	struct buf last = BUF(last_text);
	struct record_key after = { .len = 0 };
	struct product_record r;
	struct admin_query q;
	struct admin_list l;
	enum kv_status status = KV_OK;

	if (!admin_query_read(c, &q, names, COUNT_OF(names)))
		return CALL_DONE;
	if (slice_given(q.value[1]) && !slice_given(record_product_key(&after, q.value[1])))
		return admin_invalid(c, "after is the id of a product.");
	if (!admin_list_begin(&l, c, "products", q.value[0]))
		return CALL_DONE;
	while (admin_list_more(&l) && (status = product_next(c->kv, &after, &r)) == KV_OK) {
		char text[VIEW_TEXT_MAX];
		struct buf room = BUF(text);

		view_product(cells, &room, &r);
		admin_list_put(&l, cells, VIEW_PRODUCT_CELLS);
		last.len = 0;
		buf_put(&last, r.id);
	}
	return admin_list_end(&l, status, buf_slice(&last));
}

enum call_result admin_product_show(struct call *c)
{
	struct print_cell cells[VIEW_PRODUCT_CELLS];
	char text[VIEW_TEXT_MAX];
	struct buf room = BUF(text);
	struct product_record r;
	enum kv_status status = product_get(c->kv, c->arg[0], &r);

	if (status == KV_NOT_FOUND)
		return unknown(c);
	if (status != KV_OK)
		return call_store(c, status);
	view_product(cells, &room, &r);
	return admin_record(c, HTTP_OK, cells, VIEW_PRODUCT_CELLS);
}

enum call_result admin_product_delete(struct call *c)
{
	enum kv_status status = product_delete(c->kv, c->arg[0]);

	if (status == KV_NOT_FOUND)
		return unknown(c);
	if (status != KV_OK)
		return call_store(c, status);
	call_audit(c, "product_deleted", "product=%.*s", (int)c->arg[0].len, c->arg[0].ptr);
	c->response->status = HTTP_NO_CONTENT;
	http_field_lit(c->response, "Cache-Control: no-store");
	return CALL_DONE;
}

static enum call_result refuse_line(struct call *c, uint32_t line, const char *field,
                                    const char *why)
{
	char detail[JSON_ERROR_MAX + 96];

	snprintf(detail, sizeof detail, "line %u: %s%s%s", line, field,
	         field[0] != '\0' ? ": " : "", why);
	return admin_invalid(c, detail);
}

/* Reads every line, and with `count` puts its product. CALL_ASK: all is well so far. */
static enum call_result walk(struct call *c, uint64_t count[PRODUCT_CHANGES])
{
	struct slice rest = c->request->body;
	uint32_t line = 0, products = 0;

	while (slice_given(rest)) {
		struct slice text = slice_trim(slice_cut(&rest, '\n'));
		char scratch_text[PRODUCT_SCRATCH_MAX];
		struct buf scratch = BUF(scratch_text);
		struct product_record r;
		struct product_fault fault;
		enum product_change change;
		enum kv_status status;

		line++;
		if (text.len == 0)
			continue;
		if (++products > LINES_MAX)
			return refuse_line(c, line, "", "one request takes 1000 products at most");
		if (!product_read_json(text, &scratch, &r, &fault))
			return refuse_line(c, line, fault.field, fault.why);
		if (count == NULL)
			continue;
		r.updated_us = c->now_us;
		status = product_import(c->kv, &r, &change);
		if (status != KV_OK)
			return call_store(c, status);
		count[change]++;
	}
	return products > 0 ? CALL_ASK : admin_invalid(c, "No product came: send one a line.");
}

/* All of them, or none: each line is judged before the first is put. */
enum call_result admin_product_import(struct call *c)
{
	struct slice type = c->request->field[HTTP_CONTENT_TYPE];
	uint64_t count[PRODUCT_CHANGES] = { 0 };
	enum call_result result;

	if (!http_media_is(type, "application/x-ndjson") &&
	    !http_media_is(type, "application/json"))
		return call_problem(c, HTTP_UNSUPPORTED_MEDIA, "media_type",
		                    "Send application/x-ndjson, a product a line.");
	if ((result = walk(c, NULL)) != CALL_ASK || (result = walk(c, count)) != CALL_ASK)
		return result;
	call_audit(c, "products_imported", "added=%llu changed=%llu unchanged=%llu",
	           (unsigned long long)count[PRODUCT_ADDED],
	           (unsigned long long)count[PRODUCT_CHANGED],
	           (unsigned long long)count[PRODUCT_UNCHANGED]);
	{
		const struct print_cell cells[] = {
			{ "added", PRINT_NUMBER, { 0 }, count[PRODUCT_ADDED] },
			{ "changed", PRINT_NUMBER, { 0 }, count[PRODUCT_CHANGED] },
			{ "unchanged", PRINT_NUMBER, { 0 }, count[PRODUCT_UNCHANGED] },
		};

		return admin_record(c, HTTP_OK, cells, COUNT_OF(cells));
	}
}
