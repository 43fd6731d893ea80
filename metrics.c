/* metrics.c -- see metrics.h. */
#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "metrics.h"

#define CLASSES 5                       /* of status: 1xx to 5xx */
#define BUCKETS 21                      /* upper bounds are powers of two, */
#define FIRST_US 4                      /* for times from 16 microseconds to 16.8 seconds */

/* Places in a block: values, requests by route and class, histograms. A histogram's buckets
 * end with the one above all bounds, and its sum follows. */
#define REQUESTS_AT(route, class) (METRICS_VALUES + (route) * CLASSES + (class))
#define BUCKET_AT(h, bucket)      (REQUESTS_AT(METRICS_ROUTES, 0) + (h) * (BUCKETS + 2) + (bucket))
#define SUM_AT(h)                 BUCKET_AT(h, BUCKETS + 1)
#define PLACES                    BUCKET_AT(METRICS_HISTOGRAMS, 0)

struct block {
	_Atomic uint64_t at[PLACES];
};

/* Blocks of slots that nobody took are not looked at: that would have memory for them. */
struct page {
	atomic_bool taken[METRICS_SLOTS];
	struct block blocks[METRICS_SLOTS];
};

static struct block nobody;
static struct block *own = &nobody;
static struct page *page;

enum unit { ONE, MICROSECONDS };

/* clang-format off */
static const struct {
	const char *name, *labels, *help;
	bool gauge;
	enum unit unit;
} values[METRICS_VALUES] = {
	[METRICS_CONNECTIONS] = { "connections", "", "Open connections.", true, ONE },
	[METRICS_ACCEPTED] = { "connections_accepted_total", "",
		"Connections accepted.", false, ONE },
	[METRICS_WAITING_WRITES] = { "waiting_writes", "",
		"Requests that are with the writer or wait for it.", true, ONE },
	[METRICS_RATE_LIMITED] = { "rate_limited_total", "",
		"Requests answered 429 by a front.", false, ONE },
	[METRICS_PARKED] = { "parked_requests", "",
		"Requests that wait for a password or a signature.", true, ONE },
	[METRICS_LOGINS_THROTTLED] = { "logins_throttled_total", "",
		"Logins and registrations answered 429.", false, ONE },
	[METRICS_COMMITS_FAILED] = { "commits_failed_total", "",
		"Batches that could not be committed.", false, ONE },
	[METRICS_SWEPT] = { "sweep_entries_total", "",
		"Entries of the list of what expires that the sweep looked at.", false, ONE },
	[METRICS_SESSIONS_GUEST] = { "sessions", "kind=\"guest\"",
		"Session records, as of the last round of the count.", true, ONE },
	[METRICS_SESSIONS_CUSTOMER] = { "sessions", "kind=\"customer\"", "", true, ONE },
	[METRICS_READER_AGE_US] = { "store_oldest_reader_age_seconds", "",
		"How long a snapshot has been held that commits have passed.", true, MICROSECONDS },
	[METRICS_ASKED_PASSWORD] = { "hasher_questions_total", "kind=\"password\"",
		"Questions that hashers answered.", false, ONE },
	[METRICS_ASKED_HASH] = { "hasher_questions_total", "kind=\"hash\"", "", false, ONE },
	[METRICS_ASKED_TOKEN_KEY] = { "hasher_questions_total", "kind=\"key\"", "", false, ONE },
	[METRICS_ASKED_SIGNATURE] = { "hasher_questions_total", "kind=\"sign\"", "", false, ONE },
	[METRICS_ASKED_VERDICT] = { "hasher_questions_total", "kind=\"verify\"", "", false, ONE },
	[METRICS_HASHER_US] = { "hasher_busy_seconds_total", "",
		"Time that hashers spent on questions.", false, MICROSECONDS },
	[METRICS_DIED_WRITER] = { "deaths_total", "kind=\"writer\"",
		"Processes that ended before their time.", false, ONE },
	[METRICS_DIED_FRONT] = { "deaths_total", "kind=\"front\"", "", false, ONE },
	[METRICS_DIED_HASHER] = { "deaths_total", "kind=\"hasher\"", "", false, ONE },
};

static const struct {
	const char *name, *labels, *help;
	enum unit unit;
} histograms[METRICS_HISTOGRAMS] = {
	[METRICS_FRONT_US] = { "request_duration_seconds", "by=\"front\",",
		"From the turn that took a request up to the end of the turn that answered it.",
		MICROSECONDS },
	[METRICS_WRITER_US] = { "request_duration_seconds", "by=\"writer\",", "", MICROSECONDS },
	[METRICS_BATCH] = { "batch_requests", "", "Requests of one commit.", ONE },
	[METRICS_COMMIT_US] = { "commit_duration_seconds", "", "Commits, with their fsync.",
		MICROSECONDS },
};
/* clang-format on */

void metrics_make(void)
{
	void *memory = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	page = memory == MAP_FAILED ? NULL : memory;
}

static void put(size_t place, uint64_t n)
{
	atomic_store_explicit(&own->at[place], n, memory_order_relaxed);
}

/* Nobody else writes there: a load and a store, no locked addition. */
static void add(size_t place, uint64_t n)
{
	put(place, atomic_load_explicit(&own->at[place], memory_order_relaxed) + n);
}

