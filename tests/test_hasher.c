/* test_hasher.c -- the hasher's process: the test plays supervisor and writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "call.h"
#include "hasher.h"
#include "password.h"
#include "process.h"

#define ITERATIONS 1000

static int link_end;
static uint8_t seal_key[SEAL_KEY_LEN];
static char answer_bytes[CALL_ANSWER_MAX];
static struct buf answer = { answer_bytes, 0, sizeof answer_bytes, false };

static int run(int its_control)
{
	return hasher_run(&config, its_control);
}

static int set_up(void **state)
{
	char error[SECRET_ERROR_MAX];

	(void)state;
	process_prepare();
	must(secret_read_seal_key(config.data, seal_key, error), error);
	process_start(run);
	link_end = process_link(ORDER_WRITER_LINK, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(link_end);
	process_end();
	return 0;
}

/* The hash of `password`, sealed for customer `id`. */
static struct slice sealed_hash(const char *password, uint64_t id)
{
	static const uint8_t salt[16] = { 1, 2, 3 }, nonce[12] = { 4, 5 };
	static char bytes[PASSWORD_SEALED_MAX];
	char hash_bytes[PASSWORD_HASH_MAX];
	struct buf hash = BUF(hash_bytes), sealed = BUF(bytes);

	password_make(&hash, slice_of(password), ITERATIONS, salt);
	password_seal(&sealed, seal_key, nonce, id, buf_slice(&hash));
	return buf_slice(&sealed);
}

/* Sends a question and waits for its answer. */
static void ask_kind(uint32_t kind, struct slice question)
{
	static uint32_t ticket;
	const struct link_question out = { ++ticket, kind };
	struct link_question in;

	assert_int_equal(link_send_question(link_end, &out, question), LINK_DONE);
	assert_true(readable(link_end, PROCESS_WAIT_MS));
	assert_int_equal(link_receive_question(link_end, &in, &answer), LINK_DONE);
	assert_int_equal(in.ticket, ticket);
	assert_int_equal(in.kind, kind);
}

static void ask(struct slice question)
{
	ask_kind(ASK_PASSWORD, question);
}

static void ask_password(struct slice sealed, uint64_t id, const char *password,
                         uint32_t iterations)
{
	char bytes[CALL_QUESTION_MAX];
	struct buf question = BUF(bytes);

	call_password_question_write(&question, iterations, id, sealed, slice_of(password));
	ask(buf_slice(&question));
}

static void test_verdicts(void **state)
{
	static const struct {
		const char *name, *stored, *given;
		uint64_t sealed_for, asked_for;
		enum password_verdict verdict;
	} cases[] = {
		{ "right",              "secret", "secret",  7, 7, PASSWORD_RIGHT },
		{ "wrong",              "secret", "Secret",  7, 7, PASSWORD_WRONG },
		{ "a byte too many",    "secret", "secret ", 7, 7, PASSWORD_WRONG },
		{ "empty",              "secret", "",        7, 7, PASSWORD_WRONG },
		{ "another's hash",     "secret", "secret",  7, 8, PASSWORD_WRONG },
		{ "no hash",            NULL,     "secret",  7, 7, PASSWORD_WRONG },
		{ "no hash, no word",   NULL,     "",        7, 7, PASSWORD_WRONG },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice sealed = { 0 };

		if (cases[i].stored != NULL)
			sealed = sealed_hash(cases[i].stored, cases[i].sealed_for);
		ask_password(sealed, cases[i].asked_for, cases[i].given, ITERATIONS);
		if (answer.len != 1 || answer_bytes[0] != (char)cases[i].verdict)
			fail_msg("%s", cases[i].name);
	}
}

/* A hash that cost less than is asked for now comes back made anew, for the same customer. */
static void test_new_hash(void **state)
{
	struct slice sealed = sealed_hash("secret", 7);
	char hash_bytes[PASSWORD_HASH_MAX], first[CALL_ANSWER_MAX];
	struct buf hash = BUF(hash_bytes);
	uint32_t iterations;
	size_t len;

	(void)state;
	ask_password(sealed, 7, "secret", ITERATIONS + 1);
	assert_int_equal(answer_bytes[0], PASSWORD_RIGHT);
	len = answer.len;
	memcpy(first, answer_bytes, len);
	assert_true(password_unseal(&hash, seal_key, 7, slice_bytes(first + 1, len - 1)));
	assert_true(password_hash_valid(buf_slice(&hash), &iterations));
	assert_int_equal(iterations, ITERATIONS + 1);
	assert_int_equal(password_check(buf_slice(&hash), SLICE("secret"), 1), PASSWORD_RIGHT);

	ask_password(sealed, 7, "secret", ITERATIONS + 1);      /* salt and nonce are new */
	assert_int_equal(answer.len, len);
	assert_memory_not_equal(first + 1, answer_bytes + 1, 12);
	ask_password(sealed, 7, "wrong", ITERATIONS + 1);
	assert_int_equal(answer.len, 1);
	ask_password(slice_bytes(first + 1, len - 1), 7, "secret", ITERATIONS + 1);
	assert_int_equal(answer_bytes[0], PASSWORD_RIGHT);
	assert_int_equal(answer.len, 1);
}

