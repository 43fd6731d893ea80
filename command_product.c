/* command_product.c -- sidecart product: the price book imported, listed, shown, cut down. */
#include <errno.h>

#include "command.h"
#include "feed.h"
#include "json.h"
#include "money.h"
#include "print.h"
#include "product.h"

#define BATCH_TEXT_MAX (COMMAND_CHUNK * RECORD_VALUE_MAX)
#define SCRATCH_MAX    2048     /* bytes of what a JSON record does not hold as text */
#define PRODUCT_CELLS  10

enum field {
	FIELD_ID,
	FIELD_NAME,
	FIELD_PRICE,
	FIELD_CURRENCY,
	FIELD_STOCK,
	FIELD_MAX_QUANTITY,
	FIELD_TAX_RATE,
	FIELD_OPTIONS,
	FIELD_STOCKRECORD,
	FIELD_UPDATED,          /* `product list --json` prints it; an import sets its own */
	FIELDS
};

/* clang-format off */
static const struct {
	const char *name;
	bool due;
} fields[FIELDS] = {
	[FIELD_ID]           = { "id", true },
	[FIELD_NAME]         = { "name", true },
	[FIELD_PRICE]        = { "price", true },
	[FIELD_CURRENCY]     = { "currency", true },
	[FIELD_STOCK]        = { "stock", false },
	[FIELD_MAX_QUANTITY] = { "max_quantity", false },
	[FIELD_TAX_RATE]     = { "tax_rate", false },
	[FIELD_OPTIONS]      = { "options", false },
	[FIELD_STOCKRECORD]  = { "stockrecord", false },
	[FIELD_UPDATED]      = { "updated", false },
};

/* The field that an error is of. */
static const enum field field_of[] = {
	[PRODUCT_ID_BAD]       = FIELD_ID,
	[PRODUCT_NAME_BAD]     = FIELD_NAME,
	[PRODUCT_PRICE_BAD]    = FIELD_PRICE,
	[PRODUCT_CURRENCY_BAD] = FIELD_CURRENCY,
	[PRODUCT_RATE_BAD]     = FIELD_TAX_RATE,
	[PRODUCT_LIMIT_BAD]    = FIELD_STOCK,
	[PRODUCT_OPTIONS_BAD]  = FIELD_OPTIONS,
};
/* clang-format on */

/* An import under way. */
struct import {
	struct command_line *line;
	const char *file;
	bool csv, array;
	enum field column[FEED_CELLS_MAX];      /* of CSV */
	size_t columns;
	unsigned long long added, changed, unchanged;
	unsigned long long first_line;                  /* of the batch */
	size_t count;
	struct product_record batch[COMMAND_CHUNK];
	struct buf text;                        /* the batch's strings */
	char text_bytes[BATCH_TEXT_MAX];
	struct feed feed;
};

static struct import importing;

static int bad(const struct import *i, const char *field, const char *why)
{
	return command_refuse("%s: line %llu: %s%s%s", i->file, (unsigned long long)i->feed.line,
	                      field, field[0] != '\0' ? ": " : "", why);
}

static int find_field(struct slice name)
{
	for (int f = 0; f < FIELDS; f++)
		if (slice_eq(name, slice_of(fields[f].name)))
			return f;
	return -1;
}

static int unknown(const struct import *i, struct slice name)
{
	char text[64];

	snprintf(text, sizeof text, "%.*s", (int)(name.len < 40 ? name.len : 40), name.ptr);
	return bad(i, text, "no such field; there are id, name, price, currency, stock, "
	                    "max_quantity, tax_rate, options, stockrecord");
}

static bool read_count(struct slice text, uint32_t *count)
{
	uint64_t n = UINT32_MAX;

	if (text.len > 0 && !slice_uint(text, UINT32_MAX - 1, &n))
		return false;
	*count = (uint32_t)n;
	return true;
}

/* Reads a product from the text of its fields; an empty one is as good as none. */
static int read_product(const struct import *i, const struct slice value[FIELDS],
                        struct product_record *r)
{
	enum product_error error;

