/* moving.h -- another shop's dump, and its import into a store that is not there yet.
 *
 * Customers, of whom some have more sessions than they may; guests with a basket; products behind
 * the place of the sessions' entries. Whoever imports it at one time has the same records.
 */
#ifndef MOVING_H
#define MOVING_H

#include "command.h"
#include "django.h"
#include "process.h"            /* before what works on its store */

#define MOVING_CUSTOMERS 30
#define MOVING_GUESTS    8
#define MOVING_SESSIONS  3      /* of one customer, at most */
#define MOVING_NOW_S     UINT64_C(1790000000)

/* A session under this key, of whom `json` says. */
static inline void moving_session(FILE *f, struct slice secret, unsigned n, const char *json)
{
	char bytes[1024];
	struct buf data = BUF(bytes);

	django_session_write(&data, secret, slice_of(json), MOVING_NOW_S - 60);
	fprintf(f, "{\"model\":\"sessions.session\",\"pk\":\"%08x%032x\",\"fields\":"
	        "{\"session_data\":\"%.*s\",\"expire_date\":\"2100-01-01T00:00:00Z\"}}\n",
	        n * 0x9e3779b1u, n, (int)data.len, data.ptr);
}

static inline void moving_customer(FILE *f, struct slice secret, unsigned id)
{
	char json[256], hash[DJANGO_AUTH_HASH_LEN];

	django_auth_hash(secret, SLICE("!none"), hash);
	snprintf(json, sizeof json, "{\"_auth_user_id\":\"%u\",\"_auth_user_hash\":\"%.*s\"}", id,
	         (int)sizeof hash, hash);
	for (unsigned i = 0; i < 1 + id % (MOVING_SESSIONS + 2); i++)
		moving_session(f, secret, 100 * id + i, json);
	fprintf(f, "{\"model\":\"auth.user\",\"pk\":%u,\"fields\":{\"username\":\"u%u\","
	        "\"password\":\"!none\",\"is_active\":true}}\n", id, id);
	fprintf(f, "{\"model\":\"basket.basket\",\"pk\":%u,\"fields\":{\"owner\":%u,"
	        "\"status\":\"Open\",\"date_created\":\"2026-01-01T00:00:00Z\"}}\n", id, id);
}

static inline void moving_guest(FILE *f, struct slice secret, unsigned basket)
{
	char json[64];

	snprintf(json, sizeof json, "{\"oscar_open_basket\":%u}", basket);
	moving_session(f, secret, 7 * basket, json);
	fprintf(f, "{\"model\":\"basket.basket\",\"pk\":%u,\"fields\":{\"owner\":null,"
	        "\"status\":\"Open\",\"date_created\":\"2026-01-01T00:00:00Z\"}}\n", basket);
}

/* The dump, in the directory of process_configure(). */
static inline void moving_make(void)
{
	char text[SECRET_MAX], error[SECRET_ERROR_MAX];
	struct buf secret = BUF(text);
	FILE *f = fopen(store_path("dump"), "w");

	assert_non_null(f);
	must(secret_read(config.sid_secret_file, &secret, error), error);
	config.max_sessions_per_customer = MOVING_SESSIONS;
	for (unsigned i = 1; i <= MOVING_CUSTOMERS; i++)
		moving_customer(f, buf_slice(&secret), i);
	for (unsigned i = 1; i <= MOVING_GUESTS; i++)
		moving_guest(f, buf_slice(&secret), MOVING_CUSTOMERS + i);
	for (unsigned i = 1; i <= MOVING_CUSTOMERS; i++)
		fprintf(f, "{\"model\":\"catalogue.product\",\"pk\":%u,\"fields\":{\"title\":\"P\","
		        "\"product_class\":1}}\n{\"model\":\"partner.stockrecord\",\"pk\":%u,"
		        "\"fields\":{\"product\":%u,\"price\":\"1.00\","
		        "\"price_currency\":\"EUR\"}}\n", i, i, i);
	fputs("{\"model\":\"catalogue.productclass\",\"pk\":1,\"fields\":"
	      "{\"track_stock\":false,\"options\":[]}}\n", f);
	assert_int_equal(fclose(f), 0);
}

/* Once a process: the exit code. */
static inline int moving_import(void)
{
	static struct command_line line;
	static char path[sizeof store_dir + 16];
	int code;

	snprintf(path, sizeof path, "%s", store_path("dump"));
	line.config = config;
	line.now_us = MOVING_NOW_S * 1000000;
	line.arguments[0] = path;
	line.argument_count = 1;
	line.option[OPTION_STRICT] = "";
	code = command_import_oscar(&line);
	kv_close(line.kv);
	return code;
}

#endif
