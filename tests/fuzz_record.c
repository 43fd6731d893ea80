/* fuzz_record.c -- any bytes as a record or a key: read(write(x)) = x, no slice outside. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_inside(struct slice in, struct slice s)
{
	require(s.ptr >= in.ptr && s.len <= in.len && s.ptr + s.len <= in.ptr + in.len);
}

/* There is one way to write a record, so what was read and written anew is the front of the
 * input. A byte less is no record. */
static struct slice require_front(struct slice in, const struct buf *out)
{
	require(out->len > 0 && slice_starts(in, buf_slice(out)));
	return (struct slice){ in.ptr, out->len - 1 };
}

static char bytes[1 << 19];     /* five strings of 64 KiB, and their head */

static void try_session(struct slice in)
{
	struct session_record r;
	struct buf out = BUF(bytes);

	if (!record_session_read(in, &r))
		return;
	require_inside(in, r.login);
	require(record_session_write(&out, &r));
	require(!record_session_read(require_front(in, &out), &r));
}

static void try_customer(struct slice in)
{
	struct customer_record r;
	struct buf out = BUF(bytes);

	if (!record_customer_read(in, &r))
		return;
	require_inside(in, r.login);
	require_inside(in, r.email);
	require_inside(in, r.first_name);
	require_inside(in, r.last_name);
	require_inside(in, r.sealed_password);
	require(record_customer_write(&out, &r));
	require(!record_customer_read(require_front(in, &out), &r));
}

static void try_client(struct slice in)
{
	struct client_record r;
	struct buf out = BUF(bytes);

	if (!record_client_read(in, &r))
		return;
	require_inside(in, r.name);
	require_inside(in, r.owner);
	require(r.source_count <= RECORD_SOURCES_MAX);
	for (uint32_t i = 0; i < r.source_count; i++)
		require(r.sources[i].prefix <= 128);
	require(record_client_write(&out, &r));
	require(!record_client_read(require_front(in, &out), &r));
}

static void try_token_key(struct slice in)
{
	struct token_key_record r;
	struct buf out = BUF(bytes);

	if (!record_token_key_read(in, &r))
		return;
	require_inside(in, r.kid);
	require_inside(in, r.secret);
	require(r.kid.len > 0 && r.kid.len <= RECORD_KID_MAX && r.alg < TOKEN_ALGS);
	require(record_token_key_write(&out, &r));
	require(!record_token_key_read(require_front(in, &out), &r));
}

static void try_keys(struct slice in)
{
	struct record_key k;
	const uint8_t *session_key;
	uint64_t n, created_s;
	struct slice of;
	struct buf out = BUF(bytes);

	if (record_owner_key_read(in, &n, &created_s, &session_key)) {
		require_inside(in, slice_bytes(session_key, RECORD_SESSION_KEY_LEN));
		require(slice_eq(record_owner_key(&k, n, created_s, session_key), in));
	}
	if (record_sweep_key_read(in, &n, &of)) {
		require_inside(in, of);
		require(in.len > RECORD_KEY_MAX || slice_eq(record_sweep_key(&k, n, of), in));
	}
	if (record_number_read(in, &n)) {
		record_number_write(&out, n);
		require(slice_starts(in, buf_slice(&out)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_bytes(data, size);

	try_session(in);
	try_customer(in);
	try_client(in);
	try_token_key(in);
	try_keys(in);
	return 0;
}
