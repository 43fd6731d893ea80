/* command.c -- see command.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "inflate.h"
#include "json.h"
#include "print.h"
#include "secret.h"
#include "supervisor.h"

#ifndef SIDECART_VERSION
#define SIDECART_VERSION "unknown"
#endif
#ifndef SIDECART_COMMIT
#define SIDECART_COMMIT "unknown"
#endif
#ifndef SIDECART_BEARSSL        /* its headers do not tell */
#define SIDECART_BEARSSL "unknown"
#endif
#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

#define LINE_CAP 1024           /* bytes of what is said on stderr at once */
#define SYSLOG     "/dev/log"
#define PROGRESS_S 2
#define YIELD_NS 2000000        /* after a commit: else a server's writer would starve */

static_assert(OPTIONS <= 32, "options are bits of 32");

/* clang-format off */
static const struct {
	const char *name, *value, *sentence;
} options[OPTIONS] = {
	[OPTION_JSON]           = { "json", NULL, "one JSON object a line" },
	[OPTION_SCOPE]          = { "scope", "LIST",
	                            "of shop (the default), trusted, login, resolve, admin" },
	[OPTION_VALUE]          = { "value", "KEY", "take this key instead of a new one" },
	[OPTION_VALUE_STDIN]    = { "value-stdin", NULL, "the same, one line of standard input" },
	[OPTION_EXPIRES]        = { "expires", "DURATION", "valid that long; without: for ever" },
	[OPTION_OWNER]          = { "owner", "TEXT", "who holds the key" },
	[OPTION_SOURCE]         = { "source", "CIDR", "valid from there alone; up to 8 times" },
	[OPTION_ORIGIN]         = { "origin", "URL", "whose pages may use it on OCAPI; up to 8" },
	[OPTION_EMAIL]          = { "email", "ADDRESS", "e-mail address" },
	[OPTION_FIRST_NAME]     = { "first-name", "NAME", "first name" },
	[OPTION_LAST_NAME]      = { "last-name", "NAME", "last name" },
	[OPTION_PASSWORD_STDIN] = { "password-stdin", NULL, "one line of standard input" },
	[OPTION_HASH]           = { "hash", "HASH", "a Django hash, pbkdf2_sha256$..." },
	[OPTION_NO_PASSWORD]    = { "no-password", NULL, "no login by password" },
	[OPTION_CUSTOMER]       = { "customer", "LOGIN", "those of this customer" },
	[OPTION_ALL]            = { "all", NULL, "those of everybody" },
	[OPTION_UPGRADE]        = { "upgrade", NULL, "write old records in the newest version" },
	[OPTION_ALG]            = { "alg", "ALG", "HS256 or ES256; without: as token_alg" },
	[OPTION_KEEP_SESSIONS]  = { "keep-sessions", NULL, "leave those of customers alive" },
	[OPTION_DRY_RUN]        = { "dry-run", NULL, "judge and count, change nothing" },
	[OPTION_STRICT]         = { "strict", NULL, "stop at the first bad record" },
	[OPTION_UPDATE]         = { "update", NULL, "what is there already: the newer one wins" },
	[OPTION_WATCH]          = { "watch", NULL, "a line a second, of what a server does" },
	[OPTION_CONFIG]         = { "config", "FILE", "settings; else /etc/sidecart.conf" },
	[OPTION_HELP]           = { "help", NULL, "this text" },
	[OPTION_VERSION]        = { "version", NULL, "version, libraries, features" },
};
/* clang-format on */

/* Options that every command takes. */
#define COMMON (1u << OPTION_CONFIG | 1u << OPTION_HELP)

/* Signals that end or stop a command: never while it holds the store's lock. */
static const int held_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTOU };

