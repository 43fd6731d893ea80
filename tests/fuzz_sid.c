/* fuzz_sid.c -- the Session-Id header: slices lie in it, what is written is a fixed point. */
#include <stdlib.h>

#include "sid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void need(bool true_always)
{
	if (!true_always)
		abort();
}

static bool lies_in(struct slice part, struct slice whole)
{
	return part.len == 0 ||
	       (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_strict(struct slice header)
{
	static char room[65536];
	struct buf out = BUF(room);
	uint8_t key[SID_KEY_LEN], key_again[SID_KEY_LEN];
	struct sid s, back, lax;

	if (sid_parse(header, SID_STRICT, &s) != SID_OK)
		return;
	need(lies_in(s.identifier, header));
	need(lies_in(s.thread, header) && lies_in(s.count, header));
	need(s.identifier.len > 0 && s.realm.len > 0 && s.realm.ptr == s.realm_lower);
	need(sid_parse(header, SID_OSCARAPI, &lax) == SID_OK && lax.type == s.type);

	sid_write(&out, &s, s.type);
	need(!out.full && sid_parse(buf_slice(&out), SID_STRICT, &back) == SID_OK);
	need(back.type == s.type && slice_eq(back.realm, s.realm));
	need(slice_eq(back.identifier, s.identifier));
	need(!slice_given(back.thread) && !slice_given(back.count));
	sid_key(&s, s.type, SLICE("secret"), key);
	sid_key(&back, back.type, SLICE("secret"), key_again);
	need(slice_eq(slice_bytes(key, sizeof key), slice_bytes(key_again, sizeof key)));
}

static void check_oscarapi(struct slice header)
{
	uint8_t key[SID_KEY_LEN];
	struct sid s;

	if (sid_parse(header, SID_OSCARAPI, &s) != SID_OK)
		return;
	need(lies_in(s.realm, header) && lies_in(s.identifier, header));
	need(!slice_has(s.realm, ':') && s.identifier.len > 0);
	need(s.identifier.ptr == s.realm.ptr + s.realm.len + 1);
	sid_key(&s, s.type, SLICE("secret"), key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice header = slice_bytes(data, len < 32768 ? len : 32768);

	check_strict(header);
	check_oscarapi(header);
	return 0;
}
