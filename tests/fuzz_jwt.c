/* fuzz_jwt.c -- any bytes as a token, as claims, as keys.
 *
 * A token that is taken apart is, put together again, the same text: none has two. A token of
 * ours is taken apart into what it was made of, and with any byte changed it is not good. A
 * key that was read, written and read again is the same key.
 */
#include <stdlib.h>

#include "jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void need(bool true_always)
{
	if (!true_always)
		abort();
}

static struct jwt t;
static const struct jwt_key ours = { .alg = JWT_HS256, .kid_len = 1, .kid = "k", .len = 32,
	                             .bytes = "a secret of thirty-two bytes.." };

static void put_base64url(struct buf *out, const void *bytes, size_t len)
{
	buf_base64url(out, bytes, len, (len * 8 + 5) / 6);
}

/* What is read without making a document of it is read as Jansson reads it. */
static void try_own_claims(void)
{
	static const struct jwt_expect e = { .typ = JWT_TYP_JWT, .life_max_s = 1800,
		                             .leeway_s = 60 };
	struct jwt_claims c, other;
	enum jwt_status status;

	t.typ = JWT_TYP_JWT;
	status = jwt_judge(&t, &e, 1800000000, &other);
	need(jwt_judge_own(&t, &e, 1800000000, &c) == status);
	if (status != JWT_GOOD && status != JWT_EXPIRED)
		return;
	need(c.iat_s == other.iat_s && c.exp_s == other.exp_s);
	jwt_judge(&t, &e, 1800000000, &other);
	need(c.all != NULL || (slice_eq(c.iss, other.iss) &&
	                       slice_eq(c.sid, jwt_string(other.all, "sid")) &&
	                       slice_eq(c.site, jwt_string(other.all, "site"))));
}

/* The same of a header: with an escape in the name of a member that is due it is Jansson's. */
static void put_escaped(struct buf *out, struct slice json)
{
	const struct slice name = SLICE("\"alg\"");
	const char *at;

	while ((at = memmem(json.ptr, json.len, name.ptr, name.len)) != NULL) {
		buf_put(out, (struct slice){ json.ptr, (size_t)(at - json.ptr) });
		buf_lit(out, "\"\\u0061lg\"");
		json = slice_skip(json, (size_t)(at - json.ptr) + name.len);
	}
	buf_put(out, json);
}

