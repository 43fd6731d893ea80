/* command_watch.c -- sidecart stat --watch: what a server does, a line a second.
 *
 * The figures are those of the server's /metrics, where one answers at ops_listen, and those of
 * the store, which is there without one too.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "print.h"
#include "probe.h"

#define METRICS_MAX (1u << 18)
#define HEADER_EACH 20          /* lines on a terminal */
#define WIDTH       12          /* of a column */

/* LEVEL: as it is. RATE: by how much it grew. MEAN: of a histogram, microseconds. */
enum kind { LEVEL, RATE, MEAN };

/* clang-format off */
static const struct {
	const char *name;
	const char *metric, *label;     /* a sum over all that has the label; NULL: the store's */
	enum kind kind;
} columns[] = {
	{ "requests",    "sidecart_requests_total",             "",              RATE },
	{ "refused",     "sidecart_requests_total",             "class=\"4xx\"", RATE },
	{ "failed",      "sidecart_requests_total",             "class=\"5xx\"", RATE },
	{ "front_us",    "sidecart_request_duration_seconds",   "by=\"front\"",  MEAN },
	{ "writer_us",   "sidecart_request_duration_seconds",   "by=\"writer\"", MEAN },
	{ "connections", "sidecart_connections",                "",              LEVEL },
	{ "waiting",     "sidecart_waiting_writes",             "",              LEVEL },
	{ "parked",      "sidecart_parked_requests",            "",              LEVEL },
	{ "commit_us",   "sidecart_commit_duration_seconds",    "",              MEAN },
	{ "sessions",    "sidecart_sessions",                   "",              LEVEL },
	{ "commits",     NULL, "", RATE },
	{ "entries",     NULL, "", LEVEL },
	{ "used_mib",    NULL, "", LEVEL },
	{ "behind",      NULL, "", LEVEL },
};
/* clang-format on */

#define COLUMNS     COUNT_OF(columns)
#define FROM_STORE  4           /* the last columns */

struct sample {
	bool served;            /* a server answered */
	uint64_t value[COLUMNS], count[COLUMNS];
};

static char text[METRICS_MAX];

/* The sum of all lines of a metric that have the label. Times have six decimals: they become
 * microseconds. */
static uint64_t sum_of(struct slice lines, const char *metric, const char *suffix,
                       const char *label)
{
	char name[96];
	uint64_t sum = 0;

	snprintf(name, sizeof name, "%s%s", metric, suffix);
	while (lines.len > 0) {
		struct slice line = slice_cut(&lines, '\n'), labels;
		size_t len = strlen(name);
		uint64_t n = 0;

		if (!slice_starts(line, slice_of(name)) || line.len == len ||
		    (line.ptr[len] != '{' && line.ptr[len] != ' '))
			continue;
		labels = line;
		for (len = line.len; len > 0 && line.ptr[len - 1] != ' '; len--)
			labels.len = len - 1;
		if (memmem(labels.ptr, labels.len, label, strlen(label)) == NULL)
			continue;
		for (; len < line.len; len++)
			if (line.ptr[len] != '.')
				n = n * 10 + (uint64_t)(line.ptr[len] - '0');
		sum += n;
	}
	return sum;
}

static void ask_server(const struct command_line *l, struct sample *s)
{
	const struct config *c = &l->config;
	char error[PROBE_ERROR_MAX];
	struct buf answer = BUF(text);
	struct slice body;
	struct probe p;
	uint32_t i = 0;

	while (i < c->listener_count && !c->listeners[i].ops)
		i++;
	s->served = i < c->listener_count && probe_listener(&p, &c->listeners[i], "/metrics") &&
	            probe_ask(&p, &answer, &body, error) == 200;
	for (i = 0; s->served && i < COLUMNS - FROM_STORE; i++) {
		const char *metric = columns[i].metric, *label = columns[i].label;
		bool mean = columns[i].kind == MEAN;

		s->value[i] = sum_of(body, metric, mean ? "_sum" : "", label);
		s->count[i] = mean ? sum_of(body, metric, "_count", label) : 0;
	}
}

static void take_sample(const struct command_line *l, struct sample *s)
{
	struct kv_stat store;

	ask_server(l, s);
	kv_look(l->kv, &store);
	s->value[COLUMNS - 4] = store.last_snapshot;
	s->value[COLUMNS - 3] = store.entries;
	s->value[COLUMNS - 2] = store.used_bytes >> 20;
	s->value[COLUMNS - 1] =
		store.oldest_reader > 0 ? store.last_snapshot - store.oldest_reader : 0;
}

/* A server that is new counts from 0 again. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

static uint64_t figure(size_t i, const struct sample *now, const struct sample *before)
{
	uint64_t events = grown(now->count[i], before->count[i]);

	if (columns[i].metric != NULL && !(now->served && before->served))
		return PRINT_NONE;
	switch (columns[i].kind) {
	case LEVEL:
		break;
	case RATE:
		return grown(now->value[i], before->value[i]);
	case MEAN:
		return events > 0 ? grown(now->value[i], before->value[i]) / events : 0;
	}
	return now->value[i];
}

static void put_text(const char *s)
{
	static const char blanks[] = "            ";
	size_t len = strlen(s);

	print_text((struct slice){ blanks, len < WIDTH ? WIDTH - len : 1 });
	print_text(slice_of(s));
}

static void print_line(const struct command_line *l, const struct sample *now,
                       const struct sample *before, uint32_t number)
{
	bool header = number == 0 || (isatty(STDOUT_FILENO) && number % HEADER_EACH == 0);
	struct print_cell cells[COLUMNS];
	char figure_text[24];

	for (size_t i = 0; i < COLUMNS; i++)
		cells[i] = (struct print_cell){ columns[i].name, PRINT_COUNT, { 0 },
			                        figure(i, now, before) };
	if (command_has(l, OPTION_JSON)) {
		print_row(cells, COLUMNS);
		return;
	}
	for (size_t i = 0; header && i < COLUMNS; i++)
		put_text(cells[i].name);
	if (header)
		print_text(SLICE("\n"));
	for (size_t i = 0; i < COLUMNS; i++) {
		snprintf(figure_text, sizeof figure_text, "%llu",
		         (unsigned long long)cells[i].number);
		put_text(cells[i].number == PRINT_NONE ? "-" : figure_text);
	}
	print_text(SLICE("\n"));
}

int command_watch(struct command_line *l)
{
	static struct sample samples[2];
	const struct timespec second = { 1, 0 };

	kv_reset(l->kv);
	take_sample(l, &samples[0]);
	for (uint32_t number = 0;; number++) {
		struct sample *before = &samples[number % 2], *now = &samples[(number + 1) % 2];

		nanosleep(&second, NULL);
		take_sample(l, now);
		print_line(l, now, before, number);
		if (!print_flush())
			return COMMAND_DONE;    /* nobody reads on */
	}
}
