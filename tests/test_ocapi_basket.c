/* test_ocapi_basket.c -- baskets and items under /dw/, as whole requests.
 *
 * Each script runs twice (handlers.h). Two guests and two customers have a token each.
 */
#include "handlers.h"

#include "../ocapi.h"

#define GUEST   "|Authorization: Bearer ~0"
#define OTHER   "|Authorization: Bearer ~1"
#define ADA_    "|Authorization: Bearer ~2"
#define BOB     "|Authorization: Bearer ~3"
#define DW      "/dw/shop/v20_9/baskets"
#define ZEROES  "0000000000000000000000000"
#define B(n)    ZEROES #n
#define GET(path)    "GET " DW path " HTTP/1.1"
#define POST(path)   "POST " DW path " HTTP/1.1"
#define PUT(path)    "PUT " DW path " HTTP/1.1"
#define PATCH(path)  "PATCH " DW path " HTTP/1.1"
#define DELETE(path) "DELETE " DW path " HTTP/1.1"
#define ADD     POST("/" B(1) "/items") GUEST JSON

#define FAULT(type) "\"type\":\"" type "Exception\""
#define ARGUMENTS(arguments, type) \
	"\r\n{\"_v\":\"20.9\",\"fault\":{\"arguments\":" arguments "," FAULT(type) ",\"message\":"

#define PAYMENT_FLASH \
	"{\"_type\":\"flash\",\"type\":\"PaymentMethodRequired\"," \
	"\"message\":\"No payment method ID " \
	"was specified. Please provide a valid payment method ID.\"," \
	"\"path\":\"$.payment_instruments[0].payment_method_id\"}"
#define FLASHES \
	PAYMENT_FLASH "," "{\"_type\":\"flash\",\"type\":\"BillingAddressRequired\"," \
	"\"message\":\"No billing address " \
	"was specified. Please provide a valid billing address.\"," \
	"\"path\":\"$.billing_address\"}," \
	"{\"_type\":\"flash\",\"type\":\"ShippingAddressRequired\"," \
	"\"message\":\"No shipping address " \
	"was specified. Please provide a valid shipping address.\"," \
	"\"path\":\"$.shipments[0].shipping_address\",\"details\":{\"shipmentId\":\"me\"}}," \
	"{\"_type\":\"flash\",\"type\":\"ShippingMethodRequired\"," \
	"\"message\":\"No shipping method " \
	"ID was specified. Please provide a valid shipping method ID.\"," \
	"\"path\":\"$.shipments[0].shipping_method\",\"details\":{\"shipmentId\":\"me\"}}"
#define TIME "\"2027-01-15T08:00:00.000Z\""
#define SHIPPING(n, excl, tax, incl) \
	"\"shipments\":[{\"_type\":\"shipment\",\"adjusted_merchandize_total_tax\":" tax "," \
	"\"adjusted_shipping_total_tax\":0.0,\"gift\":false,\"merchandize_total_tax\":" tax "," \
	"\"product_sub_total\":" excl ",\"product_total\":" excl ",\"shipment_id\":\"me\"," \
	"\"shipment_total\":" incl ",\"shipping_status\":\"not_shipped\",\"shipping_total\":0.0," \
	"\"shipping_total_tax\":0.0,\"tax_total\":" tax "}],\"shipping_items\":[{\"_type\":" \
	"\"shipping_item\",\"adjusted_tax\":0.0,\"base_price\":0.0,\"item_id\":\"9" \
	"000000000000000000000000" #n "\",\"item_text\":\"Shipping\",\"price\":0.0," \
	"\"price_after_item_discount\":0.0,\"shipment_id\":\"me\",\"tax\":0.0,\"tax_basis\":0.0," \
	"\"tax_class_id\":\"CustomRate\",\"tax_rate\":0.0}],\"shipping_total\":0.0," \
	"\"shipping_total_tax\":0.0,\"taxation\":\"net\",\"tax_total\":" tax "}"
#define ITEM(n, name, id, quantity, base, price, tax, rate, options) \
	"{\"_type\":\"product_item\",\"adjusted_tax\":" tax ",\"base_price\":" base "," \
	"\"bonus_product_line_item\":false,\"gift\":false,\"item_id\":\"" B(n) "\"," \
	"\"item_text\":\"" name "\"," options "\"price\":" price "," \
	"\"price_after_item_discount\":" price ",\"price_after_order_discount\":" price "," \
	"\"product_id\":\"" id "\",\"product_name\":\"" name "\",\"quantity\":" quantity "," \
	"\"shipment_id\":\"me\",\"tax\":" tax ",\"tax_basis\":" price "," \
	"\"tax_class_id\":\"standard\",\"tax_rate\":" rate "}"
#define OPTION(n, option, value, quantity) \
	"{\"_type\":\"option_item\",\"base_price\":0.0,\"item_id\":\"8000000000000000000000000" #n \
	"\",\"item_text\":\"" value "\",\"option_id\":\"" option "\",\"option_value_id\":\"" value \
	"\",\"price\":0.0,\"quantity\":" quantity ",\"shipment_id\":\"me\"}"
#define SHIRT(quantity, price) \
	ITEM(1, "Oscar T-shirt", "1", quantity, "10.0", price, "0.0", "0.0", "")

#define ONE(id, quantity) "[{\"product_id\":\"" id "\",\"quantity\":" quantity "}]"

