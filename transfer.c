/* transfer.c -- see transfer.h. */
#include <assert.h>
#include <stdio.h>

#include "client.h"
#include "customer.h"
#include "django.h"
#include "secret.h"
#include "transfer.h"

static const char *const left_text[] = {
	[LEFT_CLOSED]      = "merged or submitted baskets, with their lines",
	[LEFT_FROZEN]      = "frozen baskets without lines",
	[LEFT_NO_QUANTITY] = "lines of quantity 0",
	[LEFT_EXPIRED]     = "sessions that have expired",
	[LEFT_COOKIE]      = "sessions of cookies",
	[LEFT_PASSWORD]    = "sessions from before a change of the password",
	[LEFT_DISABLED]    = "sessions of disabled customers",
	[LEFT_NOTHING]     = "sessions of guests without a basket",
};
static_assert(COUNT_OF(left_text) == TRANSFER_LEFTS, "one text per transfer_left");

const char *transfer_left_text(enum transfer_left why)
{
	return (unsigned)why < TRANSFER_LEFTS ? left_text[why] : "unknown";
}

static enum kv_status refuse(struct transfer *t, const struct dump_record *r, const char *why)
{
	t->bad(t->context, r, why);
	return KV_OK;
}

static enum kv_status leave(struct transfer *t, enum dump_kind kind, enum transfer_left why)
{
	t->count[kind].left++;
	t->left[why]++;
	return KV_OK;
}

static enum kv_status same(struct transfer *t, enum dump_kind kind)
{
	t->count[kind].same++;
	return KV_OK;
}

static enum kv_status done(struct transfer *t, enum dump_kind kind, bool added,
                           enum kv_status status)
{
	if (status == KV_OK)
		*(added ? &t->count[kind].added : &t->count[kind].changed) += 1;
	return status;
}

/* --- Customers. --- */

/* `pbkdf2_sha256$260000$...`: what stands in front of the first `$`. */
static void count_algorithm(struct transfer *t, struct slice password, bool usable)
{
	struct slice name = slice_cut(&password, '$');
	size_t i = 0;

	if (name.len == 0 || name.ptr[0] == '!')
		name = SLICE("none");
	else if (!slice_given(password))
		name = SLICE("unknown");
	if (name.len >= TRANSFER_NAME_MAX)
		name.len = TRANSFER_NAME_MAX - 1;
	while (i < t->algorithm_count && (t->algorithms[i].usable != usable ||
	       !slice_eq(name, slice_of(t->algorithms[i].name))))
		i++;
	if (i == TRANSFER_ALGORITHMS)
		i--;
	if (i == t->algorithm_count) {
		memcpy(t->algorithms[i].name, name.ptr, name.len);
		t->algorithms[i].name[name.len] = '\0';
		t->algorithms[i].usable = usable;
		t->algorithms[i].customers = 0;
		t->algorithm_count++;
	}
	t->algorithms[i].customers++;
}

/* The customer's password in the clear; empty where he has none, or its seal is broken. */
static struct slice open_password(const struct transfer *t, const struct customer_record *r,
                                  char bytes[PASSWORD_HASH_MAX])
{
	struct buf hash = { bytes, 0, PASSWORD_HASH_MAX, false };

	if (r->sealed_password.len == 0 ||
	    !password_unseal(&hash, t->seal_key, r->id, r->sealed_password))
		return SLICE("");
	return buf_slice(&hash);
}

static bool same_password(const struct transfer *t, const struct customer_record *r,
                          struct slice password)
{
	char bytes[PASSWORD_HASH_MAX];
	bool same_text = slice_eq_secret(open_password(t, r, bytes), password);

	explicit_bzero(bytes, sizeof bytes);
	return same_text;
}

/* Ends the sessions of who may no longer go on with them. */
static enum kv_status end_sessions(struct transfer *t, uint64_t customer_id)
{
	enum { AT_ONCE = 100 };
	uint32_t deleted = AT_ONCE;
	enum kv_status status = KV_OK;

	while (status == KV_OK && deleted == AT_ONCE)
		status = session_delete_some(t->kv, customer_id, AT_ONCE, &deleted);
	return status;
}

