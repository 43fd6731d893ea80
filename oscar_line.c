/* oscar_line.c -- a basket's lines: /api/basket/add-product/, /api/baskets/<id>/lines/ and what
 * stands below it.
 */
#include <stdio.h>

#include "oscar.h"

#define OPTIONS_MAX   100       /* of one line; each error of one takes less than ERROR_BYTES */
#define ERROR_BYTES   192
#define NOT_NEGATIVE  "Ensure this value is greater than or equal to 0."
#define ONLY_QUANTITY "Only the quantity of a line can be changed."
#define NO_OBJECT     "Invalid hyperlink - Object does not exist."

static struct basket_change begin_change(const struct call *c)
{
	return (struct basket_change){ .kv = c->kv, .config = c->config, .now_us = c->now_us };
}

/* --- Lines as answers. --- */

static void put_cents(struct buf *body, const char *name, bool known, int64_t cents)
{
	buf_lit(body, ",\"");
	buf_str(body, name);
	buf_lit(body, "\":");
	if (!known) {
		buf_lit(body, "null");
		return;
	}
	buf_char(body, '"');
	money_put_cents(body, cents);
	buf_char(body, '"');
}

static void put_date(struct buf *body, const char *name, uint64_t us)
{
	buf_lit(body, ",\"");
	buf_str(body, name);
	buf_lit(body, "\":\"");
	oscar_put_time(body, us);
	buf_char(body, '"');
}

/* An option stands in the store as the path that it came as, or as another surface's id. */
static void put_option_url(struct call *c, struct slice option)
{
	static const struct slice prefix = { "/api/", 5 };

	if (slice_starts(option, prefix)) {
		option = slice_skip(option, prefix.len);
		oscar_put_url(c, "%.*s", (int)option.len, option.ptr);
	} else {
		oscar_put_url(c, "options/%.*s/", (int)option.len, option.ptr);
	}
}

static void put_attribute_url(struct call *c, const struct basket *b,
                              const struct basket_line *line, const struct basket_option *o)
{
	oscar_put_url(c, "baskets/%llu/lines/%llu/lineattributes/%llu/",
	              (unsigned long long)b->id, (unsigned long long)line->id,
	              (unsigned long long)o->id);
}

static void put_attributes(struct call *c, const struct basket *b,
                           const struct basket_line *line)
{
	struct buf *body = &c->response->body;

	buf_lit(body, ",\"attributes\":[");
	for (uint32_t i = 0; i < line->option_count; i++) {
		const struct basket_option *o = &b->options[line->first_option + i];

		buf_str(body, i == 0 ? "{\"url\":" : ",{\"url\":");
		put_attribute_url(c, b, line, o);
		buf_lit(body, ",\"value\":");
		json_put_string(body, o->value);
		buf_lit(body, ",\"option\":");
		put_option_url(c, o->option);
		buf_char(body, '}');
	}
	buf_char(body, ']');
}

static void put_prices(struct buf *body, const struct basket_line_price *p)
{
	buf_lit(body, ",\"price_currency\":");
	if (p->known)
		json_put_string(body, p->currency);
	else
		buf_lit(body, "null");
	put_cents(body, "price_excl_tax", p->known, p->excl_cents);
	put_cents(body, "price_incl_tax", p->known, p->excl_cents + p->tax_cents);
	put_cents(body, "price_incl_tax_excl_discounts", p->known,
	          p->full_excl_cents + p->full_tax_cents);
	put_cents(body, "price_excl_tax_excl_discounts", p->known, p->full_excl_cents);
	buf_lit(body, ",\"is_tax_known\":");
	buf_str(body, p->known ? "true" : "false");
}

static void put_warning(struct buf *body, const struct basket_line *line,
                        const struct basket_line_price *p)
{
	struct slice name = p->name.len > 0 ? p->name : line->product;
	char text[RECORD_TEXT_MAX + 40];

	buf_lit(body, ",\"warning\":");
	if (p->known) {
		buf_lit(body, "null");
		return;
	}
	snprintf(text, sizeof text, "'%.*s' is no longer available", (int)name.len, name.ptr);
	json_put_string(body, slice_of(text));
}

