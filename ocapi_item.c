/* ocapi_item.c -- a basket's items: /baskets/{id}/items and one of them. */
#include <stdio.h>

#include "ocapi.h"

#define OPTIONS_MAX   100       /* of one item */
#define QUANTITY_MAX  999
#define JSON_PATH_MAX 80

/* As the original's document has them; what is neither considered nor refused below is passed
 * over, so that an item can come back as it was given out. */
static const struct ocapi_member item_members[] = {
	{ "adjusted_tax", OCAPI_ANY, 0 },
	{ "base_price", OCAPI_ANY, 0 },
	{ "bonus_discount_line_item_id", OCAPI_STRING, 0 },
	{ "bonus_product_line_item", OCAPI_ANY, 0 },
	{ "bundled_product_items", OCAPI_ANY, 0 },
	{ "gift", OCAPI_ANY, 0 },
	{ "gift_message", OCAPI_ANY, 0 },
	{ "inventory_id", OCAPI_STRING, 256 },
	{ "item_id", OCAPI_ANY, 0 },
	{ "item_text", OCAPI_ANY, 0 },
	{ "option_items", OCAPI_ARRAY, 0 },
	{ "price", OCAPI_ANY, 0 },
	{ "price_adjustments", OCAPI_ANY, 0 },
	{ "price_after_item_discount", OCAPI_ANY, 0 },
	{ "price_after_order_discount", OCAPI_ANY, 0 },
	{ "product_id", OCAPI_STRING, 100 },
	{ "product_list_item", OCAPI_ANY, 0 },
	{ "product_name", OCAPI_ANY, 0 },
	{ "quantity", OCAPI_NUMBER, 0 },
	{ "shipment_id", OCAPI_STRING, 0 },
	{ "shipping_item_id", OCAPI_ANY, 0 },
	{ "tax", OCAPI_ANY, 0 },
	{ "tax_basis", OCAPI_ANY, 0 },
	{ "tax_class_id", OCAPI_ANY, 0 },
	{ "tax_rate", OCAPI_ANY, 0 },
	/* Of an option's item alone: behind the others. */
	{ "option_id", OCAPI_STRING, 256 },
	{ "option_value_id", OCAPI_STRING, 256 },
};

#define OPTION_ONLY 2           /* members at the end of item_members */

/* What a request asks for. Strings are the document's: they live until the next json_parse(). */
struct item {
	struct basket_item item;
	uint32_t quantity;
	struct slice shipment;          /* absent: none was named */
	struct basket_option options[OPTIONS_MAX];
};

/* An option stands in the store as its id, or as the path that /api/ was given. */
struct slice ocapi_option_id(struct slice option)
{
	static const struct slice prefix = { "/api/options/", 13 };

	if (!slice_starts(option, prefix))
		return option;
	option = slice_skip(option, prefix.len);
	return slice_cut(&option, '/');
}

/* Where the element `i` of an array stands in the document. */
static const char *json_path(char text[JSON_PATH_MAX], const char *path, const char *member,
                             size_t i)
{
	snprintf(text, JSON_PATH_MAX, "%s%s[%zu]", path, member, i);
	return text;
}

static bool bad_quantity(struct call *c, struct slice product)
{
	ocapi_fault(c, HTTP_BAD_REQUEST, "InvalidProductItemQuantity",
	            "The quantity of the product '{productId}' is invalid: a whole number up to "
	            "999 is due.", OCAPI_ARGUMENTS({ "productId", product }));
	return false;
}

static bool bad_option(struct call *c, const char *type, struct slice option, struct slice value)
{
	ocapi_fault(c, HTTP_BAD_REQUEST, type,
	            "The product has no option '{optionId}' with the value '{optionValueId}'.",
	            OCAPI_ARGUMENTS({ "optionId", option }, { "optionValueId", value }));
	return false;
}

/* A quantity is a decimal in the original's documents; only whole ones can be had here, 2.0 as
 * well as 2. */