/* The dump's words on a customer who is there: what it does not know stays. */
static enum kv_status change_customer(struct transfer *t, const struct customer_record *r,
                                      const struct customer_record *old, bool new_password)
{
	struct customer_record changed = *old;
	bool shut_out = new_password || (r->flags & ~old->flags & CUSTOMER_DISABLED) != 0;
	enum kv_status status = KV_OK;

	changed.flags = (old->flags & ~(uint32_t)CUSTOMER_DISABLED) | r->flags;
	changed.joined_us = r->joined_us;
	changed.email = r->email;
	changed.first_name = r->first_name;
	changed.last_name = r->last_name;
	if (new_password)
		changed.sealed_password = r->sealed_password;
	if (changed.flags == old->flags && !new_password && r->joined_us == old->joined_us &&
	    slice_eq(r->email, old->email) && slice_eq(r->first_name, old->first_name) &&
	    slice_eq(r->last_name, old->last_name))
		return same(t, DUMP_USER);
	if (!t->dry)
		status = customer_put(t->kv, &changed);
	if (status == KV_OK && shut_out && !t->dry)
		status = end_sessions(t, r->id);
	return done(t, DUMP_USER, false, status);
}

static enum kv_status add_customer(struct transfer *t, const struct customer_record *r)
{
	enum kv_status status = KV_OK;

	if (!t->dry && customer_add(t->kv, r, &status) != CUSTOMER_OK && status == KV_OK)
		status = KV_IO;         /* it was judged before */
	return done(t, DUMP_USER, true, status);
}

/* What is there of him: the record under his id, or another one's under his login. */
static enum kv_status find_customer(struct transfer *t, const struct dump_record *from,
                                    struct slice login, struct customer_record *old,
                                    const char **refused)
{
	uint64_t id = from->number[DUMP_PK];
	enum kv_status status = t->kv != NULL ? customer_find(t->kv, login, old) : KV_NOT_FOUND;

	*refused = NULL;
	if (status == KV_OK && old->id != id)
		*refused = "its login is another customer's here";
	if (status != KV_NOT_FOUND || t->kv == NULL)
		return status;
	status = customer_get(t->kv, id, old);
	if (status == KV_OK)
		*refused = "its id is another customer's here";
	return status;
}

static enum kv_status put_user(struct transfer *t, const struct dump_record *from)
{
	const struct slice *text = from->text;
	struct slice password = text[DUMP_PASSWORD];
	char sealed_text[PASSWORD_SEALED_MAX];
	struct buf sealed = BUF(sealed_text);
	uint8_t nonce[SEAL_NONCE_LEN];
	struct customer_record old, r = {
		.id = from->number[DUMP_PK], .joined_us = from->number[DUMP_CREATED],
		.flags = from->number[DUMP_FLAG] != 0 ? 0 : CUSTOMER_DISABLED,
		.login = text[DUMP_NAME].len > 0 ? text[DUMP_NAME] : text[DUMP_EMAIL],
		.email = text[DUMP_EMAIL],
		.first_name = text[DUMP_FIRST_NAME], .last_name = text[DUMP_LAST_NAME],
	};
	enum customer_error error = customer_judge(&r);
	uint32_t iterations;
	bool usable = password_hash_valid(password, &iterations);
	const char *refused = error != CUSTOMER_OK ? customer_error_text(error) : NULL;
	enum kv_status status = KV_NOT_FOUND;

	if (refused == NULL)
		status = find_customer(t, from, r.login, &old, &refused);
	if (refused != NULL)
		return refuse(t, from, refused);
	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	count_algorithm(t, password, usable);
	if (status == KV_OK && !t->update)
		return same(t, DUMP_USER);
	if (!usable)
		password = SLICE("");
	else if (!t->dry) {
		secret_random(nonce, sizeof nonce);
		password_seal(&sealed, t->seal_key, nonce, r.id, password);
		r.sealed_password = buf_slice(&sealed);
	}
	return status == KV_OK ?
	       change_customer(t, &r, &old, !same_password(t, &old, password)) :
	       add_customer(t, &r);
}

/* --- API keys. --- */

/* What of the old shop's field is the key here: Authorization is taken apart (identity.c), and
 * neither Basic nor Bearer ever names a key. Absent: none can be. */