static enum kv_status put_line(struct call *c, const struct basket *b,
                               const struct basket_line *line)
{
	unsigned long long basket = b->id, id = line->id;
	struct buf *body = &c->response->body;
	struct slice product = line->product;
	struct basket_line_price p;
	enum kv_status status = basket_line_price(c->kv, line, &p);

	if (status != KV_OK)
		return status;
	buf_lit(body, "{\"url\":");
	oscar_put_url(c, "baskets/%llu/lines/%llu/", basket, id);
	buf_lit(body, ",\"product\":");
	oscar_put_url(c, "products/%.*s/", (int)product.len, product.ptr);
	buf_lit(body, ",\"quantity\":");
	buf_uint(body, line->quantity);
	put_attributes(c, b, line);
	put_prices(body, &p);
	put_warning(body, line, &p);
	buf_lit(body, ",\"basket\":");
	oscar_put_url(c, "baskets/%llu/", basket);
	buf_lit(body, ",\"stockrecord\":");
	oscar_put_url(c, "products/%.*s/stockrecords/%.*s/", (int)product.len, product.ptr,
	              (int)p.stockrecord.len, p.stockrecord.ptr);
	put_date(body, "date_created", line->created_us);
	put_date(body, "date_updated", line->updated_us);
	buf_char(body, '}');
	return KV_OK;
}

static enum call_result show_line(struct call *c, const struct basket *b, uint32_t line,
                                  enum http_status http_status)
{
	enum kv_status status;

	oscar_begin(c, http_status);
	status = oscar_put_etag(c, 'l', b->lines[line].id, b->lines[line].version);
	if (status == KV_OK)
		status = put_line(c, b, &b->lines[line]);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

/* --- What a change may find. --- */

/* 406 with {"reason": ...}, in Oscar's words where it has them. */
static enum call_result reason(struct call *c, const char *sentence)
{
	oscar_begin(c, HTTP_NOT_ACCEPTABLE);
	buf_lit(&c->response->body, "{\"reason\":");
	json_put_string(&c->response->body, slice_of(sentence));
	buf_char(&c->response->body, '}');
	return CALL_DONE;
}

/* The same with a number between two parts of the sentence. */
static enum call_result reason_of(struct call *c, const char *before, uint32_t number,
                                  const char *after)
{
	char text[128];

	snprintf(text, sizeof text, "%s%u%s", before, number, after);
	return reason(c, text);
}

/* A sentence on one field, in the form that the request's other errors have. */
static enum call_result field_error(struct call *c, bool reasons, const char *field,
                                    const char *sentence)
{
	struct oscar_errors e = { .body = &c->response->body, .reason = reasons };

	oscar_errors_add(&e, field, sentence);
	return oscar_errors_end(c, &e, reasons ? HTTP_NOT_ACCEPTABLE : HTTP_BAD_REQUEST);
}

static enum call_result refuse(struct call *c, const struct basket_change *change,
                               enum basket_error error, bool reasons)
{
	switch (error) {
	case BASKET_STORE:
		return call_store(c, change->status);
	case BASKET_UNKNOWN_PRODUCT:
		return field_error(c, reasons, reasons ? "url" : "product", NO_OBJECT);
	case BASKET_UNAVAILABLE:
		return reason(c, "Unavailable");
	case BASKET_NO_STOCK:
		return reason(c, "no stock available");
	case BASKET_OVER_STOCK:
		return reason_of(c, "a maximum of ", change->bound, " can be bought");
	case BASKET_OVER_QUANTITY:
		return reason_of(c, "Due to technical limitations we are not able to ship more "
		                 "than ", change->bound, " items in one order.");
	case BASKET_TOO_MANY_LINES:
		return reason_of(c, "A basket holds at most ", c->config->max_lines,
		                 " lines, 1000 options and 256 KB of text.");
	case BASKET_OTHER_CURRENCY:
		return reason(c, "A basket holds products of one currency.");
	case BASKET_NEGATIVE:
		return field_error(c, reasons, "quantity", NOT_NEGATIVE);
	case BASKET_BAD_ITEM:
		return field_error(c, reasons, "non_field_errors", "A text is longer than 254 "
		                   "bytes or has control characters, or a price is too large.");
	case BASKET_CLOSED:
		return oscar_error(c, HTTP_CONFLICT, "The lines of this basket no longer change.");
	case BASKET_UNKNOWN_LINE:
	case BASKET_UNKNOWN_OPTION:
	case BASKET_OK:
		break;
	}
	return oscar_not_found(c);
}

/* --- What a request asks for. --- */

struct item {
	struct basket_item item;
	struct basket_price price;
	int64_t quantity;
	struct oscar_link product;
	struct oscar_text name, currency;
	struct basket_option options[OPTIONS_MAX];
	struct buf texts;               /* of the options */
	char bytes[OPTIONS_MAX * 2 * RECORD_OPTION_MAX];
};

/* True where the request may say what a line costs (setting price_source). */
static bool sets_prices(const struct call *c)
{
	const struct client_record *client = c->identity.client;

	return c->config->price_source == PRICE_SOURCE_CLIENT && client != NULL &&
	       (client->scopes & SCOPE_TRUSTED) != 0;
}

/* True where the request names a price and may not. Under price_source=catalogue a price is
 * read-only, as in the original, and passed over. */
static bool refuse_price(struct call *c, const struct oscar_form *form,
                         enum call_result *result)
{
	if (c->config->price_source != PRICE_SOURCE_CLIENT || sets_prices(c) ||
	    !oscar_form_has(form, "price"))
		return false;
	*result = oscar_error(c, HTTP_FORBIDDEN,
	                      "Only an API key of scope trusted says what a line costs.");
	return true;
}

/* An amount as text, or a whole number. */
static void read_amount(const struct oscar_form *form, const char *name, int64_t *e4,
                        struct oscar_errors *e)
{
	struct oscar_text text = { .name = name, .max_chars = 20 };

