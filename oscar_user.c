/* oscar_user.c -- /api/users/<id>/. */
#include "oscar.h"

enum call_result oscar_user_show(struct call *c)
{
	struct buf *body = &c->response->body;
	struct customer_record who;
	enum kv_status status;

	if (c->config->expose_user_details == CONFIG_OFF) {
		oscar_begin(c, HTTP_NO_CONTENT);
		return CALL_DONE;
	}
	status = customer_get(c->kv, c->identity.session.customer_id, &who);
	if (status != KV_OK)    /* his sessions end before he goes */
		return call_store(c, status == KV_NOT_FOUND ? KV_IO : status);
	oscar_begin(c, HTTP_OK);
	buf_lit(body, "{\"username\":");
	json_put_string(body, who.login);
	buf_lit(body, ",\"email\":");
	json_put_string(body, who.email);
	buf_lit(body, ",\"date_joined\":\"");
	oscar_put_time(body, who.joined_us);
	buf_lit(body, "\"}");
	return CALL_DONE;
}

enum call_result oscar_user_get(struct call *c)
{
	uint64_t id;

	if (c->identity.kind != IDENTITY_CUSTOMER)
		return oscar_forbidden(c);
	/* The original hides who is there only where it shows anything at all. */
	if (!slice_uint(c->arg[0], UINT64_MAX, &id) ||
	    (id != c->identity.session.customer_id && c->config->expose_user_details == CONFIG_ON))
		return oscar_not_found(c);
	return oscar_user_show(c);
}