static struct slice key_text(struct slice value)
{
	struct slice rest = value, scheme = slice_cut(&rest, ' ');

	if (slice_given(rest) && slice_eq_nocase(scheme, SLICE("ApiKey")))
		value = slice_trim(rest);
	if (value.len == 0 || value.len > CLIENT_KEY_MAX || slice_trim(value).len != value.len ||
	    slice_eq_nocase(scheme, SLICE("Basic")) || slice_eq_nocase(scheme, SLICE("Bearer")))
		return (struct slice){ 0 };
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] < ' ' || value.ptr[i] > '~')
			return (struct slice){ 0 };
	return value;
}

static enum kv_status put_key(struct transfer *t, const struct dump_record *from)
{
	struct slice text = key_text(from->text[DUMP_NAME]);
	char name[RECORD_NAME_MAX];
	uint8_t digest[RECORD_DIGEST_LEN];
	struct client_record old, r = {
		.created_s = t->now_us / 1000000, .scopes = SCOPE_SHOP | SCOPE_TRUSTED,
		.owner = SLICE("imported"),
	};
	enum kv_status status = KV_NOT_FOUND;
	enum client_error error = CLIENT_ADDED;

	if (!slice_given(text))
		return refuse(t, from, "key: no key can be so here: it is empty, not ASCII, too "
		              "long, or names Basic or Bearer");
	client_digest(text, digest);
	if (t->kv != NULL)
		status = client_find(t->kv, digest, &old);
	if (status == KV_OK)
		return same(t, DUMP_API_KEY);
	if (status != KV_NOT_FOUND)
		return status;
	snprintf(name, sizeof name, "oscarapi-%llu", (unsigned long long)from->number[DUMP_PK]);
	r.name = slice_of(name);
	status = KV_OK;
	if (!t->dry)
		error = client_add(t->kv, text, &r, &status);
	if (error == CLIENT_NAME_TAKEN)
		return refuse(t, from, "its name here, oscarapi-ID, is another key's");
	return done(t, DUMP_API_KEY, true, status);
}

/* --- Products. --- */

static struct slice keep(struct buf *room, struct slice text)
{
	size_t at = room->len;

	buf_put(room, text);
	return (struct slice){ room->ptr + at, room->len - at };
}

static struct slice keep_number(struct buf *room, uint64_t n)
{
	size_t at = room->len;

	buf_uint(room, n);
	return (struct slice){ room->ptr + at, room->len - at };
}

static void begin_product(struct transfer *t, const struct dump_record *r)
{
	t->text = BUF(t->product_text);
	t->open = DUMP_PRODUCT;
	t->counted = r->number[DUMP_FLAG] != 0;
	t->stocked = false;
	t->product = (struct product_record){
		.price_e4 = -1, .stock = UINT32_MAX, .max_quantity = UINT32_MAX,
		.updated_us = r->number[DUMP_UPDATED],
		.id = keep_number(&t->text, r->number[DUMP_PK]),
		.name = keep(&t->text, r->text[DUMP_NAME]),
		.options = keep(&t->text, r->text[DUMP_LIST]),
	};
}

/* What can be sold, as Oscar has it: in stock and not allocated to an order yet. */
static uint32_t net_stock(const struct dump_record *r)
{
	uint64_t all = r->number[DUMP_COUNT], taken = r->number[DUMP_TAKEN];

	if (all == DUMP_NONE || all <= taken)
		return 0;
	return all - taken < UINT32_MAX ? (uint32_t)(all - taken) : UINT32_MAX - 1;
}

/* Oscar sells by a product's first stock record. */
static enum kv_status take_stock(struct transfer *t, const struct dump_record *r)
{
	struct product_record *p = &t->product;

	if (t->stocked)
		return same(t, DUMP_STOCK);
	if (r->text[DUMP_PRICE].len > 0 && !money_read_e4(r->text[DUMP_PRICE], &p->price_e4))
		return refuse(t, r, "price: not 0 to 99999999.9999");
	if (r->text[DUMP_PRICE].len > 0 && !money_currency_valid(r->text[DUMP_CURRENCY])) {
		p->price_e4 = -1;
		return refuse(t, r, "price_currency: three capital letters are due");
	}
	t->stocked = true;
	t->count[DUMP_STOCK].added++;
	if (p->price_e4 >= 0)
		p->currency = keep(&t->text, r->text[DUMP_CURRENCY]);
	p->stockrecord = keep_number(&t->text, r->number[DUMP_PK]);
	if (t->counted)
		p->stock = net_stock(r);
	if (p->updated_us < r->number[DUMP_UPDATED])
		p->updated_us = r->number[DUMP_UPDATED];
	return KV_OK;
}