static bool read_quantity(struct call *c, const json_t *value, uint32_t least, struct item *it)
{
	double number = json_number_value(value);

	if (!json_is_number(value) || !(number >= least && number <= QUANTITY_MAX) ||
	    (double)(uint32_t)number < number)
		return bad_quantity(c, it->item.product);
	it->quantity = (uint32_t)number;
	return true;
}

static bool read_option(struct call *c, const json_t *value, const char *path, struct item *it)
{
	struct basket_option *o = &it->options[it->item.option_count];

	if (!ocapi_check(c, value, "option_item", path, item_members, COUNT_OF(item_members)))
		return false;
	o->option = jwt_string(value, "option_id");
	o->value = jwt_string(value, "option_value_id");
	if (o->option.len == 0)
		return bad_option(c, "InvalidProductOptionItem", o->option, o->value);
	if (o->value.len == 0)
		return bad_option(c, "InvalidProductOptionValueItem", o->option, o->value);
	it->item.option_count++;
	return true;
}

static bool read_options(struct call *c, const json_t *list, const char *path, struct item *it)
{
	char text[JSON_PATH_MAX];

	it->item.options = it->options;
	it->item.option_count = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (i == OPTIONS_MAX) {
			ocapi_fault(c, HTTP_BAD_REQUEST, "QuotaExceeded",
			            "An item has at most 100 options.", NULL);
			return false;
		}
		if (!read_option(c, json_array_get(list, i),
		                 json_path(text, path, ".option_items", i), it))
			return false;
	}
	return true;
}

/* There is one shipment, and one inventory; and nothing is given away. */
static bool judge_places(struct call *c, const json_t *value, struct item *it)
{
	struct slice bonus = jwt_string(value, "bonus_discount_line_item_id");

	it->shipment = jwt_string(value, "shipment_id");
	if (slice_given(it->shipment) && !slice_eq(it->shipment, SLICE(OCAPI_SHIPMENT)))
		ocapi_fault(c, HTTP_NOT_FOUND, "ShipmentNotFound",
		            "No shipment with ID '{shipmentId}' could be found.",
		            OCAPI_ARGUMENTS({ "shipmentId", it->shipment }));
	else if (bonus.len > 0)
		ocapi_fault(c, HTTP_NOT_FOUND, "BonusDiscountLineItemNotFound",
		            "No bonus discount line item with ID '{bonusDiscountLineItemId}' could "
		            "be found.", OCAPI_ARGUMENTS({ "bonusDiscountLineItemId", bonus }));
	else
		return !ocapi_refuse_kept_elsewhere(c, value, "product_item", "inventory_id");
	return false;
}

/* The fault of a change that was refused. */
static enum call_result refuse(struct call *c, const struct basket_change *change,
                               enum basket_error error, const struct item *it)
{
	struct slice product = it->item.product;
	struct slice option = { 0 }, value = { 0 };

	if (it->item.option_count > 0) {
		option = it->item.options[0].option;
		value = it->item.options[0].value;
	}
	switch (error) {
	case BASKET_STORE:
		return call_store(c, change->status);
	case BASKET_NO_STOCK:
	case BASKET_OVER_STOCK:
		return ocapi_fault(c, HTTP_BAD_REQUEST, "ProductItemNotAvailable",
		                   "The product '{productId}' is not available in this quantity.",
		                   OCAPI_ARGUMENTS({ "productId", product }));
	case BASKET_OVER_QUANTITY:
		return ocapi_fault(c, HTTP_BAD_REQUEST, "InvalidProductItemQuantity",
		                   "With this quantity of the product '{productId}' the basket "
		                   "would hold too many.",
		                   OCAPI_ARGUMENTS({ "productId", product }));
	case BASKET_TOO_MANY_LINES:
		return ocapi_fault(c, HTTP_BAD_REQUEST, "QuotaExceeded",
		                   "The maximum number of items in a basket was exceeded.", NULL);
	case BASKET_UNKNOWN_OPTION:
		bad_option(c, "InvalidProductOptionItem", option, value);
		return CALL_DONE;
	case BASKET_BAD_ITEM:
		bad_option(c, "InvalidProductOptionValueItem", option, value);
		return CALL_DONE;
	case BASKET_UNKNOWN_PRODUCT:
	case BASKET_UNAVAILABLE:
	case BASKET_OTHER_CURRENCY:
	case BASKET_NEGATIVE:
	case BASKET_CLOSED:
	case BASKET_UNKNOWN_LINE:
	case BASKET_OK:
		break;
	}
	return ocapi_fault(c, HTTP_BAD_REQUEST, "InvalidProductItem",
	                   "The product '{productId}' is unknown, not for sale, or not in the "
	                   "basket's currency.", OCAPI_ARGUMENTS({ "productId", product }));
}

