/* simulate_walk.h -- the whole store, walked over beside the model: (I3), (I5) to (I8), (I12). */
#ifndef SIMULATE_WALK_H
#define SIMULATE_WALK_H

#include <sys/wait.h>

#include "command.h"
#include "simulate_run.h"

static struct kv *walked;
static struct basket found_basket;

static uint64_t count_kind(char kind)
{
	struct record_key place = { .bytes = { (uint8_t)kind }, .len = 1 };
	struct slice key, value;
	uint64_t count = 0;

	while (kv_scan(walked, (struct slice){ &kind, 1 }, slice_bytes(place.bytes, place.len),
	               &key, &value) == KV_OK) {
		count++;
		memcpy(place.bytes, key.ptr, key.len);
		place.len = key.len;
	}
	return count;
}

static bool stands(struct slice key)
{
	struct slice value;

	return kv_get(walked, key, &value) == KV_OK;
}

static void compare_session(const uint8_t key[MODEL_NAME], const struct session_record *s,
                            uint64_t *due, uint64_t *kept)
{
	const struct model_session *m = model_session(&present, key);
	const struct model_customer *c = m != NULL ? model_customer(&present, m->customer) : NULL;
	const struct model_basket *b;
	struct record_key place, of;
	struct slice json;
	char text[40];

	HOLDS(m != NULL, "(I6) a session that is nobody's, via %d, ends at %llu", s->via,
	      (unsigned long long)s->expires_s);
	HOLDS((int)m->via == s->via && m->customer == s->customer_id &&
	      m->expires_s == s->expires_s && m->created_s == s->created_s &&
	      slice_eq(s->guest_id, slice_of(m->guest)),
	      "(I6) a session: via %d, not %d; of %llu, not %llu; ends at %llu, not %llu", s->via,
	      (int)m->via, (unsigned long long)s->customer_id, (unsigned long long)m->customer,
	      (unsigned long long)s->expires_s, (unsigned long long)m->expires_s);
	HOLDS(s->basket_id == (c != NULL ? c->basket : m->basket), "(I3) a session's basket");
	b = s->customer_id == 0 ? model_basket(&present, s->basket_id) : NULL;
	HOLDS(b == NULL || same_name(b->guest, key), "(I3) basket %llu is two sessions'",
	      (unsigned long long)s->basket_id);
	HOLDS(stands(record_owner_key(&place, s->customer_id, s->created_s, key)),
	      "(I7) a session is not in its owner's list");
	HOLDS(s->due_s <= s->expires_s && stands(record_sweep_key(&place, s->due_s,
	                                                         record_session_key(&of, key))),
	      "(I7) the sweep does not come by a session");
	++*due;
	if (kv_get(walked, record_data_key(&place, key), &json) != KV_OK) {
		HOLDS(m->data < 0, "(I6) the data of a session is gone");
		return;
	}
	++*kept;
	snprintf(text, sizeof text, "{\"v\":%lld}", (long long)m->data);
	HOLDS(record_data_read(json, &json) && slice_eq(json, slice_of(text)),
	      "(I6) a session's data is not %s", text);
}

static uint64_t compare_sessions(uint64_t *due)
{
	struct record_key after = { .len = 0 };
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct session_record s;
	uint64_t count = 0, kept = 0, expected = 0;

	for (; session_next(walked, &after, key, &s) == KV_OK; count++)
		compare_session(key, &s, due, &kept);
	for MODEL_EACH(m, present.sessions)
		expected += m->via != NOT_THERE;
	HOLDS(count == expected, "(I6) %llu sessions, not %llu", (unsigned long long)count,
	      (unsigned long long)expected);
	HOLDS(count_kind(RECORD_OWNER) == count, "(I7) owners' lists");
	HOLDS(count_kind(RECORD_DATA) == kept, "(I6) data of no session");
	return count;
}

static void compare_lines(const struct model_basket *m)
{
	HOLDS(found_basket.line_count == m->count, "(I6) basket %llu has %u lines, not %u",
	      (unsigned long long)m->id, found_basket.line_count, m->count);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct basket_line *l = &found_basket.lines[i];

		HOLDS(l->id == m->lines[i].id && l->quantity == m->lines[i].quantity &&
		      slice_eq(l->product, slice_of(model_products[m->lines[i].product].id)),
		      "(I6) line %llu of basket %llu", (unsigned long long)l->id,
		      (unsigned long long)m->id);
	}
}

