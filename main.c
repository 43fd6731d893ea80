/* main.c -- the table of commands, and `serve`. */
#include <assert.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "command.h"
#include "memory.h"
#include "secret.h"
#include "supervisor.h"
#include "trust.h"

#define SHORT_SECRET 32         /* bytes of a Session-Id secret; fewer are warned about */

static_assert(TRUST_ERROR_MAX <= SECRET_ERROR_MAX, "one room for both");

#define O(option) (1u << OPTION_##option)

/* Both secrets must be readable before anything is started (requirement A05). */
static bool read_secrets(const struct config *c, size_t *sid_secret_len,
                         char error[SECRET_ERROR_MAX])
{
	char text[SECRET_MAX];
	struct buf secret = BUF(text);
	uint8_t seal_key[32];
	bool good = secret_read(c->sid_secret_file, &secret, error) &&
	            secret_read_seal_key(c->data, seal_key, error);

	*sid_secret_len = secret.len;
	explicit_bzero(text, sizeof text);
	explicit_bzero(seal_key, sizeof seal_key);
	return good;
}

static bool read_settings(void *line, struct config *c, char error[CONFIG_ERROR_MAX])
{
	return command_read_settings(line, c, error);
}

/* The store is held here, before any child is made, so that no restore comes in between a
 * writer's death and its successor. */
static int serve(struct command_line *l)
{
	const struct config *c = &l->config;
	char error[SECRET_ERROR_MAX];
	size_t sid_secret_len;
	int code;

	log_open((enum log_level)c->log_level, "supervisor");
	code = supervisor_make_data(c);
	if (code != COMMAND_DONE)
		return code;
	if (!secret_create(c->data, c->sid_secret_file, error))
		return command_fail(COMMAND_SYSTEM, "%s", error);
	if (!read_secrets(c, &sid_secret_len, error) || !trust_read(c->token_trust, error))
		return command_wrong("%s", error);
	if (!command_hold(c->data))
		return COMMAND_SYSTEM;
	config_warnings(c);
	if (sid_secret_len < SHORT_SECRET)
		log_event(LOG_WARN, "short_sid_secret", "setting=sid_secret_file bytes=%zu "
		          "why=\"below %d bytes it may be guessed\"", sid_secret_len, SHORT_SECRET);
	return supervisor_run(&(struct supervisor_start){
		.config = c, .read_settings = read_settings, .context = l, .arguments = l->argv,
	});
}

