/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit transcript: a session as people read it. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "audit_rows.h"
#include "options.h"
#include "transcript.h"

static const struct {
	const char *name;
	bool (*print)(const struct hf_transcript *transcript);
} formats[] = {
	{"text", hf_transcript_text},
	{"json", hf_transcript_json},
	{"html", hf_transcript_html},
};
#define FORMAT_COUNT (sizeof(formats) / sizeof(formats[0]))

struct command {
	struct hf_audit_options audit;
	size_t format;
};

static enum hf_exit print(struct hf_store *store, const struct command *command)
{
	const struct hf_transcript_want want = {.query = command->audit.query, .after = HF_SLICE_NONE};
	struct hf_transcript transcript;
	enum hf_exit status = HF_EXIT_FAILED;
	enum hf_reason reason = hf_transcript_make(store, &want, &transcript);

	if (reason != HF_OK) {
		hf_audit_complain(store, &command->audit.query, reason);
	} else if (transcript.entries == 0) {
		hf_complain("the store has no entries of session %.*s%s", (int)transcript.session.len, transcript.session.data,
			command->audit.query.from_ms != INT64_MIN || command->audit.query.to_ms != INT64_MAX ? " of that time"
																								 : "");
	} else if (!formats[command->format].print(&transcript)) {
		hf_complain("out of memory");
	} else {
		status = hf_output_end();
	}
	hf_transcript_free(&transcript);
	return status;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &command->audit;
		return 0;
	case 'f':
		for (command->format = 0; command->format < FORMAT_COUNT; command->format++) {
			if (strcmp(arg, formats[command->format].name) == 0) {
				return 0;
			}
		}
		argp_error(state, "--format: there are text, json and html, not '%s'", arg);
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0) {
			argp_error(state, "too many arguments: %s", arg);
		}
		command->audit.query.session = hf_slice_of(hf_session_argument(state, arg));
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "of which session?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{.name = "format", .key = 'f', .arg = "FORMAT", .doc = "text, json or html (one page that needs nothing else)"},
	{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""},
	{0},
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &hf_audit_time_argp}, {0}},
	.args_doc = "SESSION",
	.doc =
		"A session as people read it: who said what, when, and who got it. Token batches are joined to what was said, "
		"until somebody else does something."
		"\vAcknowledged is what a device's MQTT library took, not what a person has read.\n\n"
		"Exit status: 0 done, 1 failed or no such session, 2 wrong usage.",
};

int hf_audit_command_transcript(int argc, char **argv)
{
	struct command command = {.format = 0};
	enum hf_exit status = HF_EXIT_FAILED;

	if (argp_parse(&argp, argc, argv, 0, NULL, &command)) {
		return HF_EXIT_USAGE;
	}
	struct hf_store *store = hf_audit_store_open(&command.audit);
	if (store) {
		status = print(store, &command);
		hf_store_close(store);
	}
	return (int)status;
}
