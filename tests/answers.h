/* answers.h -- what handlers ask about tokens, and what the hasher answers (hasher.c).
 *
 * What is drawn is a counter: no two are equal.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "call.h"

static const uint8_t seal_key[SEAL_KEY_LEN] = { 1, 2, 3 };

/* Of the request at hand. */
static struct {
	struct call_answer given[CALL_ASKS_MAX];
	char question[CALL_QUESTION_MAX];
	char questions[CALL_ASKS_MAX][CALL_QUESTION_MAX], texts[CALL_ASKS_MAX][CALL_ANSWER_MAX];
	bool broken_seal;               /* the hasher's key opens nothing: no signature */
} answers;

static inline void answers_draw(uint8_t *random, size_t len)
{
	static uint32_t counter;

	counter++;
	for (size_t i = 0; i < len; i++)
		random[i] = (uint8_t)((counter * 2654435761u >> 8 * (i % 4)) + i * 3);
}

static inline void answers_make_key(enum token_alg alg, struct buf *out)
{
	uint8_t random[TOKEN_RANDOM_LEN];

	do
		answers_draw(random, sizeof random);
	while (!token_generate(out, alg, seal_key, random));
}

static inline void answers_begin(struct call *c)
{
	c->answers = answers.given;
	c->answer_count = 0;
	c->question = BUF(answers.question);
}

static inline void answers_judge(uint8_t kind, struct slice question, struct buf *out)
{
	uint8_t scalar[JWT_SCALAR_LEN], rs[JWT_ES256_LEN];
	struct token_key_record r;
	const uint8_t *digest;
	struct slice signature;
	struct jwt_key key;

	if (kind == ASK_TOKEN_KEY) {
		assert_int_equal(question.len, 1);
		answers_make_key((enum token_alg)question.ptr[0], out);
	} else if (kind == ASK_SIGNATURE) {
		assert_true(call_signature_question_read(question, &digest, &r));
		assert_true(token_unseal(&r, seal_key, scalar));
		assert_true(jwt_sign_es256(scalar, digest, rs));
		if (!answers.broken_seal)
			buf_put(out, slice_bytes(rs, sizeof rs));
	} else {
		assert_int_equal(kind, ASK_VERDICT);
		assert_true(call_verdict_question_read(question, &key, &digest, &signature));
		buf_char(out, jwt_check_public(&key, digest, signature));
	}
}

/* Answers what was asked last; the handler is then to be run again. */
static inline void answers_give(struct call *c)
{
	size_t n = c->answer_count++;
	struct buf out = BUF(answers.texts[n]);

	assert_in_range(n, 0, CALL_ASKS_MAX - 1);
	memcpy(answers.questions[n], c->question.ptr, c->question.len);
	answers.given[n] = (struct call_answer){
		.kind = c->question_kind,
		.question = { answers.questions[n], c->question.len },
	};
	answers_judge(c->question_kind, answers.given[n].question, &out);
	answers.given[n].answer = buf_slice(&out);
}

#endif