/* One line on stderr, whatever bytes the arguments brought with them. */
static void say(const char *prefix, const char *fmt, va_list arguments)
{
	char line[LINE_CAP];
	int len = vsnprintf(line, sizeof line, fmt, arguments);

	if (len < 0)
		return;
	for (char *c = line; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	fprintf(stderr, "%s%s\n", prefix, line);
}

int command_fail(int code, const char *fmt, ...)
{
	va_list arguments;

	va_start(arguments, fmt);
	say("sidecart: ", fmt, arguments);
	va_end(arguments);
	return code;
}

void command_say(const char *fmt, ...)
{
	va_list arguments;

	va_start(arguments, fmt);
	say("", fmt, arguments);
	va_end(arguments);
}

/* True where `name` is `words` or begins with it and a blank; empty words fit all. */
static bool begins(const char *name, const char *words)
{
	size_t len = strlen(words);

	return len == 0 ||
	       (strncmp(name, words, len) == 0 && (name[len] == '\0' || name[len] == ' '));
}

/* The commands whose names begin with `words`. */
static void overview(FILE *to, const struct command *table, size_t count, const char *words)
{
	fprintf(to, "usage: sidecart %s%sCOMMAND [--data DIR] [--config FILE] [--SETTING=VALUE ...]"
	        "\n\n", words, words[0] != '\0' ? " " : "");
	for (size_t i = 0; i < count; i++)
		if (begins(table[i].name, words))
			fprintf(to, "  %-22s %s\n", table[i].name, table[i].sentence);
	fputs("\nsidecart COMMAND --help explains one of them, sidecart serve --help all\n"
	      "settings; sidecart --version says what was built.\n", to);
}

static void help(const struct command *c)
{
	printf("usage: sidecart %s%s%s\n\n%s.\n\n", c->name, c->usage[0] != '\0' ? " " : "",
	       c->usage, c->sentence);
	for (int i = 0; i < OPTIONS; i++) {
		char name[32];

		if ((c->options & 1u << i) == 0 && (COMMON & 1u << i) == 0)
			continue;
		snprintf(name, sizeof name, "%s%s%s", options[i].name,
		         options[i].value != NULL ? " " : "",
		         options[i].value != NULL ? options[i].value : "");
		printf("  --%-20s %s\n", name, options[i].sentence);
	}
	printf("  --%-20s %s\n\nexample:\n  %s\n", "SETTING=VALUE",
	       "such as --data=./var; sidecart serve --help lists them", c->example);
}

static int version(void)
{
	printf("sidecart %s (commit %s)\n"
	       "built with %s, BearSSL %s, Jansson %s, %s, zlib %s, glibc %s\n"
	       "features: Session-Id (strict, oscarapi, migrate), cookies, API keys, baskets, "
	       "/api/, /session, /resolve, TLS 1.2, seccomp\n",
	       SIDECART_VERSION, SIDECART_COMMIT, COMPILER, SIDECART_BEARSSL,
	       jansson_version_str(), kv_version(), inflate_zlib_version(),
	       gnu_get_libc_version());
	return COMMAND_DONE;
}

static int find_option(struct slice name)
{
	for (int i = 0; i < OPTIONS; i++)
		if (slice_eq(name, slice_of(options[i].name)))
			return i;
	return -1;
}

/* An option that may be given more than once. */
static int keep_one_more(int o, const char *value, const char **values, size_t *count, size_t most)
{
	if (*count == most)
		return command_wrong("--%s: %zu at most", options[o].name, most);
	values[(*count)++] = value;
	return COMMAND_DONE;
}

static int keep_option(struct command_line *l, int o, const char *value)
{
	int code = COMMAND_DONE;

	if (o == OPTION_SOURCE) {
		code = keep_one_more(o, value, l->sources, &l->source_count,
		                     COUNT_OF(l->sources));
	} else if (o == OPTION_ORIGIN) {
		code = keep_one_more(o, value, l->origins, &l->origin_count,
		                     COUNT_OF(l->origins));
	} else if (l->option[o] != NULL) {
		return command_wrong("--%s: given twice", options[o].name);
	}
	l->option[o] = value;
	return code;
}

static int keep_setting(struct command_line *l, struct slice name, const char *value)
{
	if (l->setting_count == COUNT_OF(l->settings))
		return command_wrong("more than %d settings", COMMAND_SETTINGS_MAX);
	l->settings[l->setting_count].name = name;
	l->settings[l->setting_count++].value = slice_of(value);
	return COMMAND_DONE;
}

/* Takes `--name`, `--name=value`, or `--name` and the word behind it, which `**next` is. */
static int take_option(struct command_line *l, const char *word, char ***next)
{
	struct slice value = slice_of(word + 2);
	struct slice name = slice_cut(&value, '=');
	const char *text = slice_given(value) ? value.ptr : NULL;
	int o = find_option(name);
	char error[CONFIG_ERROR_MAX];

	if (o < 0 && !config_known(name)) {
		config_set(&l->config, name, SLICE(""), "command line", error);
		return command_wrong("%s", error);
	}
	if (o >= 0 && options[o].value == NULL) {
		if (text != NULL)
			return command_wrong("--%s takes no value", options[o].name);
		return keep_option(l, o, "");
	}
	if (text == NULL && (text = **next) != NULL)
		++*next;
	if (text == NULL)
		return command_wrong("%s: a value is missing", word);
	return o >= 0 ? keep_option(l, o, text) : keep_setting(l, name, text);
}

/* Parts the words into options, settings and arguments. */
static int read_words(struct command_line *l, char **words)
{
	bool only_arguments = false;
	int code = COMMAND_DONE;

	while (*words != NULL && code == COMMAND_DONE) {
		const char *word = *words++;

		if (!only_arguments && strcmp(word, "--") == 0)
			only_arguments = true;
		else if (!only_arguments && strncmp(word, "--", 2) == 0)
			code = take_option(l, word, &words);
		else if (!only_arguments && word[0] == '-' && word[1] != '\0')
			return command_wrong("%s: options begin with --", word);
		else if (l->argument_count == COMMAND_ARGUMENTS_MAX)
			return command_wrong("%s: too many words", word);
		else
			l->arguments[l->argument_count++] = word;
	}
	return code;
}

/* True where the arguments begin with the words of `name`; `*taken` is how many. */
static bool names(const struct command_line *l, const char *name, size_t *taken)
{
	struct slice words = slice_of(name);

	for (*taken = 0; slice_given(words); ++*taken)
		if (*taken == l->argument_count ||
		    !slice_eq(slice_cut(&words, ' '), slice_of(l->arguments[*taken])))
			return false;
	return true;
}

/* Takes the command's own words off the arguments; NULL where they name none. */
static const struct command *find(const struct command *table, size_t count,
                                  struct command_line *l)
{
	size_t taken;

	for (size_t i = 0; i < count; i++) {
		if (!names(l, table[i].name, &taken))
			continue;
		l->argument_count -= taken;
		memmove(l->arguments, l->arguments + taken,
		        l->argument_count * sizeof l->arguments[0]);
		return &table[i];
	}
	return NULL;
}

/* Judges what was given against what the command takes. */
static int judge(const struct command_line *l)
{
	const struct command *c = l->command;

	for (int i = 0; i < OPTIONS; i++)
		if (l->option[i] != NULL && ((c->options | COMMON) & 1u << i) == 0)
			return command_wrong("sidecart %s takes no --%s", c->name, options[i].name);
	if (l->argument_count < c->least)
		return command_wrong("a word is missing; see sidecart %s --help", c->name);
	if (l->argument_count > c->most)
		return command_wrong("%s: one word too many; see sidecart %s --help",
		                     l->arguments[c->most], c->name);
	return COMMAND_DONE;
}

bool command_read_settings(const struct command_line *l, struct config *c,
                           char error[CONFIG_ERROR_MAX])
{
	config_defaults(c);
	if (!config_read_file(c, l->option[OPTION_CONFIG], error) ||
	    !config_read_environment(c, environ, error))
		return false;
	for (size_t i = 0; i < l->setting_count; i++)
		if (!config_set(c, l->settings[i].name, l->settings[i].value,
		                "command line", error))
			return false;
	return config_finish(c, error);
}

void command_subject(struct command_line *l, const char *fmt, ...)
{
	va_list arguments;

	va_start(arguments, fmt);
	vsnprintf(l->subject, sizeof l->subject, fmt, arguments);
	va_end(arguments);
}

/* A datagram to who keeps the system's log, facility authpriv, level info (RFC 3164; journald
 * listens there too). Where nobody does, the words on standard error are all there is. */
static void audit(struct command_line *l, int code)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = SYSLOG };
	char event[32], line[512], quoted[88];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), len;
	size_t i;

	for (i = 0; i + 1 < sizeof event && l->command->name[i] != '\0'; i++)
		event[i] = l->command->name[i] == ' ' ? '_' : l->command->name[i];
	event[i] = '\0';
	if (l->subject[0] == '\0' && l->argument_count > 0)
		command_subject(l, "on=%s",
		                log_quote(quoted, sizeof quoted, slice_of(l->arguments[0])));
	len = snprintf(line, sizeof line, "<86>sidecart[%d]: event=%s %s uid=%u exit=%d",
	               (int)getpid(), event, l->subject, (unsigned)getuid(), code);
	if (fd < 0)
		return;
	sendto(fd, line, (size_t)len, MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof to);
	close(fd);
}

