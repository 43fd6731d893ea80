/* command_token.c -- sidecart token: the key ring listed, rotated, cut; tokens verified. */
#include "command.h"
#include "print.h"
#include "secret.h"
#include "token.h"

static uint64_t now_s(const struct command_line *l)
{
	return l->now_us / 1000000;
}

/* What the key does now; `signer`: the kid of the one that signs. */
static const char *state_of(const struct token_key_record *r, struct slice signer, uint64_t now)
{
	if (slice_eq(r->kid, signer))
		return "signs";
	return r->signs_s > now ? "waits" : "verifies";
}

static enum kv_status print_key(const struct command_line *l, const struct token_key_record *r)
{
	struct token_key_record signer;
	uint64_t until_s = r->until_s == RECORD_NEVER ? 0 : r->until_s;
	enum kv_status status = token_signer(l->kv, (enum token_alg)r->alg, now_s(l), &signer);

	if (status != KV_OK)
		return status;
	{
		const struct print_cell cells[] = {
			{ "kid", PRINT_TEXT, r->kid, 0 },
			{ "alg", PRINT_TEXT, slice_of(token_alg_text(r->alg)), 0 },
			{ "state", PRINT_TEXT, slice_of(state_of(r, signer.kid, now_s(l))), 0 },
			{ "created", PRINT_TIME, { 0 }, r->created_s },
			{ "signs", PRINT_TIME, { 0 }, r->signs_s },
			{ "until", PRINT_TIME, { 0 }, until_s },
		};

		print_row(cells, COUNT_OF(cells));
	}
	return KV_OK;
}

int command_token_keys(struct command_line *l)
{
	struct record_key after = { .len = 0 };
	struct token_key_record r;
	int code = command_open(l, KV_READ);
	enum kv_status status = KV_OK;

	if (code != COMMAND_DONE)
		return code;
	while (status == KV_OK) {
		status = token_next(l->kv, &after, &r);
		if (status == KV_OK && now_s(l) < r.until_s)
			status = print_key(l, &r);
		if (status == KV_OK)
			status = command_breathe(l);
	}
	return status == KV_NOT_FOUND ? COMMAND_DONE : command_store(l, status);
}

/* A new key's record in `out`, and in `*r`. */
static int generate(const struct command_line *l, enum token_alg alg, struct buf *out,
                    struct token_key_record *r)
{
	uint8_t seal_key[SEAL_KEY_LEN], random[TOKEN_RANDOM_LEN];
	char error[SECRET_ERROR_MAX];

	if (!secret_read_seal_key(l->config.data, seal_key, error))
		return command_fail(COMMAND_SYSTEM, "%s", error);
	do
		secret_random(random, sizeof random);
	while (!token_generate(out, alg, seal_key, random));
	explicit_bzero(seal_key, sizeof seal_key);
	explicit_bzero(random, sizeof random);
	return record_token_key_read(buf_slice(out), r) ? COMMAND_DONE : COMMAND_SYSTEM;
}

static enum kv_status count_keys(struct command_line *l, size_t *count)
{
	struct record_key after = { .len = 0 };
	struct token_key_record r;
	enum kv_status status = token_sweep(l->kv, now_s(l));

