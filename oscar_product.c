/* oscar_product.c -- /api/products/ and what stands below it: the price book.
 *
 * What the price book does not know -- descriptions, images, categories -- is there as the
 * original shows a product that has none.
 */
#include <stdio.h>

#include "oscar.h"
#include "product.h"

#define PAGE_MAX  1000  /* products of one list */
#define ENTRY_MAX 2048  /* bytes of one, and of the end */

/* A number as such, any other id as text. */
static void put_id(struct buf *out, struct slice id)
{
	uint64_t number;

	if (slice_uint(id, INT64_MAX, &number) && (id.len == 1 || id.ptr[0] != '0'))
		buf_put(out, id);
	else
		json_put_string(out, id);
}

/* The members that list and detail begin with. */
static void put_head(struct call *c, const struct product_record *p, bool id_first)
{
	struct buf *body = &c->response->body;

	buf_lit(body, "{\"url\":");
	oscar_put_url(c, "products/%.*s/", (int)p->id.len, p->id.ptr);
	buf_str(body, id_first ? ",\"id\":" : ",\"upc\":null,\"id\":");
	put_id(body, p->id);
	buf_str(body, id_first ? ",\"upc\":null,\"title\":" : ",\"title\":");
	json_put_string(body, p->name);
}

static void put_link(struct call *c, const char *name, const struct product_record *p,
                     const char *below)
{
	struct buf *body = &c->response->body;

	buf_lit(body, ",\"");
	buf_str(body, name);
	buf_lit(body, "\":");
	oscar_put_url(c, "products/%.*s/%s/", (int)p->id.len, p->id.ptr, below);
}

static void put_time(struct buf *body, const char *name, uint64_t us)
{
	buf_lit(body, ",\"");
	buf_str(body, name);
	buf_lit(body, "\":\"");
	oscar_put_time(body, us);
	buf_char(body, '"');
}

static void put_options(struct buf *body, struct slice codes)
{
	const char *separator = "";

	buf_lit(body, ",\"options\":[");
	while (codes.len > 0) {
		buf_str(body, separator);
		buf_lit(body, "{\"code\":");
		json_put_string(body, slice_cut(&codes, ','));
		buf_char(body, '}');
		separator = ",";
	}
	buf_char(body, ']');
}

/* Loads the product that the path names; false: `*result` is what to return. */
static bool find_product(struct call *c, struct product_record *p, enum call_result *result)
{
	enum kv_status status = product_get(c->kv, c->arg[0], p);

	if (status == KV_OK)
		return true;
	*result = status == KV_NOT_FOUND ? oscar_not_found(c) : call_store(c, status);
	return false;
}

enum call_result oscar_product_get(struct call *c)
{
	struct buf *body = &c->response->body;
	struct product_record p;
	enum call_result result;

	if (!find_product(c, &p, &result))
		return result;
	oscar_begin(c, HTTP_OK);
	put_head(c, &p, false);
	buf_lit(body, ",\"description\":\"\",\"structure\":\"standalone\"");
	put_time(body, "date_created", p.updated_us);
	put_time(body, "date_updated", p.updated_us);
	buf_lit(body, ",\"recommended_products\":[],\"attributes\":[],\"categories\":[],"
	        "\"product_class\":null,\"images\":[]");
	put_link(c, "price", &p, "price");
	put_link(c, "availability", &p, "availability");
	put_link(c, "stockrecords", &p, "stockrecords");
	put_options(body, p.options);
	buf_lit(body, ",\"children\":[]}");
	return CALL_DONE;
}

/* Four decimals, as the original shows the price of one unit. */
static void put_amount(struct buf *body, const char *name, int64_t e4)
{
	char text[64];

	snprintf(text, sizeof text, ",\"%s\":\"%lld.%04lld\"", name, (long long)(e4 / 10000),
	         (long long)(e4 % 10000));
	buf_str(body, text);
}

enum call_result oscar_product_price(struct call *c)
{
	struct buf *body = &c->response->body;
	struct product_record p;
	enum call_result result;
	int64_t tax_e4;

