/* SPDX-License-Identifier: BSD-3-Clause */
#include "auditor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asker.h"
#include "tally.h"

#define STORE_SIZE 4200
#define PAGES_MAX 10 /* of one question */
#define REQUEST_SIZE 512
#define NEXT_SIZE 256

struct hf_auditor {
	struct hf_loop *loop;
	uint64_t answers;

	/* by the command line: a process that runs one command after the other, and says so in a pipe */
	pid_t pid; /* 0: none */
	int pipe;

	/* over $CONTROL */
	struct hf_asker *asker; /* NULL: none */
	bool asked;
	unsigned question, page;
	char next[NEXT_SIZE]; /* where the page after this one begins; "": there is none */
};

/* ---- the command line */

#define AUDIT "holdfast", "audit"
static const char *const commands[][8] = {
	{AUDIT, "--session", HF_SESSION, "--format", "json"},
	{AUDIT, "receipts", HF_SESSION, "1000"},
	{AUDIT, "--device", "bench-reader-0", "--kind", "acknowledged"},
	{AUDIT, "report"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* The exit status of one command; -1: it could not be run. */
static int run_command(const char *program, const char *const arguments[])
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	char *argv[9] = {NULL};
	pid_t pid;
	int status = -1;

	for (size_t i = 0; i < 8 && arguments[i]; i++) {
		argv[i] = (char *)(uintptr_t)arguments[i];
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (posix_spawn(&pid, program, &actions, NULL, argv, environ) == 0) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
		}
	}
	posix_spawn_file_actions_destroy(&actions);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* On whichever core the system sees fit, as any program that somebody runs beside a broker. */
_Noreturn static void run_commands(const struct hf_broker *broker, int out)
{
	char store[STORE_SIZE];
	cpu_set_t all;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
	snprintf(store, sizeof(store), "%s/store", hf_broker_directory(broker));
	setenv("HOLDFAST_STORE", store, 1);
	for (unsigned i = 0;; i++) {
		unsigned char status =
			(unsigned char)run_command(hf_broker_program(broker, HF_COMMAND), commands[i % COMMANDS]);
		if (write(out, &status, 1) != 1 || status != 0) {
			_exit(1);
		}
	}
}

static bool start_commands(struct hf_auditor *auditor, const struct hf_broker *broker)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
		return false;
	}
	auditor->pid = fork();
	if (auditor->pid == 0) {
		run_commands(broker, ends[1]);
	}
	close(ends[1]);
	auditor->pipe = ends[0];
	return auditor->pid > 0;
}

static void read_statuses(struct hf_auditor *auditor)
{
	unsigned char statuses[64];
	ssize_t count = read(auditor->pipe, statuses, sizeof(statuses));

	for (ssize_t i = 0; i < count; i++) {
		if (statuses[i] != 0) {
			hf_loop_fail(auditor->loop, "holdfast audit ended with status %u", statuses[i]);
		}
		auditor->answers++;
	}
	if (count == 0) {
		hf_loop_fail(auditor->loop, "who runs holdfast audit has ended");
	}
}

static void stop_commands(struct hf_auditor *auditor)
{
	kill(-auditor->pid, SIGKILL);
	kill(auditor->pid, SIGKILL); /* it may not have a group of its own yet */
	waitpid(auditor->pid, NULL, 0);
	close(auditor->pipe);
}

/* ---- over $CONTROL */

#define TOPIC "$CONTROL/holdfast/v1"
static const char *const questions[] = {
	"\"command\":\"query\",\"session\":\"" HF_SESSION "\",\"limit\":1000",
	"\"command\":\"receipts\",\"session\":\"" HF_SESSION "\",\"offset\":1000",
	"\"command\":\"query\",\"device\":\"bench-reader-0\",\"kind\":\"acknowledged\",\"limit\":1000",
	"\"command\":\"report\"",
};
#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

static const uint8_t *find(const uint8_t *bytes, size_t size, const char *text)
{
	return memmem(bytes, size, text, strlen(text));
}

/* Looked at from both ends, so that the load's own core has little to do with it. */
static bool take_answer(void *context, const struct hf_publish *answer)
{
	static const char key[] = "\"next\":\"";
	struct hf_auditor *auditor = context;
	size_t ends = answer->payload_size < NEXT_SIZE ? answer->payload_size : NEXT_SIZE;
	const uint8_t *tail = answer->payload + answer->payload_size - ends;
	const uint8_t *next = find(tail, ends, key);

	auditor->next[0] = '\0';
	if (next) {
		next += strlen(key);
		snprintf(auditor->next, sizeof(auditor->next), "%.*s", (int)(tail + ends - next), (const char *)next);
		auditor->next[strcspn(auditor->next, "\"")] = '\0';
	}
	return find(answer->payload, ends, "\"data\":") != NULL;
}

static const struct hf_asker_setup asker_setup = {
	.client_id = "bench-auditor",
	.user = "auditor",
	.topic = TOPIC,
	.answers = "bench-answers",
	.take = take_answer,
};

static void ask(struct hf_auditor *auditor)
{
	char request[REQUEST_SIZE];
	int size;

	if (auditor->next[0] && auditor->page < PAGES_MAX) {
		size = snprintf(request, sizeof(request), "{\"commands\":[{%s,\"after\":\"%s\"}]}",
			questions[auditor->question % QUESTIONS], auditor->next);
		auditor->page++;
	} else {
		auditor->question++;
		auditor->page = 1;
		size = snprintf(request, sizeof(request), "{\"commands\":[{%s}]}", questions[auditor->question % QUESTIONS]);
	}
	auditor->asked = true;
	hf_asker_ask(auditor->asker, request, (size_t)size);
}

static void poll_asker(struct hf_auditor *auditor)
{
	if (!hf_asker_is_ready(auditor->asker) || !hf_asker_is_answered(auditor->asker)) {
		return;
	}
	auditor->answers += auditor->asked;
	ask(auditor);
}

/* ---- */

struct hf_auditor *hf_auditor_open(struct hf_loop *loop, const struct hf_broker *broker)
{
	struct hf_auditor *auditor = calloc(1, sizeof(*auditor));
	bool begun = false;

	if (auditor) {
		auditor->loop = loop;
		if (hf_variant_info[hf_broker_variant(broker)].auditor == HF_BY_COMMAND) {
			begun = start_commands(auditor, broker);
		} else {
			auditor->asker = hf_asker_open(loop, hf_broker_port(broker), &asker_setup, auditor);
			begun = auditor->asker != NULL;
		}
	}
	if (!begun) {
		hf_loop_fail(loop, "cannot start the auditor");
		hf_auditor_close(auditor);
		return NULL;
	}
	return auditor;
}

void hf_auditor_close(struct hf_auditor *auditor)
{
	if (!auditor) {
		return;
	}
	if (auditor->pid > 0) {
		stop_commands(auditor);
	}
	hf_asker_close(auditor->asker);
	free(auditor);
}

void hf_auditor_poll(struct hf_auditor *auditor)
{
	if (auditor->asker) {
		poll_asker(auditor);
	}
}

uint64_t hf_auditor_answers(struct hf_auditor *auditor)
{
	if (!auditor->asker) {
		read_statuses(auditor);
	}
	return auditor->answers;
}
