/* command_export.c -- sidecart export oscar: what Django's loaddata takes back.
 *
 * One snapshot, so that all that refers to something finds it. API keys are not in it: only their
 * digests are kept here.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "basket.h"
#include "command.h"
#include "customer.h"
#include "django.h"
#include "file.h"
#include "json.h"
#include "oscar.h"
#include "password.h"
#include "secret.h"
#include "session.h"

#define BACKEND "django.contrib.auth.backends.ModelBackend"
#define NO_PASSWORD "!"         /* Django's: no login by password */

struct export {
	struct command_line *line;
	struct slice secret;
	uint8_t seal_key[SEAL_KEY_LEN];
	int fd;
	int failure;            /* errno of the first write that failed */
	uint64_t users, baskets, lines, sessions, left;
	struct basket basket;
	struct buf out;
	char bytes[65536];      /* a record is at most half of it */
};

static struct export exporting;

static void write_out(struct export *e)
{
	if (e->failure == 0 && !file_write(e->fd, buf_slice(&e->out)))
		e->failure = errno;
	e->out.len = 0;
}

/* Begins an object. */
static struct buf *begin(struct export *e, const char *model)
{
	bool first = e->users + e->baskets + e->lines + e->sessions + e->left == 0;

	if (e->out.len > sizeof e->bytes / 2)
		write_out(e);
	buf_str(&e->out, first ? "{\"model\":\"" : ",\n{\"model\":\"");
	buf_str(&e->out, model);
	buf_lit(&e->out, "\",\"pk\":");
	return &e->out;
}

static void put_name(struct buf *to, const char *name)
{
	buf_lit(to, ",\"");
	buf_str(to, name);
	buf_lit(to, "\":");
}

static void put_text(struct buf *to, const char *name, struct slice text)
{
	put_name(to, name);
	json_put_string(to, text);
}

/* 0 is null. */
static void put_id(struct buf *to, const char *name, uint64_t id)
{
	put_name(to, name);
	if (id == 0)
		buf_lit(to, "null");
	else
		buf_uint(to, id);
}

static void put_time(struct buf *to, const char *name, uint64_t us)
{
	put_name(to, name);
	if (us == 0) {
		buf_lit(to, "null");
		return;
	}
	buf_char(to, '"');
	oscar_put_time(to, us);
	buf_char(to, '"');
}

/* The customer's password as Django keeps it, in `bytes`. */
static struct slice open_password(const struct export *e, const struct customer_record *r,
                                  char bytes[PASSWORD_HASH_MAX])
{
	struct buf hash = { bytes, 0, PASSWORD_HASH_MAX, false };

	if (r->sealed_password.len == 0 ||
	    !password_unseal(&hash, e->seal_key, r->id, r->sealed_password))
		return SLICE(NO_PASSWORD);
	return buf_slice(&hash);
}

/* What is left out has defaults: is_staff and is_superuser are false, groups stay. */
static enum kv_status put_users(struct export *e)
{
	char password[PASSWORD_HASH_MAX];
	struct customer_record r;
	uint64_t after = 0;
	enum kv_status status;

