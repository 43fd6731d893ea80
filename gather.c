/* gather.c -- see gather.h.
 *
 * Two sorters, each bounded. The first joins: it brings what refers to a record behind that
 * one, by keys of a group, the id that is referred to, a rank -- 0 is the record itself --
 * and the record's own. What comes out of it goes into the second, which puts all in order.
 */
#include <assert.h>
#include <errno.h>

#include "django.h"
#include "gather.h"
#include "record.h"

#define PACKED_MAX 65536

enum group { LINES = 1, FAMILIES, USERS, BASKETS };
enum order { CUSTOMERS = 1, KEYS, PRODUCTS, CARTS, SESSIONS };

struct key {
	char bytes[64];
	struct buf b;
};

static void key_begin(struct key *k, uint8_t first)
{
	k->b = BUF(k->bytes);
	buf_char(&k->b, (char)first);
}

static void key_id(struct key *k, uint64_t id)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		buf_char(&k->b, (char)(id >> shift & 0xff));
}

static void key_ranked(struct key *k, char rank, uint64_t id)
{
	buf_char(&k->b, rank);
	key_id(k, id);
}

#define HEAD_LEN 9              /* of a key: its first byte and the first id */

static struct slice key_head(struct slice key)
{
	return (struct slice){ key.ptr, key.len < HEAD_LEN ? key.len : HEAD_LEN };
}

bool gather_open(struct gather *g, const char *dir, size_t bytes)
{
	g->head = g->key = SLICE("");
	g->class_count = g->option_count = 0;
	if (!sorter_open(&g->joins, dir, bytes))
		return false;
	if (sorter_open(&g->sorted, dir, bytes))
		return true;
	sorter_close(&g->joins);
	return false;
}

void gather_close(struct gather *g)
{
	sorter_close(&g->joins);
	sorter_close(&g->sorted);
}

static bool put(const struct gather *g, struct sorter *to, const struct key *k,
                const struct dump_record *r)
{
	static char bytes[PACKED_MAX];
	struct buf packed = BUF(bytes);

	dump_pack(&packed, r);
	if (packed.full || k->b.full) {
		g->bad(g->context, r, "is too long");
		return true;
	}
	return sorter_put(to, buf_slice(&k->b), buf_slice(&packed));
}

static bool put_sorted(struct gather *g, enum order order, uint64_t id,
                       const struct dump_record *r)
{
	struct key k;

	key_begin(&k, (uint8_t)order);
	key_id(&k, id);
	return put(g, &g->sorted, &k, r);
}

/* What belongs to record `ref` of the group; without `ref` it is that record itself. */
static bool put_join(struct gather *g, enum group group, uint64_t ref, char rank,
                     const struct dump_record *r)
{
	struct key k;

	key_begin(&k, (uint8_t)group);
	key_id(&k, rank == 0 ? r->number[DUMP_PK] : ref);
	buf_char(&k.b, rank);
	key_id(&k, r->number[DUMP_PK]);
	if (r->kind == DUMP_SESSION)
		buf_put(&k.b, r->text[DUMP_NAME]);
	return put(g, &g->joins, &k, r);
}

static bool put_session(struct gather *g, const struct dump_record *r, uint64_t found)
{
	struct dump_record session = *r;
	struct key k;

	session.number[DUMP_FLAG] = found;
	key_begin(&k, SESSIONS);
	buf_put(&k.b, r->text[DUMP_NAME]);
	return put(g, &g->sorted, &k, &session);
}

/* As many whole characters as a record takes. */
static struct slice cut_text(struct slice text)
{
	size_t len = RECORD_TEXT_MAX;

	if (text.len <= len)
		return text;
	while (len > 0 && (text.ptr[len] & 0xc0) == 0x80)
		len--;
	return (struct slice){ text.ptr, len };
}

/* What he logs in with; of no customer where it is longer than any here. */
static struct slice login_of(const struct dump_record *user)
{
	struct slice login = user->text[user->text[DUMP_NAME].len > 0 ? DUMP_NAME : DUMP_EMAIL];

	return login.len <= RECORD_LOGIN_MAX ? login : SLICE("");
}

static bool take_user(struct gather *g, const struct dump_record *r)
{
	struct dump_record user = { .kind = DUMP_USER }, whole = *r;
	char hash[DUMP_HASH_TEXT];

	static_assert(DUMP_HASH_TEXT == DJANGO_AUTH_HASH_LEN, "one hash");
	django_auth_hash(g->secret, r->text[DUMP_PASSWORD], hash);
	user.number[DUMP_PK] = r->number[DUMP_PK];
	user.text[DUMP_DATA] = (struct slice){ hash, sizeof hash };
	user.text[DUMP_LOGIN] = login_of(r);
	whole.text[DUMP_FIRST_NAME] = cut_text(r->text[DUMP_FIRST_NAME]);
	whole.text[DUMP_LAST_NAME] = cut_text(r->text[DUMP_LAST_NAME]);
	return put_join(g, USERS, 0, 0, &user) &&
	       put_sorted(g, CUSTOMERS, r->number[DUMP_PK], &whole);
}

