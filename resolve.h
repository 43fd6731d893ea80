/* resolve.h -- the native surface: /resolve, /session and what is below it, health, documents.
 *
 * The verdict table of /resolve stands in resolve.c beside the code that applies it.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "call.h"

enum call_result resolve_get(struct call *c);
enum call_result resolve_session_get(struct call *c);
enum call_result resolve_session_delete(struct call *c);
enum call_result resolve_session_login(struct call *c);
enum call_result resolve_data_get(struct call *c);
enum call_result resolve_data_patch(struct call *c);
enum call_result resolve_healthz(struct call *c);
enum call_result resolve_readyz(struct call *c);
enum call_result resolve_openapi(struct call *c);
enum call_result resolve_jwks(struct call *c);

/* The answer to a refused identity: on /resolve with X-Resolve-Error, elsewhere a problem. */
enum call_result resolve_refuse(struct call *c, bool forward_auth);

#endif