static void prepare(void)
{
	const struct session_owner owners[] = {
		{ .guest_id = "guestguestguestguestguest0" },
		{ .guest_id = "otherotherotherotherother0" },
		{ .customer_id = 1 }, { .customer_id = 2 },
	};

	world_add_token_key();
	for (size_t i = 0; i < COUNT_OF(owners); i++)
		world_add_bearer(&owners[i]);
}

static void test_documents(void **state)
{
	static const struct step steps[] = {
		{ "made", POST("") GUEST JSON, NULL, 200,
		  "\r\n{\"_v\":\"20.9\",\"_type\":\"basket\"," "\"_resource_state\":\"", NULL, 0 },
		{ "empty", GET("/" B(1)) GUEST, NULL, 200,
		  "\",\"_flash\":[{\"_type\":\"flash\",\"type\":\"ProductItemsRequired\","
		  "\"message\":\"Product items are required.\",\"path\":\"$.product_items\"},"
		  FLASHES
		  "],\"adjusted_merchandize_total_tax\":0.0,\"adjusted_shipping_total_tax\":"
		  "0.0,\"agent_basket\":false,\"basket_id\":\"" B(1) "\",\"channel_type\":"
		  "\"storefront\",\"creation_date\":" TIME ",\"customer_info\":{\"_type\":"
		  "\"customer_info\",\"customer_id\":\"guestguestguestguestguest0\","
		  "\"email\":\"\"}," "\"last_modified\":" TIME
		  ",\"merchandize_total_tax\":0.0,\"notes\":{\"_type\":"
		  "\"simple_link\",\"link\":\"http://shop.example/s/RefArch/dw/shop/v20_9/baskets/"
		  B(1) "/notes\"},\"order_total\":0.0,\"product_sub_total\":0.0,"
		  "\"product_total\":0.0," SHIPPING(1, "0.0", "0.0", "0.0"), "\"product_items\":", 0
		  },
		{ "an item", ADD, ONE("1", "2"), 200, "\"order_total\":20.0,\"product_items\":["
		  SHIRT("2", "20.0") "],\"product_sub_total\":20.0,\"product_total\":20.0,"
		  SHIPPING(1, "20.0", "0.0", "20.0"), "ProductItemsRequired", 0 },
		{ "no flash of items", GET("/" B(1)) GUEST, NULL, 200, "\"_flash\":[" FLASHES "]",
		  NULL, 0 },
		{ "its currency", GET("/" B(1)) GUEST, NULL, 200, ",\"currency\":\"EUR\",", NULL, 0
		  },
		{ "one item, no array", ADD, "{\"product_id\":\"2\",\"quantity\":3.0}", 200,
		  SHIRT("2", "20.0") "," ITEM(2, "Tax & \\\"more\\\"", "2", "3", "12.5", "37.5",
		  "7.88", "0.21", "") "]", NULL, 0 },
		{ "with tax", GET("/" B(1)) GUEST, NULL, 200, "\"order_total\":65.38,", NULL, 0 },
		{ "taxes", GET("/" B(1)) GUEST, NULL, 200, SHIPPING(1, "57.5", "7.88", "65.38"),
		  NULL, 0 },
		{ "with options", ADD, "[{\"product_id\":\"mug\",\"quantity\":1,\"option_items\":["
		  "{\"option_id\":\"size\",\"option_value_id\":\"L\"},"
		  "{\"option_id\":\"color\",\"option_value_id\":\"blue\"}]}]", 200,
		  ITEM(3, "Mug", "mug", "1", "3.3333", "3.33", "0.63", "0.19",
		       "\"option_items\":[" OPTION(1, "size", "L", "1") ","
		       OPTION(2, "color", "blue", "1") "],"), NULL, 0 },
		{ "HEAD", "HEAD " DW "/" B(1) " HTTP/1.1" GUEST, NULL, 200,
		  "Cache-Control: max-age=0,no-cache,no-store,must-revalidate\r\n", NULL, 0 },
		{ "another version", "GET /dw/shop/v21_3/baskets/" B(1) " HTTP/1.1" GUEST, NULL,
		  200, "\r\n{\"_v\":\"21.3\",\"_type\":\"basket\",", NULL, 0 },
		{ "a customer's", POST("") ADA_, NULL, 200, "\"basket_id\":\"" B(2) "\"", NULL, 0 },
		{ "her number and address", GET("/" B(2)) ADA_, NULL, 200,
		  "\",\"customer_no\":\"1\",\"email\":\"a@example.com\"}", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* Requirements S14, ocapi.md 4: whose a basket is, a token says alone. */
static void test_owners(void **state)
{
	static const struct step steps[] = {
		{ "a guest's", POST("") GUEST, NULL, 200, B(1), NULL, 0 },
		{ "another's", POST("") OTHER, NULL, 200, B(2), NULL, 0 },
		{ "a customer's", POST("") ADA_, NULL, 200, B(3), NULL, 0 },
		{ "not another guest's", GET("/" B(1)) OTHER, NULL, 400, ARGUMENTS("{}",
		  "InvalidCustomer") "\"The customer is invalid.\"}}", NULL, 0 },
		{ "not a customer's", GET("/" B(1)) ADA_, NULL, 400, FAULT("InvalidCustomer"), NULL,
		  0 },
		{ "not a guest's", GET("/" B(3)) GUEST, NULL, 400, FAULT("InvalidCustomer"), NULL, 0
		  },
		{ "not another customer's", GET("/" B(3)) BOB, NULL, 400, FAULT("InvalidCustomer"),
		  NULL, 0 },
		{ "not to delete", DELETE("/" B(1)) ADA_, NULL, 400, FAULT("InvalidCustomer"), NULL,
		  0 },
		{ "not to change", PATCH("/" B(1)) ADA_ JSON, "{\"currency\":\"EUR\"}", 400,
		  FAULT("InvalidCustomer"), NULL, 0 },
		{ "not to add to", POST("/" B(1) "/items") ADA_ JSON, ONE("1", "1"), 400,
		  FAULT("InvalidCustomer"), NULL, 0 },
		{ "not to name", PUT("/" B(1) "/customer") ADA_ JSON, "{\"email\":\"a@b\"}", 400,
		  FAULT("InvalidCustomer"), NULL, 0 },
		{ "not an item", PATCH("/" B(1) "/items/" B(1)) ADA_ JSON, "{\"quantity\":1}", 400,
		  FAULT("InvalidCustomer"), NULL, 0 },
		{ "nor another's", DELETE("/" B(1) "/items/" B(1)) ADA_, NULL, 400,
		  FAULT("InvalidCustomer"), NULL, 0 },
		{ "none", GET("/" B(9)) GUEST, NULL, 404, ARGUMENTS("{\"basketId\":\"" B(9) "\"}",
		  "BasketNotFound") "\"No basket with ID '" B(9) "' could be found.\"}}", NULL, 0 },
		{ "no digits", GET("/9a6197ee4ef72fed1e48dc4d25") GUEST, NULL, 404,
		  FAULT("BasketNotFound"), NULL, 0 },
		{ "not 26", GET("/1") GUEST, NULL, 404, FAULT("BasketNotFound"), NULL, 0 },
		{ "beyond 64 bits", GET("/00000018446744073709551617") GUEST, NULL, 404,
		  FAULT("BasketNotFound"), NULL, 0 },
		{ "quotes", GET("/%22%3C%3E") GUEST, NULL, 404, "{\"basketId\":\"\\\"<>\"}", NULL, 0
		  },
		{ "no token", GET("/" B(1)) "|X-Dw-Client-Id: shop-key", NULL, 401,
		  FAULT("AuthorizationHeaderMissing"), NULL, 0 },
		{ "a Session-Id", GET("/" B(1)) "|X-Dw-Client-Id: shop-key" ANON, NULL, 401,
		  "\"fault\":", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_quota(void **state)
{
	static const struct step steps[] = {
		{ "none", "GET /dw/shop/v20_9/customers/guestguestguestguestguest0/baskets "
		  "HTTP/1.1" GUEST, NULL, 200,
		  "\r\n{\"_v\":\"20.9\",\"_type\":\"baskets_result\",\"baskets\":[],"
		  "\"total\":0}", NULL, 0 },
		{ "one", POST("") GUEST, NULL, 200, B(1), NULL, 0 },
		{ "no other", POST("") GUEST, NULL, 400, ARGUMENTS("{\"basketIds\":\"" B(1) "\"}",
		  "CustomerBasketsQuotaExceeded")
		  "\"The maximum number of baskets per customer was "
		  "exceeded. Please reuse or delete one of the existing baskets (" B(1) ").\"}}",
		  NULL, 0 },
		{ "listed", "GET /dw/shop/v20_9/customers/guestguestguestguestguest0/baskets "
		  "HTTP/1.1" GUEST, NULL, 200,
		  "\"baskets\":[{\"_type\":\"basket\",\"_resource_state\":\"", NULL, 0 },
		{ "as one", "GET /dw/shop/v20_9/customers/guestguestguestguestguest0/baskets "
		  "HTTP/1.1" GUEST, NULL, 200, "}],\"total\":1}", NULL, 0 },
		{ "not for others",
		  "GET /dw/shop/v20_9/customers/guestguestguestguestguest0/baskets " "HTTP/1.1"
		  OTHER, NULL, 400, FAULT("InvalidCustomer"), NULL, 0 },
		{ "nor for customers",
		  "GET /dw/shop/v20_9/customers/guestguestguestguestguest0/baskets " "HTTP/1.1"
		  ADA_, NULL, 400, FAULT("InvalidCustomer"), NULL, 0 },
		{ "his number is no id", "GET /dw/shop/v20_9/customers/1/baskets HTTP/1.1" ADA_,
		  NULL, 400, FAULT("InvalidCustomer"), NULL, 0 },
		{ "deleted", DELETE("/" B(1)) GUEST, NULL, 204, NULL, "application/json", 0 },
		{ "gone", GET("/" B(1)) GUEST, NULL, 404, FAULT("BasketNotFound"), NULL, 0 },
		{ "deleted again", DELETE("/" B(1)) GUEST, NULL, 404, FAULT("BasketNotFound"), NULL,
		  0 },
		{ "the next", POST("") GUEST, NULL, 200, B(2), NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

#define BAD(what, body, type) { what, ADD, body, 400, FAULT(type), NULL, 0 }
static const struct step refused_items[] = {
	{ "made", POST("") GUEST, NULL, 200, B(1), NULL, 0 },
	{ "no body", ADD, NULL, 400, FAULT("NullConstraintViolation"), NULL, 0 },
	BAD("no JSON", "[{", "BodyDecoding"),
	BAD("a number", "1", "TypeDecoding"),
	{ "in the array", ADD, "[{\"product_id\":\"1\",\"quantity\":1},[]]", 400,
	  "\"path\":\"$[1]\",\"expectedTypes\":\"Object\",\"actualType\":\"Array\"", NULL, 0
	  },
	BAD("unknown member", "[{\"product_id\":\"1\",\"quantity\":1,\"colour\":\"x\"}]",
	    "UnknownProperty"),
	BAD("custom member", "[{\"product_id\":\"1\",\"quantity\":1,\"c_x\":\"x\"}]",
	    "InvalidCustomProperty"),
	BAD("an option's member",
	    "[{\"product_id\":\"1\",\"quantity\":1,\"option_id\":\"x\"}]",
	    "UnknownProperty"),
	BAD("no product", "[{\"quantity\":1}]", "InvalidProductId"),
	BAD("null product", "[{\"product_id\":null,\"quantity\":1}]", "InvalidProductId"),
	BAD("empty product", ONE("", "1"), "InvalidProductId"),
	{ "product of another type", ADD, "[{\"product_id\":1,\"quantity\":1}]", 400,
	  "\"path\":\"$[0].product_id\",\"expectedTypes\":\"String\","
	  "\"actualType\":\"Integer\"", NULL, 0 },
	BAD("unknown product", ONE("nowhere", "1"), "InvalidProductItem"),
	BAD("no URL's id", ONE("a/b", "1"), "InvalidProductItem"),
	BAD("null character", ONE("1\\u0000", "1"), "InvalidProductItem"),
	BAD("not for sale", ONE("3", "1"), "InvalidProductItem"),
	BAD("sold out", ONE("4", "1"), "ProductItemNotAvailable"),
	BAD("more than there is", ONE("1", "21"), "ProductItemNotAvailable"),
	BAD("more than there may be", ONE("mug", "8"), "ProductItemNotAvailable"),
	BAD("no quantity", "[{\"product_id\":\"1\"}]", "InvalidProductItemQuantity"),
	BAD("null quantity", ONE("1", "null"), "InvalidProductItemQuantity"),
	BAD("quantity 0", ONE("1", "0"), "InvalidProductItemQuantity"),
	BAD("negative", ONE("1", "-1"), "InvalidProductItemQuantity"),
	BAD("half", ONE("1", "1.5"), "InvalidProductItemQuantity"),
	BAD("a hundredth", ONE("1", "0.01"), "InvalidProductItemQuantity"),
	BAD("1000", ONE("2", "1000"), "InvalidProductItemQuantity"),
	BAD("huge", ONE("2", "1e300"), "InvalidProductItemQuantity"),
	BAD("2^32", ONE("2", "4294967297"), "InvalidProductItemQuantity"),
	{ "text", ADD, ONE("1", "\"2\""), 400, ARGUMENTS("{\"path\":\"$[0].quantity\","
	  "\"expectedTypes\":\"Integer|Decimal\",\"actualType\":\"String\"}",
	  "TypeDecoding"), NULL, 0 },
	{ "another shipment", ADD, "[{\"product_id\":\"1\",\"quantity\":1,"
	  "\"shipment_id\":\"you\"}]", 404, ARGUMENTS("{\"shipmentId\":\"you\"}",
	  "ShipmentNotFound"), NULL, 0 },
	{ "a bonus", ADD, "[{\"product_id\":\"1\",\"quantity\":1,"
	  "\"bonus_discount_line_item_id\":\"x\"}]", 404,
	  FAULT("BonusDiscountLineItemNotFound"), NULL, 0 },
	BAD("an inventory",
	    "[{\"product_id\":\"1\",\"quantity\":1,\"inventory_id\":\"x\"}]",
	    "PropertyNotPermitted"),
	BAD("unknown option", "[{\"product_id\":\"mug\",\"quantity\":1,\"option_items\":["
	    "{\"option_id\":\"weight\",\"option_value_id\":\"x\"}]}]",
	    "InvalidProductOptionItem"),
	BAD("no option", "[{\"product_id\":\"mug\",\"quantity\":1,\"option_items\":["
	    "{\"option_value_id\":\"x\"}]}]", "InvalidProductOptionItem"),
	BAD("twice", "[{\"product_id\":\"mug\",\"quantity\":1,\"option_items\":["
	    "{\"option_id\":\"size\",\"option_value_id\":\"x\"},"
	    "{\"option_id\":\"size\",\"option_value_id\":\"y\"}]}]",
	    "InvalidProductOptionItem"),
	BAD("no value", "[{\"product_id\":\"mug\",\"quantity\":1,\"option_items\":["
	    "{\"option_id\":\"size\"}]}]", "InvalidProductOptionValueItem"),
	BAD("a value's control",
	    "[{\"product_id\":\"mug\",\"quantity\":1,\"option_items\":["
	    "{\"option_id\":\"size\",\"option_value_id\":\"\\n\"}]}]",
	    "InvalidProductOptionValueItem"),
	BAD("options of a product without", "[{\"product_id\":\"1\",\"quantity\":1,"
	    "\"option_items\":[{\"option_id\":\"size\",\"option_value_id\":\"L\"}]}]",
	    "InvalidProductOptionItem"),
	{ "an option's type", ADD,
	  "[{\"product_id\":\"mug\",\"quantity\":1,\"option_items\":["
	  "{\"option_id\":7}]}]", 400, "\"path\":\"$[0].option_items[0].option_id\"", NULL,
	  0 },
	BAD("the second alone", "[{\"product_id\":\"1\",\"quantity\":1},"
	    "{\"product_id\":\"nowhere\",\"quantity\":1}]", "InvalidProductItem"),
	BAD("currencies in one", "[{\"product_id\":\"1\",\"quantity\":1},"
	    "{\"product_id\":\"usd\",\"quantity\":1}]", "InvalidProductItem"),
	{ "nothing came of it", GET("/" B(1)) GUEST, NULL, 200, "ProductItemsRequired",
	  "\"product_items\":", 0 },
	{ "2.0", ADD, ONE("1", "2.0"), 200, SHIRT("2", "20.0"), NULL, 0 },
	{ "an empty array", ADD, "[]", 200, SHIRT("2", "20.0"), NULL, 0 },
	{ "more than is left", ADD, ONE("1", "19"), 400, FAULT("ProductItemNotAvailable"),
	  NULL, 0 },
	{ "999", ADD, ONE("2", "999"), 200, "\"quantity\":999,", NULL, 0 },
	BAD("over max_quantity", "[{\"product_id\":\"2\",\"quantity\":999},"
	    "{\"product_id\":\"2\",\"quantity\":999},{\"product_id\":\"2\","
	    "\"quantity\":999},"
	    "{\"product_id\":\"2\",\"quantity\":999},{\"product_id\":\"2\","
	    "\"quantity\":999},"
	    "{\"product_id\":\"2\",\"quantity\":999},{\"product_id\":\"2\","
	    "\"quantity\":999},"
	    "{\"product_id\":\"2\",\"quantity\":999},{\"product_id\":\"2\","
	    "\"quantity\":999}," "{\"product_id\":\"2\",\"quantity\":999}]",
	    "InvalidProductItemQuantity"),
};

static void test_items_refused(void **state)
{
	(void)state;
	run_script(refused_items, COUNT_OF(refused_items));
}

static void few_lines(void)
{
	world.config.max_lines = 2;
}

static void test_too_many_items(void **state)
{
	static const struct step steps[] = {
		{ "made", POST("") GUEST JSON, "{\"product_items\":" ONE("1", "1") "}", 200,
		  SHIRT("1", "10.0"), NULL, 0 },
		BAD("too many", "[{\"product_id\":\"2\",\"quantity\":1},"
		    "{\"product_id\":\"mug\",\"quantity\":1}]", "QuotaExceeded"),
		{ "not one of them", GET("/" B(1)) GUEST, NULL, 200, "\"product_items\":["
		  SHIRT("1", "10.0") "]", NULL, 0 },
		{ "as many as may be", ADD, ONE("2", "1"), 200, B(2), NULL, 0 },
	};

	(void)state;
	world.configure = few_lines;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

static void test_item(void **state)
{
#define ITEM_PATH "/" B(1) "/items/" B(1)
#define CHANGE    PATCH(ITEM_PATH) GUEST JSON
	static const struct step steps[] = {
		{ "made", POST("") GUEST JSON, "{\"product_items\":[{\"product_id\":\"mug\","
		  "\"quantity\":1,\"option_items\":[{\"option_id\":\"size\","
		  "\"option_value_id\":\"L\"}]}" ",{\"product_id\":\"1\",\"quantity\":2}]}", 200,
		  OPTION(1, "size", "L", "1"), NULL, 0 },
		{ "quantity", CHANGE,
		  "{\"product_id\":\"mug\",\"quantity\":3,\"shipment_id\":\"me\"}", 200, OPTION(1,
		  "size", "L", "3"), NULL, 0 },
		{ "option", CHANGE, "{\"option_items\":[{\"option_id\":\"size\","
		  "\"option_value_id\":\"S\"}]}", 200, OPTION(1, "size", "S", "3"), NULL, 0 },
		{ "both", CHANGE, "{\"quantity\":2.0,\"option_items\":[{\"option_id\":\"size\","
		  "\"option_value_id\":\"M\"}]}", 200, OPTION(1, "size", "M", "2"), NULL, 0 },
		{ "as it was given out", CHANGE, ITEM(1, "Mug", "mug", "2", "3.3333", "6.67",
		  "1.27", "0.19", "\"option_items\":[" OPTION(1, "size", "M", "2") "],"), 200,
		  OPTION(1, "size", "M", "2"), NULL, 0 },
		{ "no body", CHANGE, NULL, 400, FAULT("NullConstraintViolation"), NULL, 0 },
		{ "an array", CHANGE, "[]", 400, FAULT("TypeDecoding"), NULL, 0 },
		{ "null", CHANGE, "{\"quantity\":null}", 400, FAULT("InvalidProductItemQuantity"),
		  NULL, 0 },
		{ "half", CHANGE, "{\"quantity\":0.5}", 400, FAULT("InvalidProductItemQuantity"),
		  NULL, 0 },
		{ "1000", CHANGE, "{\"quantity\":1000}", 400, FAULT("InvalidProductItemQuantity"),
		  NULL, 0 },
		{ "more than there may be", CHANGE, "{\"quantity\":8}", 400,
		  FAULT("ProductItemNotAvailable"), NULL, 0 },
		{ "another product", CHANGE, "{\"product_id\":\"1\",\"quantity\":1}", 400,
		  FAULT("InvalidProductId"), NULL, 0 },
		{ "no shipment", CHANGE, "{\"shipment_id\":\"\",\"quantity\":1}", 400,
		  FAULT("InvalidShipmentId"), NULL, 0 },
		{ "another shipment", CHANGE, "{\"shipment_id\":\"you\",\"quantity\":1}", 404,
		  FAULT("ShipmentNotFound"), NULL, 0 },
		{ "an option that it has not", CHANGE,
		  "{\"option_items\":[{\"option_id\":\"color\"," "\"option_value_id\":\"red\"}]}",
		  400, FAULT("InvalidProductOptionItem"), NULL, 0 },
		{ "unknown item", PATCH("/" B(1) "/items/" B(7)) GUEST JSON, "{\"quantity\":1}",
		  400, ARGUMENTS("{\"itemId\":\"" B(7) "\"}", "InvalidProductItemId"), NULL, 0 },
		{ "no item's id", PATCH("/" B(1) "/items/1") GUEST JSON, "{\"quantity\":1}", 400,
		  FAULT("InvalidProductItemId"), NULL, 0 },
		{ "as it was", GET("/" B(1)) GUEST, NULL, 200, OPTION(1, "size", "M", "2"), NULL, 0
		  },
		{ "to 0", CHANGE, "{\"quantity\":0}", 200, "\"product_items\":[{\"_type\":"
		  "\"product_item\",\"adjusted_tax\":0.0,\"base_price\":10.0,",
		  "\"product_id\":\"mug\"", 0 },
		{ "deleted", DELETE("/" B(1) "/items/" B(2)) GUEST, NULL, 200,
		  "ProductItemsRequired", "\"product_items\":", 0 },
		{ "deleted again", DELETE("/" B(1) "/items/" B(2)) GUEST, NULL, 404,
		  ARGUMENTS("{\"itemId\":\"" B(2) "\"}", "ProductItemNotFound"), NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* Of a basket document that comes: ocapi.md 4, as it was given out to somebody else. */
static void test_former_document(void **state)
{
#define FORMER(email, more) \
	"{\"_v\":\"20.9\",\"_type\":\"basket\",\"_resource_state\":\"0123\",\"_flash\":[" \
	PAYMENT_FLASH "],\"adjusted_merchandize_total_tax\":0.0,\"agent_basket\":false," \
	"\"basket_id\":\"" B(1) "\",\"channel_type\":\"storefront\",\"creation_date\":" TIME "," \
	"\"currency\":\"EUR\",\"customer_info\":{\"_type\":\"customer_info\",\"customer_id\":" \
	"\"guestguestguestguestguest0\",\"email\":\"" email "\"}," more "\"last_modified\":" TIME \
	",\"merchandize_total_tax\":0.0,\"notes\":{\"_type\":\"simple_link\",\"link\":\"x\"}," \
	"\"order_total\":20.0,\"product_items\":[" SHIRT("2", "20.0") "]," \
	SHIPPING(1, "20.0", "0.0", "20.0")
	static const struct step steps[] = {
		{ "a guest's", POST("") GUEST, NULL, 200, B(1), NULL, 0 },
		{ "again, as another", POST("") ADA_ JSON, FORMER("g@x", ""), 200,
		  "\"basket_id\":\"" B(2) "\"", NULL, 0 },
		{ "its items", GET("/" B(2)) ADA_, NULL, 200, SHIRT("2", "20.0"), NULL, 0 },
		{ "its address", GET("/" B(2)) ADA_, NULL, 200, "\"email\":\"g@x\"", NULL, 0 },
		{ "without address", POST("") BOB JSON, FORMER("", "\"coupon_items\":[],"
		  "\"billing_address\":null,"), 200, "\"email\":\"a@example.com\"", NULL, 0 },
		{ "bad address", POST("") OTHER JSON, FORMER("g", ""), 400, FAULT("InvalidEmail"),
		  NULL, 0 },
		{ "a coupon", POST("") OTHER JSON, FORMER("",
		  "\"coupon_items\":[{\"code\":\"x\"}],"), 400,
		  ARGUMENTS("{\"property\":\"coupon_items\",\"document\":\"basket\"}",
		  "PropertyNotPermitted"), NULL, 0 },
		{ "an address", POST("") OTHER JSON, FORMER("",
		  "\"billing_address\":{\"city\":\"x\"},"), 400, FAULT("PropertyNotPermitted"),
		  NULL, 0 },
		{ "another version", POST("") OTHER JSON, "{\"_v\":\"19.1\"}", 400,
		  FAULT("UnexpectedVersion"), NULL, 0 },
		{ "an item of no product", POST("") OTHER JSON, "{\"product_items\":"
		  ONE("nowhere", "1") "}", 400, FAULT("InvalidProductItem"), NULL, 0 },
		{ "where it stands", POST("") OTHER JSON,
		  "{\"product_items\":[{\"quantity\":\"x\"}]}", 400,
		  "\"path\":\"$.product_items[0].quantity\"", NULL, 0 },
		{ "unknown member", POST("") OTHER JSON, "{\"basket\":1}", 400,
		  FAULT("UnknownProperty"), NULL, 0 },
		{ "an array", POST("") OTHER JSON, "[]", 400, FAULT("TypeDecoding"), NULL, 0 },
		{ "unknown member of the customer's", POST("") OTHER JSON,
		  "{\"customer_info\":{\"x\":1}}", 400, FAULT("UnknownProperty"), NULL, 0 },
		{ "two shipments of one id", POST("") OTHER JSON, "{\"shipments\":[{},"
		  "{\"shipment_id\":\"me\"}]}", 400, FAULT("DuplicateShipmentId"), NULL, 0 },
		{ "another shipment", POST("") OTHER JSON,
		  "{\"shipments\":[{\"shipment_id\":\"you\"}]}", 400, FAULT("PropertyNotPermitted"),
		  NULL, 0 },
		{ "a shipping method", POST("") OTHER JSON, "{\"shipments\":[{\"shipping_method\":"
		  "{\"id\":\"x\"}}]}", 400, FAULT("PropertyNotPermitted"), NULL, 0 },
		{ "no basket came of it", "GET /dw/shop/v20_9/customers/otherotherotherotherother0"
		  "/baskets HTTP/1.1" OTHER, NULL, 200, "\"total\":0}", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_customer(void **state)
{
#define NAME PUT("/" B(1) "/customer") GUEST JSON
	static const struct step steps[] = {
		{ "made", POST("") GUEST, NULL, 200, B(1), NULL, 0 },
		{ "named", NAME, "{\"email\":\"guest@example.com\"}", 200,
		  "\"customer_id\":\"guestguestguestguestguest0\",\"email\":\"guest@example.com\"}",
		  NULL, 0 },
		{ "kept", ADD, ONE("1", "1"), 200, "\"email\":\"guest@example.com\"}", NULL, 0 },
		{ "no body", NAME, NULL, 400, FAULT("NullConstraintViolation"), NULL, 0 },
		{ "no address", NAME, "{}", 400, ARGUMENTS("{\"document\":\"customer_info\","
		  "\"path\":\"$.email\"}", "PropertyConstraintViolation"), NULL, 0 },
		{ "null", NAME, "{\"email\":null}", 400, FAULT("PropertyConstraintViolation"), NULL,
		  0 },
		{ "empty", NAME, "{\"email\":\"\"}", 400, FAULT("InvalidEmail"), NULL, 0 },
		{ "no domain", NAME, "{\"email\":\"ada@\"}", 400, FAULT("InvalidEmail"), NULL, 0 },
		{ "two", NAME, "{\"email\":\"a@b@c\"}", 400, FAULT("InvalidEmail"), NULL, 0 },
		{ "a line's end", NAME, "{\"email\":\"a@b\\r\\nc\"}", 400, FAULT("InvalidEmail"),
		  NULL, 0 },
		{ "a number", NAME, "{\"email\":7}", 400, FAULT("TypeDecoding"), NULL, 0 },
		{ "unknown member", NAME, "{\"email\":\"a@b\",\"phone\":\"1\"}", 400,
		  FAULT("UnknownProperty"), NULL, 0 },
		{ "a customer's number", NAME, "{\"email\":\"a@b\",\"customer_no\":\"1\"}", 404,
		  ARGUMENTS("{\"customerNo\":\"1\"}", "CustomerNotFound"), NULL, 0 },
		{ "number 0", NAME, "{\"email\":\"a@b\",\"customer_no\":\"0\"}", 404,
		  FAULT("CustomerNotFound"), NULL, 0 },
		{ "still", GET("/" B(1)) GUEST, NULL, 200, "\"email\":\"guest@example.com\"}", NULL,
		  0 },
		{ "hers", POST("") ADA_, NULL, 200, B(2), NULL, 0 },
		{ "her own number", PUT("/" B(2) "/customer") ADA_ JSON,
		  "{\"email\":\"ada@b\",\"customer_no\":\"1\"}", 200,
		  "\"customer_no\":\"1\",\"email\":\"ada@b\"}", NULL, 0 },
		{ "another's", PUT("/" B(2) "/customer") ADA_ JSON,
		  "{\"email\":\"ada@b\",\"customer_no\":\"2\"}", 404, FAULT("CustomerNotFound"),
		  NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_patch(void **state)
{
#define P PATCH("/" B(1)) GUEST JSON
	static const struct step steps[] = {
		{ "made", POST("") GUEST, NULL, 200, B(1), NULL, 0 },
		{ "no body", P, NULL, 400, FAULT("NullConstraintViolation"), NULL, 0 },
		{ "nothing", P, "{}", 200, "\"last_modified\":" TIME, "\"currency\"", 0 },
		{ "a currency", P, "{\"currency\":\"EUR\"}", 200, "\"currency\":\"EUR\"", NULL, 0 },
		{ "the same", P, "{\"currency\":\"EUR\"}", 200, "\"currency\":\"EUR\"", NULL, 0 },
		{ "none", P, "{\"currency\":\"euro\"}", 400, ARGUMENTS("{\"currency\":\"euro\"}",
		  "UnsupportedCurrency"), NULL, 0 },
		{ "what is not in it", ADD, ONE("usd", "1"), 400, FAULT("InvalidProductItem"), NULL,
		  0 },
		{ "another", P, "{\"currency\":\"USD\"}", 200, "\"currency\":\"USD\"", NULL, 0 },
		{ "what is in it", ADD, ONE("usd", "1"), 200, "\"currency\":\"USD\"", NULL, 0 },
		{ "not that of the items", P, "{\"currency\":\"EUR\"}", 400,
		  FAULT("UnsupportedCurrency"), NULL, 0 },
		{ "a source code", P, "{\"source_code\":\"mail\"}", 404,
		  ARGUMENTS("{\"sourceCode\":\"mail\"}", "SourceCodeNotFound"), NULL, 0 },
		{ "custom", P, "{\"c_x\":1}", 400, FAULT("InvalidCustomProperty"), NULL, 0 },
		{ "read-only", P, "{\"order_total\":0,\"product_items\":[]}", 200,
		  "\"currency\":\"USD\"", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* The state that a client says a basket has, by field or in the body. */
static void test_states(void **state)
{
#define FRESH      "23cc3c0920875269bc953dc90529fada379dee37fa6bc2935c399c239144ad38"
#define WRONG      "|X-Dw-Resource-State: 0000"
#define NOT_EXISTS "|X-Dw-Resource-State: not_exists"
	static const struct step steps[] = {
		{ "made, whatever is said", POST("") GUEST WRONG, NULL, 200, B(1), NULL, 0 },
		{ "not of reading", GET("/" B(1)) GUEST WRONG, NULL, 200, B(1), NULL, 0 },
		{ "another", PATCH("/" B(1)) GUEST JSON WRONG, "{\"currency\":\"EUR\"}", 409,
		  ARGUMENTS("{\"client\":\"0000\",\"server\":\"" FRESH "\"}",
		  "ResourceStateConflict"), NULL, 0 },
		{ "in the body", PATCH("/" B(1)) GUEST JSON, "{\"_resource_state\":\"0000\"}", 409,
		  FAULT("ResourceStateConflict"), NULL, 0 },
		{ "no text", PATCH("/" B(1)) GUEST JSON, "{\"_resource_state\":0}", 409,
		  FAULT("ResourceStateConflict"), NULL, 0 },
		{ "the right one", PATCH("/" B(1)) GUEST JSON "|X-Dw-Resource-State: " FRESH,
		  "{\"_resource_state\":\"" FRESH "\",\"currency\":\"EUR\"}", 200, "\"EUR\"", FRESH,
		  0 },
		{ "it has changed since", PATCH("/" B(1)) GUEST JSON "|X-Dw-Resource-State: " FRESH,
		  "{}", 409, FAULT("ResourceStateConflict"), NULL, 0 },
		{ "null", PATCH("/" B(1)) GUEST JSON, "{\"_resource_state\":null}", 200, B(1), NULL,
		  0 },
		{ "exists", PATCH("/" B(1)) GUEST JSON NOT_EXISTS, "{}", 409,
		  ARGUMENTS("{}", "ResourceAlreadyExists"), NULL, 0 },
		{ "exists, in the body", PATCH("/" B(1)) GUEST JSON,
		  "{\"_resource_state\":\"not_exists\"}", 409, FAULT("ResourceAlreadyExists"), NULL,
		  0 },
		{ "of items", POST("/" B(1) "/items") GUEST JSON WRONG, ONE("1", "1"), 409,
		  FAULT("ResourceStateConflict"), NULL, 0 },
		{ "of an item", POST("/" B(1) "/items") GUEST JSON, "{\"_resource_state\":\"0\","
		  "\"product_id\":\"1\",\"quantity\":1}", 409, FAULT("ResourceStateConflict"), NULL,
		  0 },
		{ "added", ADD, ONE("1", "1"), 200, SHIRT("1", "10.0"), NULL, 0 },
		{ "of one", PATCH("/" B(1) "/items/" B(1)) GUEST JSON WRONG, "{\"quantity\":0}",
		  409, FAULT("ResourceStateConflict"), NULL, 0 },
		{ "of one that goes", DELETE("/" B(1) "/items/" B(1)) GUEST WRONG, NULL, 409,
		  FAULT("ResourceStateConflict"), NULL, 0 },
		{ "of the customer", PUT("/" B(1) "/customer") GUEST JSON WRONG,
		  "{\"email\":\"a@b\"}", 409, FAULT("ResourceStateConflict"), NULL, 0 },
		{ "of what goes", DELETE("/" B(1)) GUEST WRONG, NULL, 409,
		  FAULT("ResourceStateConflict"), NULL, 0 },
		{ "still there", GET("/" B(1)) GUEST, NULL, 200, SHIRT("1", "10.0"), NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* What is another system's work says so. */
static void test_elsewhere(void **state)
{
#define ELSEWHERE(method, path) \
	{ method " " path, method " " DW "/" B(1) path " HTTP/1.1" GUEST JSON, "{}", 404, \
	  FAULT("ResourcePathNotFound"), NULL, 0 }
	static const struct step steps[] = {
		{ "made", POST("") GUEST, NULL, 200, B(1), NULL, 0 },
		ELSEWHERE("POST", "/coupons"),
		ELSEWHERE("POST", "/payment_instruments"),
		ELSEWHERE("GET", "/payment_methods"),
		ELSEWHERE("PUT", "/billing_address"),
		ELSEWHERE("POST", "/shipments"),
		ELSEWHERE("GET", "/notes"),
		ELSEWHERE("PUT", "/shipments/me/shipping_method"),
		{ "another method", POST("/" B(1)) GUEST JSON, "{}", 405, FAULT("MethodNotAllowed"),
		  NULL, 0 },
		{ "what may be", PUT("/" B(1) "/items") GUEST JSON, "[]", 405,
		  "Allow: POST, OPTIONS\r\n", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_items_refused),
		cmocka_unit_test(test_too_many_items),
		cmocka_unit_test(test_item),
		cmocka_unit_test(test_former_document),
		cmocka_unit_test(test_customer),
		cmocka_unit_test(test_patch),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_elsewhere),
	};

	world.prepare = prepare;
	return cmocka_run_group_tests_name("ocapi_basket", tests, NULL, NULL);
}
