/* view.c -- see view.h. */
#include "client.h"
#include "money.h"
#include "product.h"
#include "view.h"

/* What was written into `room` from `start` on. */
static struct slice since(const struct buf *room, size_t start)
{
	return (struct slice){ room->ptr + start, room->len - start };
}

void view_customer(struct print_cell cells[VIEW_CUSTOMER_CELLS], const struct customer_record *r)
{
	bool disabled = (r->flags & CUSTOMER_DISABLED) != 0;
	const struct print_cell all[VIEW_CUSTOMER_CELLS] = {
		{ "id", PRINT_NUMBER, { 0 }, r->id },
		{ "login", PRINT_TEXT, r->login, 0 },
		{ "email", PRINT_TEXT, r->email, 0 },
		{ "first_name", PRINT_TEXT, r->first_name, 0 },
		{ "last_name", PRINT_TEXT, r->last_name, 0 },
		{ "state", PRINT_TEXT, slice_of(disabled ? "disabled" : "enabled"), 0 },
		{ "password", PRINT_YES, { 0 }, r->sealed_password.len },
		{ "joined", PRINT_TIME, { 0 }, r->joined_us / 1000000 },
	};

	memcpy(cells, all, sizeof all);
}

void view_client(struct print_cell cells[VIEW_CLIENT_CELLS], struct buf *room,
                 const struct client_record *r, struct slice key, uint64_t now_s)
{
	struct slice scopes, sources;
	size_t start = room->len;

	client_scopes_write(room, r->scopes);
	scopes = since(room, start);
	start = room->len;
	client_sources_write(room, r);
	sources = since(room, start);
	{
		const struct print_cell all[VIEW_CLIENT_CELLS] = {
			{ "name", PRINT_TEXT, r->name, 0 },
			{ "scopes", PRINT_LIST, scopes, 0 },
			{ "state", PRINT_TEXT, slice_of(client_state_text(r, now_s)), 0 },
			{ "created", PRINT_TIME, { 0 }, r->created_s },
			{ "expires", PRINT_TIME, { 0 }, r->expires_s },
			{ "used", PRINT_TIME, { 0 }, r->used_s },
			{ "owner", PRINT_TEXT, r->owner, 0 },
			{ "sources", PRINT_LIST, sources, 0 },
			{ "origins", PRINT_LIST, r->origins, 0 },
			{ "key", PRINT_TEXT, key, 0 },
		};

		memcpy(cells, all, sizeof all);
	}
}

void view_product(struct print_cell cells[VIEW_PRODUCT_CELLS], struct buf *room,
                  const struct product_record *r)
{
	uint64_t stock = r->stock == UINT32_MAX ? PRINT_NONE : r->stock;
	uint64_t max = r->max_quantity == UINT32_MAX ? PRINT_NONE : r->max_quantity;
	struct slice price, rate;
	size_t start = room->len;

	if (r->price_e4 >= 0)
		money_put_e4(room, r->price_e4);
	price = since(room, start);
	start = room->len;
	money_put_rate(room, r->tax_rate_e6);
	rate = since(room, start);
	{
		const struct print_cell all[VIEW_PRODUCT_CELLS] = {
			{ "id", PRINT_TEXT, r->id, 0 },
			{ "name", PRINT_TEXT, r->name, 0 },
			{ "price", PRINT_TEXT, price, 0 },
			{ "currency", PRINT_TEXT, r->currency, 0 },
			{ "stock", PRINT_COUNT, { 0 }, stock },
			{ "max_quantity", PRINT_COUNT, { 0 }, max },
			{ "tax_rate", PRINT_TEXT, rate, 0 },
			{ "options", PRINT_LIST, r->options, 0 },
			{ "stockrecord", PRINT_TEXT, r->stockrecord, 0 },
			{ "updated", PRINT_TIME, { 0 }, r->updated_us / 1000000 },
		};

		memcpy(cells, all, sizeof all);
	}
}

/* A newer version may have stored what this one has no name for. */
static const char *via_text(uint8_t via)
{
	if (via == VIA_DWSID)
		return "dwsid";
	return via <= VIA_GUEST ? identity_via_text((enum record_via)via) : "unknown";
}

void view_session(struct print_cell cells[VIEW_SESSION_CELLS], struct buf *room,
                  const uint8_t key[RECORD_SESSION_KEY_LEN], const struct session_record *s,
                  uint64_t now_s)
{
	uint64_t age = now_s > s->created_s ? now_s - s->created_s : 0;
	uint64_t expires = s->expires_s == RECORD_NEVER ? 0 : s->expires_s;
	size_t start = room->len;

	buf_hex(room, slice_bytes(key, RECORD_SESSION_KEY_LEN));
	{
		const struct print_cell all[VIEW_SESSION_CELLS] = {
			{ "session_key", PRINT_TEXT, since(room, start), 0 },
			{ "created", PRINT_TIME, { 0 }, s->created_s },
			{ "used", PRINT_TIME, { 0 }, s->used_s },
			{ "expires", PRINT_TIME, { 0 }, expires },
			{ "age", PRINT_AGE, { 0 }, age },
			{ "via", PRINT_TEXT, slice_of(via_text(s->via)), 0 },
			{ "customer_id", PRINT_ID, { 0 }, s->customer_id },
			{ "login", PRINT_TEXT, s->login, 0 },
		};

		memcpy(cells, all, sizeof all);
	}
}
