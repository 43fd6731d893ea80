/* taint.h -- in front of each file of the valgrind build: what slice_eq_secret() says of two
 * secrets is no secret itself, so who asks may branch on it. What led there is: see taint.c.
 */
#ifndef TAINT_H
#define TAINT_H

#include <stdbool.h>
#include <valgrind/memcheck.h>

static inline bool taint_verdict(bool equal)
{
	VALGRIND_MAKE_MEM_DEFINED(&equal, sizeof equal);
	return equal;
}
#define SECRET_VERDICT(equal) taint_verdict(equal)

#endif
