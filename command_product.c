/* command_product.c -- sidecart product: the price book imported, listed, shown, cut down. */
#include <errno.h>

#include "command.h"
#include "feed.h"
#include "print.h"
#include "product.h"
#include "view.h"

#define BATCH_TEXT_MAX (COMMAND_CHUNK * RECORD_VALUE_MAX)

/* An import under way. */
struct import {
	struct command_line *line;
	const char *file;
	bool csv, array;
	enum product_field column[FEED_CELLS_MAX];      /* of CSV */
	size_t columns;
	unsigned long long done[PRODUCT_CHANGES];
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

static int fault(const struct import *i, const struct product_fault *f)
{
	return bad(i, f->field, f->why);
}

static int read_row(const struct import *i, const struct slice *cells, size_t count,
                    struct product_record *r)
{
	struct slice value[PRODUCT_FIELDS] = { { 0 } };
	struct product_fault f;

	if (count != i->columns)
		return bad(i, "", count < i->columns ? "a cell is missing" : "one cell too many");
	for (size_t c = 0; c < count; c++)
		value[i->column[c]] = slice_trim(cells[c]);
	return product_read(value, r, &f) ? COMMAND_DONE : fault(i, &f);
}

static int read_object(const struct import *i, struct slice text, struct buf *scratch,
                       struct product_record *r)
{
	struct product_fault f;

	return product_read_json(text, scratch, r, &f) ? COMMAND_DONE : fault(i, &f);
}

/* The first row of CSV names the columns. */
static int read_header(struct import *i, struct slice *cells, size_t count)
{
	bool seen[PRODUCT_FIELDS] = { false };
	struct product_fault wrong;

	if (slice_starts(cells[0], SLICE("\xef\xbb\xbf")))      /* a byte-order mark */
		cells[0] = slice_skip(cells[0], 3);
	for (size_t c = 0; c < count; c++) {
		enum product_field f;

		if (!product_field_find(slice_trim(cells[c]), &f, &wrong))
			return fault(i, &wrong);
		if (seen[f])
			return bad(i, product_field_name(f), "named twice");
		seen[f] = true;
		i->column[c] = f;
	}
	i->columns = count;
	for (int f = 0; f < PRODUCT_FIELDS; f++)
		if (product_field_due((enum product_field)f) && !seen[f])
			return bad(i, product_field_name((enum product_field)f),
			           "the header line lacks it");
	return COMMAND_DONE;
}

static enum kv_status put(struct import *i, struct product_record *r)
{
	enum product_change change;
	enum kv_status status = product_import(i->line->kv, r, &change);

	i->done[change] += status == KV_OK;
	return status;
}

static unsigned long long done(const struct import *i)
{
	return i->done[PRODUCT_ADDED] + i->done[PRODUCT_CHANGED] + i->done[PRODUCT_UNCHANGED];
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
	command_progress(i->feed.taken, i->feed.size, done(i));
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
	char scratch_bytes[PRODUCT_SCRATCH_MAX];
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
		r.updated_us = i->line->now_us;
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
		            done(i));
	else if (code == COMMAND_DONE)
		command_say("products: %llu added, %llu changed, %llu unchanged",
		            i->done[PRODUCT_ADDED], i->done[PRODUCT_CHANGED],
		            i->done[PRODUCT_UNCHANGED]);
	return code;
}

int command_product_list(struct command_line *l)
{
	struct print_cell cells[VIEW_PRODUCT_CELLS];
	struct record_key after = { .len = 0 };
	struct product_record r;
	char text[VIEW_TEXT_MAX];
	enum kv_status status;
	int code = command_open(l, KV_READ);

	if (code != COMMAND_DONE)
		return code;
	while ((status = product_next(l->kv, &after, &r)) == KV_OK) {
		struct buf room = BUF(text);

		view_product(cells, &room, &r);
		print_row(cells, VIEW_PRODUCT_CELLS);
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
	struct print_cell cells[VIEW_PRODUCT_CELLS];
	struct product_record r;
	char text[VIEW_TEXT_MAX];
	struct buf room = BUF(text);
	enum kv_status status;
	int code = command_open(l, KV_READ);

	if (code != COMMAND_DONE)
		return code;
	status = product_get(l->kv, slice_of(l->arguments[0]), &r);
	if (status == KV_NOT_FOUND)
		return not_found(l);
	if (status != KV_OK)
		return command_store(l, status);
	view_product(cells, &room, &r);
	print_sheet(cells, VIEW_PRODUCT_CELLS);
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
