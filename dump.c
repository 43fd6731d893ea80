/* dump.c -- see dump.h. */
#include <assert.h>
#include <stdio.h>

#include "django.h"
#include "dump.h"

#define FIELDS_MAX 9
#define LIST_MAX   256          /* bytes of ids of options */
#define VALUE_MAX  1024         /* bytes of a value that is no string */

/* How a field stands in JSON. Of what is not due, null and absence are 0 or empty. */
enum form {
	TEXT,
	ID,             /* a whole number from 1 */
	COUNT,          /* a whole number; below 0 is 0, null DUMP_NONE */
	SWITCH,
	TIME,
	IDS,            /* an array of them: a text `1,2` */
	VALUE,          /* any: what is no string as JSON */
};

struct field {
	const char *name;
	enum form form;
	unsigned at;            /* enum dump_number or dump_text */
	bool due;
};

/* clang-format off */
static const struct {
	const char *model;
	struct field fields[FIELDS_MAX];
} models[DUMP_KINDS] = {
	[DUMP_USER] = { "auth.user", {
		{ "username",    TEXT,   DUMP_NAME,       false },
		{ "email",       TEXT,   DUMP_EMAIL,      false },
		{ "first_name",  TEXT,   DUMP_FIRST_NAME, false },
		{ "last_name",   TEXT,   DUMP_LAST_NAME,  false },
		{ "password",    TEXT,   DUMP_PASSWORD,   true },
		{ "is_active",   SWITCH, DUMP_FLAG,       true },
		{ "date_joined", TIME,   DUMP_CREATED,    false } } },
	[DUMP_API_KEY] = { "oscarapi.apikey", {
		{ "key", TEXT, DUMP_NAME, true } } },
	[DUMP_CLASS] = { "catalogue.productclass", {
		{ "track_stock", SWITCH, DUMP_FLAG, true },
		{ "options",     IDS,    DUMP_LIST, false } } },
	[DUMP_OPTION] = { "catalogue.option", {
		{ "code", TEXT, DUMP_NAME, true } } },
	[DUMP_PRODUCT] = { "catalogue.product", {
		{ "title",           TEXT, DUMP_NAME,    false },
		{ "parent",          ID,   DUMP_OF,      false },
		{ "product_class",   ID,   DUMP_TO,      false },
		{ "product_options", IDS,  DUMP_LIST,    false },
		{ "date_updated",    TIME, DUMP_UPDATED, false } } },
	[DUMP_STOCK] = { "partner.stockrecord", {
		{ "product",        ID,    DUMP_OF,       true },
		{ "price_excl_tax", TEXT,  DUMP_PRICE,    false },      /* before Oscar 2.1 */
		{ "price",          TEXT,  DUMP_PRICE,    false },
		{ "price_currency", TEXT,  DUMP_CURRENCY, false },
		{ "num_in_stock",   COUNT, DUMP_COUNT,    false },
		{ "num_allocated",  COUNT, DUMP_TAKEN,    false },
		{ "date_updated",   TIME,  DUMP_UPDATED,  false } } },
	[DUMP_BASKET] = { "basket.basket", {
		{ "owner",        ID,   DUMP_OF,      false },
		{ "status",       TEXT, DUMP_NAME,    true },
		{ "date_created", TIME, DUMP_CREATED, true } } },
	[DUMP_LINE] = { "basket.line", {
		{ "basket",         ID,    DUMP_OF,       true },
		{ "product",        ID,    DUMP_TO,       true },
		{ "quantity",       COUNT, DUMP_COUNT,    true },
		{ "price_excl_tax", TEXT,  DUMP_PRICE,    false },
		{ "price_currency", TEXT,  DUMP_CURRENCY, false },
		{ "date_created",   TIME,  DUMP_CREATED,  true },
		{ "date_updated",   TIME,  DUMP_UPDATED,  false } } },  /* since Oscar 3.0 */
	[DUMP_ATTRIBUTE] = { "basket.lineattribute", {
		{ "line",   ID,    DUMP_OF,   true },
		{ "option", ID,    DUMP_TO,   true },
		{ "value",  VALUE, DUMP_NAME, true } } },
	[DUMP_SESSION] = { "sessions.session", {
		{ "session_data", TEXT, DUMP_DATA,    true },
		{ "expire_date",  TIME, DUMP_UPDATED, true } } },
};
/* clang-format on */