static bool same_product(const struct product_record *a, const struct product_record *b)
{
	return a->price_e4 == b->price_e4 && a->stock == b->stock &&
	       slice_eq(a->name, b->name) && slice_eq(a->currency, b->currency) &&
	       slice_eq(a->stockrecord, b->stockrecord) && slice_eq(a->options, b->options);
}

/* Its stock record counts as the product does. */
static enum kv_status keep_product(struct transfer *t)
{
	t->count[DUMP_STOCK].added -= t->stocked;
	t->count[DUMP_STOCK].same += t->stocked;
	return same(t, DUMP_PRODUCT);
}

static enum kv_status end_product(struct transfer *t)
{
	struct product_record *p = &t->product, old;
	struct dump_record named = { .kind = DUMP_PRODUCT };
	enum kv_status status = t->kv != NULL ? product_get(t->kv, p->id, &old) : KV_NOT_FOUND;
	bool is_new = status == KV_NOT_FOUND;
	enum product_error error;

	if (!is_new && status != KV_OK)
		return status;
	if (!is_new && (!t->update || old.updated_us > p->updated_us || same_product(p, &old)))
		return keep_product(t);
	if (!is_new) {          /* Oscar's own tables know neither */
		p->tax_rate_e6 = old.tax_rate_e6;
		p->max_quantity = old.max_quantity;
	}
	status = KV_OK;
	error = t->dry ? product_judge(p) : product_put(t->kv, p, &status);
	if (error == PRODUCT_OK || error == PRODUCT_STORE)
		return done(t, DUMP_PRODUCT, is_new, status);
	slice_uint(p->id, UINT64_MAX, &named.number[DUMP_PK]);
	return refuse(t, &named, product_error_text(error));
}

/* --- Baskets. --- */

/* The id of a basket that stays behind is not given again either: a cookie may name it. */
static enum kv_status begin_basket(struct transfer *t, const struct dump_record *r)
{
	struct basket *b = &t->cart;
	enum basket_status status;
	enum kv_status reserved = t->dry ? KV_OK :
	                          basket_reserve_ids(t->kv, r->number[DUMP_PK], 0, 0);

	t->open = DUMP_BASKET;
	t->wanted = false;
	if (reserved != KV_OK)
		return reserved;
	if (!basket_status_read(r->text[DUMP_NAME], &status))
		return refuse(t, r, "status: is none of Oscar's");
	if (status == BASKET_MERGED || status == BASKET_SUBMITTED)
		return leave(t, DUMP_BASKET, LEFT_CLOSED);
	t->wanted = true;
	t->owned = r->number[DUMP_FLAG] != 0;
	t->text = BUF(t->text_bytes);
	t->login = keep(&t->text, r->text[DUMP_LOGIN]);
	b->id = r->number[DUMP_PK];
	b->customer_id = r->number[DUMP_OF];
	memset(b->guest, 0, sizeof b->guest);
	b->status = (uint8_t)status;
	b->carried = false;
	b->version = 1;
	b->created_us = b->updated_us = r->number[DUMP_CREATED];
	b->merged_us = b->submitted_us = 0;
	b->expires_s = b->due_s = RECORD_NEVER;
	b->email = b->currency = SLICE("");
	b->line_count = b->option_count = 0;
	return KV_OK;
}

static uint64_t quantity_of(const struct basket *b)
{
	uint64_t quantity = 0;

	for (uint32_t i = 0; i < b->line_count; i++)
		quantity += b->lines[i].quantity;
	return quantity;
}

/* The price that the old shop had last, where this one takes prices from its clients, and has
 * none of its own for the product. */
static enum kv_status set_price(struct transfer *t, const struct dump_record *r,
                                struct basket_line *l)
{
	struct product_record known;
	enum kv_status status;