/* One hash of a new password, sealed for the ids that its customer may get, and no other. */
static void test_made_hash(void **state)
{
	char bytes[CALL_QUESTION_MAX], hash_bytes[PASSWORD_HASH_MAX], first[PASSWORD_HASH_MAX];
	struct buf question = BUF(bytes);
	size_t len;

	(void)state;
	call_hash_question_write(&question, PASSWORD_ITERATIONS_MAX / 1000, 41,
	                         SLICE("new secret"));
	ask_kind(ASK_HASH, buf_slice(&question));
	len = answer.len / CALL_HASHES_MADE;
	assert_int_equal(answer.len, CALL_HASHES_MADE * len);
	for (uint64_t i = 0; i < CALL_HASHES_MADE; i++) {
		struct slice sealed = slice_bytes(answer_bytes + i * len, len);
		struct buf hash = BUF(hash_bytes);
		uint32_t iterations;

		assert_false(password_unseal(&hash, seal_key, 40 + i, sealed));
		assert_false(password_unseal(&hash, seal_key, 42 + i, sealed));
		hash.len = 0;
		assert_true(password_unseal(&hash, seal_key, 41 + i, sealed));
		assert_true(password_hash_valid(buf_slice(&hash), &iterations));
		assert_int_equal(iterations, PASSWORD_ITERATIONS_MAX / 1000);
		assert_int_equal(password_check(buf_slice(&hash), SLICE("new secret"), 1),
		                 PASSWORD_RIGHT);
		if (i == 0)
			memcpy(first, hash_bytes, hash.len);
		assert_memory_equal(first, hash_bytes, hash.len);
		assert_true(i == 0 || memcmp(sealed.ptr, answer_bytes, 12) != 0);
	}
	ask_kind(ASK_HASH, buf_slice(&question));
	assert_int_equal(answer.len, CALL_HASHES_MADE * len);
	{
		struct buf hash = BUF(hash_bytes);

		assert_true(password_unseal(&hash, seal_key, 41, slice_bytes(answer_bytes, len)));
		assert_memory_not_equal(first, hash_bytes, hash.len);   /* the salt is new */
	}
}

static void test_maimed_questions(void **state)
{
	static const struct slice cases[] = {
		{ "", 0 },
		{ "\x01", 1 },
		{ "\xe8\x03\0\0\x07\0\0\0\0\0\0\0\0", 13 },             /* no length */
		{ "\xe8\x03\0\0\x07\0\0\0\0\0\0\0\xff\xff", 14 },       /* no sealed bytes */
		{ "\xe8\x03\0\0\x07\0\0\0\0\0\0\0\x03\0ab", 16 },
		{ "\xe8\x03\0\0\x07\0\0\0\0\0\0\0\x02\0abc", 17 },      /* a broken seal */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		ask(cases[i]);
		assert_int_equal(answer.len, 1);
		assert_int_equal(answer_bytes[0], PASSWORD_WRONG);
	}
	ask_kind(ASK_HASH, SLICE("\xe8\x03\0\0\x07\0\0\0\0\0\0"));  /* an id that is cut */
	assert_int_equal(answer.len, 0);
}

/* A key of either algorithm, new each time; the private one opens with seal.key. */
static void test_token_key(void **state)
{
	char kids[4][RECORD_KID_MAX];

	(void)state;
	for (uint8_t i = 0; i < 4; i++) {
		uint8_t alg = i / 2, scalar[JWT_SCALAR_LEN], point[JWT_POINT_LEN];
		struct token_key_record r;

		ask_kind(ASK_TOKEN_KEY, slice_bytes(&alg, 1));
		assert_true(record_token_key_read(buf_slice(&answer), &r));
		assert_int_equal(r.alg, alg);
		memcpy(kids[i], r.kid.ptr, r.kid.len);
		if (i % 2 == 1)
			assert_memory_not_equal(kids[i], kids[i - 1], r.kid.len);
		if (alg != TOKEN_ES256)
			continue;
		assert_true(token_unseal(&r, seal_key, scalar));
		assert_true(jwt_public_point(scalar, point));
		assert_memory_equal(point, r.public.ptr, sizeof point);
	}
}

