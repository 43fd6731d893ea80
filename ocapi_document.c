/* ocapi_document.c -- a basket as OCAPI's document.
 *
 * A basket and its items have the numeric ids of /api/, written with OCAPI_ID_DIGITS digits, so
 * that the same basket is known again on every surface. Nobody is kept out by an id:
 * call_basket() judges who may have what.
 * Prices are without tax ("net"), as the price book's are: the sums of products are, and the
 * order's total is with it.
 */
#include <bearssl.h>

#include "ocapi.h"

#define STATE_CHARS (2 * br_sha256_SIZE)

/* What else has an id in a document begins with another digit than basket and items. */
enum id_lead { ID_OWN = '0', ID_OPTION = '8', ID_SHIPPING = '9' };

bool ocapi_read_id(struct slice text, uint64_t *id)
{
	return text.len == OCAPI_ID_DIGITS && slice_uint(text, UINT64_MAX, id);
}

static void put_id_text(struct buf *out, enum id_lead lead, uint64_t id)
{
	char digits[20];
	struct buf number = BUF(digits);

	buf_uint(&number, id);
	buf_char(out, (char)lead);
	for (size_t len = 1; len + number.len < OCAPI_ID_DIGITS; len++)
		buf_char(out, '0');
	buf_put(out, buf_slice(&number));
}

void ocapi_put_id(struct buf *out, uint64_t id)
{
	put_id_text(out, ID_OWN, id);
}

/* --- The state of a basket, which changes with it and with the price book. --- */

static enum kv_status write_state(struct call *c, const struct basket *b, struct buf *state)
{
	uint64_t of[] = { b->id, b->version, 0 };
	uint8_t digest[br_sha256_SIZE];
	br_sha256_context sha;
	enum kv_status status = product_book(c->kv, &of[2]);

	for (size_t i = 0; i < COUNT_OF(of); i++)
		of[i] = htole64(of[i]);
	br_sha256_init(&sha);
	br_sha256_update(&sha, of, sizeof of);
	br_sha256_out(&sha, digest);
	buf_hex(state, slice_bytes(digest, sizeof digest));
	return status;
}

/* True where nothing, or the state that the basket has, came as `sent`. */
static bool state_matches(struct call *c, struct slice sent, struct slice state)
{
	if (!slice_given(sent) || slice_eq(sent, state))
		return true;
	if (slice_eq(sent, SLICE("not_exists")))
		ocapi_fault(c, HTTP_CONFLICT, "ResourceAlreadyExists",
		            "The resource exists already.", NULL);
	else
		ocapi_fault(c, HTTP_CONFLICT, "ResourceStateConflict",
		            "The resource has changed: its state is '{server}', not '{client}'.",
		            OCAPI_ARGUMENTS({ "client", sent }, { "server", state }));
	return false;
}

bool ocapi_state_holds(struct call *c, const struct basket *b, const json_t *body,
                       enum call_result *result)
{
	const json_t *member = json_object_get(body, "_resource_state");
	struct slice sent = jwt_string(body, "_resource_state");
	char text[STATE_CHARS];
	struct buf state = BUF(text);
	enum kv_status status = write_state(c, b, &state);

	*result = CALL_DONE;
	if (status != KV_OK) {
		*result = call_store(c, status);
		return false;
	}
	if (member != NULL && !json_is_string(member) && !json_is_null(member))
		sent = SLICE("");
	return state_matches(c, c->request->field[HTTP_X_DW_RESOURCE_STATE], buf_slice(&state)) &&
	       state_matches(c, sent, buf_slice(&state));
}

/* --- The document: after its head members stand by name, as the original sorts them. --- */

struct document {
	struct call *c;
	struct buf *body;
	const struct basket *b;
	struct basket_totals totals;
	struct basket_line_price prices[BASKET_LINES_MAX];
	bool known;                     /* every price is: else there are no totals */
};

/* A member's name, as it stands behind another member. */
#define NAME(name) SLICE(",\"" name "\":")