static void try_header(struct slice json)
{
	static const char digits[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	static char room[2][2 * JWT_HEADER_MAX];
	static struct jwt read[2];
	enum jwt_status status[2];

	for (unsigned i = 0; i < 2; i++) {
		char bytes[JWT_HEADER_MAX];
		struct buf text = BUF(bytes), token = BUF(room[i]);

		if (i == 1)
			put_escaped(&text, json);
		else
			buf_put(&text, json);
		if (text.full)
			return;
		put_base64url(&token, text.ptr, text.len);
		buf_lit(&token, ".e30.");
		buf_str(&token, digits + sizeof digits - 44);
		status[i] = jwt_open(&read[i], buf_slice(&token));
	}
	need(status[0] == status[1]);
	if (status[0] != JWT_GOOD)
		return;
	need(read[0].alg == read[1].alg && read[0].typ == read[1].typ);
	need(slice_eq((struct slice){ read[0].kid, read[0].kid_len },
	              (struct slice){ read[1].kid, read[1].kid_len }));
}

/* Claims that jwt_judge() reads lie in the arena, and its times in their limits. */
static void try_claims(void)
{
	static const struct jwt_expect e = { .typ = JWT_TYP_JWT, .any_aud = true,
		                             .life_max_s = 1800, .leeway_s = 60 };
	struct jwt_claims c;
	enum jwt_status status;

	t.typ = JWT_TYP_JWT;
	status = jwt_judge(&t, &e, 1800000000, &c);
	need(status == JWT_GOOD || status == JWT_EXPIRED || status == JWT_BAD_CLAIMS ||
	     status == JWT_NOT_YET || status == JWT_BAD_LIFE);
	if (status != JWT_GOOD)
		return;
	need(json_is_object(c.all) && c.iss.len > 0);
	need(c.iat_s < c.exp_s && c.exp_s - c.iat_s <= 1800);
	need(c.iat_s <= 1800000060 && c.exp_s > 1800000000 - 60);
}

static void try_token(struct slice token)
{
	static char room[JWT_TOKEN_MAX];
	struct buf again = BUF(room);
	struct slice rest = token;

	if (jwt_open(&t, token) != JWT_GOOD)
		return;
	need(token.len <= JWT_TOKEN_MAX && t.kid_len <= JWT_KID_MAX);
	need(t.input.ptr == token.ptr && t.input.len < token.len);
	buf_put(&again, slice_cut(&rest, '.'));
	buf_char(&again, '.');
	put_base64url(&again, t.payload, t.payload_len);
	need(slice_eq(buf_slice(&again), t.input));
	jwt_write_signature(&again, slice_bytes(t.signature, t.signature_len));
	need(slice_eq(buf_slice(&again), token));
	try_claims();
}

static bool is_good(struct slice token)
{
	return jwt_open(&t, token) == JWT_GOOD && jwt_key_find(&ours, 1, &t) != NULL &&
	       jwt_verify(&t, &ours) == JWT_GOOD;
}

/* The first three bytes say what is changed in the token, the rest are its claims. */
static void try_change(struct slice in)
{
	static char room[2 * JWT_TOKEN_MAX];
	struct buf token = BUF(room);
	struct slice claims = slice_skip(in, 3);
	uint8_t mac[JWT_DIGEST_LEN], change = (uint8_t)in.ptr[2];
	size_t at = (size_t)(uint8_t)in.ptr[0] << 8 | (uint8_t)in.ptr[1];

	jwt_write_input(&token, JWT_HS256, (struct slice){ ours.kid, ours.kid_len }, JWT_TYP_JWT,
	                claims);
	jwt_sign_hs256(slice_bytes(ours.bytes, ours.len), buf_slice(&token), mac);
	jwt_write_signature(&token, slice_bytes(mac, sizeof mac));
	if (token.full || token.len > JWT_TOKEN_MAX)
		return;
	need(is_good(buf_slice(&token)));
	need(t.typ == JWT_TYP_JWT && slice_eq((struct slice){ t.payload, t.payload_len }, claims));
	try_own_claims();
	room[at % token.len] = (char)(room[at % token.len] ^ change);
	need(is_good(buf_slice(&token)) == (change == 0));
}

static void try_keys(struct slice text)
{
	static char room[1024];
	struct buf out = BUF(room);
	struct jwt_key keys[3], back;
	const char *why = NULL;
	size_t count = jwt_keys_read(text, keys, COUNT_OF(keys), &why);

	need(count <= COUNT_OF(keys) && (count > 0 || why != NULL));
	for (size_t i = 0; i < count; i++) {
		need(keys[i].alg != JWT_HS256);
		need(keys[i].kid_len > 0 && keys[i].kid_len <= JWT_KID_MAX);
	}
	if (count == 0 || keys[0].alg != JWT_ES256)
		return;
	jwt_key_write(&out, &keys[0]);
	need(jwt_keys_read(buf_slice(&out), &back, 1, &why) == 1);
	need(slice_eq(slice_bytes(back.bytes, back.len), slice_bytes(keys[0].bytes, keys[0].len)));
	need(slice_eq((struct slice){ back.kid, back.kid_len },
	              (struct slice){ keys[0].kid, keys[0].kid_len }));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static bool seeded;
	struct slice in = slice_bytes(data, len);

	if (!seeded)
		json_seed(1);
	seeded = true;
	try_token(in);
	if (in.len >= 3)
		try_change(in);
	try_keys(in);
	try_header(in);
	return 0;
}