	oscar_form_text(form, &text, e);
	if (text.value.len > 0 && !money_read_e4(text.value, e4))
		oscar_errors_add(e, name, "A valid number is required.");
}

/* `price`, `currency`, and perhaps `name` and `discount`. */
static void read_price(const struct call *c, const struct oscar_form *form, struct item *it,
                       struct oscar_errors *e)
{
	int64_t discount_e4 = 0;

	it->item.price = NULL;
	if (!sets_prices(c) || !oscar_form_has(form, "price"))
		return;
	it->price = (struct basket_price){ 0 };
	it->item.price = &it->price;
	read_amount(form, "price", &it->price.price_e4, e);
	it->currency = (struct oscar_text){ .name = "currency", .max_chars = OSCAR_TEXT_MAX };
	oscar_form_text(form, &it->currency, e);
	if (it->currency.value.len > 0 && !money_currency_valid(it->currency.value))
		oscar_errors_add(e, "currency", "A currency is three capital letters.");
	it->name = (struct oscar_text){ .name = "name", .max_chars = OSCAR_TEXT_MAX };
	if (oscar_form_has(form, "name"))
		oscar_form_text(form, &it->name, e);
	if (oscar_form_has(form, "discount"))
		read_amount(form, "discount", &discount_e4, e);
	if (discount_e4 % 100 != 0)
		oscar_errors_add(e, "discount",
		                 "Ensure that there are no more than 2 decimal places.");
	it->price.currency = it->currency.value;
	it->price.name = it->name.value;
	it->price.discount_cents = discount_e4 / 100;
}

static struct slice keep_text(struct item *it, struct slice text)
{
	size_t at = it->texts.len;

