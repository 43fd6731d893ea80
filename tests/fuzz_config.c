/* fuzz_config.c -- any text as a setting's value, and as a file of settings: it is taken or
 * refused with a line that says why, and what was taken once is the same when taken again, in a
 * file as from the command line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

#define INPUT_MAX 2048

#define CHECK(fact) do { if (!(fact)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct config once, twice, file;

static void begin(struct config *c)
{
	memset(c, 0, sizeof *c);
	config_defaults(c);
}

static void check_error(const char error[CONFIG_ERROR_MAX])
{
	CHECK(memchr(error, '\0', CONFIG_ERROR_MAX) != NULL && error[0] != '\0');
}

/* Reads the text as a file. */
static bool read_text(struct config *c, struct slice text, char error[CONFIG_ERROR_MAX])
{
	char path[64];
	int fd = memfd_create("settings", MFD_CLOEXEC);
	bool taken;

	CHECK(fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	begin(c);
	taken = config_read_file(c, path, error);
	close(fd);
	return taken;
}

static bool is_plain(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] <= ' ' || value.ptr[i] >= 0x7f || value.ptr[i] == '#')
			return false;
	return value.len > 0;
}

static void check_value(struct slice name, struct slice value)
{
	char line[INPUT_MAX + 128], error[CONFIG_ERROR_MAX] = "";
	bool taken;
	int n;

	begin(&once);
	begin(&twice);
	taken = config_set(&once, name, value, "fuzz", error);
	if (!taken)
		check_error(error);
	if (taken) {
		CHECK(config_set(&twice, name, value, "fuzz", error));
		CHECK(config_set(&twice, name, value, "fuzz", error));
		CHECK(memcmp(&once, &twice, sizeof once) == 0);
		if (!config_finish(&twice, error))
			check_error(error);
	}
	if (!is_plain(value))
		return;
	n = snprintf(line, sizeof line, "%.*s = %.*s\n", (int)name.len, name.ptr, (int)value.len,
	             value.ptr);
	CHECK(read_text(&file, slice_bytes(line, (size_t)n), error) == taken);
	CHECK(!taken || memcmp(&file, &once, sizeof file) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char error[CONFIG_ERROR_MAX] = "";
	size_t settings = 0;
	struct slice text;

	if (len == 0 || len > INPUT_MAX)
		return 0;
	text = slice_bytes(data + 1, len - 1);
	while (config_name(settings) != NULL)
		settings++;
	if (data[0] < settings)
		check_value(slice_of(config_name(data[0])), text);
	else if (!read_text(&file, text, error))
		check_error(error);
	return 0;
}