/* --- Items that come. --- */

static bool read_item(struct call *c, const json_t *value, const char *path, struct item *it)
{
	if (!ocapi_check(c, value, "product_item", path, item_members,
	                 COUNT_OF(item_members) - OPTION_ONLY))
		return false;
	it->item = (struct basket_item){
		.product = jwt_string(value, "product_id"), .known_options = true,
	};
	if (it->item.product.len == 0) {
		ocapi_fault(c, HTTP_BAD_REQUEST, "InvalidProductId",
		            "The product ID '{productId}' is invalid.",
		            OCAPI_ARGUMENTS({ "productId", it->item.product }));
		return false;
	}
	if (!read_quantity(c, json_object_get(value, "quantity"), 1, it) ||
	    !judge_places(c, value, it) ||
	    !read_options(c, json_object_get(value, "option_items"), path, it))
		return false;
	it->item.own_line = it->item.option_count > 0;
	return true;
}

static bool add_item(struct call *c, struct basket *b, const json_t *value, const char *path,
                     enum call_result *result)
{
	struct basket_change change = ocapi_change(c);
	enum basket_error error;
	struct item it;
	uint32_t line;

	if (!read_item(c, value, path, &it))
		return false;
	error = basket_add(b, &it.item, it.quantity, &change, &line);
	if (error != BASKET_OK)
		*result = refuse(c, &change, error, &it);
	return error == BASKET_OK;
}

bool ocapi_add_items(struct call *c, struct basket *b, const json_t *list, const char *path,
                     enum call_result *result)
{
	char text[JSON_PATH_MAX];

	*result = CALL_DONE;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!add_item(c, b, json_array_get(list, i), json_path(text, path, "", i),
		              result))
			return false;
	return true;
}

bool ocapi_copy_items(struct call *c, struct basket *into, const struct basket *from,
                      enum call_result *result)
{
	struct basket_change change = ocapi_change(c);
	enum basket_error error = BASKET_OK;
	uint32_t line;

	for (uint32_t i = 0; i < from->line_count && error == BASKET_OK; i++) {
		const struct basket_line *l = &from->lines[i];
		const struct basket_price price = {
			l->price_e4, l->discount_cents, l->name, l->currency,
		};
		struct item it = { .item = {
			.product = l->product, .options = &from->options[l->first_option],
			.option_count = l->option_count, .price = l->priced ? &price : NULL,
			.own_line = true,
		} };

		error = basket_add(into, &it.item, l->quantity, &change, &line);
		if (error != BASKET_OK)
			*result = refuse(c, &change, error, &it);
	}
	return error == BASKET_OK;
}

/* An array of items, or one alone, as the published definition has it. */
enum call_result ocapi_item_post(struct call *c)
{
	const json_t *body;
	struct basket b;
	enum call_result result;
	bool added;

	if (!ocapi_may(c, &b, &result) || !ocapi_document(c, NULL, NULL, 0, &body) ||
	    !ocapi_state_holds(c, &b, body, &result))
		return result;
	added = json_is_array(body) ? ocapi_add_items(c, &b, body, "$", &result)
	                            : add_item(c, &b, body, "$", &result);
	return added ? ocapi_basket_keep(c, &b) : result;
}

/* --- One item. --- */

static bool find_item(struct call *c, const struct basket *b, uint32_t *line)
{
	uint64_t id;

	return ocapi_read_id(c->arg[2], &id) && basket_find_line(b, id, line);
}