	buf_put(&it->texts, text);
	return (struct slice){ it->texts.ptr + at, it->texts.len - at };
}

/* One option; its errors as an object, {} where there are none. */
static bool read_option(const json_t *value, struct item *it, struct buf *errors)
{
	struct oscar_errors e = { .body = errors };
	struct oscar_link link = { .name = "option", .pattern = "/api/options/*/" };
	struct oscar_text text = { .name = "value", .max_chars = OSCAR_TEXT_MAX };
	struct oscar_form form;

	oscar_form_of(&form, value);
	if (form.error != NULL) {
		oscar_errors_add(&e, "non_field_errors", form.error);
	} else {
		if (oscar_form_link(&form, &link, &e) == OSCAR_ABSENT)
			oscar_errors_add(&e, link.name, OSCAR_REQUIRED);
		oscar_form_text(&form, &text, &e);
	}
	buf_str(errors, e.count == 0 ? "{}" : "}");
	it->options[it->item.option_count++] = (struct basket_option){
		.option = keep_text(it, link.path), .value = keep_text(it, text.value),
	};
	return e.count == 0;
}

static void read_options(const struct oscar_form *form, struct item *it, struct oscar_errors *e)
{
	char bytes[OPTIONS_MAX * ERROR_BYTES];
	struct buf errors = BUF(bytes);
	const json_t *list = oscar_form_list(form, "options", OPTIONS_MAX, e);
	bool sound = true;

	it->texts = BUF(it->bytes);
	it->item.options = it->options;
	it->item.option_count = 0;
	buf_char(&errors, '[');
	for (size_t i = 0; list != NULL && i < json_array_size(list); i++) {
		if (i > 0)
			buf_char(&errors, ',');
		sound &= read_option(json_array_get(list, i), it, &errors);
	}
	buf_char(&errors, ']');
	if (!sound)
		oscar_errors_put(e, "options", buf_slice(&errors));
}

static void read_quantity(const struct oscar_form *form, struct item *it, bool required,
                          struct oscar_errors *e)
{
	it->quantity = 1;
	if (oscar_form_integer(form, "quantity", &it->quantity, e) == OSCAR_ABSENT && required)
		oscar_errors_add(e, "quantity", OSCAR_REQUIRED);
}

/* The product that the form links to. One with a price of its own need not be in the price
 * book. */
static enum kv_status read_product(struct call *c, const struct oscar_form *form,
                                   const char *name, struct item *it,
                                   struct product_record *p, struct oscar_errors *e)
{
	enum kv_status status;

	it->product = (struct oscar_link){ .name = name, .pattern = "/api/products/*/" };
	it->item = (struct basket_item){ 0 };
	switch (oscar_form_link(form, &it->product, e)) {
	case OSCAR_ABSENT:
		oscar_errors_add(e, name, OSCAR_REQUIRED);
		return KV_OK;
	case OSCAR_WRONG:
		return KV_OK;
	case OSCAR_GIVEN:
		break;
	}
	it->item.product = it->product.arg[0];
	status = product_get(c->kv, it->item.product, p);
	if (status != KV_NOT_FOUND)
		return status;
	if (!sets_prices(c) || !oscar_form_has(form, "price"))
		oscar_errors_add(e, name, NO_OBJECT);
	return KV_OK;
}

/* --- add-product. --- */

static enum call_result add_product(struct call *c, const struct item *it)
{
	struct basket_change change = begin_change(c);
	struct basket b;
	enum call_result result;
	enum basket_error error;
	uint32_t line;
	enum kv_status status = call_open_basket(c, true, &b);

	if (status != KV_OK)
		return call_store(c, status);
	if (!oscar_if_match(c, 'b', b.id, b.version, &result))
		return result;
	error = basket_add(&b, &it->item, it->quantity, &change, &line);
	if (error != BASKET_OK)
		return refuse(c, &change, error, true);
	if (it->quantity != 0)
		status = call_put_basket(c, &b, true);
	return status == KV_OK ? oscar_basket_show(c, &b) : call_store(c, status);
}

enum call_result oscar_line_add_product(struct call *c)
{
	struct oscar_errors e = { .body = &c->response->body, .reason = true };
	struct product_record p;
	struct oscar_form form;
	struct item it;
	enum call_result result;
	enum kv_status status;