const char *dump_model(enum dump_kind kind)
{
	return kind > DUMP_OTHER && kind < DUMP_KINDS ? models[kind].model : "record";
}

static struct slice text_of(const json_t *value)
{
	return (struct slice){ json_string_value(value), json_string_length(value) };
}

static bool read_id(const json_t *value, uint64_t *id)
{
	if (!json_is_integer(value) || json_integer_value(value) < 1)
		return false;
	*id = (uint64_t)json_integer_value(value);
	return true;
}

/* Ids and values that are no strings have no text in the document: it is made here, for one
 * record at a time. */
static struct slice make_list(const json_t *array, bool *good)
{
	static char bytes[LIST_MAX];
	struct buf list = BUF(bytes);
	uint64_t id;

	for (size_t i = 0; i < json_array_size(array); i++) {
		*good &= read_id(json_array_get(array, i), &id);
		if (!*good)
			break;
		if (i > 0)
			buf_char(&list, ',');
		buf_uint(&list, id);
	}
	*good &= json_is_array(array) && !list.full;
	return buf_slice(&list);
}

static int put_text(const char *text, size_t len, void *out)
{
	buf_put(out, (struct slice){ text, len });
	return 0;
}

static struct slice make_value(const json_t *value, bool *good)
{
	static char bytes[VALUE_MAX];
	struct buf text = BUF(bytes);

	if (json_is_string(value))
		return text_of(value);
	*good = json_dump_callback(value, put_text, &text, JSON_COMPACT | JSON_ENCODE_ANY) == 0 &&
	        !text.full;
	return buf_slice(&text);
}

static bool read_value(const struct field *f, const json_t *value, struct dump_record *r)
{
	bool good = true;

	switch (f->form) {
	case TEXT:
		r->text[f->at] = text_of(value);
		return json_is_string(value);
	case ID:
		return read_id(value, &r->number[f->at]);
	case COUNT:
		r->number[f->at] = json_integer_value(value) > 0 ?
		                   (uint64_t)json_integer_value(value) : 0;
		return json_is_integer(value);
	case SWITCH:
		r->number[f->at] = json_is_true(value);
		return json_is_boolean(value);
	case TIME:
		return json_is_string(value) &&
		       django_time_read(text_of(value), &r->number[f->at]);
	case IDS:
		r->text[f->at] = make_list(value, &good);
		return good;
	case VALUE:
		r->text[f->at] = make_value(value, &good);
		return good;
	}
	return false;
}

static const char *form_text(enum form form)
{
	static const char *const text[] = {
		[TEXT]   = "text is due",
		[ID]     = "a number from 1 is due, as dumpdata writes without --natural-foreign",
		[COUNT]  = "a whole number is due",
		[SWITCH] = "true or false is due",
		[TIME]   = "a time is due, such as 2026-11-22T05:50:27.206Z",
		[IDS]    = "a list of a few numbers is due",
		[VALUE]  = "is too long",
	};

	return text[form];
}

static bool read_field(const struct field *f, const json_t *fields, struct dump_record *r,
                       char error[DUMP_ERROR_MAX])
{
	const json_t *value = json_object_get(fields, f->name);
	bool absent = value == NULL || (json_is_null(value) && f->form != VALUE);

	if (absent ? !f->due : read_value(f, value, r))
		return true;
	snprintf(error, DUMP_ERROR_MAX, "%s: %s", f->name,
	         absent ? "is missing" : form_text(f->form));
	return false;
}

static enum dump_kind find_kind(struct slice model)
{
	static const struct slice user = { ".user", 5 };

	for (int k = DUMP_USER; k < DUMP_KINDS; k++)
		if (slice_eq(model, slice_of(models[k].model)))
			return (enum dump_kind)k;
	if (model.len > user.len && slice_eq(slice_skip(model, model.len - user.len), user))
		return DUMP_USER;
	return DUMP_OTHER;
}