	if (t->config->price_source != PRICE_SOURCE_CLIENT || r->text[DUMP_PRICE].len == 0 ||
	    !money_currency_valid(r->text[DUMP_CURRENCY]) ||
	    !money_read_e4(r->text[DUMP_PRICE], &l->price_e4))
		return KV_OK;
	status = t->kv != NULL ? product_get(t->kv, l->product, &known) : KV_NOT_FOUND;
	l->priced = status == KV_NOT_FOUND;
	l->currency = keep(&t->text, r->text[DUMP_CURRENCY]);
	return status == KV_NOT_FOUND ? KV_OK : status;
}

static enum kv_status take_line(struct transfer *t, const struct dump_record *r)
{
	struct basket *b = &t->cart;
	struct basket_line *l = &b->lines[b->line_count];
	uint64_t updated_us = r->number[DUMP_UPDATED];
	enum kv_status status;

	if (!t->wanted) {
		t->count[DUMP_LINE].left++;
		return KV_OK;
	}
	if (r->number[DUMP_COUNT] == 0)
		return leave(t, DUMP_LINE, LEFT_NO_QUANTITY);
	if (b->line_count == BASKET_LINES_MAX)
		return refuse(t, r, "its basket has 1000 lines already");
	if (r->number[DUMP_COUNT] > MONEY_QUANTITY_MAX - quantity_of(b))
		return refuse(t, r, "quantity: over 1000000 in one basket");
	*l = (struct basket_line){
		.id = r->number[DUMP_PK], .version = 1, .created_us = r->number[DUMP_CREATED],
		.updated_us = updated_us != 0 ? updated_us : r->number[DUMP_CREATED],
		.quantity = (uint32_t)r->number[DUMP_COUNT], .first_option = b->option_count,
		.product = keep_number(&t->text, r->number[DUMP_TO]),
	};
	status = set_price(t, r, l);
	b->line_count++;
	if (t->text.full || record_basket_bytes(b) > RECORD_BASKET_MAX) {
		b->line_count--;
		return refuse(t, r, "its basket is too large");
	}
	t->count[DUMP_LINE].added++;
	if (b->updated_us < l->updated_us)
		b->updated_us = l->updated_us;
	return status;
}

static enum kv_status take_attribute(struct transfer *t, const struct dump_record *r)
{
	struct basket *b = &t->cart;
	struct basket_option *o = &b->options[b->option_count];
	struct basket_line *l = b->line_count > 0 ? &b->lines[b->line_count - 1] : NULL;
	struct slice value = r->text[DUMP_NAME];
	size_t at = t->text.len;

	if (!t->wanted || l == NULL || l->id != r->number[DUMP_OF]) {
		t->count[DUMP_ATTRIBUTE].left++;
		return KV_OK;
	}
	if (value.len > RECORD_OPTION_MAX || !slice_is_text(value))
		return refuse(t, r, "value: over 254 bytes of UTF-8, or control characters");
	if (b->option_count == BASKET_OPTIONS_MAX)
		return refuse(t, r, "its basket has 1000 options already");
	o->id = r->number[DUMP_PK];
	buf_lit(&t->text, "/api/options/");
	buf_uint(&t->text, r->number[DUMP_TO]);
	buf_char(&t->text, '/');
	o->option = (struct slice){ t->text.ptr + at, t->text.len - at };
	o->value = keep(&t->text, value);
	b->option_count++;
	l->option_count++;
	if (t->text.full || record_basket_bytes(b) > RECORD_BASKET_MAX) {
		b->option_count--;
		l->option_count--;
		return refuse(t, r, "its basket is too large");
	}
	t->count[DUMP_ATTRIBUTE].added++;
	return KV_OK;
}

static bool same_basket(const struct basket *a, const struct basket *b)
{
	if (a->customer_id != b->customer_id || a->status != b->status ||
	    a->line_count != b->line_count || a->option_count != b->option_count)
		return false;
	for (uint32_t i = 0; i < a->line_count; i++)
		if (a->lines[i].id != b->lines[i].id ||
		    a->lines[i].quantity != b->lines[i].quantity ||
		    a->lines[i].updated_us != b->lines[i].updated_us)
			return false;
	return true;
}