	if (!find_product(c, &p, &result))
		return result;
	oscar_begin(c, HTTP_OK);
	if (p.price_e4 < 0) {
		buf_lit(body, "{\"currency\":null,\"excl_tax\":null,\"incl_tax\":null,"
		        "\"tax\":\"0.0000\"}");
		return CALL_DONE;
	}
	tax_e4 = money_tax_cents(p.price_e4, p.tax_rate_e6);
	buf_lit(body, "{\"currency\":");
	json_put_string(body, p.currency);
	put_amount(body, "excl_tax", p.price_e4);
	put_amount(body, "incl_tax", p.price_e4 + tax_e4);
	put_amount(body, "tax", tax_e4);
	buf_char(body, '}');
	return CALL_DONE;
}

/* As Oscar's StockRequired, Available and Unavailable have it. */
enum call_result oscar_product_availability(struct call *c)
{
	struct buf *body = &c->response->body;
	struct product_record p;
	enum call_result result;
	uint32_t available;

	if (!find_product(c, &p, &result))
		return result;
	oscar_begin(c, HTTP_OK);
	available = product_available(&p);
	if (p.price_e4 < 0) {
		buf_lit(body, "{\"is_available_to_buy\":false,\"message\":\"Unavailable\"}");
		return CALL_DONE;
	}
	if (available == UINT32_MAX) {
		buf_lit(body, "{\"is_available_to_buy\":true,\"message\":\"Available\"}");
		return CALL_DONE;
	}
	buf_str(body, available > 0 ? "{\"is_available_to_buy\":true,\"num_available\":"
	                            : "{\"is_available_to_buy\":false,\"num_available\":");
	buf_uint(body, available);
	if (available > 0) {
		buf_lit(body, ",\"message\":\"In stock (");
		buf_uint(body, available);
		buf_lit(body, " available)\"}");
	} else {
		buf_lit(body, ",\"message\":\"Unavailable\"}");
	}
	return CALL_DONE;
}

/* Where the list goes on (RFC 8288). */
static void put_next(struct call *c, struct slice last)
{
	struct buf *fields = &c->response->fields;

	buf_lit(fields, "Link: </api/products/?after=");
	buf_put(fields, last);
	buf_lit(fields, ">; rel=\"next\"\r\n");
}

/* The query: `structure`, of which all products here have the same, and `after`. */
static bool read_query(struct slice query, struct buf *after)
{
	struct slice name, value;
	bool any = true;

	while (http_form_next(&query, &name, &value)) {
		if (slice_eq(name, SLICE("structure")))
			any = slice_eq(value, SLICE("standalone"));
		if (slice_eq(name, SLICE("after"))) {
			after->len = 0;
			http_form_decode(value, after);
		}
	}
	return any;
}

enum call_result oscar_product_list(struct call *c)
{
	char id[RECORD_PRODUCT_ID_MAX], last_id[RECORD_PRODUCT_ID_MAX];
	struct buf after = BUF(id), last = BUF(last_id);
	struct buf *body = &c->response->body;
	struct record_key key = { 0 };
	struct product_record p;
	enum kv_status status = KV_NOT_FOUND;
	uint32_t count = 0;

	oscar_begin(c, HTTP_OK);
	buf_char(body, '[');
	if (read_query(c->request->query, &after)) {
		record_product_key(&key, buf_slice(&after));
		status = product_next(c->kv, &key, &p);
	}
	for (; status == KV_OK && count < PAGE_MAX && body->cap - body->len > ENTRY_MAX; count++) {
		if (count > 0)
			buf_char(body, ',');
		put_head(c, &p, true);
		buf_char(body, '}');
		last.len = 0;
		buf_put(&last, p.id);
		status = product_next(c->kv, &key, &p);
	}
	if (status != KV_OK && status != KV_NOT_FOUND)
		return call_store(c, status);
	if (status == KV_OK)
		put_next(c, buf_slice(&last));
	buf_char(body, ']');
	return CALL_DONE;
}
