/* ocapi_basket.c -- /baskets, one of them, its customer, and /customers/{id}/baskets. */
#include "ocapi.h"

enum call_result ocapi_basket_show(struct call *c, const struct basket *b)
{
	enum kv_status status;

	ocapi_begin(c, HTTP_OK);
	ocapi_put_head(c, "basket");
	status = ocapi_put_basket(c, b);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

/* A fault keeps no put. */
enum call_result ocapi_basket_keep(struct call *c, struct basket *b)
{
	enum kv_status status = call_put_basket(c, b, true);
	enum call_result result;

	if (status != KV_OK)
		return call_store(c, status);
	result = ocapi_basket_show(c, b);
	if (result != CALL_DONE || !c->response->body.full)
		return result;
	http_response_reset(c->response);
	return ocapi_fault(c, HTTP_BAD_REQUEST, "QuotaExceeded",
	                   "The basket would be too large for an answer.", NULL);
}

/* --- Which basket, and whose. --- */

static enum call_result no_basket_of(struct call *c, struct slice id)
{
	return ocapi_fault(c, HTTP_NOT_FOUND, "BasketNotFound",
	                   "No basket with ID '{basketId}' could be found.",
	                   OCAPI_ARGUMENTS({ "basketId", id }));
}

static enum call_result no_basket(struct call *c)
{
	return no_basket_of(c, c->arg[1]);
}

enum call_result ocapi_other_customer(struct call *c)
{
	return ocapi_fault(c, HTTP_BAD_REQUEST, "InvalidCustomer", "The customer is invalid.",
	                   NULL);
}

/* What was ordered is no basket any more, whoever asks. */
bool ocapi_may(struct call *c, struct basket *b, enum call_result *result)
{
	bool there;
	uint64_t id;

	*result = CALL_DONE;
	if (!ocapi_shopper(c))
		return false;
	there = ocapi_read_id(c->arg[1], &id);
	if (there && !call_may(c, id, b, no_basket, ocapi_other_customer, result))
		return false;
	if (there && b->status <= BASKET_SAVED)
		return true;
	*result = no_basket(c);
	return false;
}

enum call_result ocapi_basket_get(struct call *c)
{
	struct basket b;
	enum call_result result;

	return ocapi_may(c, &b, &result) ? ocapi_basket_show(c, &b) : result;
}

enum call_result ocapi_basket_delete(struct call *c)
{
	struct basket b;
	enum call_result result;
	enum kv_status status;

	if (!ocapi_may(c, &b, &result) || !ocapi_state_holds(c, &b, NULL, &result))
		return result;
	ocapi_begin(c, HTTP_NO_CONTENT);
	status = call_delete_basket(c, &b);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

/* A customer has one open basket, and sees no other here. */
enum call_result ocapi_basket_list(struct call *c)
{
	char bytes[RECORD_GUEST_ID_LEN];
	struct buf *body = &c->response->body;
	struct session_owner owner;
	struct basket b;
	enum kv_status status;