static int run(struct command_line *l)
{
	char error[CONFIG_ERROR_MAX];
	struct timespec now;
	int code = judge(l);

	if (code != COMMAND_DONE)
		return code;
	if (!command_read_settings(l, &l->config, error))
		return command_wrong("%s", error);
	log_open(l->config.log_level, "command");
	clock_gettime(CLOCK_REALTIME, &now);
	l->now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	print_open(command_has(l, OPTION_JSON));
	code = l->command->run(l);
	if (l->changed)
		audit(l, code);
	if (!print_flush() && code == COMMAND_DONE)
		code = command_fail(COMMAND_SYSTEM, "cannot write to standard output: %s",
		                    strerror(errno));
	kv_close(l->kv);
	return code;
}

/* Help for one command; that of `serve` ends with all settings. */
static int explain(const struct command *c)
{
	help(c);
	if (strcmp(c->name, "serve") != 0)
		return COMMAND_DONE;
	printf("\nsettings and their defaults:\n");
	fflush(stdout);
	config_print_help(STDOUT_FILENO);
	return COMMAND_DONE;
}

/* No command: what there is, asked for or not. */
static int list(const struct command_line *l, const struct command *table, size_t count,
                const char *noun)
{
	bool asked = l->option[OPTION_HELP] != NULL, known = false;

	for (size_t i = 0; i < count; i++)
		known = known || begins(table[i].name, noun);
	if (!known)
		command_wrong("%s: no such command", noun);
	overview(asked && known ? stdout : stderr, table, count, known ? noun : "");
	return asked && known ? COMMAND_DONE : COMMAND_WRONG;
}

