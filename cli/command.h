/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sub-commands of `holdfast` share: their entry points, exit status, and what they say to people. */
#ifndef HF_CLI_COMMAND_H
#define HF_CLI_COMMAND_H

#include <stdint.h>
#include <time.h>

enum hf_exit {
	HF_EXIT_OK = 0,
	HF_EXIT_FAILED = 1, /* refused by the broker, no connection, bad input */
	HF_EXIT_USAGE = 2,
};

/* A sub-command. argv[0] is its whole name, such as "holdfast say". Returns the exit status. */
int hf_command_say(int argc, char **argv);
int hf_command_watch(int argc, char **argv);
int hf_command_ask(int argc, char **argv);
int hf_command_answer(int argc, char **argv);
int hf_command_interrupt(int argc, char **argv);
int hf_command_steer(int argc, char **argv);
int hf_command_resume(int argc, char **argv);
int hf_command_floor(int argc, char **argv);
int hf_command_close(int argc, char **argv);
int hf_command_erase(int argc, char **argv);
int hf_command_limits(int argc, char **argv);
int hf_command_presence(int argc, char **argv);
int hf_command_sessions(int argc, char **argv);
int hf_command_audit(int argc, char **argv);
int hf_command_admin(int argc, char **argv);

/* One of several sub-commands, by its name. */
struct hf_subcommand {
	const char *name;
	char *full_name; /* the argv[0] that it is given */
	int (*run)(int argc, char **argv);
};

/* A line on standard error: "holdfast: " and the text, made safe for a terminal. */
void hf_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline int64_t hf_monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