	*r = (struct product_record){
		.price_e4    = -1,
		.updated_us  = i->line->now_us,
		.id          = value[FIELD_ID],
		.name        = value[FIELD_NAME],
		.currency    = value[FIELD_CURRENCY],
		.stockrecord = value[FIELD_STOCKRECORD],
		.options     = value[FIELD_OPTIONS],
	};
	for (int f = 0; f < FIELDS; f++)
		if (fields[f].due && !slice_given(value[f]))
			return bad(i, fields[f].name, "missing");
	if (value[FIELD_PRICE].len > 0 && !money_read_e4(value[FIELD_PRICE], &r->price_e4))
		return bad(i, "price", product_error_text(PRODUCT_PRICE_BAD));
	if (value[FIELD_TAX_RATE].len > 0 &&
	    !money_read_rate(value[FIELD_TAX_RATE], &r->tax_rate_e6))
		return bad(i, "tax_rate", product_error_text(PRODUCT_RATE_BAD));
	if (!read_count(value[FIELD_STOCK], &r->stock))
		return bad(i, "stock", product_error_text(PRODUCT_LIMIT_BAD));
	if (!read_count(value[FIELD_MAX_QUANTITY], &r->max_quantity) || r->max_quantity == 0)
		return bad(i, "max_quantity", product_error_text(PRODUCT_LIMIT_BAD));
	error = product_judge(r);
	if (error == PRODUCT_OK)
		return COMMAND_DONE;
	return bad(i, error == PRODUCT_ID_BAD && product_id_valid(r->id) ?
	              "stockrecord" : fields[field_of[error]].name, product_error_text(error));
}

/* The codes of a JSON array, joined by commas. */
static bool put_codes(struct buf *out, const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *code = json_array_get(array, i);
		struct slice text = { json_string_value(code), json_string_length(code) };

		if (!json_is_string(code) || slice_has(text, ','))
			return false;
		if (i > 0)
			buf_char(out, ',');
		buf_put(out, text);
	}
	return true;
}

/* The text of one JSON value: a string's own, a whole number's digits, an array's codes. */
static int json_text(const struct import *i, int f, const json_t *value, struct buf *scratch,
                     struct slice *text)
{
	size_t start = scratch->len;

	if (json_is_string(value)) {
		*text = (struct slice){ json_string_value(value), json_string_length(value) };
		return COMMAND_DONE;
	}
	if (json_is_null(value))
		return COMMAND_DONE;
	if (f == FIELD_OPTIONS && json_is_array(value)) {
		if (!put_codes(scratch, value) || scratch->full)
			return bad(i, "options", product_error_text(PRODUCT_OPTIONS_BAD));
	} else if (json_is_integer(value) && json_integer_value(value) >= 0) {
		buf_uint(scratch, (uint64_t)json_integer_value(value));
	} else {
		return bad(i, fields[f].name, json_is_real(value) ?
		           "decimal text is due, in quotes, such as \"12.50\"" :
		           "text or a whole number is due");
	}
	*text = (struct slice){ scratch->ptr + start, scratch->len - start };
	return COMMAND_DONE;
}

static int read_object(const struct import *i, struct slice text, struct buf *scratch,
                       struct product_record *r)
{
	struct slice value[FIELDS] = { { 0 } };
	char error[JSON_ERROR_MAX];
	json_t *object = json_parse(text, error), *member;
	const char *name;
	int code = COMMAND_DONE;

	if (object == NULL)
		return bad(i, "", error);
	if (!json_is_object(object))
		return bad(i, "", "an object is due");
	json_object_foreach(object, name, member) {
		int f = find_field(slice_of(name));

		code = f < 0 ? unknown(i, slice_of(name)) :
		               json_text(i, f, member, scratch, &value[f]);
		if (code != COMMAND_DONE)
			return code;
	}
	return read_product(i, value, r);
}

static int read_row(const struct import *i, const struct slice *cells, size_t count,
                    struct product_record *r)
{
	struct slice value[FIELDS] = { { 0 } };

	if (count != i->columns)
		return bad(i, "", count < i->columns ? "a cell is missing" : "one cell too many");
	for (size_t c = 0; c < count; c++)
		value[i->column[c]] = slice_trim(cells[c]);
	return read_product(i, value, r);
}

/* The first row of CSV names the columns. */
static int read_header(struct import *i, struct slice *cells, size_t count)
{
	bool seen[FIELDS] = { false };

	if (slice_starts(cells[0], SLICE("\xef\xbb\xbf")))      /* a byte-order mark */
		cells[0] = slice_skip(cells[0], 3);
	for (size_t c = 0; c < count; c++) {
		int f = find_field(slice_trim(cells[c]));

		if (f < 0)
			return unknown(i, cells[c]);
		if (seen[f])
			return bad(i, fields[f].name, "named twice");
		seen[f] = true;
		i->column[c] = (enum field)f;
	}
	i->columns = count;
	for (int f = 0; f < FIELDS; f++)
		if (fields[f].due && !seen[f])
			return bad(i, fields[f].name, "the header line lacks it");
	return COMMAND_DONE;
}

