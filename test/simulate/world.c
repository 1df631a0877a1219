/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

#include <stdarg.h>
#include <sys/mman.h>

struct world *world;

/* Two devices of one agent and of one user, since identities are not devices. */
const struct person people[READERS] = {
	{"agent/1", "agent", 0},
	{"agent+2", "agent", 0},
	{"phone", "ann", 1},
	{"tablet", "ann", 1},
	{"desk", "olga", 2},
	{"wall", "watcher", 3},
	{"guest", NULL, 4},
	{"late-comer", "olga", 2},
};

const char *const session_names[SESSIONS] = {"a", "b", "c", "priv"};

/* What roles.c of the session logic is given as a file (life.c), said once more. */
enum hf_role role_of(unsigned reader, unsigned session)
{
	bool private = session == 3;

	switch (people[reader].identity_index) {
	case 0:
		return HF_ROLE_AGENT;
	case 1:
		return private || (world->revoked && session == 2) ? HF_ROLE_NONE : HF_ROLE_USER;
	case 2:
		return HF_ROLE_OPERATOR;
	case 3:
		return session <= 1 && !world->revoked ? HF_ROLE_OBSERVER : HF_ROLE_NONE;
	default:
		return world->config.anonymous_role;
	}
}

bool reads(enum hf_role role)
{
	return role == HF_ROLE_AGENT || role == HF_ROLE_USER || role == HF_ROLE_OPERATOR || role == HF_ROLE_OBSERVER;
}

bool publishes(enum hf_role role, enum hf_kind kind)
{
	switch (kind) {
	case HF_KIND_TOKENS:
	case HF_KIND_ASK:
		return role == HF_ROLE_AGENT;
	case HF_KIND_INPUT:
	case HF_KIND_SIGNAL:
	case HF_KIND_ANSWER:
		return role == HF_ROLE_USER || role == HF_ROLE_OPERATOR;
	case HF_KIND_EVENT:
		return role == HF_ROLE_AGENT || role == HF_ROLE_OPERATOR;
	case HF_KIND_SHARED:
		return role == HF_ROLE_AGENT || role == HF_ROLE_USER || role == HF_ROLE_OPERATOR;
	default:
		return false;
	}
}

int reader_of_device(const char *device)
{
	for (int i = 0; i < READERS; i++) {
		if (strcmp(people[i].device, device) == 0) {
			return i;
		}
	}
	return -1;
}

int session_of(struct hf_slice name)
{
	for (int i = 0; i < SESSIONS; i++) {
		if (hf_slice_is(name, session_names[i])) {
			return i;
		}
	}
	return -1;
}

/* ---- */

void world_make(void)
{
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world == MAP_FAILED) {
		perror("mmap");
		exit(EXIT_FAILURE);
	}
}

static unsigned pick(const unsigned *values, size_t count)
{
	return values[chance(count)];
}

void world_begin(uint64_t seed, bool verbose)
{
	static const unsigned windows[] = {1, 2, 3, 8, 20, 100};
	static const unsigned flushes[] = {1, 20, 20, 500};
	static const unsigned rollups[] = {0, 90, 150, 600, 8192, 8192};

	memset(world, 0, sizeof(*world));
	world->seed = seed;
	world->dice = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	world->verbose = verbose;
	world->wall_ms = 1700000000000;
	world->mono_ms = 1000000 + (int64_t)chance(1000);
	world->config = (struct config){
		.window = pick(windows, sizeof(windows) / sizeof(*windows)),
		.ack_flush_ms = pick(flushes, sizeof(flushes) / sizeof(*flushes)),
		.max_queued = 1000,
		.rollup = pick(rollups, sizeof(rollups) / sizeof(*rollups)),
		.steps = 40 + (unsigned)chance(one_in(8) ? 600 : 160),
		.anonymous_role = one_in(2)   ? HF_ROLE_OBSERVER
						  : one_in(2) ? HF_ROLE_USER
									  : HF_ROLE_NONE,
		.clock_steps_back = one_in(4),
		.faults = one_in(4),
	};
	if (world->config.window <= 20 && one_in(3)) {
		world->config.max_queued = 4 * world->config.window + 20;
	}
	if (!world->config.faults && one_in(3)) {
		static const unsigned ages[] = {1000, 3000, 10000, 30000};
		world->config.retention_ms = pick(ages, sizeof(ages) / sizeof(*ages));
	}
	world->config.erases = !world->config.faults && one_in(3);
	world->config.groups = !world->config.faults && one_in(2);
	world->steps_left = world->config.steps;
	world->written_ms = INT64_MIN;
	world->failing_ms = INT64_MIN;
}

/* splitmix64 */
uint64_t chance(uint64_t below)
{
	uint64_t z = world->dice += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

void note(const char *format, ...)
{
	char *line = world->trace[world->trace_next++ % TRACE_LINES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, TRACE_WIDTH, format, arguments);
	va_end(arguments);
	if (world->verbose) {
		printf("%6u %s\n", world->trace_next, line);
		fflush(stdout);
	}
}

void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(world->failure, sizeof(world->failure), format, arguments);
	va_end(arguments);
	world->ending = ENDING_FAILED;
	if (getenv("HOLDFAST_SIMULATE_ABORT")) {
		abort(); /* for a debugger */
	}
	_Exit(EXIT_FAILURE);
}