	if (!ocapi_shopper(c))
		return CALL_DONE;
	if (!call_owner(c, &owner) || !slice_eq(c->arg[1], call_customer_id(c, &owner, bytes)))
		return ocapi_other_customer(c);
	status = call_open_basket(c, false, &b);
	if (status != KV_OK && status != KV_NOT_FOUND)
		return call_store(c, status);
	ocapi_begin(c, HTTP_OK);
	ocapi_put_head(c, "baskets_result");
	buf_lit(body, ",\"baskets\":[");
	if (status == KV_OK) {
		buf_lit(body, "{\"_type\":\"basket\"");
		if ((status = ocapi_put_basket(c, &b)) != KV_OK)
			return call_store(c, status);
		buf_lit(body, "],\"total\":1}");
	} else {
		buf_lit(body, "],\"total\":0}");
	}
	return CALL_DONE;
}

/* --- What a document sets. --- */

/* As the original's document has it; what it does not let a client set is passed over, so that
 * a document can come back as it was given out. */
static const struct ocapi_member basket_members[] = {
	{ "adjusted_merchandize_total_tax", OCAPI_ANY, 0 },
	{ "adjusted_shipping_total_tax", OCAPI_ANY, 0 },
	{ "agent_basket", OCAPI_ANY, 0 },
	{ "basket_id", OCAPI_ANY, 0 },
	{ "billing_address", OCAPI_OBJECT, 0 },
	{ "bonus_discount_line_items", OCAPI_ANY, 0 },
	{ "channel_type", OCAPI_ANY, 0 },
	{ "coupon_items", OCAPI_ARRAY, 0 },
	{ "creation_date", OCAPI_ANY, 0 },
	{ "currency", OCAPI_STRING, 0 },
	{ "customer_info", OCAPI_OBJECT, 0 },
	{ "gift_certificate_items", OCAPI_ARRAY, 0 },
	{ "inventory_reservation_expiry", OCAPI_ANY, 0 },
	{ "last_modified", OCAPI_ANY, 0 },
	{ "merchandize_total_tax", OCAPI_ANY, 0 },
	{ "notes", OCAPI_ANY, 0 },
	{ "order_price_adjustments", OCAPI_ARRAY, 0 },
	{ "order_total", OCAPI_ANY, 0 },
	{ "payment_instruments", OCAPI_ARRAY, 0 },
	{ "product_items", OCAPI_ARRAY, 0 },
	{ "product_sub_total", OCAPI_ANY, 0 },
	{ "product_total", OCAPI_ANY, 0 },
	{ "shipments", OCAPI_ARRAY, 0 },
	{ "shipping_items", OCAPI_ANY, 0 },
	{ "shipping_total", OCAPI_ANY, 0 },
	{ "shipping_total_tax", OCAPI_ANY, 0 },
	{ "source_code", OCAPI_STRING, 0 },
	{ "tax_total", OCAPI_ANY, 0 },
	{ "taxation", OCAPI_ANY, 0 },
};

static const struct ocapi_member customer_members[] = {
	{ "customer_id", OCAPI_STRING, 100 },
	{ "customer_name", OCAPI_STRING, 0 },
	{ "customer_no", OCAPI_STRING, 100 },
	{ "email", OCAPI_STRING, 0 },
};

static const struct ocapi_member shipment_members[] = {
	{ "adjusted_merchandize_total_tax", OCAPI_ANY, 0 },
	{ "adjusted_shipping_total_tax", OCAPI_ANY, 0 },
	{ "gift", OCAPI_BOOLEAN, 0 },
	{ "gift_message", OCAPI_STRING, 0 },
	{ "merchandize_total_tax", OCAPI_ANY, 0 },
	{ "product_sub_total", OCAPI_ANY, 0 },
	{ "product_total", OCAPI_ANY, 0 },
	{ "shipment_id", OCAPI_STRING, 0 },
	{ "shipment_no", OCAPI_ANY, 0 },
	{ "shipment_total", OCAPI_ANY, 0 },
	{ "shipping_address", OCAPI_OBJECT, 0 },
	{ "shipping_method", OCAPI_OBJECT, 0 },
	{ "shipping_status", OCAPI_ANY, 0 },
	{ "shipping_total", OCAPI_ANY, 0 },
	{ "shipping_total_tax", OCAPI_ANY, 0 },
	{ "tax_total", OCAPI_ANY, 0 },
	{ "tracking_number", OCAPI_ANY, 0 },
};

bool ocapi_refuse_kept_elsewhere(struct call *c, const json_t *value, const char *document,
                                 const char *name)
{
	const json_t *member = json_object_get(value, name);

	if (member == NULL || json_is_null(member) ||
	    (!json_is_string(member) && json_array_size(member) + json_object_size(member) == 0))
		return false;
	ocapi_fault(c, HTTP_BAD_REQUEST, "PropertyNotPermitted",
	            "The property '{property}' of the document '{document}' cannot be set here: it "
	            "is another system's work.",
	            OCAPI_ARGUMENTS({ "property", slice_of(name) },
	                            { "document", slice_of(document) }));
	return true;
}

bool ocapi_email_valid(struct slice email)
{
	struct slice domain = email, local = slice_cut(&domain, '@');

	return local.len > 0 && domain.len > 0 && !slice_has(email, ' ') &&
	       !slice_has(domain, '@');
}

static bool set_email(struct call *c, struct basket *b, struct slice email)
{
	struct basket_change change = ocapi_change(c);

	if (ocapi_email_valid(email) && basket_set_email(b, email, &change) == BASKET_OK)
		return true;
	ocapi_fault(c, HTTP_BAD_REQUEST, "InvalidEmail",
	            "The e-mail address '{email}' is invalid.",
	            OCAPI_ARGUMENTS({ "email", email }));
	return false;
}

/* Only the default shipment is kept here. */
static bool judge_shipments(struct call *c, const json_t *list)
{
	bool seen = false;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *shipment = json_array_get(list, i);
		struct slice id;

		if (!ocapi_check(c, shipment, "shipment", "$.shipments[]", shipment_members,
		                 COUNT_OF(shipment_members)) ||
		    ocapi_refuse_kept_elsewhere(c, shipment, "shipment", "shipping_address") ||
		    ocapi_refuse_kept_elsewhere(c, shipment, "shipment", "shipping_method"))
			return false;
		id = jwt_string(shipment, "shipment_id");
		if (slice_given(id) && !slice_eq(id, SLICE(OCAPI_SHIPMENT)))
			return !ocapi_refuse_kept_elsewhere(c, shipment, "shipment", "shipment_id");
		if (seen) {
			ocapi_fault(c, HTTP_BAD_REQUEST, "DuplicateShipmentId",
			            "The shipment ID '{shipmentId}' stands there twice.",
			            OCAPI_ARGUMENTS({ "shipmentId", SLICE(OCAPI_SHIPMENT) }));
			return false;
		}
		seen = true;
	}
	return true;
}

/* Judges a document that a basket is to be made of. */
static bool judge_document(struct call *c, const json_t *body)
{
	static const char *const elsewhere[] = {
		"billing_address", "coupon_items", "gift_certificate_items",
		"order_price_adjustments", "payment_instruments",
	};
	const json_t *customer = json_object_get(body, "customer_info");

	if (!ocapi_check(c, body, "basket", "$", basket_members, COUNT_OF(basket_members)))
		return false;
	for (size_t i = 0; i < COUNT_OF(elsewhere); i++)
		if (ocapi_refuse_kept_elsewhere(c, body, "basket", elsewhere[i]))
			return false;
	if (customer != NULL && !json_is_null(customer) &&
	    !ocapi_check(c, customer, "customer_info", "$.customer_info", customer_members,
	                 COUNT_OF(customer_members)))
		return false;
	return judge_shipments(c, json_object_get(body, "shipments"));
}

/* An empty address is none: a document that was given out may say so. */
static bool fill(struct call *c, struct basket *b, const json_t *body, enum call_result *result)
{
	struct slice email = jwt_string(json_object_get(body, "customer_info"), "email");
	const json_t *items = json_object_get(body, "product_items");

	*result = CALL_DONE;
	if (email.len > 0 && !set_email(c, b, email))
		return false;
	return ocapi_add_items(c, b, items, "$.product_items", result);
}

static enum call_result over_quota(struct call *c, const struct basket *b)
{
	char text[OCAPI_ID_DIGITS];
	struct buf id = BUF(text);

