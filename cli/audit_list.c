/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit: what happened, in the order it happened. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "audit_rows.h"
#include "options.h"

static void kind_argument(struct argp_state *state, struct hf_query *query, char *names)
{
	const char *name;
	char all[1024] = "";

	while ((name = strsep(&names, ","))) { /* also what is empty, which is no kind */
		if (hf_query_add_kind(query, hf_slice_of(name))) {
			continue;
		}
		for (size_t i = 0, len = 0; hf_query_kind(i) && len < sizeof(all); i++) {
			int more = snprintf(all + len, sizeof(all) - len, "%s%s", i > 0 ? ", " : "", hf_query_kind(i));
			len += more > 0 ? (size_t)more : 0;
		}
		argp_error(state, "--kind: there is no kind '%s'. There are %s", name, all);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct hf_audit_options *audit = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = audit;
		return 0;
	case 'S':
		audit->query.session = hf_slice_of(hf_session_argument(state, arg));
		return 0;
	case 'i':
		audit->query.identity = hf_name_argument(state, "identity", arg);
		return 0;
	case 'd':
		audit->query.device = hf_name_argument(state, "device", arg);
		return 0;
	case 'k':
		kind_argument(state, &audit->query, arg);
		return 0;
	case 'o':
		audit->query.offset = hf_number_argument(state, "offset", arg, 1, INT64_MAX);
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "there is no command '%s'", arg);
		return 0;
	case ARGP_KEY_END:
		if (hf_query_fault(&audit->query)) {
			argp_error(state, "%s", hf_query_fault(&audit->query));
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{.name = "session", .key = 'S', .arg = "SESSION", .doc = "Of this session"},
	{.name = "identity", .key = 'i', .arg = "IDENTITY", .doc = "Of this identity, as it was authenticated"},
	{.name = "device", .key = 'd', .arg = "DEVICE", .doc = "Of this device (MQTT client id)"},
	{.name = "kind", .key = 'k', .arg = "KIND,...", .doc = "Of these kinds, such as published, delivered, refused"},
	{.name = "offset", .key = 'o', .arg = "OFFSET", .doc = "This entry of the session, and its receipts"},
	{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""},
	{0},
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &hf_audit_argp}, {0}},
	.args_doc = "\nCOMMAND [ARGUMENT...]",
	.doc = "Who published what, who was sent it, when, and whether it arrived; who came, went, and was refused. In the "
		   "order of time, all of it or what the options say."
		   "\vThe store is opened read-only: this works while the broker runs and without one, and gives way to it.\n\n"
		   "Commands:\n\n"
		   "  receipts SESSION OFFSET   who got an entry, and who did not, and why\n"
		   "  seen-by IDENTITY          all that an identity was sent\n"
		   "  transcript SESSION        a session as people read it: text, JSON, or a page to print\n"
		   "  report                    how much was published, sent, acknowledged, refused\n"
		   "  verify                    check that nothing was changed, removed or put in another place\n"
		   "  checkpoint                export a proof of what is there now, to be kept elsewhere\n"
		   "  key                       export the public key; change the key that seals the audit\n"
		   "  usage                     what takes up the disk, in all and by session\n\n"
		   "'holdfast audit COMMAND --help' tells more about one, holdfast(1) about all.\n\n"
		   "Exit status: 0 done, 1 failed, 2 wrong usage.",
};

int hf_audit_command_list(int argc, char **argv)
{
	struct hf_audit_options audit;
	enum hf_exit status = HF_EXIT_FAILED;

	if (argp_parse(&argp, argc, argv, 0, NULL, &audit)) {
		return HF_EXIT_USAGE;
	}
	struct hf_store *store = hf_audit_store_open(&audit);
	if (store) {
		status = hf_audit_print(store, &audit);
		hf_store_close(store);
	}
	return (int)status;
}