static bool same(const struct product_record *a, const struct product_record *b)
{
	return a->price_e4 == b->price_e4 && a->tax_rate_e6 == b->tax_rate_e6 &&
	       a->stock == b->stock && a->max_quantity == b->max_quantity &&
	       slice_eq(a->name, b->name) && slice_eq(a->currency, b->currency) &&
	       slice_eq(a->stockrecord, b->stockrecord) && slice_eq(a->options, b->options);
}

/* Puts one product, unless it is there just so. */
static enum kv_status put(struct import *i, struct product_record *r)
{
	struct product_record old;
	enum kv_status status = product_get(i->line->kv, r->id, &old);
	bool is_there = status == KV_OK;

	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	if (is_there && r->stockrecord.len == 0)
		r->stockrecord = old.stockrecord;
	if (is_there && same(r, &old)) {
		i->unchanged++;
		return KV_OK;
	}
	if (product_put(i->line->kv, r, &status) != PRODUCT_OK)
		return status;
	*(is_there ? &i->changed : &i->added) += 1;
	return KV_OK;
}

/* Puts the batch in one transaction. */
static int put_batch(struct import *i)
{
	enum kv_status status = i->count > 0 ? command_begin(i->line) : KV_OK;
	int code;

	if (i->count == 0)
		return COMMAND_DONE;
	if (status != KV_OK)
		return command_store(i->line, status);
	for (size_t n = 0; n < i->count && status == KV_OK; n++)
		status = put(i, &i->batch[n]);
	code = command_finish(i->line, status);
	i->count = i->text.len = 0;
	command_progress(i->feed.taken, i->feed.size, i->added + i->changed + i->unchanged);
	return code;
}

static struct slice copy(struct buf *to, struct slice s)
{
	size_t start = to->len;

	buf_put(to, s);
	return (struct slice){ to->ptr + start, s.len };
}

/* Keeps a product, which the feed soon forgets, for the batch. */
static int gather(struct import *i, const struct product_record *r)
{
	struct product_record *kept = &i->batch[i->count];

	if (i->count == 0)
		i->first_line = i->feed.line;
	*kept = *r;
	kept->id = copy(&i->text, r->id);
	kept->name = copy(&i->text, r->name);
	kept->currency = copy(&i->text, r->currency);
	kept->stockrecord = copy(&i->text, r->stockrecord);
	kept->options = copy(&i->text, r->options);
	return ++i->count == COMMAND_CHUNK ? put_batch(i) : COMMAND_DONE;
}

/* Reads the next record that is not an empty line. */
static enum feed_status next(struct import *i, struct slice cells[FEED_CELLS_MAX], size_t *count)
{
	enum feed_status status;

	do {
		*count = 1;
		status = i->csv ? feed_row(&i->feed, cells, count) :
		         i->array ? feed_element(&i->feed, &cells[0]) :
		                    feed_line(&i->feed, &cells[0]);
	} while (status == FEED_RECORD && *count == 1 && slice_trim(cells[0]).len == 0);
	return status;
}

static int read_records(struct import *i)
{
	struct slice cells[FEED_CELLS_MAX];
	char scratch_bytes[SCRATCH_MAX];
	enum feed_status status;
	size_t count;
	int code = COMMAND_DONE;

	while (code == COMMAND_DONE && (status = next(i, cells, &count)) != FEED_END) {
		struct buf scratch = BUF(scratch_bytes);
		struct product_record r = { 0 };

		if (status == FEED_LONG)
			return bad(i, "", "longer than a record may be");
		if (status == FEED_BROKEN)
			return bad(i, "", i->feed.error);
		if (i->csv && i->columns == 0) {
			code = read_header(i, cells, count);
			continue;
		}
		code = i->csv ? read_row(i, cells, count, &r) :
		                read_object(i, cells[0], &scratch, &r);
		if (code == COMMAND_DONE)
			code = gather(i, &r);
	}
	return code == COMMAND_DONE ? put_batch(i) : code;
}

/* Told by the first byte, and where that says nothing by the name. */
static void tell_format(struct import *i)
{
	struct slice name = slice_of(i->file), end = SLICE("json");
	int first = feed_peek(&i->feed);
	bool named = name.len > end.len && slice_eq(slice_skip(name, name.len - end.len), end);

	i->array = first == '[';
	i->csv = first != '{' && first != '[' && !named;
}

