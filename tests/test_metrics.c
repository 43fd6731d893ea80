/* test_metrics.c -- counts of several processes, and the text that they become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "metrics.h"

static char text[65536];

static const char *route(uint32_t number)
{
	static const char *const names[] = { "-", "/resolve", "/session" };

	return number < COUNT_OF(names) ? names[number] : NULL;
}

static void write_all(void)
{
	struct buf out = BUF(text);

	metrics_write(&out, route);
	assert_false(out.full);
	buf_char(&out, '\0');
}

static void expect(const char *line)
{
	if (strstr(text, line) == NULL)
		fail_msg("no line \"%s\" in\n%s", line, text);
}

/* Runs in a process of its own, which takes the slot. */
static void in_slot(uint32_t slot, void (*count)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		metrics_take(slot);
		count();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void count_some(void)
{
	metrics_request(1, 204);
	metrics_request(1, 204);
	metrics_request(1, 401);
	metrics_request(0, 503);
	metrics_add(METRICS_ACCEPTED, 3);
	metrics_set(METRICS_CONNECTIONS, 2);
}

static void counts_together(void **state)
{
	(void)state;
	count_some();                   /* into what stays behind */
	write_all();
	expect("\nsidecart_connections_accepted_total 3\n");
	metrics_make();
	metrics_take(81);
	in_slot(0, count_some);
	in_slot(5, count_some);
	write_all();
	expect("# TYPE sidecart_requests_total counter\n");
	expect("\nsidecart_requests_total{route=\"/resolve\",class=\"2xx\"} 4\n");
	expect("\nsidecart_requests_total{route=\"/resolve\",class=\"4xx\"} 2\n");
	expect("\nsidecart_requests_total{route=\"-\",class=\"5xx\"} 2\n");
	assert_null(strstr(text, "/session"));
	expect("\nsidecart_connections_accepted_total 6\n");
	expect("\nsidecart_connections 4\n");
}

static void nothing(void)
{
}

/* Who comes after a dead one goes on with its counts, and has connections of its own. */
static void gauges_begin_anew(void **state)
{
	(void)state;
	in_slot(5, nothing);
	write_all();
	expect("\nsidecart_connections_accepted_total 6\n");
	expect("\nsidecart_connections 2\n");
}

static const struct {
	uint64_t value;
	const char *bound, *below;      /* the bucket that has it, and one that has not */
} times[] = {
	{ 0, "0.000016", NULL },
	{ 1, "0.000016", NULL },
	{ 16, "0.000016", NULL },
	{ 17, "0.000032", "0.000016" },
	{ 32, "0.000032", "0.000016" },
	{ 1000, "0.001024", "0.000512" },
	{ 1048576, "1.048576", "0.524288" },
	{ 16777216, "16.777216", "8.388608" },
	{ 16777217, "+Inf", "16.777216" },
	{ UINT64_MAX / 4, "+Inf", "16.777216" },
};

static uint64_t bucket(const char *bound)
{
	char line[128];
	const char *at;
	uint64_t n = 0;

	snprintf(line, sizeof line, "sidecart_commit_duration_seconds_bucket{le=\"%s\"} ", bound);
	at = strstr(text, line);
	assert_non_null(at);
	at += strlen(line);
	assert_true(slice_uint((struct slice){ at, strcspn(at, "\n") }, UINT64_MAX, &n));
	return n;
}

static void times_have_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(times); i++) {
		uint64_t had, had_below = 0;

		write_all();
		had = bucket(times[i].bound);
		if (times[i].below != NULL)
			had_below = bucket(times[i].below);
		metrics_observe(METRICS_COMMIT_US, times[i].value, 2);
		write_all();
		assert_int_equal(bucket(times[i].bound), had + 2);
		if (times[i].below != NULL)
			assert_int_equal(bucket(times[i].below), had_below);
		assert_int_equal(bucket("+Inf"), 2 * (i + 1));
	}
	expect("\nsidecart_commit_duration_seconds_count 20\n");
}

static void histograms_add_up(void **state)
{
	(void)state;
	metrics_observe(METRICS_BATCH, 1, 1);
	metrics_observe(METRICS_BATCH, 3, 2);
	metrics_observe(METRICS_BATCH, 256, 1);
	metrics_observe(METRICS_FRONT_US, 1500000, 2);
	write_all();
	expect("# TYPE sidecart_batch_requests histogram\n");
	expect("sidecart_batch_requests_bucket{le=\"1\"} 1\n");
	expect("sidecart_batch_requests_bucket{le=\"2\"} 1\n");
	expect("sidecart_batch_requests_bucket{le=\"4\"} 3\n");
	expect("sidecart_batch_requests_bucket{le=\"128\"} 3\n");
	expect("sidecart_batch_requests_bucket{le=\"256\"} 4\n");
	expect("sidecart_batch_requests_sum 263\n");
	expect("sidecart_batch_requests_count 4\n");
	expect("sidecart_request_duration_seconds_sum{by=\"front\"} 3.000000\n");
	expect("sidecart_request_duration_seconds_bucket{by=\"writer\",le=\"+Inf\"} 0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_together),
		cmocka_unit_test(gauges_begin_anew),
		cmocka_unit_test(times_have_bounds),
		cmocka_unit_test(histograms_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
