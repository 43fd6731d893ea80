/* json.h -- request bodies through Jansson, strict and bounded; JSON text into a buf.
 *
 * Before Jansson sees a text, a scan of ours checks its grammar, limits depth and number of
 * values, and says what is wrong in the words of Python's json module, since oscarapi's
 * clients were given those. Jansson then refuses duplicate names, names with a null
 * character, and numbers beyond int64_t or double (requirement L06).
 * Memory  one fixed arena of the process (json_set_alloc_funcs), emptied by the next
 *         json_parse(): one document at a time; nothing is freed by the caller.
 * Source  RFC 8259; CPython Lib/json/decoder.py for the wording.
 */
#ifndef JSON_H
#define JSON_H

#include <jansson.h>

#include "bytes.h"

#define JSON_TEXT_MAX   1048576         /* bytes; the arena is sized for this and VALUES_MAX */
#define JSON_DEPTH_MAX  32
#define JSON_VALUES_MAX 4096            /* of the longest text: a shorter one may have more */
#define JSON_ERROR_MAX  160

/* Seeds the hash of property names, once a process, with a random number (not 0). Without
 * it Jansson opens /dev/urandom at the first object, which a sandbox may not let it. */
void json_seed(uint32_t random);

/* Parses `text` (any JSON value). NULL where it is refused: `error` then holds a
 * sentence such as "Expecting ':' delimiter: line 1 column 12 (char 11)". The document
 * lives until the next call. A string of it may hold null characters: read it by its
 * json_string_length(). Empty text is an error ("Expecting value: ..."). */
json_t *json_parse(struct slice text, char error[JSON_ERROR_MAX]);

/* A member that json_plain() looks for. `first` is 0 before; where the member is there it says what
 * its value is: '"': `text` is the string; '\\': a string that escapes quotes or backslashes, which
 * still stand escaped in `text`; a digit: the number; '{': an object, to be read by json_plain()
 * again or refused. */
struct json_member {
	const char *name;
	char first;
	struct slice text;
};

/* Reads, without Jansson, an object such as programs write most: all its members are among those
 * `count`, in whatever order, but quickest in this one, and are strings of visible ASCII, whole
 * numbers from 0, or objects of such members. False: it may be another that json_parse() reads. */
bool json_plain(struct slice text, struct json_member *members, size_t count);

/* Merges the object `patch` into the object `target` (RFC 7396: null removes) and writes the
 * result behind `out`, compact. False where a text is refused or is no object; `error` then
 * says why. Empties the arena as json_parse() does. */
bool json_merge_patch(struct buf *out, struct slice target, struct slice patch,
                      char error[JSON_ERROR_MAX]);

/* Writes `s` as a JSON string with its quotes. Control bytes, quotes and backslashes are
 * escaped; bytes that are not UTF-8 become U+FFFD. */
void json_put_string(struct buf *out, struct slice s);

#endif
