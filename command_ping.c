/* command_ping.c -- sidecart ping: does a server answer? */
#include "command.h"
#include "print.h"
#include "probe.h"

/* The first listener of the settings that is not TLS. */
static int find_listener(const struct command_line *l, struct probe *p)
{
	const struct config *c = &l->config;
	uint32_t i = 0;

	while (i < c->listener_count && (c->listeners[i].ops || c->listeners[i].https))
		i++;
	for (uint32_t j = 0; i == c->listener_count && j < c->listener_count; j++)
		if (!c->listeners[j].https)
			i = j;          /* of ops_listen, which answers too */
	if (i == c->listener_count)
		return command_wrong("every listener is https:, which ping does not speak: add one "
		                     "for it, such as unix:/run/sidecart/ping");
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