static bool read_pk(const json_t *pk, struct dump_record *r)
{
	if (r->kind != DUMP_SESSION)
		return read_id(pk, &r->number[DUMP_PK]);
	r->text[DUMP_NAME] = text_of(pk);
	return json_is_string(pk) && r->text[DUMP_NAME].len > 0;
}

/* What no field said is 0, empty, or of a count: none. */
static void begin(struct dump_record *r, enum dump_kind kind)
{
	*r = (struct dump_record){ .kind = kind };
	r->number[DUMP_COUNT] = DUMP_NONE;
	for (int i = 0; i < DUMP_TEXTS; i++)
		r->text[i] = SLICE("");
}

bool dump_read(const json_t *object, struct dump_record *r, char error[DUMP_ERROR_MAX])
{
	const json_t *model = json_object_get(object, "model");
	const json_t *fields = json_object_get(object, "fields");

	begin(r, DUMP_OTHER);
	if (!json_is_string(model) || !json_is_object(fields)) {
		snprintf(error, DUMP_ERROR_MAX, "no object of dumpdata: model and fields are due");
		return false;
	}
	begin(r, find_kind(text_of(model)));
	if (r->kind == DUMP_OTHER)
		return true;
	if (!read_pk(json_object_get(object, "pk"), r)) {
		snprintf(error, DUMP_ERROR_MAX, "pk: %s is due, as dumpdata writes without "
		         "--natural-primary", r->kind == DUMP_SESSION ? "text" : "a number from 1");
		return false;
	}
	for (size_t i = 0; i < FIELDS_MAX && models[r->kind].fields[i].name != NULL; i++)
		if (!read_field(&models[r->kind].fields[i], fields, r, error))
			return false;
	return true;
}

bool dump_read_session(struct slice text, struct dump_record *r)
{
	struct json_member all[] = { { .name = "model" }, { .name = "pk" }, { .name = "fields" } };
	struct json_member fields[] = { { .name = "session_data" }, { .name = "expire_date" } };

	if (!json_plain(text, all, COUNT_OF(all)) || all[0].first != '"' || all[1].first != '"' ||
	    all[2].first != '{' || !json_plain(all[2].text, fields, COUNT_OF(fields)) ||
	    fields[0].first != '"' || fields[1].first != '"' || all[1].text.len == 0 ||
	    !slice_eq(all[0].text, slice_of(models[DUMP_SESSION].model)))
		return false;
	begin(r, DUMP_SESSION);
	r->text[DUMP_NAME] = all[1].text;
	r->text[DUMP_DATA] = fields[0].text;
	return django_time_read(fields[1].text, &r->number[DUMP_UPDATED]);
}

/* What Oscar's own sessions hold, without json_parse(); false: look at it with that. */
static bool read_data(struct slice json, struct dump_record *r, struct slice *hash)
{
	struct json_member m[] = {
		{ .name = "_auth_user_id" }, { .name = "_auth_user_hash" },
		{ .name = "oscar_open_basket" }, { .name = "_auth_user_backend" },
	};
	const struct json_member *user = &m[0], *basket = &m[2];

	if (!json_plain(json, m, COUNT_OF(m)) || (m[1].first != '"' && m[1].first != '\0') ||
	    m[3].first == '{' || basket->first == '"' ||
	    (user->first != '\0' && (!slice_uint(user->text, INT64_MAX, &r->number[DUMP_OF]) ||
	                             r->number[DUMP_OF] == 0)) ||
	    (basket->first != '\0' && (!slice_uint(basket->text, INT64_MAX, &r->number[DUMP_TO]) ||
	                               r->number[DUMP_TO] == 0)))
		return false;
	*hash = m[1].text;
	return true;
}

/* `_auth_user_id` is text since Django 1.8; a shop may have stored a number. */
static bool read_user(const json_t *value, uint64_t *id)
{
	if (value == NULL || json_is_null(value))
		return true;
	if (json_is_string(value))
		return slice_uint(text_of(value), INT64_MAX, id) && *id > 0;
	return read_id(value, id);
}