	ocapi_put_id(&id, b->id);
	return ocapi_fault(c, HTTP_BAD_REQUEST, "CustomerBasketsQuotaExceeded",
	                   "The maximum number of baskets per customer was exceeded. Please reuse "
	                   "or delete one of the existing baskets ({basketIds}).",
	                   OCAPI_ARGUMENTS({ "basketIds", buf_slice(&id) }));
}

enum call_result ocapi_basket_post(struct call *c)
{
	const json_t *body;
	struct basket b;
	enum call_result result;
	enum kv_status status;

	if (!ocapi_shopper(c) || !ocapi_body(c, &body))
		return CALL_DONE;
	if (body != NULL && !judge_document(c, body))
		return CALL_DONE;
	status = call_open_basket(c, false, &b);
	if (status == KV_OK)
		return over_quota(c, &b);
	if (status == KV_NOT_FOUND)
		status = call_open_basket(c, true, &b);
	if (status != KV_OK)
		return call_store(c, status);
	if (body == NULL)
		return ocapi_basket_show(c, &b);
	return fill(c, &b, body, &result) ? ocapi_basket_keep(c, &b) : result;
}

/* The open basket of a guest, for who knows both ids; else it is none. */
static enum kv_status find_referred(struct call *c, const json_t *body, struct basket *b)
{
	struct slice guest_id = jwt_string(body, "customer_id");
	uint8_t key[RECORD_SESSION_KEY_LEN];
	enum kv_status status = KV_NOT_FOUND;
	uint64_t id;