int command_run(const struct command *table, size_t count, int argc, char **argv)
{
	static struct command_line line;
	struct command_line *l = &line;
	const char *noun;
	int code;

	l->argv = argv;
	code = read_words(l, argv + (argc > 0));
	if (code != COMMAND_DONE)
		return code;
	if (l->argument_count == 0 && l->option[OPTION_VERSION] != NULL)
		return version();
	noun = l->argument_count > 0 ? l->arguments[0] : "";
	l->command = find(table, count, l);
	if (l->command == NULL)
		return list(l, table, count, noun);
	return l->option[OPTION_HELP] != NULL ? explain(l->command) : run(l);
}

bool command_has(const struct command_line *l, enum command_option o)
{
	return l->option[o] != NULL;
}

struct slice command_value(const struct command_line *l, enum command_option o)
{
	return slice_of(l->option[o] != NULL ? l->option[o] : "");
}

bool command_read_line(struct buf *line)
{
	char c = '\n';
	ssize_t n;

	while ((n = read(STDIN_FILENO, &c, 1)) > 0 && c != '\n')
		buf_char(line, c);
	if (n < 0)
		command_fail(COMMAND_SYSTEM, "cannot read standard input: %s", strerror(errno));
	else if (line->full)
		command_refuse("the line on standard input is longer than %zu bytes",
		               line->cap);
	else if (line->len == 0)
		command_refuse("standard input holds no line, or an empty one");
	return n >= 0 && !line->full && line->len > 0;
}

/* Opens DATA/use; -1 with a line said. */
static int open_use(const char *data)
{
	char path[CONFIG_PATH_MAX + 8];
	struct stat directory, file;
	int fd;

	snprintf(path, sizeof path, "%s/use", data);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return command_fail(-1, "%s: cannot be opened: %s", path, strerror(errno));
	if (geteuid() == 0 && stat(data, &directory) == 0 && fstat(fd, &file) == 0 &&
	    file.st_uid != directory.st_uid && fchown(fd, directory.st_uid, directory.st_gid) != 0)
		command_say("%s: cannot be given to the directory's owner: %s", path,
		            strerror(errno));
	return fd;
}

static bool half_restored(const char *data)
{
	char path[CONFIG_PATH_MAX + 16];

	snprintf(path, sizeof path, "%s/restoring", data);
	return access(path, F_OK) == 0;
}

bool command_hold(const char *data)
{
	int fd = open_use(data);

	if (fd < 0)
		return false;
	if (flock(fd, LOCK_SH | LOCK_NB) != 0)
		command_fail(COMMAND_SYSTEM, "%s/use: %s", data, errno == EWOULDBLOCK ?
		             "the store is being restored" : "cannot be locked");
	else if (half_restored(data))
		command_fail(COMMAND_SYSTEM, "%s: a restore was interrupted: run it again", data);
	else
		return true;
	close(fd);
	return false;
}

bool command_hold_alone(const char *data)
{
	int fd = open_use(data);

	if (fd < 0)
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	command_fail(COMMAND_SYSTEM, "%s/use: %s", data, errno == EWOULDBLOCK ?
	             "a server or a command uses this store: stop it first" : "cannot be locked");
	close(fd);
	return false;
}