	while ((status = customer_next(e->line->kv, &after, &r)) == KV_OK) {
		struct buf *to = begin(e, "auth.user");

		buf_uint(to, r.id);
		buf_lit(to, ",\"fields\":{\"is_active\":");
		buf_str(to, (r.flags & CUSTOMER_DISABLED) != 0 ? "false" : "true");
		put_text(to, "password", open_password(e, &r, password));
		put_text(to, "username", r.login);
		put_text(to, "first_name", r.first_name);
		put_text(to, "last_name", r.last_name);
		put_text(to, "email", r.email);
		put_time(to, "date_joined", r.joined_us);
		buf_lit(to, "}}");
		e->users++;
	}
	explicit_bzero(password, sizeof password);
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* The option's id out of `/api/options/7/`; false where another surface named it. */
static bool option_id(struct slice option, uint64_t *id)
{
	static const struct slice before = { "/api/options/", 13 };

	if (!slice_starts(option, before) || option.ptr[option.len - 1] != '/')
		return false;
	option = slice_skip(option, before.len);
	return slice_uint((struct slice){ option.ptr, option.len - 1 }, INT64_MAX, id);
}

static void put_attributes(struct export *e, const struct basket_line *line)
{
	const struct basket_option *o = &e->basket.options[line->first_option];

	for (uint32_t i = 0; i < line->option_count; i++) {
		uint64_t id;
		struct buf *to;

		if (!option_id(o[i].option, &id)) {
			command_say("left out: option %llu of line %llu: no option of Oscar's",
			            (unsigned long long)o[i].id, (unsigned long long)line->id);
			e->left++;
			continue;
		}
		to = begin(e, "basket.lineattribute");
		buf_uint(to, o[i].id);
		buf_lit(to, ",\"fields\":{\"line\":");
		buf_uint(to, line->id);
		put_id(to, "option", id);
		put_text(to, "value", o[i].value);
		buf_lit(to, "}}");
	}
}

/* Oscar adds to the line whose reference is the same, and has each once in a basket. */
static void put_reference(struct buf *to, const struct basket *b, uint32_t at, uint64_t product,
                          uint64_t stockrecord)
{
	bool plain = b->lines[at].option_count == 0;

	for (uint32_t i = 0; i < at; i++)
		plain &= !slice_eq(b->lines[i].product, b->lines[at].product) ||
		         b->lines[i].option_count > 0;
	put_name(to, "line_reference");
	buf_char(to, '"');
	buf_uint(to, product);
	buf_char(to, '_');
	buf_uint(to, stockrecord);
	if (!plain) {
		buf_char(to, '_');
		buf_uint(to, b->lines[at].id);
	}
	buf_char(to, '"');
}

static void put_price(struct buf *to, const struct basket_line_price *p)
{
	int64_t excl = money_line_cents(p->unit_e4, 1);

	put_name(to, "price_excl_tax");
	buf_char(to, '"');
	money_put_cents(to, excl);
	buf_char(to, '"');
	put_name(to, "price_incl_tax");
	buf_char(to, '"');
	money_put_cents(to, excl + money_tax_cents(excl, p->tax_rate_e6));
	buf_char(to, '"');
	put_text(to, "price_currency", p->currency);
}

static enum kv_status put_line(struct export *e, uint32_t at)
{
	const struct basket_line *line = &e->basket.lines[at];
	struct basket_line_price p;
	uint64_t product, stockrecord;
	struct buf *to;
	enum kv_status status = basket_line_price(e->line->kv, line, &p);

	if (status != KV_OK)
		return status;
	if (!slice_uint(line->product, INT64_MAX, &product) ||
	    !slice_uint(p.stockrecord, INT64_MAX, &stockrecord)) {
		command_say("left out: line %llu: its product or stock record is no number",
		            (unsigned long long)line->id);
		e->left++;
		return KV_OK;
	}
	to = begin(e, "basket.line");
	buf_uint(to, line->id);
	buf_lit(to, ",\"fields\":{\"basket\":");
	buf_uint(to, e->basket.id);
	put_reference(to, &e->basket, at, product, stockrecord);
	put_id(to, "product", product);
	put_id(to, "stockrecord", stockrecord);
	put_id(to, "quantity", line->quantity);
	if (p.known)
		put_price(to, &p);
	put_time(to, "date_created", line->created_us);
	put_time(to, "date_updated", line->updated_us);
	buf_lit(to, "}}");
	e->lines++;
	put_attributes(e, line);
	return KV_OK;
}

static enum kv_status put_baskets(struct export *e)
{
	struct basket *b = &e->basket;
	uint64_t id = 0;
	enum kv_status status;

