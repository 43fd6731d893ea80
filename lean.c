/* lean.c -- in the place of parts of the C library that a static binary would have for nothing.
 *
 * Behind these stand threads, exceptions, text in many languages and output in wide characters:
 * 116 KB. Nothing here comes to any of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Weak: where the library's own comes along after all, that one is taken. */
#define INSTEAD_OF(name) __asm__(name) __attribute__((weak))

int lean_no_thread(void) INSTEAD_OF("pthread_create");
void lean_no_way_out(void) INSTEAD_OF("_Unwind_Resume");
void lean_no_way_here(void) INSTEAD_OF("__gcc_personality_v0");
const char *lean_text(const char *domain, const char *text, int category) INSTEAD_OF("__dcgettext");
void lean_assert_fail(const char *condition, const char *file, unsigned line,
                      const char *function) INSTEAD_OF("__assert_fail");

/* LMDB starts a thread for a compacting copy of the store alone, which nothing here asks for. */
int lean_no_thread(void)
{
	return EAGAIN;
}

/* Out of a thread that is cancelled; and there are no tables to go by (Makefile, LEAN). */
void lean_no_way_out(void)
{
	abort();
}

void lean_no_way_here(void)
{
	abort();
}

/* strerror() asks for a translation; but the locale is always C. */
const char *lean_text(const char *domain, const char *text, int category)
{
	(void)domain, (void)category;
	return text;
}

/* In the library's words. */
void lean_assert_fail(const char *condition, const char *file, unsigned line, const char *function)
{
	fprintf(stderr, "%s: %s:%u: %s: Assertion `%s' failed.\n", program_invocation_short_name,
	        file, line, function, condition);
	abort();
}