/* Any session's data; false with the reason. */
static bool parse_data(struct slice json, struct dump_record *r, struct slice *hash,
                       char why[JSON_ERROR_MAX])
{
	const json_t *data = json_parse(json, why), *basket;

	r->number[DUMP_OF] = r->number[DUMP_TO] = 0;
	if (data == NULL)
		return false;
	basket = json_object_get(data, "oscar_open_basket");
	*hash = text_of(json_object_get(data, "_auth_user_hash"));
	if (!json_is_object(data))
		snprintf(why, JSON_ERROR_MAX, "is no object");
	else if (!read_user(json_object_get(data, "_auth_user_id"), &r->number[DUMP_OF]))
		snprintf(why, JSON_ERROR_MAX, "_auth_user_id is no number from 1");
	else if (basket != NULL && !json_is_null(basket) && !read_id(basket, &r->number[DUMP_TO]))
		snprintf(why, JSON_ERROR_MAX, "oscar_open_basket is no number from 1");
	else
		return true;
	return false;
}

static struct slice keep(struct buf *room, struct slice text)
{
	size_t at = room->len;

	buf_put(room, text);
	return (struct slice){ room->ptr + at, room->len - at };
}

static enum dump_session bad(char error[DUMP_ERROR_MAX], const char *why)
{
	snprintf(error, DUMP_ERROR_MAX, "session_data: %s", why);
	return DUMP_SESSION_BAD;
}

enum dump_session dump_open_session(struct dump_record *r, struct slice secret,
                                    struct buf *room, char error[DUMP_ERROR_MAX])
{
	static char bytes[DJANGO_SESSION_MAX];
	struct buf json = BUF(bytes);
	char why[JSON_ERROR_MAX];
	struct slice hash;
	uint64_t written_s;
	enum django_error status;

	assert(r->kind == DUMP_SESSION);
	status = django_session_read(r->text[DUMP_DATA], secret, &json, &written_s);
	if (status != DJANGO_OK) {
		bad(error, django_error_text(status));
		return status == DJANGO_SIGNATURE ? DUMP_SESSION_FOREIGN : DUMP_SESSION_BAD;
	}
	r->text[DUMP_NAME] = keep(room, r->text[DUMP_NAME]);
	r->text[DUMP_DATA] = SLICE("");
	if (!read_data(buf_slice(&json), r, &hash) && !parse_data(buf_slice(&json), r, &hash, why))
		return bad(error, why);
	r->number[DUMP_CREATED] = written_s < UINT64_MAX / 1000000 ? written_s * 1000000 : 0;
	r->text[DUMP_DATA] = keep(room, hash);
	return room->full ? bad(error, "is too long") : DUMP_SESSION_READ;
}

void dump_pack(struct buf *out, const struct dump_record *r)
{
	buf_char(out, (char)r->kind);
	buf_put(out, slice_bytes(r->number, sizeof r->number));
	for (int i = 0; i < DUMP_TEXTS; i++) {
		uint32_t len = (uint32_t)r->text[i].len;

		buf_put(out, slice_bytes(&len, sizeof len));
		buf_put(out, r->text[i]);
	}
}

bool dump_unpack(struct slice bytes, struct dump_record *r)
{
	uint32_t len;

	if (bytes.len < 1 + sizeof r->number || (unsigned char)bytes.ptr[0] >= DUMP_KINDS)
		return false;
	r->kind = (enum dump_kind)bytes.ptr[0];
	memcpy(r->number, bytes.ptr + 1, sizeof r->number);
	bytes = slice_skip(bytes, 1 + sizeof r->number);
	for (int i = 0; i < DUMP_TEXTS; i++) {
		if (bytes.len < sizeof len)
			return false;
		memcpy(&len, bytes.ptr, sizeof len);
		bytes = slice_skip(bytes, sizeof len);
		if (len > bytes.len)
			return false;
		r->text[i] = (struct slice){ bytes.ptr, len };
		bytes = slice_skip(bytes, len);
	}
	return bytes.len == 0;
}
