/* command_backup.c -- sidecart backup and sidecart restore.
 *
 * A restore builds the store beside the one that is there, in DATA/restore.new, and only then
 * moves its files into place. From the first move to the last DATA/restoring stands there, and
 * command_hold() lets nobody at the store: what a crash leaves is the store of before, or one
 * that is to be restored again, never a mixture that is served.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backup.h"
#include "client.h"
#include "command.h"
#include "print.h"
#include "session.h"
#include "supervisor.h"
#include "token.h"

#define PATH_CAP (CONFIG_PATH_MAX + 300)        /* and a file's name */
#define SKIPPED  1000000        /* numbers that may have been given since the backup, */
#define SKIPPED_A_SECOND 100    /* and so many more in each second since */
#define STEP     10000          /* sessions looked at in one transaction */

static struct backup backup;

static int write_backup(struct command_line *l)
{
	const char *path = l->arguments[0];
	char error[BACKUP_ERROR_MAX];
	struct buf secret = BUF(backup.secret);
	int code = command_open(l, KV_READ);
	bool done;

	if (code != COMMAND_DONE)
		return code;
	backup.made_s = (uint64_t)time(NULL);
	done = secret_read(l->config.sid_secret_file, &secret, error) &&
	       secret_read_seal_key(l->config.data, backup.seal_key, error);
	backup.secret_len = (uint32_t)secret.len;
	done = done && backup_write(path, &backup, l->kv, command_progress, error);
	explicit_bzero(backup.secret, sizeof backup.secret);
	explicit_bzero(backup.seal_key, sizeof backup.seal_key);
	if (!done)
		return command_fail(COMMAND_SYSTEM, "%s", error);
	command_say("%s: %llu records, %llu bytes of them; mode 0600, for sid.secret and seal.key "
	            "are in it: who has it has all sessions and password hashes", path,
	            (unsigned long long)backup.records, (unsigned long long)backup.bytes);
	return COMMAND_DONE;
}

int command_backup(struct command_line *l)
{
	bool ended;
	int code = command_apart(l, write_backup, &ended);

	if (!ended)
		backup_forget(l->arguments[0]);
	l->changed = code == COMMAND_DONE;      /* a file with all secrets was made */
	return code;
}

static const char *path_in(char path[PATH_CAP], const char *folder, const char *name)
{
	snprintf(path, PATH_CAP, "%.*s/%s", CONFIG_PATH_MAX, folder, name);
	return path;
}

void command_drop_store(const char *folder)
{
	char path[PATH_CAP];
	DIR *directory = opendir(folder);
	const struct dirent *file;

	while (directory != NULL && (file = readdir(directory)) != NULL)
		unlink(path_in(path, folder, file->d_name));    /* not . and .. */
	if (directory != NULL)
		closedir(directory);
	rmdir(folder);
}

int command_load_backup(struct command_line *l, const char *folder, const struct backup *b,
                        bool durable)
{
	const struct kv_options o = {
		.dir = folder, .mode = KV_CREATE, .map_bytes = l->config.map_bytes,
		.nosync = !durable,
	};
	char error[BACKUP_ERROR_MAX];

	l->kv = kv_open(&o, error);
	if (l->kv == NULL || !backup_load(l->kv, b, command_progress, error))
		return command_fail(COMMAND_SYSTEM, "%s", error);
	return COMMAND_DONE;
}

/* Ends the customers' sessions that one step of the walk finds. */
static enum kv_status end_some(struct kv *kv, struct record_key *after, uint64_t *ended)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct session_record s;
	enum kv_status status = KV_OK;

	for (int i = 0; i < STEP && status == KV_OK; i++) {
		status = session_next(kv, after, key, &s);
		if (status != KV_OK || s.customer_id == 0)
			continue;
		status = session_end(kv, key);
		++*ended;
	}
	return status;
}

static enum kv_status end_sessions(struct kv *kv, uint64_t *ended)
{
	struct record_key after = { .len = 0 };
	enum kv_status status = KV_OK;