/* clang-format off */
static const struct command commands[] = {
	{ "serve", "[--SETTING=VALUE ...]",
	  "Answers requests until SIGTERM; makes the store where there is none",
	  "sidecart serve --data=./var --listen=127.0.0.1:8080",
	  0, 0, 0, serve },
	{ "key add", "NAME [--scope LIST] [--value KEY | --value-stdin] [--expires DURATION]\n"
	  "       [--owner TEXT] [--source CIDR ...] [--origin URL ...] [--json]",
	  "Adds an API key and prints it, this once",
	  "sidecart key add gateway --scope shop,trusted --expires 90d --source 10.0.0.0/8",
	  O(JSON) | O(SCOPE) | O(VALUE) | O(VALUE_STDIN) |
	  O(EXPIRES) | O(OWNER) | O(SOURCE) | O(ORIGIN), 1, 1, command_key_add },
	{ "key list", "[--json]",
	  "Lists the API keys by name, never the keys themselves",
	  "sidecart key list --json",
	  O(JSON), 0, 0, command_key_list },
	{ "key disable", "NAME",
	  "Refuses the key from the next request on, until it is enabled",
	  "sidecart key disable gateway",
	  0, 1, 1, command_key_disable },
	{ "key enable", "NAME",
	  "Takes a disabled key again",
	  "sidecart key enable gateway",
	  0, 1, 1, command_key_enable },
	{ "key revoke", "NAME",
	  "Refuses the key for ever; its name may be used again",
	  "sidecart key revoke gateway",
	  0, 1, 1, command_key_revoke },
	{ "customer add", "LOGIN (--password-stdin | --hash HASH | --no-password)\n"
	  "       [--email ADDRESS] [--first-name NAME] [--last-name NAME] [--json]",
	  "Adds a customer and prints the id",
	  "echo secret | sidecart customer add ada --email ada@shop.example --password-stdin",
	  O(JSON) | O(PASSWORD_STDIN) | O(HASH) | O(NO_PASSWORD) | O(EMAIL) | O(FIRST_NAME) |
	  O(LAST_NAME), 1, 1, command_customer_add },
	{ "customer list", "[--json]",
	  "Lists the customers by id",
	  "sidecart customer list",
	  O(JSON), 0, 0, command_customer_list },
	{ "customer show", "LOGIN [--json]",
	  "Shows one customer",
	  "sidecart customer show ada",
	  O(JSON), 1, 1, command_customer_show },
	{ "customer export", "LOGIN",
	  "Prints all that is stored about a customer, as one JSON object",
	  "sidecart customer export ada >ada.json",
	  O(JSON), 1, 1, command_customer_export },
	{ "customer disable", "LOGIN",
	  "Refuses the customer and ends the sessions, at once",
	  "sidecart customer disable ada",
	  0, 1, 1, command_customer_disable },
	{ "customer enable", "LOGIN",
	  "Lets a disabled customer log in again",
	  "sidecart customer enable ada",
	  0, 1, 1, command_customer_enable },
	{ "customer delete", "LOGIN",
	  "Removes the customer and the sessions, at once",
	  "sidecart customer delete ada",
	  0, 1, 1, command_customer_delete },
	{ "customer set-password", "LOGIN (--password-stdin | --hash HASH)",
	  "Sets the password and ends the sessions, at once",
	  "echo secret | sidecart customer set-password ada --password-stdin",
	  O(PASSWORD_STDIN) | O(HASH), 1, 1, command_customer_set_password },
	{ "product import", "FILE",
	  "Takes over a price book, CSV with a header line or NDJSON; FILE - is standard input",
	  "sidecart product import prices.csv",
	  0, 1, 1, command_product_import },
	{ "product list", "[--json]",
	  "Lists the price book by id",
	  "sidecart product list --json | jq -r 'select(.stock == 0) | .id'",
	  O(JSON), 0, 0, command_product_list },
	{ "product show", "ID [--json]",
	  "Shows one product",
	  "sidecart product show 4711",
	  O(JSON), 1, 1, command_product_show },
	{ "product delete", "ID",
	  "Takes a product off the price book; lines of baskets keep their place without a price",
	  "sidecart product delete 4711",
	  0, 1, 1, command_product_delete },
	{ "import oscar", "FILE [--dry-run] [--strict] [--update] [--json]",
	  "Takes over the dumpdata of a Django Oscar shop; FILE - is standard input",
	  "sidecart import oscar dump.json --dry-run",
	  O(JSON) | O(DRY_RUN) | O(STRICT) | O(UPDATE), 1, 1, command_import_oscar },
	{ "export oscar", "FILE",
	  "Writes users, baskets and sessions for Django's loaddata; FILE - is standard output",
	  "sidecart export oscar back.json",
	  0, 1, 1, command_export_oscar },
	{ "session list", "[--customer LOGIN] [--json]",
	  "Lists the live sessions, those of one customer by age; of guests: --customer -",
	  "sidecart session list --customer ada",
	  O(JSON) | O(CUSTOMER), 0, 0, command_session_list },
	{ "session show", "KEY [--json]",
	  "Shows one live session; KEY is what sidecart sid prints",
	  "sidecart session show cc88ae893faf07b2a4932cc8478c0115c722088f",
	  O(JSON), 1, 1, command_session_show },
	{ "session revoke", "(KEY | --customer LOGIN | --all)",
	  "Ends sessions, at once",
	  "sidecart session revoke --customer ada",
	  O(CUSTOMER) | O(ALL), 0, 1, command_session_revoke },
	{ "token keys", "[--json]",
	  "Lists the keys that sign tokens or verify them",
	  "sidecart token keys",
	  O(JSON), 0, 0, command_token_keys },
	{ "token rotate", "[--alg HS256|ES256] [--json]",
	  "Adds a key that signs from now on, or (ES256) as soon as others have seen it",
	  "sidecart token rotate --alg ES256",
	  O(JSON) | O(ALG), 0, 0, command_token_rotate },
	{ "token revoke", "KID",
	  "Ends a key and all tokens that it signed, at once",
	  "sidecart token revoke zMDGGJ4MRuZ7WeEl1kmvAw",
	  0, 1, 1, command_token_revoke },
	{ "token verify", "[--json]",
	  "Checks the token on standard input: signature and times, not its session",
	  "sidecart token verify <token.txt",
	  O(JSON), 0, 0, command_token_verify },
	{ "sid", "HEADER [--json]",
	  "Takes a Session-Id apart, and prints its session key",
	  "sidecart sid SID:AUTH:shop.example:987171879",
	  O(JSON), 1, 1, command_sid },
	{ "backup", "FILE",
	  "Writes store and secrets to a file, as they are at one moment, beside a server too",
	  "sidecart backup /srv/backup/sidecart.$(date +%F)",
	  0, 1, 1, command_backup },
	{ "restore", "FILE [--keep-sessions] [--json]",
	  "Puts a backup in the place of the store; lists the keys that work from then on",
	  "sidecart restore /srv/backup/sidecart.2026-11-23",
	  O(JSON) | O(KEEP_SESSIONS), 1, 1, command_restore },
	{ "check", "[FILE] [--upgrade] [--json]",
	  "Verifies every record and index, of a backup too; prints what is wrong, and counts",
	  "sidecart check && echo sound",
	  O(JSON) | O(UPGRADE), 0, 1, command_check },
	{ "stat", "[--watch] [--json]",
	  "Prints counts, sizes, readers, and the speed of password checks; or what a server does",
	  "sidecart stat --watch --json | jq .requests",
	  O(JSON) | O(WATCH), 0, 0, command_stat },
	{ "ping", "[URL]",
	  "Asks a server for /healthz: exit status 0 where it answers 200, 1 where not",
	  "sidecart ping http://127.0.0.1:8080/readyz",
	  0, 0, 1, command_ping },
};
/* clang-format on */

int main(int argc, char **argv)
{
	const struct rlimit none = { 0, 0 };

	/* A core dump would hold keys and passwords. Down a pipe it goes without limit (core(5)),
	 * and who changes the account may be dumped again (prctl(2)). */
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	memory_hide();
	return command_run(commands, COUNT_OF(commands), argc, argv);
}
