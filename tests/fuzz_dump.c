/* fuzz_dump.c -- lines as objects of dumpdata: read, packed, sorted; texts as sessions. */
#include <stdlib.h>

#include "django.h"
#include "gather.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define SECRET SLICE("test-secret")

static struct gather gather;

static void need(bool true_always)
{
	if (!true_always)
		abort();
}

static void bad(void *context, const struct dump_record *r, const char *why)
{
	(void)context;
	need(r->kind < DUMP_KINDS && why[0] != '\0');
}

/* What is packed is unpacked. */
static void pack(const struct dump_record *r)
{
	static char bytes[2][4 << 20];
	struct buf first = BUF(bytes[0]), second = BUF(bytes[1]);
	struct dump_record back;

	dump_pack(&first, r);
	need(!first.full && dump_unpack(buf_slice(&first), &back));
	dump_pack(&second, &back);
	need(slice_eq(buf_slice(&first), buf_slice(&second)));
}

/* The text as the JSON of a session that Django signed. */
static void open_session(struct slice json)
{
	static char stored[4 * DJANGO_SESSION_MAX], room_bytes[1024];
	struct buf data = BUF(stored), room = BUF(room_bytes);
	char error[DUMP_ERROR_MAX];
	struct dump_record r = { .kind = DUMP_SESSION };

	if (json.len > DJANGO_SESSION_MAX / 2)
		return;
	django_session_write(&data, SECRET, json, 1);
	r.text[DUMP_NAME] = SLICE("key");
	r.text[DUMP_DATA] = buf_slice(&data);
	switch (dump_open_session(&r, SECRET, &room, error)) {
	case DUMP_SESSION_READ:
		need(r.number[DUMP_OF] <= INT64_MAX && r.number[DUMP_TO] <= INT64_MAX);
		need(r.text[DUMP_DATA].len <= sizeof room_bytes);
		return;
	case DUMP_SESSION_FOREIGN:
		need(false);
		return;
	case DUMP_SESSION_BAD:
		need(error[0] != '\0');
	}
}

/* A session that is read without Jansson is the one that Jansson reads. */
static void need_same(const struct dump_record *plain, const struct dump_record *r)
{
	need(r->kind == DUMP_SESSION);
	need(r->number[DUMP_UPDATED] == plain->number[DUMP_UPDATED]);
	need(slice_eq(r->text[DUMP_NAME], plain->text[DUMP_NAME]));
	need(slice_eq(r->text[DUMP_DATA], plain->text[DUMP_DATA]));
}

static void take(struct slice text)
{
	char error[DUMP_ERROR_MAX + JSON_ERROR_MAX];
	const json_t *object = json_parse(text, error);
	struct dump_record r, plain;
	bool is_plain = dump_read_session(text, &plain);

	need(object != NULL || !is_plain);
	if (object == NULL)
		return;
	if (!dump_read(object, &r, error)) {
		need(error[0] != '\0' && !is_plain);
		return;
	}
	pack(&r);
	if (is_plain)
		need_same(&plain, &r);
	if (r.kind == DUMP_SESSION)
		r.text[DUMP_DATA] = SLICE("");
	need(gather_take(&gather, &r));
}

/* Kinds in their order; what belongs to a basket stands behind it. */
static void walk(void)
{
	static const int rank[DUMP_KINDS] = {
		[DUMP_USER] = 1, [DUMP_API_KEY] = 2, [DUMP_PRODUCT] = 3, [DUMP_STOCK] = 3,
		[DUMP_BASKET] = 4, [DUMP_LINE] = 4, [DUMP_ATTRIBUTE] = 4, [DUMP_SESSION] = 5,
	};
	struct dump_record r;
	uint64_t basket = 0, product = 0;
	int last = 0;

	need(gather_join(&gather));
	while (gather_next(&gather, &r)) {
		need(rank[r.kind] >= last && rank[r.kind] > 0);
		last = rank[r.kind];
		if (r.kind == DUMP_BASKET)
			basket = r.number[DUMP_PK];
		if (r.kind == DUMP_PRODUCT)
			product = r.number[DUMP_PK];
		need(r.kind != DUMP_LINE || r.number[DUMP_OF] == basket);
		need(r.kind != DUMP_STOCK || r.number[DUMP_OF] == product);
		need(r.kind != DUMP_ATTRIBUTE || basket != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice rest = slice_bytes(data, len);
	struct dump_record r;

	if (dump_unpack(rest, &r))
		pack(&r);
	open_session(rest);
	gather.secret = SECRET;
	gather.bad = bad;
	need(gather_open(&gather, "/tmp", 1 << 20));
	while (slice_given(rest))
		take(slice_cut(&rest, '\n'));
	walk();
	gather_close(&gather);
	return 0;
}