	if (!oscar_form_read(c, &form))
		return CALL_DONE;
	if (refuse_price(c, &form, &result))
		return result;
	if (form.error != NULL)
		return field_error(c, true, "non_field_errors", form.error);
	read_quantity(&form, &it, true, &e);
	status = read_product(c, &form, "url", &it, &p, &e);
	if (status != KV_OK)
		return call_store(c, status);
	read_options(&form, &it, &e);
	read_price(c, &form, &it, &e);
	return e.count > 0 ? oscar_errors_end(c, &e, HTTP_NOT_ACCEPTABLE) : add_product(c, &it);
}

/* --- The lines of a basket. --- */

enum call_result oscar_line_list(struct call *c)
{
	struct buf *body = &c->response->body;
	struct basket b;
	enum call_result result;
	enum kv_status status;

	if (!oscar_may(c, &b, false, &result))
		return result;
	oscar_begin(c, HTTP_OK);
	status = oscar_put_etag(c, 's', b.id, b.version);
	buf_char(body, '[');
	for (uint32_t i = 0; status == KV_OK && i < b.line_count; i++) {
		if (i > 0)
			buf_char(body, ',');
		status = put_line(c, &b, &b.lines[i]);
	}
	buf_char(body, ']');
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

/* The original parses the link to the basket before its serializer does: its errors are a list
 * without a name. */
static enum call_result basket_link_error(struct call *c, const char *sentence)
{
	oscar_begin(c, HTTP_BAD_REQUEST);
	buf_char(&c->response->body, '[');
	json_put_string(&c->response->body, slice_of(sentence));
	buf_char(&c->response->body, ']');
	return CALL_DONE;
}

static enum call_result no_object(struct call *c)
{
	return basket_link_error(c, NO_OBJECT);
}

/* The basket that the body names is another one than the path's. */
static enum call_result other_basket(struct call *c, const struct basket *b, uint64_t named)
{
	char detail[80];
	struct basket other;
	enum call_result result;

	if (!call_may(c, named, &other, no_object, oscar_forbidden, &result))
		return result;
	snprintf(detail, sizeof detail, "Target basket inconsistent %llu != %llu",
	         (unsigned long long)b->id, (unsigned long long)named);
	return oscar_error(c, HTTP_NOT_ACCEPTABLE, detail);
}

/* True where the body's `basket` is the path's. */
static bool names_basket(struct call *c, const struct oscar_form *form, const struct basket *b,
                         enum call_result *result)
{
	struct oscar_link link = { .name = "basket", .pattern = "/api/baskets/*/" };
	const char *sentence = "Incorrect type. Expected URL string, received NoneType.";
	enum oscar_given given = oscar_form_judge_link(form, &link, &sentence);
	uint64_t named;

	if (given == OSCAR_GIVEN && !slice_uint(link.arg[0], UINT64_MAX, &named)) {
		given = OSCAR_WRONG;
		sentence = "Invalid hyperlink - No URL match.";
	}
	if (given != OSCAR_GIVEN)
		*result = basket_link_error(c, sentence);
	else if (named != b->id)
		*result = other_basket(c, b, named);
	return given == OSCAR_GIVEN && named == b->id;
}

/* The stock record must be the product's, since a product has one here. */
static void read_stockrecord(const struct oscar_form *form, const struct item *it,
                             const struct product_record *p, struct oscar_errors *e)
{
	struct oscar_link link = { .name = "stockrecord",
	                           .pattern = "/api/products/*/stockrecords/*/" };
	struct slice own = p->stockrecord.len > 0 ? p->stockrecord : it->item.product;

	switch (oscar_form_link(form, &link, e)) {
	case OSCAR_ABSENT:
		oscar_errors_add(e, link.name, OSCAR_REQUIRED);
		break;
	case OSCAR_GIVEN:
		if (it->item.product.len > 0 && !(slice_eq(link.arg[0], it->item.product) &&
		                                  slice_eq(link.arg[1], own)))
			oscar_errors_add(e, link.name, NO_OBJECT);
		break;
	case OSCAR_WRONG:
		break;
	}
}

static enum call_result add_line(struct call *c, struct basket *b, const struct item *it)
{
	struct basket_change change = begin_change(c);
	uint32_t line;
	enum basket_error error = basket_add(b, &it->item, it->quantity, &change, &line);
	enum kv_status status;