static void put_text(struct buf *body, struct slice name, struct slice text)
{
	buf_put(body, name);
	json_put_string(body, text);
}

static void put_id(struct buf *body, struct slice name, enum id_lead lead, uint64_t id)
{
	buf_put(body, name);
	buf_char(body, '"');
	put_id_text(body, lead, id);
	buf_char(body, '"');
}

static void put_cents(struct buf *body, struct slice name, int64_t cents)
{
	buf_put(body, name);
	money_put_number(body, cents, 2);
}

/* A total of products, which is absent where a price is missing. */
static void put_total(const struct document *d, struct slice name, int64_t cents)
{
	if (d->known)
		put_cents(d->body, name, cents);
}

static void put_time(struct buf *body, struct slice name, uint64_t us)
{
	buf_put(body, name);
	ocapi_put_time(body, us);
}

static void put_flash(struct buf *body, bool first, const char *type, const char *message,
                      const char *path)
{
	buf_str(body, first ? "{\"_type\":\"flash\"" : ",{\"_type\":\"flash\"");
	put_text(body, NAME("type"), slice_of(type));
	put_text(body, NAME("message"), slice_of(message));
	put_text(body, NAME("path"), slice_of(path));
}

/* What keeps the basket from being an order yet; most of it is another system's work. */
static void put_flashes(const struct document *d)
{
	bool empty = d->b->line_count == 0;

	buf_put(d->body, NAME("_flash"));
	buf_char(d->body, '[');
	if (empty) {
		put_flash(d->body, true, "ProductItemsRequired", "Product items are required.",
		          "$.product_items");
		buf_char(d->body, '}');
	}
	put_flash(d->body, !empty, "PaymentMethodRequired",
	          "No payment method ID was specified. Please provide a valid payment method ID.",
	          "$.payment_instruments[0].payment_method_id");
	buf_char(d->body, '}');
	put_flash(d->body, false, "BillingAddressRequired",
	          "No billing address was specified. Please provide a valid billing address.",
	          "$.billing_address");
	buf_char(d->body, '}');
	put_flash(d->body, false, "ShippingAddressRequired",
	          "No shipping address was specified. Please provide a valid shipping address.",
	          "$.shipments[0].shipping_address");
	buf_lit(d->body, ",\"details\":{\"shipmentId\":\"" OCAPI_SHIPMENT "\"}}");
	put_flash(d->body, false, "ShippingMethodRequired",
	          "No shipping method ID was specified. Please provide a valid shipping method ID.",
	          "$.shipments[0].shipping_method");
	buf_lit(d->body, ",\"details\":{\"shipmentId\":\"" OCAPI_SHIPMENT "\"}}");
	if (!d->known) {
		put_flash(d->body, false, "OrderTotalNotSet",
		          "Order total missing, calculation failed.", "$.order_total");
		buf_char(d->body, '}');
	}
	buf_char(d->body, ']');
}

/* The address that was set, or else the customer's own. */
static enum kv_status put_customer(const struct document *d)
{
	char bytes[RECORD_GUEST_ID_LEN];
	struct session_owner owner;
	struct customer_record who = { .id = 0 };
	enum kv_status status = KV_OK;

	if (d->b->customer_id != 0)
		status = customer_get(d->c->kv, d->b->customer_id, &who);
	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	buf_put(d->body, NAME("customer_info"));
	buf_lit(d->body, "{\"_type\":\"customer_info\"");
	if (call_owner(d->c, &owner))
		put_text(d->body, NAME("customer_id"), call_customer_id(d->c, &owner, bytes));
	if (d->b->customer_id != 0) {
		buf_put(d->body, NAME("customer_no"));
		buf_char(d->body, '"');
		buf_uint(d->body, d->b->customer_id);
		buf_char(d->body, '"');
	}
	put_text(d->body, NAME("email"), d->b->email.len > 0 ? d->b->email : who.email);
	buf_char(d->body, '}');
	return KV_OK;
}

