/* oscar.h -- the /api/ surface: oscarapi's requests and answers, byte for byte.
 *
 * Here: /api/login/ and what every other path under /api/ answers. No rule of the domain
 * lives here.
 * Source  oscarapi/views/login.py, serializers/login.py; django-rest-framework's wording.
 */
#ifndef OSCAR_H
#define OSCAR_H

#include "call.h"

enum call_result oscar_login_get(struct call *c);
enum call_result oscar_login_post(struct call *c);
enum call_result oscar_login_delete(struct call *c);

/* The answer to a refused identity: {"reason": ...} or {"detail": ...}. */
enum call_result oscar_refuse(struct call *c);

/* Errors of the router, in this surface's form: {"detail": ...}. */
enum call_result oscar_error(struct call *c, enum http_status status, const char *detail);
enum call_result oscar_method_error(struct call *c);

/* 429 with Retry-After, in django-rest-framework's words. */
enum call_result oscar_throttled(struct call *c, uint32_t wait_s);

#endif
