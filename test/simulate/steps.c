/* SPDX-License-Identifier: BSD-3-Clause */
#include "steps.h"

#include <inttypes.h>
#include <signal.h>

#include "due.h"
#include "fake.h"
#include "groups.h"
#include "log.h"
#include "session/log/ending.h"
#include "store_control.h"
#include "wishes.h"

#define SETTLED_MS 6500 /* longer than anything that the hub puts off */

static char roles_file[256];

void roles_make(const char *directory)
{
	snprintf(roles_file, sizeof(roles_file), "%s/roles", directory);
}

const char *roles_path(void)
{
	return roles_file;
}

/* role_of says the same. */
void roles_write(bool revoked)
{
	FILE *file = fopen(roles_file, "w");

	must(file, "%s cannot be written", roles_file);
	fprintf(file, "agent agent *\nann user %s\nolga operator *\n%s", revoked ? "a,b" : "a,b,c",
		revoked ? "" : "watcher observer a,b\n");
	fclose(file);
}

/* ---- who */

static int pick(bool (*fits)(unsigned))
{
	unsigned first = (unsigned)chance(CLIENTS);

	for (unsigned i = 0; i < CLIENTS; i++) {
		unsigned index = (first + i) % CLIENTS;
		if (fits(index)) {
			return (int)index;
		}
	}
	return -1;
}

static bool is_connected(unsigned index)
{
	return contexts[index].connected;
}

static bool talks(unsigned index)
{
	return contexts[index].connected &&
		   publishes(role_of(index, 0), people[index].identity_index == 0 ? HF_KIND_TOKENS : HF_KIND_INPUT);
}

static bool is_away(unsigned index)
{
	return contexts[index].exists && !contexts[index].connected && contexts[index].expiry > 0;
}

static bool has_answers(unsigned index)
{
	return contexts[index].connected && !contexts[index].blocked && contexts[index].inbox_count > 0;
}

static bool has_filters(unsigned index)
{
	for (unsigned i = 0; i < FILTERS; i++) {
		if (world->readers[index].filters[i].used) {
			return contexts[index].connected;
		}
	}
	return false;
}

/* ---- steps */

static void pass_time(void)
{
	static const unsigned spans[] = {1, 1, 2, 5, 20, 60, 300, 1100, 7000};
	int64_t ms = spans[chance(sizeof(spans) / sizeof(*spans))];

	world->mono_ms += ms;
	world->wall_ms += ms;
	if (world->config.clock_steps_back && one_in(5)) {
		world->wall_ms -= (int64_t)chance(2000);
	}
}

static void step_tick(void)
{
	if (one_in(2)) {
		pass_time();
	}
	note("tick at %" PRId64, world->mono_ms);
	tick();
}

static void step_publish(void)
{
	int index = pick(one_in(10) ? is_connected : talks);
	unsigned burst = one_in(12) ? 2 + (unsigned)chance(60) : 1 + (unsigned)chance(3);

	for (; index >= 0 && burst > 0 && contexts[index].connected && world->head + 100 < ENTRIES; burst--) {
		struct entry entry;
		entry_make((unsigned)index, &entry);
		client_publish((unsigned)index, &entry, false);
	}
}

/* An agent answers: batches of one response, most of them one behind the other. */
static void step_stream(void)
{
	int index = pick(talks);
	unsigned session = (unsigned)chance(SESSIONS), response = (unsigned)chance(RESPONSE_IDS),
			 count = 1 + (unsigned)chance(25);

	for (; index >= 0 && count > 0 && contexts[index].connected && world->head + 100 < ENTRIES; count--) {
		struct entry entry;
		if (!one_in(12) && !world->erased[session] && publishes(role_of((unsigned)index, session), HF_KIND_TOKENS)) {
			batch_make((unsigned)index, session, response, &entry);
		} else {
			entry_make((unsigned)index, &entry);
		}
		client_publish((unsigned)index, &entry, false);
	}
}

static void step_connect(void)
{
	unsigned index = (unsigned)chance(CLIENTS);
	static const unsigned maxima[] = {1, 2, 5, 20, 20, 65535};
	struct connecting how = {
		.clean = one_in(6),
		.fails = one_in(15),
		.expiry = one_in(3)   ? 0
				  : one_in(2) ? UINT32_MAX
							  : 3600,
		.receive_maximum = maxima[chance(sizeof(maxima) / sizeof(*maxima))],
		.max_packet = one_in(4) ? 300 + (uint32_t)chance(2000) : 0,
		.max_qos = one_in(6) ? (uint8_t)chance(2) : 2,
	};

	how.unlimited = how.max_packet == 0 && one_in(3);
	if (!contexts[index].connected || one_in(4)) {
		client_connect(index, &how);
	}
}

static void step_go(void)
{
	int index = pick(is_connected);

	if (index >= 0) {
		client_go((unsigned)index, one_in(6));
	}
}