	if (error != BASKET_OK)
		return refuse(c, &change, error, false);
	if (line == UINT32_MAX)
		return field_error(c, false, "quantity",
		                   "Ensure this value is greater than or equal to 1.");
	status = call_put_basket(c, b, true);
	if (status != KV_OK)
		return call_store(c, status);
	oscar_put_location(c, "baskets/%llu/lines/%llu/", (unsigned long long)b->id,
	                   (unsigned long long)b->lines[line].id);
	return show_line(c, b, line, HTTP_CREATED);
}

enum call_result oscar_line_post(struct call *c)
{
	struct oscar_errors e = { .body = &c->response->body };
	struct product_record p = { 0 };
	struct oscar_form form;
	struct basket b;
	struct item it;
	enum call_result result;
	enum kv_status status;

	if (!oscar_may(c, &b, false, &result) || !oscar_if_match(c, 'b', b.id, b.version, &result))
		return result;
	if (!oscar_form_read(c, &form))
		return CALL_DONE;
	if (form.error != NULL)
		return field_error(c, false, "non_field_errors", form.error);
	if (refuse_price(c, &form, &result) || !names_basket(c, &form, &b, &result))
		return result;
	status = read_product(c, &form, "product", &it, &p, &e);
	if (status != KV_OK)
		return call_store(c, status);
	read_quantity(&form, &it, false, &e);
	if (it.quantity < 0)
		oscar_errors_add(&e, "quantity", NOT_NEGATIVE);
	read_stockrecord(&form, &it, &p, &e);
	read_options(&form, &it, &e);
	read_price(c, &form, &it, &e);
	return e.count > 0 ? oscar_errors_end(c, &e, HTTP_BAD_REQUEST) : add_line(c, &b, &it);
}

/* --- One line. --- */

/* Finds the line that the path names. The original hides lines of others as it hides lines
 * that are not there. */
static bool find_line(struct call *c, struct basket *b, uint32_t *line, enum call_result *result)
{
	uint64_t id;

	if (!oscar_may(c, b, true, result))
		return false;
	if (slice_uint(c->arg[1], UINT64_MAX, &id) && basket_find_line(b, id, line))
		return true;
	*result = oscar_not_found(c);
	return false;
}

/* The same for a request that changes it. */
static bool find_line_to_change(struct call *c, struct basket *b, uint32_t *line,
                                enum call_result *result)
{
	return find_line(c, b, line, result) &&
	       oscar_if_match(c, 'l', b->lines[*line].id, b->lines[*line].version, result);
}

enum call_result oscar_line_get(struct call *c)
{
	struct basket b;
	uint32_t line;
	enum call_result result;

	return find_line(c, &b, &line, &result) ? show_line(c, &b, line, HTTP_OK) : result;
}

/* A link that may be sent along, but not to another object than the line's. */
static void check_link(const struct oscar_form *form, const char *name, const char *pattern,
                       struct slice own, struct slice own_below, struct oscar_errors *e)
{
	struct oscar_link link = { .name = name, .pattern = pattern };

	if (oscar_form_link(form, &link, e) == OSCAR_GIVEN &&
	    !(slice_eq(link.arg[0], own) && slice_eq(link.arg[1], own_below)))
		oscar_errors_add(e, name, ONLY_QUANTITY);
}

static enum kv_status check_links(struct call *c, const struct oscar_form *form,
                                  const struct basket *b, const struct basket_line *line,
                                  struct oscar_errors *e)
{
	char digits[24];
	struct buf id = BUF(digits);
	struct basket_line_price p;
	enum kv_status status = basket_line_price(c->kv, line, &p);

