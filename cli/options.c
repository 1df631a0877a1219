/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/topic.h"
#include "command.h"

#define PORT 1883
#define PORT_TLS 8883

enum {
	KEY_HOST = 0x100,
	KEY_PASSWORD,
	KEY_PASSWORD_FILE,
	KEY_ROOT,
	KEY_TLS,
	KEY_CAFILE,
	KEY_CERT,
	KEY_KEY,
	KEY_CLIENT_ID,
};

static const struct argp_option options[] = {
	{.doc = "Which broker, and as whom:", .group = 10},
	{.name = "host", .key = KEY_HOST, .arg = "HOST", .doc = "The broker (default: localhost)"},
	{.name = "port", .key = 'p', .arg = "PORT", .doc = "Its port (default: 1883, with TLS 8883)"},
	{.name = "user", .key = 'u', .arg = "NAME", .doc = "User name (default: $HOLDFAST_USER, else none)"},
	{.name = "password",
		.key = KEY_PASSWORD,
		.arg = "PASSWORD",
		.doc = "Password; seen by every user of this machine, so better in $HOLDFAST_PASSWORD or in a file"},
	{.name = "password-file",
		.key = KEY_PASSWORD_FILE,
		.arg = "FILE",
		.doc = "Take the password from FILE's first line"},
	{.name = "client-id", .key = KEY_CLIENT_ID, .arg = "ID", .doc = "MQTT client id (default: one made up)"},
	{.name = "root", .key = KEY_ROOT, .arg = "TOPIC", .doc = "Where the sessions are (default: sessions)"},
	{.name = "tls", .key = KEY_TLS, .doc = "Use TLS, with the system's authorities"},
	{.name = "cafile", .key = KEY_CAFILE, .arg = "FILE", .doc = "Use TLS, with the authorities in FILE (PEM)"},
	{.name = "cert", .key = KEY_CERT, .arg = "FILE", .doc = "The client's own certificate (PEM)"},
	{.name = "key", .key = KEY_KEY, .arg = "FILE", .doc = "Its private key (PEM)"},
	{.doc = "Other:", .group = -2},
	{.name = "quiet", .key = 'q', .doc = "Say nothing of connections lost and found"},
	{.name = "verbose", .key = 'v', .doc = "Say more about what happens"},
	{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""},
	{0},
};

uint64_t hf_number_argument(struct argp_state *state, const char *name, const char *text, uint64_t min, uint64_t max)
{
	char *end;

	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (errno || text[0] < '0' || text[0] > '9' || *end || number < min || number > max) {
		argp_error(state, "--%s takes a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'", name, min, max, text);
	}
	return number;
}

const char *hf_session_argument(struct argp_state *state, const char *text)
{
	if (!hf_session_id_valid(hf_slice_of(text))) {
		argp_error(state, "'%s' is no session id: it has 1 to 64 characters of A-Z a-z 0-9 _ . -", text);
	}
	return text;
}

struct hf_slice hf_name_argument(struct argp_state *state, const char *name, const char *text)
{
	if (!*text) {
		argp_error(state, "--%s is empty: leave it out for all of them", name);
	}
	return hf_slice_of(text);
}

static void read_password(struct argp_state *state, struct hf_client_options *client)
{
	size_t size = 0;
	FILE *file = fopen(client->password_file, "r");

	if (!file) {
		argp_failure(state, HF_EXIT_FAILED, errno, "cannot open the password file %s", client->password_file);
		return;
	}
	ssize_t len = getline(&client->password_read, &size, file);
	if (len < 0 && ferror(file)) {
		argp_failure(state, HF_EXIT_FAILED, errno, "cannot read the password file %s", client->password_file);
	}
	fclose(file);
	if (len < 0) {
		argp_failure(state, HF_EXIT_FAILED, 0, "the password file %s is empty", client->password_file);
		return;
	}
	while (len > 0 && (client->password_read[len - 1] == '\n' || client->password_read[len - 1] == '\r')) {
		client->password_read[--len] = '\0';
	}
	client->password = client->password_read;
}

/* The library would only say "TLS error" later on. */
static void check_readable(struct argp_state *state, const char *what, const char *path)
{
	if (path && access(path, R_OK)) {
		argp_failure(state, HF_EXIT_FAILED, errno, "cannot read the %s %s", what, path);
	}
}

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static void finish(struct argp_state *state, struct hf_client_options *client)
{
	if (client->password && client->password_file) {
		argp_error(state, "--password and --password-file exclude each other");
	}
	if (client->password_file) {
		read_password(state, client);
	} else if (!client->password) {
		client->password = environment("HOLDFAST_PASSWORD");
	}
	if (!client->user) {
		client->user = environment("HOLDFAST_USER");
	}
	if (client->password && !client->user) {
		argp_error(state, "a password needs a user name: --user or HOLDFAST_USER");
	}
	if (!client->cert != !client->key) {
		argp_error(state, "--cert and --key go together");
	}
	check_readable(state, "authorities' file", client->cafile);
	check_readable(state, "certificate", client->cert);
	check_readable(state, "private key", client->key);
	client->tls = client->tls || client->cafile || client->cert;
	if (client->port == 0) {
		client->port = client->tls ? PORT_TLS : PORT;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct hf_client_options *client = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		*client = (struct hf_client_options){.host = "localhost", .root = "sessions"};
		break;
	case KEY_HOST:
		client->host = arg;
		break;
	case 'p':
		client->port = (int)hf_number_argument(state, "port", arg, 1, UINT16_MAX);
		break;
	case 'u':
		client->user = arg;
		break;
	case KEY_PASSWORD:
		client->password = arg;
		break;
	case KEY_PASSWORD_FILE:
		client->password_file = arg;
		break;
	case KEY_ROOT:
		if (!hf_root_valid(arg)) {
			argp_error(state, "--root takes a topic without wildcards, such as sessions, not '%s'", arg);
		}
		client->root = arg;
		break;
	case KEY_TLS:
		client->tls = true;
		break;
	case KEY_CAFILE:
		client->cafile = arg;
		break;
	case KEY_CERT:
		client->cert = arg;
		break;
	case KEY_KEY:
		client->key = arg;
		break;
	case KEY_CLIENT_ID:
		if (*arg == '\0') {
			argp_error(state, "--client-id cannot be empty");
		}
		client->client_id = arg;
		break;
	case 'q':
		client->quiet = true;
		break;
	case 'v':
		client->verbose = true;
		break;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		break;
	case ARGP_KEY_END:
		finish(state, client);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp hf_client_argp = {.options = options, .parser = parse};

void hf_client_options_free(struct hf_client_options *client)
{
	if (client->password_read) {
		explicit_bzero(client->password_read, strlen(client->password_read));
	}
	free(client->password_read);
	client->password_read = NULL;
	client->password = NULL;
}