static void take_class(struct gather *g, const struct dump_record *r)
{
	struct slice options = r->text[DUMP_LIST];
	size_t n = g->class_count;

	if (n == GATHER_CLASSES_MAX) {
		g->bad(g->context, r, "more than 1024 product classes");
		return;
	}
	g->classes[n].id = r->number[DUMP_PK];
	g->classes[n].counted = r->number[DUMP_FLAG] != 0;
	g->classes[n].len = (uint16_t)options.len;      /* DUMP_LIST is at most 256 bytes */
	memcpy(g->classes[n].options, options.ptr, options.len);
	g->class_count++;
}

static void take_option(struct gather *g, const struct dump_record *r)
{
	struct slice code = r->text[DUMP_NAME];
	size_t n = g->option_count;

	if (n == GATHER_OPTIONS_MAX || code.len > GATHER_CODE_MAX) {
		g->bad(g->context, r, "more than 4096 options, or a code of over 128 bytes");
		return;
	}
	g->options[n].id = r->number[DUMP_PK];
	g->options[n].len = (uint8_t)code.len;
	memcpy(g->options[n].code, code.ptr, code.len);
	g->option_count++;
}

static bool take_product(struct gather *g, const struct dump_record *r)
{
	struct dump_record product = *r;
	uint64_t parent = r->number[DUMP_OF];

	product.text[DUMP_NAME] = cut_text(r->text[DUMP_NAME]);
	return put_join(g, FAMILIES, parent, parent > 0, &product);
}

static bool take_stock(struct gather *g, const struct dump_record *r)
{
	struct key k;

	key_begin(&k, PRODUCTS);
	key_id(&k, r->number[DUMP_OF]);
	key_ranked(&k, 1, r->number[DUMP_PK]);
	return put(g, &g->sorted, &k, r);
}

static bool take_basket(struct gather *g, const struct dump_record *r)
{
	struct dump_record head = { .kind = DUMP_BASKET }, basket = *r;

	if (r->number[DUMP_OF] != 0)
		return put_join(g, USERS, r->number[DUMP_OF], 1, r);
	basket.number[DUMP_FLAG] = 1;
	head.number[DUMP_PK] = r->number[DUMP_PK];
	if (slice_eq(r->text[DUMP_NAME], SLICE("Open")) && !put_join(g, BASKETS, 0, 0, &head))
		return false;
	return put_sorted(g, CARTS, r->number[DUMP_PK], &basket);
}

static bool take_session(struct gather *g, const struct dump_record *r)
{
	if (r->number[DUMP_OF] != 0)
		return put_join(g, USERS, r->number[DUMP_OF], 2, r);
	if (r->number[DUMP_TO] != 0)
		return put_join(g, BASKETS, r->number[DUMP_TO], 1, r);
	return put_session(g, r, GATHER_GONE);
}

bool gather_take(struct gather *g, const struct dump_record *r)
{
	switch (r->kind) {
	case DUMP_USER:
		return take_user(g, r);
	case DUMP_API_KEY:
		return put_sorted(g, KEYS, r->number[DUMP_PK], r);
	case DUMP_CLASS:
		take_class(g, r);
		return true;
	case DUMP_OPTION:
		take_option(g, r);
		return true;
	case DUMP_PRODUCT:
		return take_product(g, r);
	case DUMP_STOCK:
		return take_stock(g, r);
	case DUMP_BASKET:
		return take_basket(g, r);
	case DUMP_LINE:
		return put_join(g, LINES, 0, 0, r);
	case DUMP_ATTRIBUTE:
		return put_join(g, LINES, r->number[DUMP_OF], 1, r);
	case DUMP_SESSION:
		return take_session(g, r);
	case DUMP_OTHER:
	case DUMP_KINDS:
		break;
	}
	return true;
}

/* --- The joins. --- */

/* Where in a basket's part of the order a line stands, and what was chosen for it. */
static bool join_line(struct gather *g, const struct dump_record *r, bool has)
{
	bool is_line = r->kind == DUMP_LINE;
	struct key k;

	if (!is_line && !has) {
		g->bad(g->context, r, "its line is not in the dump");
		return true;
	}
	key_begin(&k, CARTS);
	key_id(&k, is_line ? r->number[DUMP_OF] : g->of.number[DUMP_OF]);
	key_ranked(&k, 1, is_line ? r->number[DUMP_PK] : r->number[DUMP_OF]);
	if (!is_line)
		key_ranked(&k, 1, r->number[DUMP_PK]);
	return put(g, &g->sorted, &k, r);
}

static void add_codes(const struct gather *g, struct buf *codes, struct slice ids)
{
	while (ids.len > 0) {
		uint64_t id = 0;

		slice_uint(slice_cut(&ids, ','), UINT64_MAX, &id);
		for (size_t i = 0; i < g->option_count; i++)
			if (g->options[i].id == id && !slice_has((struct slice){
			    g->options[i].code, g->options[i].len }, ',')) {
				if (codes->len > 0)
					buf_char(codes, ',');
				buf_put(codes, (struct slice){ g->options[i].code,
				                               g->options[i].len });
			}
	}
}

