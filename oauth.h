/* oauth.h -- token services: what backends ask about tokens, and tokens that are made for them.
 *
 * For API keys of scope `resolve`: introspection, revocation and exchange, each with a form as
 * its body and OAuth's errors. What is presented in a form is judged by identify(), as if it had
 * come in a request of its own.
 * Source  RFC 6749 (errors), 7009 (revocation), 7662 (introspection), 8693 (exchange), 9068 (JWT
 *         access tokens); docs/tokens.md says what of them is here.
 */
#ifndef OAUTH_H
#define OAUTH_H

#include "call.h"

enum call_result oauth_introspect(struct call *c);
enum call_result oauth_revoke(struct call *c);
enum call_result oauth_exchange(struct call *c);

#define OAUTH_TOKEN_MAX    4096         /* bytes of an access token */
#define OAUTH_AUDIENCE_MAX 255

/* A token for one backend, which it verifies by the JWK set. */
struct oauth_access {
	const struct identity *who;     /* a guest or a customer */
	struct slice audience;
	struct slice client;            /* name of the API key; absent: none */
	struct slice method, path;      /* of the request that it is good for; absent: any */
};

/* Makes it, signed by an ES256 key of the ring. It lives for a minute that began up to half a
 * minute ago: whoever asks for the same in this time gets the same, from the memo. CALL_DONE:
 * `token` has it. What else comes is the handler's result. */
enum call_result oauth_make_access(struct call *c, const struct oauth_access *a,
                                   struct buf *token, uint64_t *exp_s);

#endif