int command_product_import(struct command_line *l)
{
	struct import *i = &importing;
	int code;

	i->line = l;
	i->file = strcmp(l->arguments[0], "-") == 0 ? "standard input" : l->arguments[0];
	i->text = BUF(i->text_bytes);
	if (!feed_open(&i->feed, l->arguments[0]))
		return command_refuse("%s: %s", i->file, strerror(errno));
	tell_format(i);
	code = command_open(l, KV_CREATE);
	if (code == COMMAND_DONE)
		code = read_records(i);
	feed_close(&i->feed);
	if (code == COMMAND_REFUSED)
		command_say("products before line %llu are in (%llu), none from there on",
		            i->count > 0 ? i->first_line : (unsigned long long)i->feed.line,
		            i->added + i->changed + i->unchanged);
	else if (code == COMMAND_DONE)
		command_say("products: %llu added, %llu changed, %llu unchanged",
		            i->added, i->changed, i->unchanged);
	return code;
}

/* What `product list` prints of one; members are named as the fields of an import. */
struct texts {
	char price[32], tax_rate[16];
};

static void fill(struct print_cell cells[PRODUCT_CELLS], struct texts *texts,
                 const struct product_record *r)
{
	struct buf price = BUF(texts->price), rate = BUF(texts->tax_rate);
	uint64_t stock = r->stock == UINT32_MAX ? PRINT_NONE : r->stock;
	uint64_t max = r->max_quantity == UINT32_MAX ? PRINT_NONE : r->max_quantity;

	if (r->price_e4 >= 0)
		money_put_e4(&price, r->price_e4);
	money_put_rate(&rate, r->tax_rate_e6);
	{
		const struct print_cell all[PRODUCT_CELLS] = {
			{ "id", PRINT_TEXT, r->id, 0 },
			{ "name", PRINT_TEXT, r->name, 0 },
			{ "price", PRINT_TEXT, buf_slice(&price), 0 },
			{ "currency", PRINT_TEXT, r->currency, 0 },
			{ "stock", PRINT_COUNT, { 0 }, stock },
			{ "max_quantity", PRINT_COUNT, { 0 }, max },
			{ "tax_rate", PRINT_TEXT, buf_slice(&rate), 0 },
			{ "options", PRINT_LIST, r->options, 0 },
			{ "stockrecord", PRINT_TEXT, r->stockrecord, 0 },
			{ "updated", PRINT_TIME, { 0 }, r->updated_us / 1000000 },
		};

		memcpy(cells, all, sizeof all);
	}
}

int command_product_list(struct command_line *l)
{
	struct print_cell cells[PRODUCT_CELLS];
	struct record_key after = { .len = 0 };
	struct product_record r;
	struct texts texts;
	enum kv_status status;
	int code = command_open(l, KV_READ);

	if (code != COMMAND_DONE)
		return code;
	while ((status = product_next(l->kv, &after, &r)) == KV_OK) {
		fill(cells, &texts, &r);
		print_row(cells, PRODUCT_CELLS);
		status = command_breathe(l);
		if (status != KV_OK)
			break;
	}
	return status == KV_NOT_FOUND ? COMMAND_DONE : command_store(l, status);
}

static int not_found(const struct command_line *l)
{
	return command_refuse("%s: no product has this id", l->arguments[0]);
}

int command_product_show(struct command_line *l)
{
	struct print_cell cells[PRODUCT_CELLS];
	struct product_record r;
	struct texts texts;
	enum kv_status status;
	int code = command_open(l, KV_READ);

	if (code != COMMAND_DONE)
		return code;
	status = product_get(l->kv, slice_of(l->arguments[0]), &r);
	if (status == KV_NOT_FOUND)
		return not_found(l);
	if (status != KV_OK)
		return command_store(l, status);
	fill(cells, &texts, &r);
	print_sheet(cells, PRODUCT_CELLS);
	return COMMAND_DONE;
}

int command_product_delete(struct command_line *l)
{
	enum kv_status status;
	int code = command_open(l, KV_WRITE);

	if (code != COMMAND_DONE)
		return code;
	status = command_begin(l);
	if (status != KV_OK)
		return command_store(l, status);
	status = product_delete(l->kv, slice_of(l->arguments[0]));
	if (status == KV_NOT_FOUND) {
		command_abort(l);
		return not_found(l);
	}
	code = command_finish(l, status);
	if (code == COMMAND_DONE)
		command_say("product %s was deleted", l->arguments[0]);
	return code;
}