static bool join_product(struct gather *g, const struct dump_record *r, bool has)
{
	struct dump_record product = *r;
	struct buf codes = BUF(g->codes);
	uint64_t class = r->number[DUMP_TO];

	if (r->number[DUMP_OF] != 0 && !has) {
		g->bad(g->context, r, "its parent is not in the dump");
		return true;
	}
	if (r->number[DUMP_OF] != 0 && class == 0)
		class = g->of.number[DUMP_TO];
	if (r->number[DUMP_OF] != 0 && r->text[DUMP_NAME].len == 0)
		product.text[DUMP_NAME] = g->of.text[DUMP_NAME];
	product.number[DUMP_FLAG] = 1;
	for (size_t i = 0; i < g->class_count; i++)
		if (g->classes[i].id == class) {
			product.number[DUMP_FLAG] = g->classes[i].counted;
			add_codes(g, &codes, (struct slice){ g->classes[i].options,
			                                     g->classes[i].len });
		}
	add_codes(g, &codes, r->text[DUMP_LIST]);
	product.text[DUMP_LIST] = buf_slice(&codes);
	if (codes.full) {
		g->bad(g->context, r, "the codes of its options are too long together");
		return true;
	}
	return put_sorted(g, PRODUCTS, r->number[DUMP_PK], &product);
}

static bool join_user(struct gather *g, const struct dump_record *r, bool has)
{
	struct dump_record his = *r;

	if (r->kind == DUMP_USER)
		return true;
	if (has)
		his.text[DUMP_LOGIN] = g->of.text[DUMP_LOGIN];
	if (r->kind == DUMP_SESSION)
		return put_session(g, &his, !has ? GATHER_GONE :
		                   slice_eq_secret(r->text[DUMP_DATA], g->of.text[DUMP_DATA]) ?
		                   GATHER_SAME : GATHER_OTHER);
	his.number[DUMP_FLAG] = has;
	return put_sorted(g, CARTS, r->number[DUMP_PK], &his);
}

/* Keeps a record that others follow. One that also stands in the order is told of there, where
 * it is there twice. */
static bool keep_head(struct gather *g, struct slice key, struct slice value,
                      const struct dump_record *r)
{
	bool twice = slice_eq(g->head, key_head(key));

	if (twice && (r->kind == DUMP_USER || r->kind == DUMP_BASKET))
		return false;
	if (twice || value.len > sizeof g->of_bytes) {
		g->bad(g->context, r, twice ? "is there twice" : "is too long");
		return false;
	}
	memcpy(g->head_bytes, key.ptr, HEAD_LEN);
	g->head = (struct slice){ g->head_bytes, HEAD_LEN };
	memcpy(g->of_bytes, value.ptr, value.len);
	return dump_unpack((struct slice){ g->of_bytes, value.len }, &g->of);
}

static bool join_one(struct gather *g, struct slice key, struct slice value)
{
	struct dump_record r;
	bool has;

	if (!dump_unpack(value, &r)) {
		errno = EIO;
		return false;
	}
	if (key.ptr[HEAD_LEN] == 0 && !keep_head(g, key, value, &r))
		return true;
	has = slice_eq(g->head, key_head(key));
	switch ((enum group)key.ptr[0]) {
	case LINES:
		return join_line(g, &r, has);
	case FAMILIES:
		return join_product(g, &r, has);
	case USERS:
		return join_user(g, &r, has);
	case BASKETS:
		return r.kind == DUMP_BASKET ||
		       put_session(g, &r, has ? GATHER_SAME : GATHER_GONE);
	}
	return true;
}

bool gather_join(struct gather *g)
{
	struct slice key, value;

	if (!sorter_sort(&g->joins))
		return false;
	while (sorter_next(&g->joins, &key, &value))
		if (!join_one(g, key, value))
			return false;
	sorter_close(&g->joins);
	g->head = SLICE("");
	return sorter_sort(&g->sorted);
}

/* --- What comes out. --- */

/* A record that cannot be given; a line's options are told of with the line. */
static const char *judge(const struct gather *g, struct slice key, const struct dump_record *r)
{
	bool has = slice_eq(g->head, key_head(key));

	if (slice_eq(g->key, key))
		return "is there twice";
	if (r->kind == DUMP_LINE && !has)
		return "its basket is not in the dump";
	if (r->kind == DUMP_STOCK && !has)
		return "its product is not in the dump";
	return r->kind == DUMP_ATTRIBUTE && !has ? "" : NULL;
}

bool gather_next(struct gather *g, struct dump_record *r)
{
	struct slice key, value;

	while (sorter_next(&g->sorted, &key, &value) && dump_unpack(value, r)) {
		const char *why = judge(g, key, r);

		memcpy(g->key_bytes, key.ptr, key.len);
		g->key = (struct slice){ g->key_bytes, key.len };
		if (why == NULL) {
			if (r->kind == DUMP_BASKET || r->kind == DUMP_PRODUCT) {
				memcpy(g->head_bytes, key.ptr, HEAD_LEN);
				g->head = (struct slice){ g->head_bytes, HEAD_LEN };
			}
			return true;
		}
		if (why[0] != '\0')
			g->bad(g->context, r, why);
	}
	return false;
}