/* What stands in the basket's place: KV_NOT_FOUND: nothing. `*stays`: it does. */
static enum kv_status judge_place(struct transfer *t, bool *stays, const char **refused)
{
	struct basket *b = &t->cart, *old = &t->other;
	enum kv_status status = t->kv != NULL ? basket_get(t->kv, b->id, 0, old) : KV_NOT_FOUND;

	*stays = false;
	*refused = NULL;
	if (status != KV_OK)
		return status;
	if (old->created_us != b->created_us)
		*refused = "its id is another basket's here";
	/* What was merged or ordered here is over. */
	*stays = !t->update || old->status > BASKET_FROZEN || old->updated_us > b->updated_us ||
	         same_basket(old, b);
	return KV_OK;
}

/* Takes what stands in its place away; what the dump does not know of it stays. */
static enum kv_status clear_place(struct transfer *t)
{
	struct basket *b = &t->cart;
	const struct basket *old = &t->other;
	enum kv_status status = session_refer_basket(t->kv, old, false);

	b->version = old->version + 1;
	b->carried = old->carried;
	b->email = keep(&t->text, old->email);
	b->currency = keep(&t->text, old->currency);
	if (b->customer_id == 0)
		memcpy(b->guest, old->guest, sizeof b->guest);
	return status == KV_OK ? basket_delete(t->kv, b->id) : status;
}

/* A customer has one open basket. Oscar merges others into his oldest when he comes next, and
 * takes the larger quantity of equal lines. */
static enum kv_status join_other(struct transfer *t, bool *joined)
{
	struct config config = *t->config;
	struct basket_change change = { .kv = t->kv, .config = &config, .now_us = t->now_us };
	struct customer_record who;
	struct basket_left left;
	enum kv_status status;

	*joined = false;
	if (t->cart.customer_id == 0 || t->cart.status != BASKET_OPEN)
		return KV_OK;
	status = customer_get(t->kv, t->cart.customer_id, &who);
	if (status == KV_OK && who.basket_id != 0 && who.basket_id != t->cart.id)
		status = basket_get(t->kv, who.basket_id, t->now_us / 1000000, &t->other);
	else if (status == KV_OK)
		return KV_OK;
	if (status != KV_OK || t->other.status != BASKET_OPEN)
		return status == KV_NOT_FOUND ? KV_OK : status;
	config.basket_merge = BASKET_MERGE_MAX;
	status = basket_merge(&t->other, &t->cart, &change, &left);
	*joined = status == KV_OK;
	t->joined += *joined;
	return status == KV_OK ? basket_put(t->kv, t->config, &t->other, true, t->now_us) : status;
}

static enum kv_status put_basket(struct transfer *t)
{
	struct basket *b = &t->cart;
	uint64_t line = b->line_count > 0 ? b->lines[b->line_count - 1].id : 0, option = 0;
	bool joined;
	enum kv_status status;

	for (uint32_t i = 0; i < b->option_count; i++)
		option = b->options[i].id > option ? b->options[i].id : option;
	status = basket_reserve_ids(t->kv, b->id, line, option);
	if (status == KV_OK)
		status = join_other(t, &joined);
	if (status == KV_OK)
		status = basket_put(t->kv, t->config, b, false, t->now_us);
	return status == KV_OK ? session_refer_basket(t->kv, b, b->status == BASKET_OPEN) : status;
}

/* Its lines count as the basket does. */
static enum kv_status count_same(struct transfer *t)
{
	t->count[DUMP_LINE].added -= t->cart.line_count;
	t->count[DUMP_LINE].same += t->cart.line_count;
	t->count[DUMP_ATTRIBUTE].added -= t->cart.option_count;
	t->count[DUMP_ATTRIBUTE].same += t->cart.option_count;
	return same(t, DUMP_BASKET);
}

static enum kv_status refuse_basket(struct transfer *t, const char *why)
{
	struct dump_record named = { .kind = DUMP_BASKET };

	named.number[DUMP_PK] = t->cart.id;
	t->count[DUMP_LINE].added -= t->cart.line_count;
	t->count[DUMP_LINE].bad += t->cart.line_count;
	t->count[DUMP_ATTRIBUTE].added -= t->cart.option_count;
	t->count[DUMP_ATTRIBUTE].bad += t->cart.option_count;
	return refuse(t, &named, why);
}

