/* calls.h -- requests parsed and identified as the server does it, for tests of call.h. */
#ifndef CALLS_H
#define CALLS_H

#include "answers.h"
#include "client.h"
#include "signing.h"
#include "store.h"

#define CALLS_SECRET SLICE("test-secret")

static struct config config;
static uint64_t now_s = UINT64_C(1800000000);
static uint64_t calls_draws;            /* what is drawn is a counter: no two are equal */

/* One request, from its head to its answer. */
static struct http_request request;
static struct http_response response;
static struct call call;
static char calls_head[2048], calls_fields[4096], calls_body[4096];

/* Identifies a POST with these further field lines, each ended by CRLF, and this body. */
static inline void calls_post(const char *target, const char *fields, const char *body)
{
	const struct http_limits limits = { 8192, 2048, 64, 65536 };
	struct http_refusal refusal;
	struct identity_question q = {
		.config = &config, .sid_secret = CALLS_SECRET, .request = &request, .kv = store,
		.now_s = now_s, .peer = &call.peer,
	};
	int len = snprintf(calls_head, sizeof calls_head,
	                   "POST %s HTTP/1.1\r\nHost: shop.example\r\n%s\r\n", target, fields);

	memset(&call, 0, sizeof call);
	address_parse(SLICE("127.0.0.1"), &call.peer);
	http_request_init(&request);
	assert_int_equal(http_parse(&request, (struct slice){ calls_head, (size_t)len }, &limits,
	                            &refusal), HTTP_READY);
	request.body = slice_of(body);
	response = (struct http_response){ .fields = BUF(calls_fields), .body = BUF(calls_body) };
	http_response_reset(&response);
	call.config = &config;
	call.sid_secret = CALLS_SECRET;
	call.request = &request;
	call.kv = store;
	call.now_us = now_s * 1000000;
	call.response = &response;
	calls_draws++;
	memcpy(call.random, &calls_draws, sizeof calls_draws);
	assert_int_equal(identify(&q, &call.identity), KV_OK);
	assert_int_equal(call.identity.refusal, IDENTITY_ADMITTED);
}

static inline void calls_ask(const char *fields)
{
	calls_post("/api/basket/", fields, "");
}

static inline void calls_ask_by_header(const char *type, const char *identifier)
{
	char line[128];

	snprintf(line, sizeof line, "Session-Id: SID:%s:shop.example:%s\r\n", type, identifier);
	calls_ask(line);
}

/* With the basket's cookie, and a session's where `session` is not empty. */
static inline void calls_ask_by_cookie(uint64_t basket_id, const char *session)
{
	char text[128], line[512], digits[24];
	struct buf value = BUF(text), id = BUF(digits);

	buf_uint(&id, basket_id);
	signing_write(&value, CALLS_SECRET, SLICE(SIGNING_SALT_PLAIN), buf_slice(&id));
	snprintf(line, sizeof line, "Cookie: oscar_open_basket=%.*s%s%s\r\n", (int)value.len,
	         value.ptr, session[0] != '\0' ? "; sidecart_session=" : "", session);
	calls_ask(line);
}

static inline void calls_put_product(const char *id, uint32_t stock)
{
	const struct product_record r = {
		.id = slice_of(id), .name = slice_of(id), .currency = SLICE("EUR"),
		.price_e4 = 100000, .stock = stock, .max_quantity = UINT32_MAX,
	};
	enum kv_status status;

	assert_int_equal(product_put(store, &r, &status), PRODUCT_OK);
}

static inline void calls_add_customer(const char *login)
{
	struct customer_record r = { .login = slice_of(login) };
	enum kv_status status;

	assert_int_equal(customer_next_id(store, &r.id), KV_OK);
	assert_int_equal(customer_add(store, &r, &status), CUSTOMER_OK);
}

/* An API key that is good until `expires_s`; 0: forever. */
static inline void calls_add_key(const char *name, const char *text, uint32_t scopes,
                                 uint64_t expires_s)
{
	struct client_record r = { .name = slice_of(name), .scopes = scopes,
	                           .expires_s = expires_s, .used_s = client_use_mark(now_s) };
	enum kv_status status;

	assert_int_equal(client_add(store, slice_of(text), &r, &status), CLIENT_ADDED);
}

/* A token of `who`, made for this client of OCAPI, as a handler makes it. */
static inline void calls_make_token(const char *client_id, const struct session_owner *who,
                                    struct buf *out)
{
	enum call_result result;

	calls_post("/dw/shop/v20_9/customers/auth", "", "");
	call.identity.client_id_len = strlen(client_id);
	memcpy(call.identity.client_id, client_id, strlen(client_id));
	answers_begin(&call);
	for (;;) {
		out->len = 0;
		result = call_start_token(&call, who, out);
		if (result != CALL_ASK)
			break;
		answers_give(&call);
	}
	assert_int_equal(result, CALL_DONE);
	assert_false(out->full);
}

#endif