	buf_uint(&id, b->id);
	check_link(form, "product", "/api/products/*/", line->product, (struct slice){ 0 }, e);
	check_link(form, "basket", "/api/baskets/*/", buf_slice(&id), (struct slice){ 0 }, e);
	if (status == KV_OK)
		check_link(form, "stockrecord", "/api/products/*/stockrecords/*/", line->product,
		           p.stockrecord, e);
	return status;
}

/* A line that is lowered to nothing is answered once more, with the quantity 0. */
static enum call_result take_out(struct call *c, struct basket *b, uint32_t at)
{
	struct basket_change change = begin_change(c);
	struct basket_line line = b->lines[at];
	enum basket_error error;
	enum kv_status status;

	line.quantity = 0;
	line.discount_cents = 0;
	line.updated_us = c->now_us;
	oscar_begin(c, HTTP_OK);
	status = put_line(c, b, &line);
	error = basket_remove(b, at, &change);
	if (error != BASKET_OK) {
		http_response_reset(c->response);
		return refuse(c, &change, error, false);
	}
	if (status == KV_OK)
		status = call_put_basket(c, b, true);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

static enum call_result change_line(struct call *c, struct basket *b, uint32_t at,
                                    const struct item *it, bool quantity)
{
	struct basket_change change = begin_change(c);
	uint32_t wanted = it->quantity < UINT32_MAX ? (uint32_t)it->quantity : UINT32_MAX;
	enum basket_error error = BASKET_OK;
	enum kv_status status;

	if (quantity && wanted == 0)
		return take_out(c, b, at);
	if (it->item.price != NULL)
		error = basket_set_price(b, at, it->item.price, &change);
	if (error == BASKET_OK && quantity)
		error = basket_set_quantity(b, at, wanted, &change);
	if (error != BASKET_OK)
		return refuse(c, &change, error, false);
	status = call_put_basket(c, b, true);
	return status == KV_OK ? show_line(c, b, at, HTTP_OK) : call_store(c, status);
}

/* PUT and PATCH. The quantity is enough for PUT; what else a line has cannot be changed, but
 * for its price by whom price_source lets. */
enum call_result oscar_line_change(struct call *c)
{
	struct oscar_errors e = { .body = &c->response->body };
	bool whole = c->request->method == HTTP_PUT, quantity;
	struct oscar_form form;
	struct basket b;
	struct item it;
	uint32_t line;
	enum call_result result;
	enum kv_status status;

	if (!find_line_to_change(c, &b, &line, &result))
		return result;
	if (!oscar_form_read(c, &form))
		return CALL_DONE;
	if (form.error != NULL)
		return field_error(c, false, "non_field_errors", form.error);
	if (refuse_price(c, &form, &result))
		return result;
	quantity = oscar_form_has(&form, "quantity");
	read_quantity(&form, &it, whole, &e);
	if (it.quantity < 0)
		oscar_errors_add(&e, "quantity", NOT_NEGATIVE);
	status = check_links(c, &form, &b, &b.lines[line], &e);
	read_price(c, &form, &it, &e);
	if (status != KV_OK)
		return call_store(c, status);
	if (e.count > 0)
		return oscar_errors_end(c, &e, HTTP_BAD_REQUEST);
	if (!quantity && it.item.price == NULL)
		return show_line(c, &b, line, HTTP_OK);
	return change_line(c, &b, line, &it, quantity);
}

enum call_result oscar_line_delete(struct call *c)
{
	struct basket_change change = begin_change(c);
	struct basket b;
	uint32_t line;
	enum call_result result;
	enum basket_error error;
	enum kv_status status;