void metrics_take(uint32_t slot)
{
	assert(slot < METRICS_SLOTS);
	if (page == NULL)
		return;
	own = &page->blocks[slot];
	atomic_store_explicit(&page->taken[slot], true, memory_order_relaxed);
	for (int v = 0; v < METRICS_VALUES; v++)
		if (values[v].gauge)
			put((size_t)v, 0);
}

void metrics_add(enum metrics_value v, uint64_t n)
{
	add(v, n);
}

void metrics_set(enum metrics_value v, uint64_t n)
{
	put(v, n);
}

void metrics_request(uint32_t route, uint32_t status)
{
	assert(route < METRICS_ROUTES && status >= 100 && status < 600);
	add(REQUESTS_AT(route, status / 100 - 1), 1);
}

/* The first bucket whose bound is not below the value. */
static uint32_t bucket_of(uint64_t value, enum unit unit)
{
	uint32_t bits = value > 1 ? 64 - (uint32_t)__builtin_clzll(value - 1) : 0;
	uint32_t first = unit == MICROSECONDS ? FIRST_US : 0;

	if (bits <= first)
		return 0;
	return bits - first < BUCKETS ? bits - first : BUCKETS;
}

void metrics_observe(enum metrics_histogram h, uint64_t value, uint64_t times)
{
	add(BUCKET_AT(h, bucket_of(value, histograms[h].unit)), times);
	add(SUM_AT(h), value * times);
}

/* The sum over all processes. */
static uint64_t total(size_t place)
{
	uint64_t sum = 0;

	if (page == NULL)
		return atomic_load_explicit(&own->at[place], memory_order_relaxed);
	for (size_t i = 0; i < METRICS_SLOTS; i++)
		if (atomic_load_explicit(&page->taken[i], memory_order_relaxed))
			sum += atomic_load_explicit(&page->blocks[i].at[place],
			                            memory_order_relaxed);
	return sum;
}

static void put_line(struct buf *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put_line(struct buf *out, const char *format, ...)
{
	char line[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	buf_str(out, line);
}

/* Those that share a name stand together; the first tells what it is. */
static void put_about(struct buf *out, const char *name, const char *type, const char *help)
{
	if (help[0] != '\0')
		put_line(out, "# HELP sidecart_%s %s\n# TYPE sidecart_%s %s\n", name, help, name,
		         type);
}

static void put_number(struct buf *out, uint64_t n, enum unit unit)
{
	if (unit == MICROSECONDS)
		put_line(out, "%llu.%06llu", (unsigned long long)(n / 1000000),
		         (unsigned long long)(n % 1000000));
	else
		buf_uint(out, n);
}

static void put_values(struct buf *out)
{
	for (int v = 0; v < METRICS_VALUES; v++) {
		put_about(out, values[v].name, values[v].gauge ? "gauge" : "counter",
		          values[v].help);
		put_line(out, values[v].labels[0] != '\0' ? "sidecart_%s{%s} " : "sidecart_%s%s ",
		         values[v].name, values[v].labels);
		put_number(out, total((size_t)v), values[v].unit);
		buf_char(out, '\n');
	}
}

static void put_histogram(struct buf *out, int h)
{
	const char *name = histograms[h].name, *labels = histograms[h].labels;
	enum unit unit = histograms[h].unit;
	uint32_t first = unit == MICROSECONDS ? FIRST_US : 0;
	int inside = labels[0] != '\0' ? (int)strlen(labels) - 1 : 0;  /* without the comma */
	const char *open = inside > 0 ? "{" : "", *close = inside > 0 ? "}" : "";
	uint64_t count = 0;

	put_about(out, name, "histogram", histograms[h].help);
	for (uint32_t i = 0; i <= BUCKETS; i++) {
		count += total(BUCKET_AT((size_t)h, i));
		put_line(out, "sidecart_%s_bucket{%sle=\"", name, labels);
		if (i < BUCKETS)
			put_number(out, (uint64_t)1 << (i + first), unit);
		else
			buf_lit(out, "+Inf");
		put_line(out, "\"} %llu\n", (unsigned long long)count);
	}
	put_line(out, "sidecart_%s_sum%s%.*s%s ", name, open, inside, labels, close);
	put_number(out, total(SUM_AT((size_t)h)), unit);
	put_line(out, "\nsidecart_%s_count%s%.*s%s %llu\n", name, open, inside, labels, close,
	         (unsigned long long)count);
}

/* What was never asked for is left out. */
static void put_requests(struct buf *out, const char *(*route)(uint32_t number))
{
	const char *name;

	put_about(out, "requests_total", "counter", "Requests answered.");
	for (uint32_t i = 0; i < METRICS_ROUTES && (name = route(i)) != NULL; i++)
		for (int class = 0; class < CLASSES; class++) {
			uint64_t n = total(REQUESTS_AT(i, (size_t)class));

			if (n > 0)
				put_line(out, "sidecart_requests_total{route=\"%s\",class=\"%dxx\"}"
				         " %llu\n", name, class + 1, (unsigned long long)n);
		}
}

void metrics_write(struct buf *out, const char *(*route)(uint32_t number))
{
	put_requests(out, route);
	put_values(out);
	for (int h = 0; h < METRICS_HISTOGRAMS; h++)
		put_histogram(out, h);
}

void metrics_write_one(struct buf *out, const char *name, const char *type, const char *help,
                       uint64_t value)
{
	put_about(out, name, type, help);
	put_line(out, "sidecart_%s %llu\n", name, (unsigned long long)value);
}