static void put_notes(const struct document *d)
{
	const struct identity *id = &d->c->identity;

	buf_put(d->body, NAME("notes"));
	buf_str(d->body, "{\"_type\":\"simple_link\",\"link\":\"");
	buf_str(d->body, id->https ? "https://" : "http://");
	buf_put(d->body, id->authority);
	buf_lit(d->body, "/s/");
	buf_str(d->body, d->c->config->site);
	buf_lit(d->body, "/dw/shop/");
	buf_put(d->body, d->c->arg[0]);
	buf_lit(d->body, "/baskets/");
	put_id_text(d->body, ID_OWN, d->b->id);
	buf_lit(d->body, "/notes\"}");
}

static void put_option(struct buf *body, const struct basket_option *o, uint32_t quantity)
{
	buf_lit(body, "{\"_type\":\"option_item\",\"base_price\":0.0");
	put_id(body, NAME("item_id"), ID_OPTION, o->id);
	put_text(body, NAME("item_text"), o->value);
	put_text(body, NAME("option_id"), ocapi_option_id(o->option));
	put_text(body, NAME("option_value_id"), o->value);
	buf_lit(body, ",\"price\":0.0,\"quantity\":");
	buf_uint(body, quantity);
	buf_lit(body, ",\"shipment_id\":\"" OCAPI_SHIPMENT "\"}");
}

static void put_options(const struct document *d, const struct basket_line *l)
{
	if (l->option_count == 0)
		return;
	buf_put(d->body, NAME("option_items"));
	for (uint32_t i = 0; i < l->option_count; i++) {
		buf_char(d->body, i == 0 ? '[' : ',');
		put_option(d->body, &d->b->options[l->first_option + i], l->quantity);
	}
	buf_char(d->body, ']');
}

/* A product that has no price, or one in another currency than the rest, is shown without. */
static void put_item(const struct document *d, uint32_t at)
{
	struct buf *body = d->body;
	const struct basket_line *l = &d->b->lines[at];
	const struct basket_line_price *p = &d->prices[at];
	bool priced = p->known && slice_eq(p->currency, d->totals.currency);
	struct slice name = p->name.len > 0 ? p->name : l->product;

	buf_lit(body, "{\"_type\":\"product_item\"");
	if (priced) {
		put_cents(body, NAME("adjusted_tax"), p->tax_cents);
		buf_put(body, NAME("base_price"));
		money_put_number(body, p->unit_e4, 4);
	}
	buf_lit(body, ",\"bonus_product_line_item\":false,\"gift\":false");
	put_id(body, NAME("item_id"), ID_OWN, l->id);
	put_text(body, NAME("item_text"), name);
	put_options(d, l);
	if (priced) {
		put_cents(body, NAME("price"), p->full_excl_cents);
		put_cents(body, NAME("price_after_item_discount"), p->excl_cents);
		put_cents(body, NAME("price_after_order_discount"), p->excl_cents);
	}
	put_text(body, NAME("product_id"), l->product);
	put_text(body, NAME("product_name"), name);
	buf_put(body, NAME("quantity"));
	buf_uint(body, l->quantity);
	buf_lit(body, ",\"shipment_id\":\"" OCAPI_SHIPMENT "\"");
	if (priced) {
		put_cents(body, NAME("tax"), p->full_tax_cents);
		put_cents(body, NAME("tax_basis"), p->excl_cents);
		buf_lit(body, ",\"tax_class_id\":\"standard\"");
		buf_put(body, NAME("tax_rate"));
		money_put_number(body, p->tax_rate_e6, 6);
	}
	buf_char(body, '}');
}

static void put_items(const struct document *d)
{
	if (d->b->line_count == 0)
		return;
	buf_put(d->body, NAME("product_items"));
	for (uint32_t i = 0; i < d->b->line_count; i++) {
		buf_char(d->body, i == 0 ? '[' : ',');
		put_item(d, i);
	}
	buf_char(d->body, ']');
}

