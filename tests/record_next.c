/* record_next.c -- the next version's records, for the test of a rollback: a field more at the
 * end of each. Linked into build/next, where it stands around the functions of record.c. */
#include "record.h"

#define FIELD SLICE("next")

/* The linker's names for the real ones. */
#define AROUND(name, type) \
	bool __real_##name(struct buf *out, type r); \
	bool __wrap_##name(struct buf *out, type r); \
	bool __wrap_##name(struct buf *out, type r) \
	{ \
		if (!__real_##name(out, r)) \
			return false; \
		buf_put(out, FIELD); \
		return !out->full; \
	}

AROUND(record_session_write, const struct session_record *)
AROUND(record_customer_write, const struct customer_record *)
AROUND(record_client_write, const struct client_record *)
AROUND(record_product_write, const struct product_record *)
AROUND(record_basket_write, const struct basket *)