static bool set_options(struct basket *b, uint32_t at, const struct item *it,
                        struct basket_change *change, enum basket_error *error)
{
	const struct basket_line *l = &b->lines[at];

	for (uint32_t i = 0; i < it->item.option_count; i++) {
		const struct basket_option *asked = &it->options[i];
		uint32_t o = l->first_option, end = o + l->option_count;

		while (o < end && !slice_eq(ocapi_option_id(b->options[o].option), asked->option))
			o++;
		*error = o == end ? BASKET_UNKNOWN_OPTION :
		         basket_set_option(b, at, o, asked->value, change);
		if (*error != BASKET_OK)
			return false;
	}
	return true;
}

/* Options first: with a quantity of 0 the line goes. */
static enum call_result change_item(struct call *c, struct basket *b, uint32_t at,
                                    const struct item *it)
{
	struct basket_change change = ocapi_change(c);
	enum basket_error error = BASKET_OK;

	if (set_options(b, at, it, &change, &error))
		error = basket_set_quantity(b, at, it->quantity, &change);
	return error == BASKET_OK ? ocapi_basket_keep(c, b) : refuse(c, &change, error, it);
}

/* Reads what is to change of a line; what did not come stays as it is. */
static bool read_change(struct call *c, const json_t *body, const struct basket_line *l,
                        struct item *it)
{
	const json_t *quantity = json_object_get(body, "quantity");
	struct slice product = jwt_string(body, "product_id");

	if (!ocapi_check(c, body, "product_item", "$", item_members,
	                 COUNT_OF(item_members) - OPTION_ONLY))
		return false;
	it->item = (struct basket_item){ .product = l->product };
	it->quantity = l->quantity;
	if (slice_given(product) && !slice_eq(product, l->product)) {
		ocapi_fault(c, HTTP_BAD_REQUEST, "InvalidProductId",
		            "The product ID '{productId}' is invalid: an item's product stays.",
		            OCAPI_ARGUMENTS({ "productId", product }));
		return false;
	}
	if (quantity != NULL && !read_quantity(c, quantity, 0, it))
		return false;
	if (slice_eq(jwt_string(body, "shipment_id"), SLICE("")) &&
	    slice_given(jwt_string(body, "shipment_id"))) {
		ocapi_fault(c, HTTP_BAD_REQUEST, "InvalidShipmentId",
		            "The shipment ID '{shipmentId}' is invalid.",
		            OCAPI_ARGUMENTS({ "shipmentId", SLICE("") }));
		return false;
	}
	return judge_places(c, body, it) &&
	       read_options(c, json_object_get(body, "option_items"), "$", it);
}

enum call_result ocapi_item_patch(struct call *c)
{
	const json_t *body;
	struct basket b;
	struct item it;
	uint32_t line;
	enum call_result result;

	if (!ocapi_may(c, &b, &result))
		return result;
	if (!find_item(c, &b, &line))
		return ocapi_fault(c, HTTP_BAD_REQUEST, "InvalidProductItemId",
		                   "The product item ID '{itemId}' is invalid.",
		                   OCAPI_ARGUMENTS({ "itemId", c->arg[2] }));
	if (!ocapi_document(c, NULL, NULL, 0, &body) || !ocapi_state_holds(c, &b, body, &result))
		return result;
	return read_change(c, body, &b.lines[line], &it) ? change_item(c, &b, line, &it)
	                                                 : CALL_DONE;
}

enum call_result ocapi_item_delete(struct call *c)
{
	struct basket_change change = ocapi_change(c);
	struct basket b;
	uint32_t line;
	enum call_result result;

	if (!ocapi_may(c, &b, &result))
		return result;
	if (!find_item(c, &b, &line))
		return ocapi_fault(c, HTTP_NOT_FOUND, "ProductItemNotFound",
		                   "No product item with ID '{itemId}' could be found.",
		                   OCAPI_ARGUMENTS({ "itemId", c->arg[2] }));
	if (!ocapi_state_holds(c, &b, NULL, &result))
		return result;
	basket_remove(&b, line, &change);
	return ocapi_basket_keep(c, &b);
}
