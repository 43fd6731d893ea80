/* test_life.c -- signs of life across processes (D08). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "life.h"

/* Without a page nothing is counted, and no loop waits for less than it would. */
static void does_nothing_alone(void **state)
{
	(void)state;
	life_take(3);
	life_turn();
	life_wait(true);
	assert_int_equal(life_turns(3), 0);
	assert_false(life_waits(3));
	assert_int_equal(life_wait_ms(-1), -1);
	assert_int_equal(life_wait_ms(60000), 60000);
}

static void bounds_waits(void **state)
{
	static const struct {
		int asked, given;
	} waits[] = { { -1, 250 }, { 0, 0 }, { 1, 1 }, { 250, 250 }, { 251, 250 }, { 60000, 250 } };

	(void)state;
	assert_true(life_make(250));
	for (size_t i = 0; i < COUNT_OF(waits); i++)
		assert_int_equal(life_wait_ms(waits[i].asked), waits[i].given);
}

static void in_child(uint32_t slot, int turns, bool waits)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		life_take(slot);
		for (int i = 0; i < turns; i++)
			life_turn();
		life_wait(waits);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void is_seen_by_the_parent(void **state)
{
	(void)state;
	assert_true(life_make(250));
	in_child(0, 5, false);
	in_child(LIFE_SLOTS - 1, 7, true);
	assert_int_equal(life_turns(0), 5);
	assert_false(life_waits(0));
	assert_int_equal(life_turns(LIFE_SLOTS - 1), 7);
	assert_true(life_waits(LIFE_SLOTS - 1));
	assert_int_equal(life_turns(1), 0);
}

/* Whoever died while he waited for a lock leaves nothing to the next. */
static void a_new_owner_begins_anew(void **state)
{
	(void)state;
	assert_true(life_make(250));
	in_child(4, 9, true);
	in_child(4, 2, false);
	assert_int_equal(life_turns(4), 2);
	assert_false(life_waits(4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_nothing_alone),
		cmocka_unit_test(bounds_waits),
		cmocka_unit_test(is_seen_by_the_parent),
		cmocka_unit_test(a_new_owner_begins_anew),
	};

	return cmocka_run_group_tests_name("life", tests, NULL, NULL);
}