static enum kv_status end_basket(struct transfer *t)
{
	const struct basket *b = &t->cart;
	struct customer_record who;
	const char *refused;
	bool stays, is_new;
	enum kv_status status;

	if (!t->wanted)
		return KV_OK;
	if (b->status == BASKET_FROZEN && b->line_count == 0)
		return leave(t, DUMP_BASKET, LEFT_FROZEN);
	status = judge_place(t, &stays, &refused);
	if (refused != NULL)
		return refuse_basket(t, refused);
	is_new = status == KV_NOT_FOUND;
	if (!is_new && (status != KV_OK || stays))
		return status != KV_OK ? status : count_same(t);
	status = b->customer_id == 0 || t->kv == NULL ? KV_NOT_FOUND :
	         customer_get(t->kv, b->customer_id, &who);
	if (status == KV_NOT_FOUND && b->customer_id != 0 && !(t->dry && t->owned))
		return refuse_basket(t, "its owner is not here");
	if (status == KV_OK && !t->owned)
		return refuse_basket(t, "its owner is not in the dump");
	if (status == KV_OK && !slice_eq(who.login, t->login))
		return refuse_basket(t, "its owner's id is another customer's here");
	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	if (t->dry)
		return done(t, DUMP_BASKET, is_new, KV_OK);
	status = is_new ? KV_OK : clear_place(t);
	return done(t, DUMP_BASKET, is_new, status == KV_OK ? put_basket(t) : status);
}

/* --- Sessions. --- */

/* The hash in the session is that of the password that its user has here, or without one here
 * of the one that he has in the dump, where it is he who has his id here. */
static bool knows_password(const struct transfer *t, const struct dump_record *r,
                           const struct customer_record *who)
{
	char bytes[PASSWORD_HASH_MAX], hash[DUMP_HASH_TEXT];
	struct slice password;
	bool known;

	if (t->fresh != NULL || who->sealed_password.len == 0)
		return r->number[DUMP_FLAG] == GATHER_SAME &&
		       slice_eq(who->login, r->text[DUMP_LOGIN]);
	password = open_password(t, who, bytes);
	django_auth_hash(t->secret, password, hash);
	explicit_bzero(bytes, sizeof bytes);
	known = slice_eq_secret(r->text[DUMP_DATA], (struct slice){ hash, sizeof hash });
	return known && password.len > 0;
}

/* A user's session that is sound by the dump; `*judged`: c has been counted, or refused. */
static enum kv_status judge_user(struct transfer *t, const struct dump_record *r, bool *judged)
{
	struct customer_record who;
	enum kv_status status;

	*judged = true;
	if (r->number[DUMP_FLAG] == GATHER_GONE)
		return refuse(t, r, "its user is not in the dump");
	status = t->kv != NULL ? customer_get(t->kv, r->number[DUMP_OF], &who) : KV_NOT_FOUND;
	if (status == KV_NOT_FOUND && !t->dry)
		return refuse(t, r, "its user is not here");
	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	if (status == KV_OK && (who.flags & CUSTOMER_DISABLED) != 0)
		return leave(t, DUMP_SESSION, LEFT_DISABLED);
	if (status == KV_OK && !t->dry ? !knows_password(t, r, &who) :
	                                 r->number[DUMP_FLAG] != GATHER_SAME)
		return leave(t, DUMP_SESSION, LEFT_PASSWORD);
	*judged = false;
	return KV_OK;
}

/* A guest's session keeps a basket, or nothing. */
static enum kv_status judge_guest(struct transfer *t, const struct dump_record *r, bool *judged)
{
	enum kv_status status = KV_OK;

	*judged = true;
	if (r->number[DUMP_FLAG] != GATHER_SAME)
		return leave(t, DUMP_SESSION, LEFT_NOTHING);
	if (!t->dry)
		status = basket_get(t->kv, r->number[DUMP_TO], t->now_us / 1000000, &t->other);
	if (status == KV_OK && !t->dry &&
	    (t->other.customer_id != 0 || t->other.status != BASKET_OPEN))
		status = KV_NOT_FOUND;
	if (status == KV_NOT_FOUND)
		return leave(t, DUMP_SESSION, LEFT_NOTHING);
	*judged = false;
	return status;
}