	while (status == KV_OK) {
		if ((status = kv_begin(kv)) != KV_OK)
			return status;
		kv_use_reserve(kv);
		status = end_some(kv, &after, ended);
		if (status == KV_OK || status == KV_NOT_FOUND) {
			enum kv_status committed = kv_commit(kv);

			status = committed == KV_OK ? status : committed;
		} else {
			kv_abort(kv);
		}
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* Numbers of customers and baskets that were given after the backup may be known outside, in
 * basket cookies and orders: they are not given again, and neither are those of another restore of
 * it. Nor is an ETag: what a client holds of the time since names another price book. */
static uint64_t skipped(const struct command_line *l)
{
	uint64_t ran = l->now_us * SKIPPED_A_SECOND / 1000000;
	uint64_t made = backup.made_s * SKIPPED_A_SECOND;

	return SKIPPED + (ran > made ? ran - made : 0);
}

static enum kv_status skip_number(struct kv *kv, const char *name, uint64_t skip)
{
	struct record_key key;
	struct slice value, place = record_meta_key(&key, name);
	char text[8];
	struct buf number = BUF(text);
	uint64_t n = 1;                 /* as where none was given yet */
	enum kv_status status = kv_get(kv, place, &value);

	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	if (status == KV_OK && !record_number_read(value, &n))
		return KV_OK;
	record_number_write(&number, n + skip);
	return kv_put(kv, place, buf_slice(&number));
}

static enum kv_status skip_numbers(struct kv *kv, uint64_t skip)
{
	static const char *const names[] = { RECORD_NEXT_CUSTOMER, RECORD_NEXT_BASKET,
	                                     RECORD_NEXT_LINE, RECORD_NEXT_OPTION,
	                                     RECORD_PRICE_BOOK };
	enum kv_status status = kv_begin(kv);

	if (status != KV_OK)
		return status;
	kv_use_reserve(kv);
	for (size_t i = 0; i < COUNT_OF(names) && status == KV_OK; i++)
		status = skip_number(kv, names[i], skip);
	if (status == KV_OK)
		return kv_commit(kv);
	kv_abort(kv);
	return status;
}

static void print_key(const char *kind, struct slice name, struct slice may, uint64_t until_s)
{
	const struct print_cell cells[] = {
		{ "kind", PRINT_TEXT, slice_of(kind), 0 },
		{ "name", PRINT_TEXT, name, 0 },
		{ "scopes", PRINT_LIST, may, 0 },
		{ "expires", PRINT_TIME, { 0 }, until_s },
	};

	print_row(cells, COUNT_OF(cells));
}

/* Whatever became of them since the backup: these open something from now on. */
static enum kv_status list_keys(struct command_line *l)
{
	uint64_t now_s = l->now_us / 1000000;
	uint8_t digest[RECORD_DIGEST_LEN];
	struct record_key after = { .len = 0 };
	struct client_record r;
	struct token_key_record t;
	enum kv_status status = kv_begin_read(l->kv);

	while (status == KV_OK && (status = client_next(l->kv, &after, digest, &r)) == KV_OK) {
		char text[128];
		struct buf scopes = BUF(text);

		client_scopes_write(&scopes, r.scopes);
		if (r.flags == 0 && (r.expires_s == 0 || r.expires_s > now_s))
			print_key("API key", r.name, buf_slice(&scopes), r.expires_s);
	}
	after.len = 0;
	if (status == KV_NOT_FOUND)
		status = KV_OK;
	while (status == KV_OK && (status = token_next(l->kv, &after, &t)) == KV_OK)
		if (t.until_s > now_s)
			print_key("token key", t.kid, slice_of(token_alg_text(t.alg)),
			          t.until_s == RECORD_NEVER ? 0 : t.until_s);
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* Builds the store in `folder`. */
static int build(struct command_line *l, const char *folder)
{
	uint64_t ended = 0;
	enum kv_status status = KV_OK;
	int code = command_load_backup(l, folder, &backup, true);

	if (code != COMMAND_DONE)
		return code;
	if (!command_has(l, OPTION_KEEP_SESSIONS))
		status = end_sessions(l->kv, &ended);
	if (status == KV_OK)
		status = skip_numbers(l->kv, skipped(l));
	if (status == KV_OK)
		status = list_keys(l);
	kv_close(l->kv);
	l->kv = NULL;
	if (status != KV_OK)
		return command_store(l, status);
	if (command_has(l, OPTION_KEEP_SESSIONS))
		command_say("sessions of customers live again as they were, those that were ended "
		            "since the backup too");
	else
		command_say("sessions of customers that were ended: %llu",
		            (unsigned long long)ended);
	return COMMAND_DONE;
}

/* True where the Session-Id secret in place is that of the backup. */
static bool same_secret(const struct command_line *l)
{
	char text[SECRET_MAX], error[SECRET_ERROR_MAX];
	struct buf secret = BUF(text);
	bool same = secret_read(l->config.sid_secret_file, &secret, error) &&
	            slice_eq_secret(buf_slice(&secret),
	                            (struct slice){ backup.secret, backup.secret_len });

	explicit_bzero(text, sizeof text);
	return same;
}

/* Writes both secrets beside their places, so that all that is left is to be moved. */
static bool write_secrets(const struct command_line *l, const char *folder, const char *secret_new,
                          char error[SECRET_ERROR_MAX])
{
	char text[2 * SEAL_KEY_LEN], path[PATH_CAP];
	struct buf hex = BUF(text);
	bool done;

	buf_hex(&hex, slice_bytes(backup.seal_key, sizeof backup.seal_key));
	done = secret_write(path_in(path, folder, "seal.key"), buf_slice(&hex), l->config.data,
	                    error);
	explicit_bzero(text, sizeof text);
	return done && (secret_new[0] == '\0' ||
	                secret_write(secret_new,
	                             (struct slice){ backup.secret, backup.secret_len },
	                             l->config.data, error));
}

static bool mark(const char *path, char error[SECRET_ERROR_MAX])
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);

	if (fd < 0)
		return false;
	close(fd);
	return secret_sync_parent(path, error);
}

/* Moves the files of `folder` into place; errno says why not. */
static bool move(const struct command_line *l, const char *folder, const char *secret_new)
{
	const char *data = l->config.data, *secret = l->config.sid_secret_file;
	char from[PATH_CAP], to[PATH_CAP], error[SECRET_ERROR_MAX];

	return mark(path_in(to, data, "restoring"), error) &&
	       (secret_new[0] == '\0' || (rename(secret_new, secret) == 0 &&
	                                  secret_sync_parent(secret, error))) &&
	       rename(path_in(from, folder, "seal.key"), path_in(to, data, "seal.key")) == 0 &&
	       rename(path_in(from, folder, "data.mdb"), path_in(to, data, "data.mdb")) == 0 &&
	       secret_sync_parent(to, error) && unlink(path_in(to, data, "restoring")) == 0 &&
	       secret_sync_parent(to, error);
}

static int restore(struct command_line *l, const char *folder)
{
	char error[SECRET_ERROR_MAX], secret_new[PATH_CAP] = "";
	struct stat data;
	int code;

	if (mkdir(folder, S_IRWXU) != 0 || stat(l->config.data, &data) != 0 ||
	    (geteuid() == 0 && chown(folder, data.st_uid, data.st_gid) != 0))
		return command_fail(COMMAND_SYSTEM, "%s: %s", folder, strerror(errno));
	code = build(l, folder);
	if (code != COMMAND_DONE)
		return code;
	if (!same_secret(l))
		snprintf(secret_new, sizeof secret_new, "%s.restored", l->config.sid_secret_file);
	if (!write_secrets(l, folder, secret_new, error))
		return command_fail(COMMAND_SYSTEM, "%s", error);
	if (!move(l, folder, secret_new))
		return command_fail(COMMAND_SYSTEM, "%s: cannot be put into place: %s",
		                    l->config.data, strerror(errno));
	if (secret_new[0] != '\0')
		command_say("%s is that of the backup now", l->config.sid_secret_file);
	return COMMAND_DONE;
}

int command_restore(struct command_line *l)
{
	char error[BACKUP_ERROR_MAX], folder[PATH_CAP];
	int code = COMMAND_DONE;

	if (!backup_open(l->arguments[0], &backup, command_progress, error))
		return command_refuse("%s", error);
	code = supervisor_make_data(&l->config);
	if (code == COMMAND_DONE && !command_hold_alone(l->config.data))
		code = COMMAND_REFUSED;
	if (code == COMMAND_DONE) {
		command_drop_store(path_in(folder, l->config.data, "restore.new"));
		code = restore(l, folder);
		kv_close(l->kv);
		l->kv = NULL;
		command_drop_store(folder);
	}
	l->changed = code == COMMAND_DONE;
	if (code == COMMAND_DONE)
		command_say("%s is restored: %llu records; numbers of customers and baskets go on "
		            "%llu further; the keys named above work from now on", l->config.data,
		            (unsigned long long)backup.records, (unsigned long long)skipped(l));
	explicit_bzero(&backup, sizeof backup);
	return code;
}
