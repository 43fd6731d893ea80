/* command.h -- the command line: what all commands share, and the commands.
 *
 * Every command reads the same settings; it opens the store itself, beside a running
 * server too. What a script wants goes to stdout alone, words for people go to stderr.
 * Memory  one struct command_line, static in command_run().
 * Errors  one line on stderr, `sidecart: ...`, and an enum command_exit.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "backup.h"
#include "config.h"
#include "kv.h"
#include "record.h"

enum command_exit {
	COMMAND_DONE    = 0,
	COMMAND_REFUSED = 1,    /* understood, and refused or not found */
	COMMAND_WRONG   = 100,  /* called wrongly, or a bad setting */
	COMMAND_SYSTEM  = 111,  /* the system or the store failed */
};

/* What may follow a command's name; the table of their texts stands in command.c. */
enum command_option {
	OPTION_JSON,
	OPTION_SCOPE,
	OPTION_VALUE,
	OPTION_VALUE_STDIN,
	OPTION_EXPIRES,
	OPTION_OWNER,
	OPTION_SOURCE,
	OPTION_ORIGIN,
	OPTION_EMAIL,
	OPTION_FIRST_NAME,
	OPTION_LAST_NAME,
	OPTION_PASSWORD_STDIN,
	OPTION_HASH,
	OPTION_NO_PASSWORD,
	OPTION_CUSTOMER,
	OPTION_ALL,
	OPTION_UPGRADE,
	OPTION_ALG,
	OPTION_KEEP_SESSIONS,
	OPTION_WATCH,
	OPTION_DRY_RUN,
	OPTION_STRICT,
	OPTION_UPDATE,
	OPTION_CONFIG,          /* from here on: of every command */
	OPTION_HELP,
	OPTION_VERSION,
	OPTIONS
};

#define COMMAND_SETTINGS_MAX  64        /* --SETTING=VALUE of one call */
#define COMMAND_ARGUMENTS_MAX 4         /* words of one call, the command's own too */
#define COMMAND_CHUNK         1000      /* records of one transaction beside a server */

struct command_line;

struct command {
	const char *name;               /* "serve", "key add" */
	const char *usage;              /* what follows the name */
	const char *sentence;
	const char *example;
	uint32_t options;               /* bits 1 << enum command_option */
	size_t least, most;             /* arguments behind the name */
	int (*run)(struct command_line *l);
};

struct command_line {
	const struct command *command;
	struct config config;
	const char *option[OPTIONS];    /* its value; "" for a switch; NULL: not given */
	const char *sources[RECORD_SOURCES_MAX];        /* every --source */
	const char *origins[RECORD_ORIGINS_MAX];        /* every --origin */
	size_t source_count, origin_count;
	struct {
		struct slice name, value;
	} settings[COMMAND_SETTINGS_MAX];
	size_t setting_count;
	const char *arguments[COMMAND_ARGUMENTS_MAX];   /* behind the name */
	size_t argument_count;
	struct kv *kv;
	uint64_t now_us;                /* Unix time when the command began */
	char *const *argv;              /* of the process */
	bool changed;                   /* it is to be told of (see command_subject()) */
	char subject[96];
};

/* Prints `sidecart: ` and the text, and returns `code`. */
int command_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define command_wrong(...)  command_fail(COMMAND_WRONG, __VA_ARGS__)
#define command_refuse(...) command_fail(COMMAND_REFUSED, __VA_ARGS__)

/* Words for people, on stderr. */
void command_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Finds the command in `table`, reads its options and settings, runs it; its exit code. */
int command_run(const struct command *table, size_t count, int argc, char **argv);

/* The settings of this call, each time from their sources. */
bool command_read_settings(const struct command_line *l, struct config *c,
                           char error[CONFIG_ERROR_MAX]);

bool command_has(const struct command_line *l, enum command_option o);

/* The option's value, or empty. */
struct slice command_value(const struct command_line *l, enum command_option o);

/* One line of stdin without its newline, into `line`; false with a line said. */
bool command_read_line(struct buf *line);

/* Holds DATA/use, shared, for the life of the process; false with a line said. */
bool command_hold(const char *data);

/* The same, alone: false where a server or another command holds it. Only a restore goes on
 * where one was interrupted (command_backup.c). */
bool command_hold_alone(const char *data);

/* Runs the command in a process of its own: where the store's file is cut short or the disk
 * fails, reading its map ends that one with SIGBUS. `*ended`: it came to its end. */