int command_apart(struct command_line *l, int (*work)(struct command_line *l), bool *ended)
{
	int status;
	pid_t pid = fork(), done = pid;

	*ended = false;
	if (pid == 0) {
		int code = work(l);

		_exit(print_flush() || code != COMMAND_DONE ? code : COMMAND_SYSTEM);
	}
	while (pid > 0 && (done = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		;
	if (done < 0)
		return command_fail(COMMAND_SYSTEM, "cannot start a process");
	if (WIFSIGNALED(status))
		return command_refuse("%s/data.mdb is damaged: reading it ended with signal %d; "
		                      "restore a backup", l->config.data, WTERMSIG(status));
	*ended = true;
	return WEXITSTATUS(status);
}

static void hold_signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT_OF(held_signals); i++)
		sigaddset(&set, held_signals[i]);
	sigprocmask(how, &set, NULL);
}

/* Judges by the time that the store's sessions are judged by. A snapshot for reading stays. */
static enum kv_status read_clock(struct command_line *l, enum kv_mode mode)
{
	struct clock clock = { .now_us = l->now_us };
	enum kv_status status = mode == KV_READ ? kv_begin_read(l->kv) : command_begin(l);

	if (status != KV_OK)
		return status;
	status = clock_follow(&clock, l->kv);
	l->now_us = clock.now_us;
	if (mode != KV_READ)
		command_abort(l);
	return status;
}

int command_open(struct command_line *l, enum kv_mode mode)
{
	struct kv_options o = {
		.dir       = l->config.data,
		.mode      = mode,
		.map_bytes = kv_exists(l->config.data) ? 0 : l->config.map_bytes,  /* adopt */
		.nosync    = l->config.durability == DURABILITY_UNSAFE_NOSYNC,
	};
	char error[KV_ERROR_MAX], no_secret[SECRET_ERROR_MAX];
	enum kv_status status;
	int code = mode >= KV_CREATE ? supervisor_make_data(&l->config) : COMMAND_DONE;

	if (code != COMMAND_DONE)
		return code;
	if (mode >= KV_CREATE && !secret_create(o.dir, l->config.sid_secret_file, no_secret))
		return command_fail(COMMAND_SYSTEM, "%s", no_secret);
	if (mode < KV_CREATE && !kv_exists(o.dir))
		return errno == EACCES ?
		       command_fail(COMMAND_SYSTEM, "%s: no access; run this as the owner of the "
		                    "store", o.dir) :
		       command_refuse("%s: no store here; use --data DIR or SIDECART_DATA", o.dir);
	if (!command_hold(o.dir))
		return COMMAND_SYSTEM;
	hold_signals(SIG_BLOCK);
	l->kv = kv_open(&o, error);
	hold_signals(SIG_UNBLOCK);
	if (l->kv == NULL)
		return command_fail(COMMAND_SYSTEM, "%s", error);
	status = read_clock(l, mode);
	return status == KV_OK ? COMMAND_DONE : command_store(l, status);
}

int command_store(const struct command_line *l, enum kv_status status)
{
	return command_fail(COMMAND_SYSTEM, "%s: the %s%s", l->config.data, kv_status_text(status),
	                    status == KV_FULL ? ": raise map_size, or make room on the disk" : "");
}

enum kv_status command_begin(struct command_line *l)
{
	enum kv_status status;

	hold_signals(SIG_BLOCK);
	status = kv_begin(l->kv);
	if (status != KV_OK)
		hold_signals(SIG_UNBLOCK);
	return status;
}

enum kv_status command_commit(struct command_line *l)
{
	const struct timespec yield = { 0, YIELD_NS };
	enum kv_status status = kv_commit(l->kv);

	l->changed |= status == KV_OK;
	hold_signals(SIG_UNBLOCK);
	nanosleep(&yield, NULL);
	return status;
}

void command_abort(struct command_line *l)
{
	kv_abort(l->kv);
	hold_signals(SIG_UNBLOCK);
}

int command_finish(struct command_line *l, enum kv_status status)
{
	if (status == KV_OK)
		status = command_commit(l);
	else
		command_abort(l);
	return status == KV_OK ? COMMAND_DONE : command_store(l, status);
}

enum kv_status command_breathe(struct command_line *l)
{
	if (!print_due())
		return KV_OK;
	kv_reset(l->kv);
	print_flush();
	return kv_refresh(l->kv);
}

void command_progress(uint64_t taken, uint64_t size, uint64_t records)
{
	static time_t said_s;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (said_s == 0)
		said_s = now.tv_sec;
	if (now.tv_sec - said_s < PROGRESS_S)
		return;
	said_s = now.tv_sec;
	if (size > 0)
		command_say("%3llu %% read, %llu records done",
		            (unsigned long long)(taken * 100 / size), (unsigned long long)records);
	else
		command_say("%llu MiB read, %llu records done", (unsigned long long)(taken >> 20),
		            (unsigned long long)records);
}
