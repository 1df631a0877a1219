/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast COMMAND: finds the sub-command and hands the rest of the arguments to it. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "safe.h"

#ifndef HF_VERSION
#define HF_VERSION "(version unknown)"
#endif

const char *argp_program_version = "holdfast " HF_VERSION;

static const struct hf_subcommand commands[] = {
	{"say", (char[]){"holdfast say"}, hf_command_say},
	{"watch", (char[]){"holdfast watch"}, hf_command_watch},
	{"ask", (char[]){"holdfast ask"}, hf_command_ask},
	{"answer", (char[]){"holdfast answer"}, hf_command_answer},
	{"interrupt", (char[]){"holdfast interrupt"}, hf_command_interrupt},
	{"steer", (char[]){"holdfast steer"}, hf_command_steer},
	{"resume", (char[]){"holdfast resume"}, hf_command_resume},
	{"floor", (char[]){"holdfast floor"}, hf_command_floor},
	{"presence", (char[]){"holdfast presence"}, hf_command_presence},
	{"sessions", (char[]){"holdfast sessions"}, hf_command_sessions},
	{"close", (char[]){"holdfast close"}, hf_command_close},
	{"erase", (char[]){"holdfast erase"}, hf_command_erase},
	{"limits", (char[]){"holdfast limits"}, hf_command_limits},
	{"audit", (char[]){"holdfast audit"}, hf_command_audit},
	{"admin", (char[]){"holdfast admin"}, hf_command_admin},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

struct found {
	size_t command; /* COMMAND_COUNT: none */
	int argc;
	char **argv;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct found *found = state->input;

	switch (key) {
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		for (found->command = 0; found->command < COMMAND_COUNT; found->command++) {
			if (strcmp(arg, commands[found->command].name) == 0) {
				break;
			}
		}
		if (found->command == COMMAND_COUNT) {
			argp_error(state, "there is no command '%s'", arg);
			return EINVAL;
		}
		/* The rest is the sub-command's to parse. */
		found->argc = state->argc - state->next + 1;
		found->argv = state->argv + state->next - 1;
		found->argv[0] = commands[found->command].full_name;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which command?");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""},
	{0},
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "COMMAND [ARGUMENT...]",
	.doc = "Durable sessions between AI agents and people, from the command line.\v"
		   "Commands:\n\n"
		   "  say SESSION [FILE]           stream text into a session, as an agent does\n"
		   "  watch SESSION                print a session, from any position, and follow it\n"
		   "  ask SESSION QUESTION         ask people, as an agent does, and wait for the answer\n"
		   "  answer SESSION ID [CHOICE]   answer a question\n"
		   "  presence SESSION             list who takes part, and how they are\n"
		   "  floor COMMAND SESSION        show or change who may answer: claim, transfer, ...\n"
		   "  close SESSION                end a session: nothing is stored in it any more\n"
		   "  erase SESSION                end it and remove what was said in it\n"
		   "  limits SESSION               set how much of a session is kept, and for how long\n"
		   "  audit                        ask who was sent what, when, and whether it arrived; prove it\n"
		   "  admin COMMAND [NAME=VALUE]   administer a running broker: sessions, devices, questions to the audit\n"
		   "  sessions                     list the sessions of a store\n\n"
		   "'holdfast COMMAND --help' tells more about one, holdfast(1) about all.",
};

void hf_complain(const char *format, ...)
{
	char *text;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) >= 0) {
		fputs("holdfast: ", stderr);
		hf_write_safe(stderr, hf_slice_of(text), "");
		fputc('\n', stderr);
		free(text);
	}
	va_end(arguments);
}

/* A standard descriptor that is closed would become the first socket's. Take its place with one that fails as a
 * closed one does. */
static bool hold_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) {
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct found found = {.command = COMMAND_COUNT};

	if (!hold_descriptors()) {
		return HF_EXIT_FAILED;
	}

	/* A reader that goes away shows as EPIPE where we write, so that we can end cleanly. */
	signal(SIGPIPE, SIG_IGN);
	argp_err_exit_status = HF_EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &found) || found.command == COMMAND_COUNT) {
		return HF_EXIT_USAGE;
	}
	return commands[found.command].run(found.argc, found.argv);
}
