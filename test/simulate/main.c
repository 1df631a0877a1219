/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holdfast-simulate: seeded schedules of the session logic with a simulated broker. Each life of a schedule is a child
 * process, so that a kill is a kill: what was only in memory is gone.
 */
#include <argp.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"
#include "groups.h"
#include "steps.h"
#include "store_control.h"
#include "world.h"

#define LIVES_MAX 8
#define LIFE_SECONDS_MAX 60

struct arguments {
	uint64_t seed, count;
	double seconds;
	bool verbose;
};

static const struct argp_option options[] = {
	{"seed", 's', "N", 0, "The first seed (1)", 0},
	{"count", 'c', "N", 0, "How many seeds, one after the other (1000)", 0},
	{"seconds", 't', "N", 0, "Begin no new schedule after this time", 0},
	{"verbose", 'v', NULL, 0, "Print the schedule while it runs", 0},
	{.name = NULL},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	char *end = value;

	switch (key) {
	case 's':
		arguments->seed = strtoull(value, &end, 0);
		break;
	case 'c':
		arguments->count = strtoull(value, &end, 0);
		break;
	case 't':
		arguments->seconds = strtod(value, &end);
		break;
	case 'v':
		arguments->verbose = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (value && (*end || end == value)) {
		argp_error(state, "'%s' is not a number", value);
	}
	return 0;
}

/* ---- one life, in a child */

static void open_hub(void)
{
	struct hf_broker broker;
	struct hf_options made;
	char message[512] = "";

	fake_broker(&broker);
	hf_options_defaults(&made);
	snprintf(made.store, sizeof(made.store), "%s", store_control_path());
	snprintf(made.roles, sizeof(made.roles), "%s", roles_path());
	made.anonymous_role = world->config.anonymous_role;
	made.window = world->config.window;
	made.ack_flush_ms = world->config.ack_flush_ms;
	made.rollup = world->config.rollup;
	made.retention.age_ms = world->config.retention_ms;
	/* The model has no notices yet: nothing may be said of who comes and goes, and no response be closed. */
	made.presence_notices = HF_NOTICES_NONE;
	made.agent_grace_ms = made.restart_grace_ms = 3600000;
	made.ask_expiry_s = 31622400;
	must(hf_hub_open(&made, &broker, &hub, message, sizeof(message)) == HF_OK, "the hub does not open: %s", message);
}

static void live(void)
{
	bool clean = world->ending == ENDING_CLOSED;

	alarm(LIFE_SECONDS_MAX);
	note("life %u%s", world->lives, world->lives == 0 ? "" : clean ? ", after an orderly end" : ", after a kill");
	if (world->lives++ > 0) {
		world->mono_ms += (int64_t)chance(1000);
		world->wall_ms += (int64_t)chance(1000);
		for (unsigned index = 0; index < READERS; index++) {
			reader_restarted(index, clean);
		}
		groups_restarted(clean);
	}
	world->ending = ENDING_NONE;
	world->wake_at_ms = 0;
	world->kill_in = 0;
	world->written_ms = world->failing_ms = INT64_MIN;
	open_hub();
	fake_restore();
	while (world->steps_left > 0) {
		world->steps_left--;
		if (!step()) {
			break;
		}
		watch_store();
		must(store_control_idle(), "a scan or reader of the store is left open");
	}
	if (world->ending == ENDING_NONE) {
		finale();
		world->ending = ENDING_OVER;
	}
	hf_hub_close(hub);
	fake_end();
	exit(EXIT_SUCCESS);
}

/* ---- one schedule */

static bool report(const char *what)
{
	unsigned first = world->trace_next > TRACE_LINES ? world->trace_next - TRACE_LINES : 0;

	for (unsigned i = first; i < world->trace_next && !world->verbose; i++) {
		printf("%6u %s\n", i + 1, world->trace[i % TRACE_LINES]);
	}
	printf("seed %" PRIu64 ": %s\n", world->seed, what);
	printf("to see it again: %s --seed %" PRIu64 " --count 1 --verbose\n", program_invocation_name, world->seed);
	return false;
}

static bool run(uint64_t seed, bool verbose)
{
	char what[64];

	world_begin(seed, verbose);
	store_control_begin();
	roles_write(false);
	if (!store_control_can_truncate()) {
		world->config.retention_ms = 0;
		world->config.erases = false;
	}
	do {
		int status;
		if (world->lives >= LIVES_MAX) {
			world->steps_left = 0;
		}
		fflush(stdout);
		pid_t child = fork();
		if (child == 0) {
			live();
		}
		if (child < 0 || waitpid(child, &status, 0) != child) {
			perror("fork");
			exit(EXIT_FAILURE);
		}
		if (world->ending == ENDING_FAILED) {
			return report(world->failure);
		}
		bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && world->ending == ENDING_KILLED;
		if (!killed && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
			snprintf(what, sizeof(what), "the process ended with status %#x", (unsigned)status);
			return report(what);
		}
	} while (world->ending != ENDING_OVER);
	store_control_end();
	return true;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .doc = "Random schedules of Holdfast's session logic"};
	struct arguments arguments = {.seed = 1, .count = 1000};
	uint64_t entries = 0, handed = 0, joined = 0, worked = 0, removed = 0, lives = 0, done = 0;
	const char *base = getenv("TMPDIR");
	char directory[256];
	bool good = true;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	snprintf(directory, sizeof(directory), "%s/holdfast-simulate-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(directory)) {
		perror(directory);
		return EXIT_FAILURE;
	}
	roles_make(directory);
	world_make();
	store_control_make();
	double begun = now_s();
	while (good && done < arguments.count && (arguments.seconds <= 0 || now_s() - begun < arguments.seconds)) {
		good = run(arguments.seed + done, arguments.verbose);
		done++;
		entries += world->head;
		handed += world->handed;
		joined += world->joined;
		worked += world->worked;
		removed += world->removed;
		lives += world->lives;
	}
	remove(roles_path());
	rmdir(directory);
	printf("%" PRIu64 " schedules from seed %" PRIu64 ", %" PRIu64 " lives, %" PRIu64 " entries, %" PRIu64
		   " handed over, joined ones in %" PRIu64 " messages, to groups %" PRIu64 ", %" PRIu64
		   " removed, %.1f s: %s\n",
		done, arguments.seed, lives, entries, handed, joined, worked, removed, now_s() - begun,
		good ? "no fault" : "a fault");
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
