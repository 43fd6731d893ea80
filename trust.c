/* trust.c -- see trust.h. */
#include <stdio.h>

#include "file.h"
#include "trust.h"

static struct trust_issuer issuers[TRUST_ISSUERS_MAX];
static size_t issuer_count;

static bool fail(char error[TRUST_ERROR_MAX], struct slice what, const char *why)
{
	issuer_count = 0;
	snprintf(error, TRUST_ERROR_MAX, "token_trust: %.*s: %s", (int)what.len, what.ptr, why);
	return false;
}

/* One `ISSUER=FILE`. An issuer is mostly a URL, which may have a `=` of its own: the last one
 * counts. */
static bool add_issuer(struct slice item, char error[TRUST_ERROR_MAX])
{
	static char bytes[TRUST_FILE_MAX + 1];
	struct buf text = BUF(bytes);
	struct trust_issuer *issuer = &issuers[issuer_count];
	char path[CONFIG_PATH_MAX];
	const char *why;
	size_t equals = item.len;

	while (equals > 0 && item.ptr[equals - 1] != '=')
		equals--;
	if (equals < 2 || equals > TRUST_ISSUER_MAX || equals == item.len ||
	    item.len - equals >= sizeof path)
		return fail(error, item, "not ISSUER=FILE");
	if (issuer_count == TRUST_ISSUERS_MAX)
		return fail(error, item, "one issuer too many: 8 may be named");
	memcpy(issuer->name, item.ptr, equals - 1);
	issuer->name[equals - 1] = '\0';
	if (trust_find(slice_of(issuer->name)) != NULL)
		return fail(error, item, "the issuer is named twice");
	memcpy(path, item.ptr + equals, item.len - equals);
	path[item.len - equals] = '\0';
	if (!file_load(path, &text))
		return fail(error, item, "the file cannot be read");
	if (text.len == sizeof bytes)
		return fail(error, item, "the file is longer than 64 KB");
	issuer->key_count = jwt_keys_read(buf_slice(&text), issuer->keys, TRUST_KEYS_MAX, &why);
	if (issuer->key_count == 0)
		return fail(error, item, why);
	issuer_count++;
	return true;
}

bool trust_read(const char *setting, char error[TRUST_ERROR_MAX])
{
	struct slice rest = slice_of(setting);

	issuer_count = 0;
	while (rest.len > 0) {
		struct slice item = slice_trim(slice_cut(&rest, ','));

		if (!add_issuer(item, error))
			return false;
	}
	return true;
}

const struct trust_issuer *trust_find(struct slice name)
{
	for (size_t i = 0; i < issuer_count; i++)
		if (slice_eq(name, slice_of(issuers[i].name)))
			return &issuers[i];
	return NULL;
}