/* The one shipment that all items are in, and its costs, which nobody has set. */
static void put_shipping(const struct document *d)
{
	const struct basket_totals *t = &d->totals;
	struct buf *body = d->body;

	buf_put(body, NAME("shipments"));
	buf_lit(body, "[{\"_type\":\"shipment\"");
	put_total(d, NAME("adjusted_merchandize_total_tax"), t->tax_cents);
	buf_lit(body, ",\"adjusted_shipping_total_tax\":0.0,\"gift\":false");
	put_total(d, NAME("merchandize_total_tax"), t->full_tax_cents);
	put_total(d, NAME("product_sub_total"), t->excl_cents);
	put_total(d, NAME("product_total"), t->excl_cents);
	buf_lit(body, ",\"shipment_id\":\"" OCAPI_SHIPMENT "\"");
	put_total(d, NAME("shipment_total"), t->excl_cents + t->tax_cents);
	buf_lit(body, ",\"shipping_status\":\"not_shipped\",\"shipping_total\":0.0,"
	        "\"shipping_total_tax\":0.0");
	put_total(d, NAME("tax_total"), t->tax_cents);
	buf_lit(body, "}],\"shipping_items\":[{\"_type\":\"shipping_item\",\"adjusted_tax\":0.0,"
	        "\"base_price\":0.0");
	put_id(body, NAME("item_id"), ID_SHIPPING, d->b->id);
	buf_lit(body, ",\"item_text\":\"Shipping\",\"price\":0.0,"
	        "\"price_after_item_discount\":0.0,\"shipment_id\":\"" OCAPI_SHIPMENT "\","
	        "\"tax\":0.0,\"tax_basis\":0.0,\"tax_class_id\":\"CustomRate\",\"tax_rate\":0.0}],"
	        "\"shipping_total\":0.0,\"shipping_total_tax\":0.0");
}

/* What stands behind `_type`, up to the closing brace. Prices are without tax (net). */
static enum kv_status put_members(const struct document *d)
{
	const struct basket_totals *t = &d->totals;
	struct slice currency = slice_given(t->currency) ? t->currency : d->b->currency;
	struct buf *body = d->body;
	enum kv_status status;

	buf_put(body, NAME("_resource_state"));
	buf_char(body, '"');
	status = write_state(d->c, d->b, body);
	buf_char(body, '"');
	put_flashes(d);
	put_total(d, NAME("adjusted_merchandize_total_tax"), t->tax_cents);
	buf_lit(body, ",\"adjusted_shipping_total_tax\":0.0,\"agent_basket\":false");
	put_id(body, NAME("basket_id"), ID_OWN, d->b->id);
	buf_lit(body, ",\"channel_type\":\"storefront\"");
	put_time(body, NAME("creation_date"), d->b->created_us);
	if (currency.len > 0)
		put_text(body, NAME("currency"), currency);
	if (status == KV_OK)
		status = put_customer(d);
	put_time(body, NAME("last_modified"), d->b->updated_us);
	put_total(d, NAME("merchandize_total_tax"), t->full_tax_cents);
	put_notes(d);
	put_total(d, NAME("order_total"), t->excl_cents + t->tax_cents);
	put_items(d);
	put_total(d, NAME("product_sub_total"), t->excl_cents);
	put_total(d, NAME("product_total"), t->excl_cents);
	put_shipping(d);
	buf_lit(body, ",\"taxation\":\"net\"");
	put_total(d, NAME("tax_total"), t->tax_cents);
	buf_char(body, '}');
	return status;
}

enum kv_status ocapi_put_basket(struct call *c, const struct basket *b)
{
	struct document d;
	enum kv_status status = basket_prices(c->kv, b, d.prices, &d.totals);

	d.c = c;
	d.body = &c->response->body;
	d.b = b;
	d.known = b->line_count == 0 || d.totals.tax_known;
	return status == KV_OK ? put_members(&d) : status;
}