static void step_subscribe(void)
{
	int index = pick(is_connected);
	struct wish wish;

	if (index >= 0 && wish_make((unsigned)index, &wish)) {
		client_subscribe((unsigned)index, &wish);
	}
}

static void step_unsubscribe(void)
{
	int index = pick(has_filters);
	char filter[120];

	if (index < 0) {
		return;
	}
	const char *plain = wish_to_end((unsigned)index, filter, sizeof(filter));
	if (plain) {
		char copy[80];
		snprintf(copy, sizeof(copy), "%s", plain);
		client_unsubscribe((unsigned)index, filter, copy);
	}
}

static void step_group(void)
{
	int index = pick(is_connected);
	unsigned group = (unsigned)chance(GROUPS);
	struct wish wish;
	char filter[140];

	if (index < 0) {
		return;
	}
	if (!group_is_member(group, (unsigned)index) || !one_in(3)) {
		wish_to_join(group, &wish);
		client_join((unsigned)index, group, &wish);
	} else {
		snprintf(filter, sizeof(filter), "$share/%s/%s%s", shares[group].name, one_in(2) ? "" : "$from/earliest/",
			shares[group].plain);
		client_leave((unsigned)index, group, filter);
	}
}

static void step_answer(void)
{
	int index = pick(has_answers);

	for (unsigned count = one_in(4) ? 50 : 1 + (unsigned)chance(4); index >= 0 && count > 0; count--) {
		if (!client_answer((unsigned)index, false)) {
			break;
		}
	}
}

static void step_socket(void)
{
	int index = pick(is_connected);

	if (index >= 0 && contexts[index].blocked && one_in(3)) {
		note("%s reads on", people[index].device);
		client_unblock((unsigned)index);
	} else if (index >= 0 && contexts[index].blocked) {
		size_t count = 1 + (size_t)chance(contexts[index].outbox.count + 1);
		note("%s reads %zu more packets", people[index].device, count);
		client_read_some((unsigned)index, count);
	} else if (index >= 0) {
		note("%s reads no more", people[index].device);
		contexts[index].blocked = true;
	}
}

static void step_others(void)
{
	int index = pick(is_connected);

	unsigned count = one_in(4) && world->config.max_queued < 200 ? world->config.max_queued : 1;

	if (index >= 0) {
		uint8_t qos = count > 1 ? 0 : (uint8_t)chance(3);
		note("%s gets something else, %u times", people[index].device, count);
		for (; count > 0; count--) {
			hand_other((unsigned)index, "other/topic", qos);
		}
	}
}

/* What is open in it ends, with notices, and then all of it goes. Nobody publishes there any more. */
static void step_erase(void)
{
	static const struct hf_asker asker = {.identity = "olga"};
	unsigned session = (unsigned)chance(SESSIONS);
	uint64_t offset;

	for (unsigned other = 0; other < SESSIONS; other++) {
		if (world->erased[other]) {
			return;
		}
	}
	if (!world->config.erases || world->session_head[session] == 0) {
		return;
	}
	note("%s is erased", session_names[session]);
	unsigned kill_in = world->kill_in;
	world->kill_in = 0; /* it would leave open whether it has happened */
	world->erased[session] = world->erasing = true;
	enum hf_reason reason = hf_session_erase(hub, hf_slice_of(session_names[session]), &asker, &offset);
	world->erasing = false;
	world->kill_in = kill_in;
	must(reason == HF_OK && offset == world->session_head[session], "%s cannot be erased: %s", session_names[session],
		hf_reason_name(reason));
	readers_lose_session(session);
}

static void step_rare(void)
{
	int index;

	switch (chance(7)) {
	case 6:
		step_erase();
		break;
	case 0:
		login_fails((unsigned)chance(CLIENTS));
		break;
	case 1:
		index = pick(is_away);
		if (index >= 0) {
			client_expire((unsigned)index);
		}
		break;
	case 2:
		if (one_in(world->revoked ? 2 : 4)) {
			char message[512];
			note("the roles file %s rules", world->revoked ? "gets back" : "loses");
			roles_write(!world->revoked);
			roles_change(!world->revoked);
			must(hf_hub_reload(hub, message, sizeof(message)) == HF_OK, "the roles cannot be read again: %s", message);
		}
		break;
	case 3:
		if (world->config.faults && store_control_can_fail() && one_in(2)) {
			note("the disk takes no writes");
			store_control_fail(true);
		}
		break;
	default:
		note("the disk takes writes");
		store_control_fail(false);
		break;
	}
}

/* What a store that failed has written in the end, nobody knows: no kill then. */
static bool is_certain(void)
{
	return !store_control_failed() &&
		   (world->failing_ms == INT64_MIN ||
			   (world->ticks_since_failing >= 5 && world->mono_ms - world->failing_ms >= 5000));
}

