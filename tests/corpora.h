/* corpora.h -- rows of outside test data, from the folder that CORPORA names. */
#ifndef CORPORA_H
#define CORPORA_H

#include <stdio.h>
#include <stdlib.h>

#include "bytes.h"

/* The folder; without one the test is skipped. */
static inline const char *corpora(void)
{
	const char *folder = getenv("CORPORA");

	if (folder == NULL)
		skip();
	return folder;
}

static inline FILE *corpus_open(const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", corpora(), name);
	file = fopen(path, "r");
	if (file == NULL)
		fail_msg("%s cannot be opened", path);
	return file;
}

/* Splits the next line that is no comment at its tabs; the fields hold until the next call.
 * False at the end; fields that a line does not have are absent. */
static inline bool corpus_row(FILE *file, struct slice *field, size_t count)
{
	static char line[16384];
	struct slice rest;

	do {
		if (fgets(line, sizeof line, file) == NULL)
			return false;
	} while (line[0] == '#');
	rest = slice_of(line);
	assert_int_equal(rest.ptr[rest.len - 1], '\n');
	rest.len--;
	for (size_t i = 0; i < count; i++)
		field[i] = slice_cut(&rest, '\t');
	return true;
}

/* Closes the file: its rows, counted anew, must be as many as were judged, and `expected`. */
static inline void corpus_close(FILE *file, const char *name, size_t judged, size_t expected)
{
	struct slice field;
	size_t rows = 0;

	rewind(file);
	while (corpus_row(file, &field, 1))
		rows++;
	fclose(file);
	print_message("%s: %zu of %zu rows\n", name, judged, rows);
	assert_int_equal(judged, rows);
	assert_int_equal(rows, expected);
}

/* Decodes a field of hexadecimal; `-` is the empty one. */
static inline struct slice corpus_hex(struct slice field, uint8_t *bytes, size_t cap)
{
	size_t len = slice_eq(field, SLICE("-")) ? 0 : field.len / 2;

	assert_true(len <= cap);
	if (len > 0)
		assert_true(hex_decode(field, bytes, len));
	return slice_bytes(bytes, len);
}

#endif