int command_apart(struct command_line *l, int (*work)(struct command_line *l), bool *ended);

/* A command that has changed anything leaves a line in the system's log (requirement D09): its
 * name, what it was about, the user, the exit code. What that is, as logfmt: without this call,
 * its first argument. Neither logins nor secrets belong there. */
void command_subject(struct command_line *l, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Opens the store: COMMAND_DONE, or the exit code of what was said. KV_READ holds a
 * snapshot from here on; KV_CREATE makes what a first start makes. */
int command_open(struct command_line *l, enum kv_mode mode);

/* Says that the store failed. */
int command_store(const struct command_line *l, enum kv_status status);

/* A transaction beside a running server: while it is open no stop signal is taken, since
 * the server's writer waits; after its end the server is let in first. */
enum kv_status command_begin(struct command_line *l);
enum kv_status command_commit(struct command_line *l);
void command_abort(struct command_line *l);

/* Commits what went well so far, and aborts what did not: COMMAND_DONE, or the exit code of
 * what was said. */
int command_finish(struct command_line *l, enum kv_status status);

/* Lets go of the snapshot while a full output is written. Call it between two records;
 * slices into the store are dead after it. */
enum kv_status command_breathe(struct command_line *l);

/* Says how far long work is, at most every two seconds: of `size` bytes (0: not known) `taken`
 * were read, and `records` are done. */
void command_progress(uint64_t taken, uint64_t size, uint64_t records);

/* command_key.c */
int command_key_add(struct command_line *l);
int command_key_list(struct command_line *l);
int command_key_disable(struct command_line *l);
int command_key_enable(struct command_line *l);
int command_key_revoke(struct command_line *l);

/* command_customer.c */

/* Finds the customer in the transaction at hand; says where there is none. */
int command_customer_find(struct command_line *l, const char *login, struct customer_record *r);

/* The same in a transaction begun here; also opens the store where it is not open. It may
 * use the reserve, so that in a full store, too, sessions can be ended. */
int command_customer_begin(struct command_line *l, const char *login,
                           struct customer_record *r);

int command_customer_add(struct command_line *l);
int command_customer_list(struct command_line *l);
int command_customer_show(struct command_line *l);
int command_customer_export(struct command_line *l);
int command_customer_disable(struct command_line *l);
int command_customer_enable(struct command_line *l);
int command_customer_delete(struct command_line *l);
int command_customer_set_password(struct command_line *l);

/* command_session.c */

/* Ends the customer's sessions in the transaction at hand, where `status` says that what
 * keeps him from new ones was put. A chunk or more of them: it is committed and others
 * follow; when none is left, the last one is still open, for what goes together with that. */
enum kv_status command_session_end_all(struct command_line *l, uint64_t customer_id,
                                       enum kv_status status, uint32_t *ended);

/* Prints the session and its data as a JSON object, without the end of the line. */
enum kv_status command_session_print(struct command_line *l,
                                     const uint8_t key[RECORD_SESSION_KEY_LEN],
                                     const struct session_record *s);

int command_session_list(struct command_line *l);
int command_session_show(struct command_line *l);
int command_session_revoke(struct command_line *l);
int command_sid(struct command_line *l);

/* command_product.c */
int command_product_import(struct command_line *l);
int command_product_list(struct command_line *l);
int command_product_show(struct command_line *l);
int command_product_delete(struct command_line *l);

/* command_import.c */
int command_import_oscar(struct command_line *l);

/* command_export.c */
int command_export_oscar(struct command_line *l);

/* command_token.c */
int command_token_keys(struct command_line *l);
int command_token_rotate(struct command_line *l);
int command_token_revoke(struct command_line *l);
int command_token_verify(struct command_line *l);

/* command_backup.c */

/* Makes a store of an opened backup in `folder`, an empty directory, and leaves it open;
 * COMMAND_DONE, or the exit code of what was said. */
int command_load_backup(struct command_line *l, const char *folder, const struct backup *b,
                        bool durable);

/* Removes a store that nobody has open, and its directory. */
void command_drop_store(const char *folder);

int command_backup(struct command_line *l);
int command_restore(struct command_line *l);

/* command_ping.c */
int command_ping(struct command_line *l);

/* command_watch.c */

/* Prints a line a second, until nobody reads them or the process is ended; the store is open. */
int command_watch(struct command_line *l);

/* command_store.c */
int command_check(struct command_line *l);
int command_stat(struct command_line *l);

#endif