	if (guest_id.len == RECORD_GUEST_ID_LEN &&
	    ocapi_read_id(jwt_string(body, "basket_id"), &id))
		status = basket_get(c->kv, id, call_now_s(c), b);
	if (status != KV_OK)
		return status;
	session_guest_key(c->sid_secret, guest_id, key);
	return b->customer_id == 0 && b->status == BASKET_OPEN &&
	       slice_eq_secret(slice_bytes(b->guest, sizeof b->guest),
	                       slice_bytes(key, sizeof key)) ? KV_OK : KV_NOT_FOUND;
}

/* A copy of a guest's basket, without what is personal. */
enum call_result ocapi_basket_reference(struct call *c)
{
	static const struct ocapi_member members[] = {
		{ "basket_id", OCAPI_STRING, 0 }, { "customer_id", OCAPI_STRING, 100 },
	};
	const json_t *body;
	struct basket from, b;
	enum call_result result;
	enum kv_status status;

	if (!ocapi_shopper(c) ||
	    !ocapi_document(c, "basket_reference", members, COUNT_OF(members), &body))
		return CALL_DONE;
	for (size_t i = 0; i < COUNT_OF(members); i++)
		if (!slice_given(jwt_string(body, members[i].name)))
			return ocapi_missing(c, "basket_reference", "$", members[i].name);
	status = find_referred(c, body, &from);
	if (status == KV_NOT_FOUND)
		return no_basket_of(c, jwt_string(body, "basket_id"));
	if (status == KV_OK && (status = call_open_basket(c, false, &b)) == KV_OK)
		return over_quota(c, &b);
	if (status == KV_NOT_FOUND)
		status = call_open_basket(c, true, &b);
	if (status != KV_OK)
		return call_store(c, status);
	return ocapi_copy_items(c, &b, &from, &result) ? ocapi_basket_keep(c, &b) : result;
}

static bool set_currency(struct call *c, struct basket *b, struct slice currency,
                         enum call_result *result)
{
	struct basket_change change = ocapi_change(c);

	enum basket_error error = basket_set_currency(b, currency, &change);

	*result = CALL_DONE;
	if (error == BASKET_STORE)
		*result = call_store(c, change.status);
	else if (error != BASKET_OK)
		ocapi_fault(c, HTTP_BAD_REQUEST, "UnsupportedCurrency",
		            "The currency '{currency}' is not supported: it is not that of the "
		            "items.", OCAPI_ARGUMENTS({ "currency", currency }));
	return error == BASKET_OK;
}

/* Currency and source code are all of a basket's own that a client may change. */
enum call_result ocapi_basket_patch(struct call *c)
{
	struct slice currency, source_code;
	const json_t *body;
	struct basket b;
	enum call_result result;

	if (!ocapi_may(c, &b, &result) ||
	    !ocapi_document(c, "basket", basket_members, COUNT_OF(basket_members), &body) ||
	    !ocapi_state_holds(c, &b, body, &result))
		return result;
	source_code = jwt_string(body, "source_code");
	if (source_code.len > 0)
		return ocapi_fault(c, HTTP_NOT_FOUND, "SourceCodeNotFound",
		                   "No source code '{sourceCode}' could be found.",
		                   OCAPI_ARGUMENTS({ "sourceCode", source_code }));
	currency = jwt_string(body, "currency");
	if (!slice_given(currency) || slice_eq(currency, b.currency))
		return ocapi_basket_show(c, &b);
	return set_currency(c, &b, currency, &result) ? ocapi_basket_keep(c, &b) : result;
}

/* A number that is not his own is none that he may know of. */
static bool is_own_number(const struct basket *b, struct slice number)
{
	uint64_t id;

	return !slice_given(number) ||
	       (slice_uint(number, UINT64_MAX, &id) && id != 0 && id == b->customer_id);
}

enum call_result ocapi_basket_customer(struct call *c)
{
	struct slice number;
	const json_t *body;
	struct basket b;
	enum call_result result;

	if (!ocapi_may(c, &b, &result) ||
	    !ocapi_document(c, "customer_info", customer_members, COUNT_OF(customer_members),
	                    &body) ||
	    !ocapi_state_holds(c, &b, body, &result))
		return result;
	if (!slice_given(jwt_string(body, "email")))
		return ocapi_missing(c, "customer_info", "$", "email");
	number = jwt_string(body, "customer_no");
	if (!is_own_number(&b, number))
		return ocapi_fault(c, HTTP_NOT_FOUND, "CustomerNotFound",
		                   "No customer with number '{customerNo}' could be found.",
		                   OCAPI_ARGUMENTS({ "customerNo", number }));
	if (!set_email(c, &b, jwt_string(body, "email")))
		return CALL_DONE;
	return ocapi_basket_keep(c, &b);
}