	for (*count = 0; status == KV_OK; ++*count)
		status = token_next(l->kv, &after, &r);
	--*count;
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* In one transaction; nothing is kept unless it is done. */
static int add(struct command_line *l, struct token_key_record *r)
{
	uint32_t delay_s = r->alg == TOKEN_ES256 ? l->config.jwks_max_age_s : 0;
	size_t count = 0;
	enum kv_status status = command_begin(l);

	if (status != KV_OK)
		return command_store(l, status);
	status = count_keys(l, &count);
	if (status == KV_OK && count >= TOKEN_KEYS_MAX) {
		command_abort(l);
		return command_refuse("%zu keys are there already: wait until the oldest are gone "
		                      "(sidecart token keys), or revoke some", count);
	}
	if (status == KV_OK)
		status = token_add(l->kv, r, now_s(l), delay_s);
	if (status == KV_OK)
		status = command_commit(l);
	else
		command_abort(l);
	return status == KV_OK ? COMMAND_DONE : command_store(l, status);
}

int command_token_rotate(struct command_line *l)
{
	char bytes[TOKEN_RECORD_MAX];
	struct buf record = BUF(bytes);
	struct token_key_record r = { .alg = TOKEN_ALGS };
	enum token_alg alg = (enum token_alg)l->config.token_alg;
	int code;

	if (command_has(l, OPTION_ALG) && !token_alg_parse(command_value(l, OPTION_ALG), &alg))
		return command_wrong("--alg: \"%s\" is neither HS256 nor ES256",
		                     l->option[OPTION_ALG]);
	code = command_open(l, KV_WRITE);
	if (code == COMMAND_DONE)
		code = generate(l, alg, &record, &r);
	if (code == COMMAND_DONE)
		code = add(l, &r);
	if (code != COMMAND_DONE)
		return code;
	command_subject(l, "kid=%.*s", (int)r.kid.len, r.kid.ptr);
	if (command_has(l, OPTION_JSON)) {
		const struct print_cell cells[] = {
			{ "kid", PRINT_TEXT, r.kid, 0 },
			{ "alg", PRINT_TEXT, slice_of(token_alg_text(r.alg)), 0 },
			{ "created", PRINT_TIME, { 0 }, r.created_s },
			{ "signs", PRINT_TIME, { 0 }, r.signs_s },
		};

		print_row(cells, COUNT_OF(cells));
	} else {
		print_text(r.kid);
		print_text(SLICE("\n"));
	}
	if (r.signs_s > now_s(l))
		command_say("the key signs in %llu s, when others have seen it (jwks_max_age)",
		            (unsigned long long)(r.signs_s - now_s(l)));
	else
		command_say("the key signs from now on");
	return COMMAND_DONE;
}

int command_token_revoke(struct command_line *l)
{
	int code = command_open(l, KV_WRITE);
	enum kv_status status;

	if (code != COMMAND_DONE)
		return code;
	status = command_begin(l);
	if (status != KV_OK)
		return command_store(l, status);
	kv_use_reserve(l->kv);
	status = token_end(l->kv, slice_of(l->arguments[0]));
	if (status == KV_OK)
		status = command_commit(l);
	else
		command_abort(l);
	if (status == KV_NOT_FOUND)
		return command_refuse("%s: no key of this kid", l->arguments[0]);
	if (status != KV_OK)
		return command_store(l, status);
	command_say("the key is gone, and so are all tokens that it signed");
	return COMMAND_DONE;
}

/* The signature alone; `*status` is set where the store failed. */
static enum jwt_status check_signature(const struct command_line *l, struct slice sid_secret,
                                       const struct jwt *t, enum kv_status *status)
{
	enum jwt_status verdict = JWT_NO_KEY;
	struct jwt_key key;

	*status = token_check(l->kv, sid_secret, t, now_s(l), &verdict, &key);
	return verdict == JWT_UNPROVEN ? jwt_verify(t, &key) : verdict;
}

static void print_token(const struct jwt *t, const struct jwt_claims *c)
{
	const struct print_cell cells[] = {
		{ "kid", PRINT_TEXT, { t->kid, t->kid_len }, 0 },
		{ "alg", PRINT_TEXT, slice_of(jwt_alg_text(t->alg)), 0 },
		{ "typ", PRINT_TEXT, slice_of(t->typ == JWT_TYP_ACCESS ? "at+jwt" : "JWT"), 0 },
		{ "iss", PRINT_TEXT, c->iss, 0 },
		{ "sub", PRINT_TEXT, c->sub, 0 },
		{ "issued", PRINT_TIME, { 0 }, c->iat_s },
		{ "expires", PRINT_TIME, { 0 }, c->exp_s },
	};

	print_sheet(cells, COUNT_OF(cells));
}

int command_token_verify(struct command_line *l)
{
	static struct jwt t;
	static char line[JWT_TOKEN_MAX], secret_text[SECRET_MAX];
	struct buf token = BUF(line), sid_secret = BUF(secret_text);
	char error[SECRET_ERROR_MAX];
	struct jwt_expect e = { .any_aud = true, .life_max_s = TOKEN_LIFE_MAX_S,
	                        .leeway_s = TOKEN_LEEWAY_S };
	struct jwt_claims c;
	enum jwt_status verdict;
	enum kv_status status = KV_OK;
	int code = command_open(l, KV_READ);

	if (code != COMMAND_DONE)
		return code;
	if (!secret_read(l->config.sid_secret_file, &sid_secret, error))
		return command_fail(COMMAND_SYSTEM, "%s", error);
	if (!command_read_line(&token))
		return COMMAND_REFUSED;
	verdict = jwt_open(&t, buf_slice(&token));
	if (verdict == JWT_GOOD)
		verdict = check_signature(l, buf_slice(&sid_secret), &t, &status);
	explicit_bzero(secret_text, sizeof secret_text);
	if (status != KV_OK)
		return command_store(l, status);
	e.typ = t.typ == JWT_TYP_ACCESS ? JWT_TYP_ACCESS : JWT_TYP_JWT;
	if (verdict == JWT_GOOD)
		verdict = jwt_judge(&t, &e, now_s(l), &c);
	if (verdict != JWT_GOOD)
		return command_refuse("the token is not good: %s", jwt_status_text(verdict));
	print_token(&t, &c);
	return COMMAND_DONE;
}