	if (!find_line_to_change(c, &b, &line, &result))
		return result;
	error = basket_remove(&b, line, &change);
	if (error != BASKET_OK)
		return refuse(c, &change, error, false);
	oscar_begin(c, HTTP_NO_CONTENT);
	status = call_put_basket(c, &b, true);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

/* --- One of its attributes: what was chosen for an option. --- */

static bool find_attribute(struct call *c, struct basket *b, uint32_t *line, uint32_t *option,
                           enum call_result *result)
{
	uint64_t line_id, id;
	uint32_t end = 0;

	if (!oscar_may(c, b, false, result))
		return false;
	*option = 0;
	if (slice_uint(c->arg[1], UINT64_MAX, &line_id) &&
	    slice_uint(c->arg[2], UINT64_MAX, &id) && basket_find_line(b, line_id, line)) {
		*option = b->lines[*line].first_option;
		end = *option + b->lines[*line].option_count;
	}
	while (*option < end && b->options[*option].id != id)
		++*option;
	if (*option < end)
		return true;
	*result = oscar_not_found(c);
	return false;
}

static enum call_result show_attribute(struct call *c, const struct basket *b, uint32_t line,
                                       uint32_t option)
{
	struct buf *body = &c->response->body;
	const struct basket_line *l = &b->lines[line];
	const struct basket_option *o = &b->options[option];
	enum kv_status status;

	oscar_begin(c, HTTP_OK);
	status = oscar_put_etag(c, 'l', l->id, l->version);
	buf_lit(body, "{\"url\":");
	put_attribute_url(c, b, l, o);
	buf_lit(body, ",\"line\":");
	oscar_put_url(c, "baskets/%llu/lines/%llu/", (unsigned long long)b->id,
	              (unsigned long long)l->id);
	buf_lit(body, ",\"value\":");
	json_put_string(body, o->value);
	buf_lit(body, ",\"option\":");
	put_option_url(c, o->option);
	buf_char(body, '}');
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

enum call_result oscar_attribute_get(struct call *c)
{
	struct basket b;
	uint32_t line, option;
	enum call_result result;

	if (!find_attribute(c, &b, &line, &option, &result))
		return result;
	return show_attribute(c, &b, line, option);
}

static enum call_result set_attribute(struct call *c, struct basket *b, uint32_t line,
                                      uint32_t option, struct slice value)
{
	struct basket_change change = begin_change(c);
	enum basket_error error = basket_set_option(b, line, option, value, &change);
	enum kv_status status;

	if (error != BASKET_OK)
		return refuse(c, &change, error, false);
	status = call_put_basket(c, b, true);
	return status == KV_OK ? show_attribute(c, b, line, option) : call_store(c, status);
}

/* PUT and PATCH: the value; the option, if it is sent along, must be the same. */
enum call_result oscar_attribute_change(struct call *c)
{
	struct oscar_errors e = { .body = &c->response->body };
	struct oscar_text value = { .name = "value", .max_chars = OSCAR_TEXT_MAX };
	struct oscar_link link = { .name = "option", .pattern = "/api/options/*/" };
	struct oscar_form form;
	struct basket b;
	uint32_t line, option;
	enum call_result result;

	if (!find_attribute(c, &b, &line, &option, &result) ||
	    !oscar_if_match(c, 'l', b.lines[line].id, b.lines[line].version, &result))
		return result;
	if (!oscar_form_read(c, &form))
		return CALL_DONE;
	if (form.error != NULL)
		return field_error(c, false, "non_field_errors", form.error);
	if (oscar_form_link(&form, &link, &e) == OSCAR_GIVEN &&
	    !slice_eq(link.path, b.options[option].option))
		oscar_errors_add(&e, link.name, "Only the value can be changed.");
	if (oscar_form_has(&form, value.name) || c->request->method == HTTP_PUT)
		oscar_form_text(&form, &value, &e);
	if (e.count > 0)
		return oscar_errors_end(c, &e, HTTP_BAD_REQUEST);
	return value.value.len > 0 ? set_attribute(c, &b, line, option, value.value)
	                           : show_attribute(c, &b, line, option);
}