	while ((status = basket_next(e->line->kv, &id, b)) == KV_OK) {
		const char *word = basket_status_text((enum basket_status)b->status);
		struct buf *to;

		if (e->line->now_us / 1000000 >= b->expires_s)
			continue;
		to = begin(e, "basket.basket");
		buf_uint(to, b->id);
		buf_lit(to, ",\"fields\":{\"vouchers\":[]");
		put_id(to, "owner", b->customer_id);
		put_text(to, "status", slice_of(word));
		put_time(to, "date_created", b->created_us);
		put_time(to, "date_merged", b->merged_us);
		put_time(to, "date_submitted", b->submitted_us);
		buf_lit(to, "}}");
		e->baskets++;
		for (uint32_t i = 0; i < b->line_count && status == KV_OK; i++)
			status = put_line(e, i);
		if (status != KV_OK)
			return status;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* What Django keeps in a session: its user, as long as his password is this one, and its basket. */
static enum kv_status put_data(struct export *e, const struct session_record *s, struct buf *json)
{
	char password[PASSWORD_HASH_MAX], hash[DJANGO_AUTH_HASH_LEN];
	struct customer_record who;
	enum kv_status status;

	buf_char(json, '{');
	if (s->customer_id != 0) {
		status = customer_get(e->line->kv, s->customer_id, &who);
		if (status != KV_OK)
			return status == KV_NOT_FOUND ? KV_IO : status;
		django_auth_hash(e->secret, open_password(e, &who, password), hash);
		explicit_bzero(password, sizeof password);
		buf_lit(json, "\"_auth_user_id\":\"");
		buf_uint(json, who.id);
		buf_lit(json, "\",\"_auth_user_backend\":\"" BACKEND "\",\"_auth_user_hash\":\"");
		buf_put(json, (struct slice){ hash, sizeof hash });
		buf_char(json, '"');
	}
	if (s->basket_id != 0) {
		buf_str(json, s->customer_id != 0 ? ",\"oscar_open_basket\":" :
		                                    "\"oscar_open_basket\":");
		buf_uint(json, s->basket_id);
	}
	buf_char(json, '}');
	return KV_OK;
}

/* Sessions that a Session-Id leads to: others have keys that Django would not make. */
static enum kv_status put_sessions(struct export *e)
{
	uint64_t now_s = e->line->now_us / 1000000;
	struct record_key after = { .len = 0 };
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct session_record s;
	enum kv_status status;

	while ((status = session_next(e->line->kv, &after, key, &s)) == KV_OK) {
		char text[512], stored[1024];
		struct buf json = BUF(text), data = BUF(stored), *to;

		if (s.via != VIA_HEADER || now_s >= s.expires_s)
			continue;
		status = put_data(e, &s, &json);
		if (status != KV_OK)
			return status;
		django_session_write(&data, e->secret, buf_slice(&json), s.used_s);
		if (s.expires_s == RECORD_NEVER)
			s.expires_s = now_s + e->line->config.session_ttl_s;
		to = begin(e, "sessions.session");
		buf_char(to, '"');
		buf_hex(to, slice_bytes(key, sizeof key));
		buf_lit(to, "\",\"fields\":{\"session_data\":");
		json_put_string(to, buf_slice(&data));
		put_time(to, "expire_date", s.expires_s * 1000000);
		buf_lit(to, "}}");
		e->sessions++;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

static int write_all(struct export *e)
{
	enum kv_status status;

	e->out = BUF(e->bytes);
	buf_lit(&e->out, "[\n");
	status = put_users(e);
	if (status == KV_OK)
		status = put_baskets(e);
	if (status == KV_OK)
		status = put_sessions(e);
	buf_lit(&e->out, "\n]\n");
	write_out(e);
	if (status != KV_OK)
		return command_store(e->line, status);
	if (e->failure == 0 && e->fd != STDOUT_FILENO && fsync(e->fd) != 0)
		e->failure = errno;
	return e->failure == 0 ? COMMAND_DONE :
	       command_fail(COMMAND_SYSTEM, "%s: cannot be written: %s", e->line->arguments[0],
	                    strerror(e->failure));
}

/* Nobody else may read it, and nothing is written over. */
static int open_file(struct export *e)
{
	const char *path = e->line->arguments[0];

	e->fd = STDOUT_FILENO;
	if (strcmp(path, "-") == 0)
		return COMMAND_DONE;
	e->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	return e->fd >= 0 ? COMMAND_DONE : command_refuse("%s: %s", path, strerror(errno));
}

int command_export_oscar(struct command_line *l)
{
	struct export *e = &exporting;
	char secret_text[SECRET_MAX], error[SECRET_ERROR_MAX];
	struct buf secret = BUF(secret_text);
	int code = command_open(l, KV_READ);

	if (code != COMMAND_DONE)
		return code;
	e->line = l;
	if (!secret_read(l->config.sid_secret_file, &secret, error) ||
	    !secret_read_seal_key(l->config.data, e->seal_key, error))
		return command_fail(COMMAND_SYSTEM, "%s", error);
	e->secret = buf_slice(&secret);
	code = open_file(e);
	if (code == COMMAND_DONE) {
		code = write_all(e);
		if (e->fd != STDOUT_FILENO && (close(e->fd) != 0 || code != COMMAND_DONE))
			unlink(l->arguments[0]);
	}
	explicit_bzero(secret_text, sizeof secret_text);
	explicit_bzero(e->seal_key, sizeof e->seal_key);
	explicit_bzero(e->bytes, sizeof e->bytes);
	if (code == COMMAND_DONE)
		command_say("exported: %llu users with their password hashes, %llu baskets, %llu "
		            "lines, %llu sessions; left out: %llu", (unsigned long long)e->users,
		            (unsigned long long)e->baskets, (unsigned long long)e->lines,
		            (unsigned long long)e->sessions, (unsigned long long)e->left);
	return code;
}