/* What a key signs, it verifies; nothing else. */
static void test_signature_and_verdict(void **state)
{
	static char key_bytes[CALL_ANSWER_MAX], bytes[CALL_QUESTION_MAX];
	uint8_t alg = TOKEN_ES256, digest[JWT_DIGEST_LEN] = { 7 }, signature[JWT_ES256_LEN];
	struct token_key_record r;
	struct buf question = BUF(bytes);
	struct jwt_key key;
	size_t len;

	(void)state;
	ask_kind(ASK_TOKEN_KEY, slice_bytes(&alg, 1));
	memcpy(key_bytes, answer_bytes, len = answer.len);
	assert_true(record_token_key_read((struct slice){ key_bytes, len }, &r));
	call_signature_question_write(&question, digest, &r);
	ask_kind(ASK_SIGNATURE, buf_slice(&question));
	assert_int_equal(answer.len, JWT_ES256_LEN);
	memcpy(signature, answer_bytes, sizeof signature);
	token_public(&r, &key);
	for (int i = 0; i < 3; i++) {
		question.len = 0;
		digest[1] ^= i == 1;            /* good, another digest, a signature that is cut */
		call_verdict_question_write(&question, &key, digest,
		                            slice_bytes(signature, i == 2 ? 63 : 64));
		ask_kind(ASK_VERDICT, buf_slice(&question));
		assert_int_equal(answer.len, 1);
		assert_int_equal(answer_bytes[0], i == 0);
		digest[1] ^= i == 1;
	}
}

/* Nothing is signed, and no verdict is good. */
static void test_maimed_token_questions(void **state)
{
	static char record[TOKEN_RECORD_MAX], bytes[CALL_QUESTION_MAX];
	static const uint8_t digest[JWT_DIGEST_LEN], random[TOKEN_RANDOM_LEN] = { 1 };
	static const uint8_t other_key[SEAL_KEY_LEN] = { 9 };
	struct buf made = BUF(record), question = BUF(bytes);
	struct token_key_record r;

	(void)state;
	ask_kind(ASK_TOKEN_KEY, SLICE(""));
	assert_int_equal(answer.len, 0);
	ask_kind(ASK_TOKEN_KEY, SLICE("\2"));
	assert_int_equal(answer.len, 0);
	ask_kind(ASK_TOKEN_KEY, SLICE("\1\1"));
	assert_int_equal(answer.len, 0);
	ask_kind(ASK_SIGNATURE, SLICE(""));
	assert_int_equal(answer.len, 0);
	assert_true(token_generate(&made, TOKEN_ES256, other_key, random));     /* another's seal */
	assert_true(record_token_key_read(buf_slice(&made), &r));
	call_signature_question_write(&question, digest, &r);
	ask_kind(ASK_SIGNATURE, buf_slice(&question));
	assert_int_equal(answer.len, 0);
	ask_kind(ASK_SIGNATURE, slice_skip(buf_slice(&question), 1));
	assert_int_equal(answer.len, 0);
	ask_kind(ASK_VERDICT, SLICE(""));
	assert_true(slice_eq(buf_slice(&answer), SLICE("\0")));
	ask_kind(99, SLICE("?"));
	assert_int_equal(answer.len, 0);
}

/* The writer's death is not the hasher's: it serves the next. */
static void test_next_writer(void **state)
{
	(void)state;
	close(link_end);
	usleep(20000);
	link_end = process_link(ORDER_WRITER_LINK, 0);
	ask_password(sealed_hash("secret", 1), 1, "secret", ITERATIONS);
	assert_int_equal(answer_bytes[0], PASSWORD_RIGHT);
	{
		int old = link_end;

		link_end = process_link(ORDER_WRITER_LINK, 0);
		ask_password(sealed_hash("secret", 1), 1, "wrong", ITERATIONS);
		assert_int_equal(answer_bytes[0], PASSWORD_WRONG);
		close(old);
	}
}

static void test_drain(void **state)
{
	(void)state;
	process_prepare();
	process_start(run);
	process_order(ORDER_DRAIN, 0, -1);
	assert_int_equal(process_status(), 0);
	process_clean();
}

static void test_no_seal_key(void **state)
{
	int pair[2], status;
	size_t room;

	(void)state;
	process_prepare();
	unlink(store_path("seal.key"));
	assert_true(link_pair(pair, sizeof(struct link_order), &room));
	fflush(NULL);
	process_pid = fork();
	if (process_pid == 0)
		exit(run(pair[1]));
	close(pair[1]);
	control = pair[0];
	status = process_status();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 111);
	process_clean();
}

/* Without a link it asks for one, again and again. */
static void test_link_lost(void **state)
{
	struct slice sealed = sealed_hash("secret", 7);

	(void)state;
	for (int i = 0; i < 2; i++) {
		close(link_end);
		process_hear(ORDER_NEED_LINK);
		process_hear(ORDER_NEED_LINK);
		process_order(ORDER_WRITER_LINK, 0, -1);        /* it was lost on its way */
		process_hear(ORDER_NEED_LINK);
		link_end = process_link(ORDER_WRITER_LINK, 0);
		ask_password(sealed, 7, "secret", ITERATIONS);
		assert_int_equal(answer_bytes[0], PASSWORD_RIGHT);
	}
}

#define SERVING(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVING(test_verdicts),
		SERVING(test_new_hash),
		SERVING(test_made_hash),
		SERVING(test_maimed_questions),
		SERVING(test_token_key),
		SERVING(test_signature_and_verdict),
		SERVING(test_maimed_token_questions),
		SERVING(test_next_writer),
		SERVING(test_link_lost),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_no_seal_key),
	};

	return cmocka_run_group_tests_name("hasher", tests, NULL, NULL);
}