/* The first of the sessions that know a basket owns it; the others see it, as they did. */
static enum kv_status give_basket(struct transfer *t, const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	static const uint8_t nobody[RECORD_SESSION_KEY_LEN];
	struct basket *b = &t->other;

	if (!slice_eq(slice_bytes(b->guest, sizeof b->guest),
	              slice_bytes(nobody, sizeof nobody)))
		return KV_OK;
	memcpy(b->guest, key, sizeof b->guest);
	return basket_put(t->kv, t->config, b, false, t->now_us);
}

/* Of a Session-Id: 40 digits, where a cookie's is 32 digits and letters. */
static bool read_key(struct slice text, uint8_t key[RECORD_SESSION_KEY_LEN])
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] >= 'A' && text.ptr[i] <= 'F')
			return false;
	return hex_decode(text, key, RECORD_SESSION_KEY_LEN);
}

static enum kv_status put_session(struct transfer *t, const struct dump_record *r)
{
	uint64_t now_s = t->now_us / 1000000, ends_s = r->number[DUMP_UPDATED] / 1000000;
	uint64_t used_s = r->number[DUMP_CREATED] / 1000000;
	uint64_t owner = r->number[DUMP_OF], basket = r->number[DUMP_TO];
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct session_record old;
	enum kv_status status;
	bool judged, is_new;

	if (ends_s <= now_s)
		return leave(t, DUMP_SESSION, LEFT_EXPIRED);
	if (!read_key(r->text[DUMP_NAME], key))
		return leave(t, DUMP_SESSION, LEFT_COOKIE);
	status = owner != 0 ? judge_user(t, r, &judged) : judge_guest(t, r, &judged);
	if (status != KV_OK || judged)
		return status;
	status = t->kv != NULL && t->fresh == NULL ? session_find(t->kv, key, now_s, &old) :
	                                             KV_NOT_FOUND;
	is_new = status == KV_NOT_FOUND;
	if (!is_new && status != KV_OK)
		return status;
	if (!is_new && (!t->update || used_s <= old.used_s))
		return same(t, DUMP_SESSION);
	if (t->dry)
		return done(t, DUMP_SESSION, is_new, KV_OK);
	if (t->fresh != NULL)
		status = session_import_new(t->kv, t->config, key, owner, basket, ends_s, used_s,
		                            now_s, t->fresh, t->context);
	else
		status = session_import(t->kv, t->config, key, owner, ends_s, used_s, now_s);
	if (status == KV_OK && owner == 0 && t->fresh == NULL)
		status = session_set_basket(t->kv, key, basket);
	if (status == KV_OK && owner == 0)
		status = give_basket(t, key);
	return done(t, DUMP_SESSION, is_new, status);
}

enum kv_status transfer_end(struct transfer *t)
{
	enum dump_kind open = t->open;

	t->open = DUMP_OTHER;
	if (open == DUMP_PRODUCT)
		return end_product(t);
	return open == DUMP_BASKET ? end_basket(t) : KV_OK;
}

enum kv_status transfer_put(struct transfer *t, const struct dump_record *r)
{
	enum kv_status status = KV_OK;

	if (r->kind != DUMP_STOCK && r->kind != DUMP_LINE && r->kind != DUMP_ATTRIBUTE)
		status = transfer_end(t);
	if (status != KV_OK)
		return status;
	switch (r->kind) {
	case DUMP_USER:
		return put_user(t, r);
	case DUMP_API_KEY:
		return put_key(t, r);
	case DUMP_PRODUCT:
		begin_product(t, r);
		return KV_OK;
	case DUMP_STOCK:
		return take_stock(t, r);
	case DUMP_BASKET:
		return begin_basket(t, r);
	case DUMP_LINE:
		return take_line(t, r);
	case DUMP_ATTRIBUTE:
		return take_attribute(t, r);
	case DUMP_SESSION:
		return put_session(t, r);
	case DUMP_OTHER:
	case DUMP_CLASS:
	case DUMP_OPTION:
	case DUMP_KINDS:
		break;
	}
	return KV_OK;
}
