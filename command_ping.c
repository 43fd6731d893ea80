/* command_ping.c -- sidecart ping: does a server answer? */
#include "command.h"
#include "print.h"
#include "probe.h"

/* The first listener of the settings. */
static int find_listener(const struct command_line *l, struct probe *p)
{
	const struct config *c = &l->config;
	uint32_t i = 0;

	while (c->listeners[i].ops)     /* `listen` is never empty */
		i++;
	if (!probe_listener(p, &c->listeners[i], "/healthz"))
		return command_wrong("%s: the kernel picked this server's port; say which: "
		                     "sidecart ping http://ADDRESS:PORT", p->name);
	return COMMAND_DONE;
}

int command_ping(struct command_line *l)
{
	char text[4096], error[PROBE_ERROR_MAX];
	struct buf answer = BUF(text);
	struct slice body;
	struct probe p;
	uint32_t status;

	if (l->argument_count == 0) {
		int code = find_listener(l, &p);

		if (code != COMMAND_DONE)
			return code;
	} else if (!probe_parse(&p, slice_of(l->arguments[0]), error)) {
		return command_wrong("%s", error);
	}
	status = probe_ask(&p, &answer, &body, error);
	if (status == 0)
		return command_refuse("%s", error);
	if (status != 200)
		return command_refuse("%s%s: %u: %.*s", p.name, p.document, status, (int)body.len,
		                      body.ptr);
	print_text(body);
	return COMMAND_DONE;
}