static void compare_basket(uint64_t id, uint64_t *due, uint64_t *owned)
{
	const struct basket *b = &found_basket;
	struct model_basket *m = model_basket(&present, id);
	struct record_key place, of;
	const uint64_t *open;

	HOLDS(m != NULL, "(I6) basket %llu should be gone", (unsigned long long)id);
	HOLDS(b->customer_id == m->customer && same_name(b->guest, m->guest) &&
	      b->carried == m->carried && b->expires_s == m->expires_s &&
	      b->status == (m->merged ? BASKET_MERGED : BASKET_OPEN),
	      "(I6) basket %llu: of %llu, not %llu; ends at %llu, not %llu; carried %d, not %d",
	      (unsigned long long)id, (unsigned long long)b->customer_id,
	      (unsigned long long)m->customer, (unsigned long long)b->expires_s,
	      (unsigned long long)m->expires_s, b->carried, m->carried);
	compare_lines(m);
	open = m->merged ? NULL : model_open_of(&present, m);
	HOLDS(open == NULL || *open == id || m->expires_s <= ever_s,
	      "(I3) the owner of basket %llu, customer %llu, has %llu: ends at %llu, now %llu",
	      (unsigned long long)id, (unsigned long long)m->customer, (unsigned long long)*open,
	      (unsigned long long)m->expires_s, (unsigned long long)ever_s);
	HOLDS(b->due_s <= b->expires_s &&
	      stands(record_sweep_key(&place, b->due_s, record_basket_key(&of, id))),
	      "(I7) the sweep does not come by basket %llu", (unsigned long long)id);
	++*due;
	*owned += b->customer_id != 0;
	HOLDS(b->customer_id == 0 || stands(record_baskets_of_key(&place, b->customer_id, id)),
	      "(I7) basket %llu is not in its owner's list", (unsigned long long)id);
}

static void compare_baskets(uint64_t *due)
{
	uint64_t id = 0, count = 0, expected = 0, owned = 0;

	for (; basket_next(walked, &id, &found_basket) == KV_OK; count++)
		compare_basket(id, due, &owned);
	for MODEL_EACH(b, present.baskets)
		expected += b->id != 0;
	HOLDS(count == expected, "(I6) %llu baskets, not %llu", (unsigned long long)count,
	      (unsigned long long)expected);
	HOLDS(count_kind(RECORD_BASKETS_OF) == owned, "(I7) lists of baskets");
}

static void compare_customers(void)
{
	uint64_t count = 0;

	for MODEL_EACH(c, present.customers) {
		struct customer_record r;
		char login[8];

		snprintf(login, sizeof login, "c%u", (unsigned)(c - present.customers));
		HOLDS((customer_find(walked, slice_of(login), &r) == KV_OK) == (c->id != 0),
		      "(I7) the login %s", login);
		if (c->id == 0)
			continue;
		count++;
		HOLDS(r.id == c->id && ((r.flags & CUSTOMER_DISABLED) != 0) == c->disabled,
		      "(I6) customer %s", login);
		HOLDS(r.basket_id == c->basket, "(I3) the basket of customer %s", login);
		HOLDS(model_count_of(&present, c->id) <= MODEL_SESSIONS_EACH,
		      "customer %s has too many sessions", login);
	}
	HOLDS(count_kind(RECORD_CUSTOMER) == count && count_kind(RECORD_LOGIN) == count,
	      "(I6) another number of customers");
}

static void compare_keys(void)
{
	for MODEL_EACH(k, present.keys) {
		uint8_t digest[RECORD_DIGEST_LEN];
		struct client_record r;
		char name[8];

		snprintf(name, sizeof name, "key%u", (unsigned)(k - present.keys));
		HOLDS(client_find_name(walked, slice_of(name), digest, &r) == KV_OK &&
		      ((r.flags & CLIENT_REVOKED) != 0) == k->revoked &&
		      ((r.flags & CLIENT_DISABLED) != 0) == k->disabled, "(I6) API key %s", name);
	}
	HOLDS(count_kind(RECORD_CLIENT) == MODEL_KEYS + 2 + present.revoked_keys,
	      "(I6) another number of API keys");
}

static void walk(void)
{
	uint64_t due = 0, replays = 0, kept_s = 0;
	struct record_key place;
	struct slice value;

	walked = &fronts[0].kv;
	HOLDS(kv_refresh(walked) == KV_OK, "no snapshot");
	walks++;
	compare_sessions(&due);
	compare_baskets(&due);
	compare_customers();
	compare_keys();
	for MODEL_EACH(r, present.replays)
		replays += r->due_s != 0;
	HOLDS(count_kind(RECORD_REPLAY) == replays, "(I6) another number of replays");
	HOLDS(count_kind(RECORD_SWEEP) == due + replays, "(I7) another number of what is due");
	if (kv_get(walked, record_meta_key(&place, "now_s"), &value) == KV_OK)
		HOLDS(record_number_read(value, &kept_s), "the kept time");
	HOLDS(kept_s >= last_kept_s, "(I8) the store's time goes back by %llu s",
	      (unsigned long long)(last_kept_s - kept_s));
	last_kept_s = kept_s;
}

/* (I12) in a process of its own: one process opens one store. */
static void run_check(void)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (freopen("/dev/null", "w", stdout) == NULL)
			_exit(127);
		execl("/proc/self/exe", "test_simulate", "check", dir, (char *)NULL);
		_exit(127);
	}
	HOLDS(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
	      "(I12) sidecart check finds something");
}

static int checked(const char *data)
{
	static struct command_line l;

	config_defaults(&l.config);
	snprintf(l.config.data, sizeof l.config.data, "%s", data);
	return command_check(&l);
}

#endif