static bool step_end(void)
{
	if (!is_certain()) {
		return true;
	}
	store_control_fail(false);
	if (!world->config.faults && one_in(2)) {
		world->kill_in = 1 + (unsigned)chance(40);
		note("to be killed in %u messages", world->kill_in);
		return true;
	}
	if (one_in(3)) {
		note("the broker ends");
		world->ending = ENDING_CLOSED;
		return false;
	}
	note("killed");
	world->ending = ENDING_KILLED;
	raise(SIGKILL);
	return false;
}

bool step(void)
{
	unsigned dice = (unsigned)chance(1000);

	if (dice < 150) {
		step_publish();
	} else if (dice < 220) {
		step_stream();
	} else if (dice < 420) {
		step_tick();
	} else if (dice < 620) {
		step_answer();
	} else if (dice < 650 && world->config.groups) {
		step_group();
	} else if (dice < 720) {
		step_subscribe();
	} else if (dice < 745) {
		step_unsubscribe();
	} else if (dice < 855) {
		step_connect();
	} else if (dice < 900) {
		step_go();
	} else if (dice < 930) {
		step_socket();
	} else if (dice < 945) {
		step_others();
	} else if (dice < 970) {
		step_rare();
	} else if (dice < 985) {
		pass_time();
	} else if (dice < 990) {
		settle(one_in(2) ? 0 : (unsigned)chance(6));
	} else {
		return step_end();
	}
	return true;
}

/* ---- until quiet */

/* All but so many messages, which each keeps to itself for now. */
static void everybody_answers(unsigned keep)
{
	for (unsigned index = 0; index < READERS; index++) {
		if (contexts[index].connected && contexts[index].blocked) {
			client_unblock(index);
		}
		while (contexts[index].inbox_count > keep && client_answer(index, true)) {
		}
	}
}

/* Before it knows what is gone nothing follows. */
static bool has_truncation(const struct context *context)
{
	for (size_t i = 0; i < context->inflight.count; i++) {
		if (context->inflight.data[i].truncation) {
			return true;
		}
	}
	return false;
}

/* Nothing that it does not answer holds it up: then it must have all there is. */
static bool has_room(unsigned index)
{
	const struct context *context = &contexts[index];

	return context->quota > 0 && context->inflight.count < context->receive_maximum &&
		   context->inflight.count < world->config.window && !has_truncation(context);
}

static void check_settled(unsigned keep)
{
	for (unsigned index = 0; index < READERS; index++) {
		const struct context *context = &contexts[index];
		must(!context->connected || keep > 0 || context->queued.count + context->inflight.count == 0,
			"%s still has messages to come", people[index].device);
		if (context->connected && has_room(index)) {
			reader_check_settled(index);
		}
	}
	if (keep == 0) {
		groups_check_settled();
	}
}

void settle(unsigned keep)
{
	int64_t quiet_since = world->mono_ms;
	unsigned turns = 0, idle_turns = 0;

	note("everybody reads and answers, all but %u", keep);
	store_control_fail(false);
	while (world->mono_ms - quiet_since < SETTLED_MS) {
		uint64_t before = activity;
		everybody_answers(keep);
		if (!world->wake_at_ms ||
			world->wake_at_ms - quiet_since >= SETTLED_MS) { /* a deadline, such as a question's */
			break;
		}
		if (world->wake_at_ms > world->mono_ms) {
			world->wall_ms += world->wake_at_ms - world->mono_ms;
			world->mono_ms = world->wake_at_ms;
		}
		tick();
		everybody_answers(keep);
		if (activity != before || store_control_failed()) {
			quiet_since = world->mono_ms;
			idle_turns = 0;
		}
		must(++turns < 50000, "it never gets quiet");
		must(++idle_turns < 1000, "the hub has itself woken for ever, for nothing");
	}
	check_settled(keep);
}

void finale(void)
{
	struct connecting how = {.expiry = 3600, .receive_maximum = 20, .max_qos = 2};
	struct wish all = {.text = "$from/earliest/sessions/+/#",
		.plain = "sessions/+/#",
		.session = NOBODY,
		.verb = HF_VERB_FROM,
		.options = 1};

	world->kill_in = 0;
	settle(0);
	for (unsigned index = 0; index < CLIENTS; index++) {
		if (is_away(index)) {
			client_connect(index, &how);
		}
	}
	settle(0);
	how.expiry = 0;
	client_connect(LATE_COMER, &how);
	client_subscribe(LATE_COMER, &all);
	settle(0);
	const struct reader *late = &world->readers[LATE_COMER];
	for (uint64_t lsn = 1; lsn <= log_head(); lsn++) {
		must(late->seen[lsn] || world->entries[lsn].removed, "who comes last does not read entry %" PRIu64, lsn);
	}
	must(late->got <= log_head(), "who comes last reads %" PRIu64 " entries, of %" PRIu64, late->got, log_head());
}
