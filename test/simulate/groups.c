/* SPDX-License-Identifier: BSD-3-Clause */
#include "groups.h"

#include <inttypes.h>

#include "due.h"
#include "log.h"

#define QOS(options) ((options) & 0x03)
#define UNFIT_MARGIN 100 /* packet sizes are near enough here, not exact */

const struct share shares[GROUPS] = {
	{"w", "sessions/+/input", NOBODY},
	{"w", "sessions/#", NOBODY},
	{"v", "sessions/a/#", 0},
	{"v", "sessions/c/input", 2},
};

void group_kept(unsigned group, char *out, size_t size)
{
	snprintf(out, size, "sessions/$share/%s/%s", shares[group].name, shares[group].plain);
}

int group_of_kept(const char *filter)
{
	char kept[120];

	for (unsigned group = 0; group < GROUPS; group++) {
		group_kept(group, kept, sizeof(kept));
		if (strcmp(kept, filter) == 0) {
			return (int)group;
		}
	}
	return -1;
}

bool group_is_member(unsigned group, unsigned reader)
{
	return world->groups[group].members[reader].is;
}

bool reader_is_member(unsigned reader)
{
	for (unsigned group = 0; group < GROUPS; group++) {
		if (group_is_member(group, reader)) {
			return true;
		}
	}
	return false;
}

static bool matches(unsigned group, uint64_t lsn)
{
	char topic[100];

	log_topic(&world->entries[lsn], topic, sizeof(topic));
	return filter_matches(shares[group].plain, topic) && filter_begins_before(&world->groups[group].place, lsn);
}

static bool listens_for_marks(unsigned group)
{
	return strchr(shares[group].plain, '#') != NULL;
}

/* ---- what nobody may read */

static bool is_remembered(const struct group *group, unsigned session)
{
	for (unsigned index = 0; index < READERS; index++) {
		if (group->seen[people[index].identity_index] && reads(role_of(index, session))) {
			return true;
		}
	}
	return false;
}

/* Under a wildcard, what none who is or was a worker may read is passed over: if the group came by it now, it has. */
static void blur(unsigned number)
{
	struct group *group = &world->groups[number];
	bool remembered[SESSIONS];

	for (unsigned session = 0; session < SESSIONS; session++) {
		remembered[session] = shares[number].session != NOBODY || is_remembered(group, session);
	}
	for (uint64_t lsn = 1; group->exists && lsn <= world->head; lsn++) {
		struct work *work = &group->works[lsn];
		work->maybe = work->maybe || (work->state == WORK_OPEN && !remembered[world->entries[lsn].session]);
	}
}

/* What is too large for who is there is passed over, too. */
static bool may_be_unfit(const struct group *group, uint64_t lsn)
{
	return group->least_packet > 0 && world->entries[lsn].size + UNFIT_MARGIN > group->least_packet;
}

/* ---- what happens to them */

static void begin(unsigned number, const struct wish *wish)
{
	struct group *group = &world->groups[number];

	memset(group->works, 0, sizeof(group->works));
	group->life++;
	filter_place(&group->place, wish);
	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		/* Who asks for what is gone may be told; here, nobody waits for it. */
		if (!world->entries[lsn].removed && matches(number, lsn)) {
			group->works[lsn].state = WORK_OPEN;
		}
	}
}

static bool others_online(const struct group *group, unsigned but)
{
	for (unsigned index = 0; index < READERS; index++) {
		if (index != but && group->members[index].is && world->readers[index].online) {
			return true;
		}
	}
	return false;
}

/* It is there, as a worker: what it may read is waited for from now on. */
static void is_seen(struct group *group, unsigned reader)
{
	unsigned identity = people[reader].identity_index;

	if (!group->seen[identity]) {
		group->seen_ms[identity] = world->mono_ms;
	}
	group->seen[identity] = true;
}

/* At QoS 0 the hub believes what it knows of the connection before. */
static void takes_no_more_than(struct group *group, unsigned reader)
{
	uint32_t limits[] = {world->readers[reader].max_packet, world->readers[reader].facts.max_packet_size};

	for (unsigned i = 0; i < 2; i++) {
		if (limits[i] > 0 && (group->least_packet == 0 || limits[i] < group->least_packet)) {
			group->least_packet = limits[i];
		}
	}
}

void groups_worker_back(unsigned reader)
{
	for (unsigned number = 0; number < GROUPS; number++) {
		if (group_is_member(number, reader)) {
			takes_no_more_than(&world->groups[number], reader);
			is_seen(&world->groups[number], reader);
			blur(number);
		}
	}
}

void group_joined(unsigned number, unsigned reader, const struct wish *wish)
{
	struct group *group = &world->groups[number];

	if (!group->exists || (wish->verb == HF_VERB_FROM && !others_online(group, reader))) {
		group->exists = true;
		begin(number, wish);
	}
	group->members[reader] = (struct member){.is = true, .options = wish->options, .identifier = wish->identifier};
	takes_no_more_than(group, reader);
	is_seen(group, reader);
	blur(number);
}

static bool has_member(const struct group *group, unsigned identity)
{
	for (unsigned index = 0; index < READERS; index++) {
		if (group->members[index].is && (identity == NOBODY || people[index].identity_index == identity)) {
			return true;
		}
	}
	return false;
}

void group_left(unsigned number, unsigned reader)
{
	struct group *group = &world->groups[number];
	unsigned identity = people[reader].identity_index;

	group->members[reader].is = false;
	if (!has_member(group, NOBODY)) {
		uint32_t life = group->life;
		memset(group, 0, sizeof(*group)); /* the last one takes the group with it */
		group->life = life;
		return;
	}
	group->seen[identity] = has_member(group, identity);
	blur(number);
}

static void give_back(struct group *group, uint64_t lsn)
{
	group->works[lsn].state = world->entries[lsn].removed ? WORK_NONE : WORK_OPEN;
	group->works[lsn].holder = NOBODY;
}

void groups_take_back(unsigned reader)
{
	for (unsigned number = 0; number < GROUPS; number++) {
		struct group *group = &world->groups[number];
		for (uint64_t lsn = 1; group->exists && lsn <= world->head; lsn++) {
			if (group->works[lsn].state == WORK_LENT && group->works[lsn].holder == reader) {
				give_back(group, lsn);
			}
		}
		blur(number);
	}
}

void groups_forget_member(unsigned reader)
{
	for (unsigned number = 0; number < GROUPS; number++) {
		world->groups[number].members[reader].is = false;
	}
	groups_take_back(reader);
}

void groups_get_entry(uint64_t lsn)
{
	for (unsigned number = 0; number < GROUPS; number++) {
		struct group *group = &world->groups[number];
		group->works[lsn] = (struct work){.state = WORK_NONE, .holder = NOBODY};
		if (group->exists && matches(number, lsn)) {
			group->works[lsn].state = WORK_OPEN;
			blur(number);
		}
	}
}

void groups_lose_entry(uint64_t lsn)
{
	for (unsigned number = 0; number < GROUPS; number++) {
		struct work *work = &world->groups[number].works[lsn];
		if (work->state == WORK_OPEN) {
			work->state = WORK_NONE;
		}
	}
}

void groups_roles_changed(void)
{
	for (unsigned number = 0; number < GROUPS; number++) {
		blur(number);
	}
}

void groups_restarted(bool clean)
{
	for (unsigned number = 0; number < GROUPS; number++) {
		struct group *group = &world->groups[number];
		for (unsigned index = 0; index < READERS; index++) {
			group->members[index].is = group->members[index].is && world->readers[index].durable;
		}
		for (unsigned identity = 0; identity < IDENTITIES; identity++) {
			group->seen[identity] = group->seen[identity] && (clean || group->seen_ms[identity] <= world->written_ms);
		}
		for (uint64_t lsn = 1; group->exists && lsn <= world->head; lsn++) {
			struct work *work = &group->works[lsn];
			if (work->state == WORK_LENT) {
				give_back(group, lsn);
			} else if (work->state == WORK_DONE && !clean && work->done_ms > world->written_ms) {
				work->maybe = true;
			}
		}
		blur(number);
	}
}

/* ---- what they hand over */

static void check_worker(const struct group *group, unsigned number, unsigned reader, unsigned session)
{
	const char *device = people[reader].device;

	must(group->exists && group->members[reader].is, "%s is no worker of %s/%s", device, shares[number].name,
		shares[number].plain);
	must(reads(role_of(reader, session)), "%s is given work in %s, which it may not read", device,
		session_names[session]);
}

void group_check_mark(unsigned number, unsigned reader, unsigned session)
{
	check_worker(&world->groups[number], number, reader, session);
	must(listens_for_marks(number), "%s gets a mark by a group that does not ask for them", people[reader].device);
}

/* Everything before it in its session is done with, or with this worker; unless something from there on was, perhaps,
 * too large for one of those who have it: then two have the session. */
static void check_before(const struct group *group, unsigned reader, uint64_t lsn)
{
	const struct entry *entry = &world->entries[lsn];
	bool unfit = may_be_unfit(group, lsn);

	for (uint64_t offset = entry->offset - 1; offset > 0; offset--) {
		uint64_t before = world->session_lsn[entry->session][offset];
		const struct work *work = &group->works[before];
		unfit = unfit || (work->state != WORK_NONE && may_be_unfit(group, before));
		bool open = work->state == WORK_OPEN && !work->maybe && !may_be_unfit(group, before);
		bool elsewhere = work->state == WORK_LENT && work->holder != reader && !unfit;
		must(!open, "%s is given entry %" PRIu64 " before entry %" PRIu64 " of %s is done with", people[reader].device,
			lsn, before, session_names[entry->session]);
		must(!elsewhere, "%s is given entry %" PRIu64 " while %s has entry %" PRIu64 " of %s", people[reader].device,
			lsn, people[work->holder].device, before, session_names[entry->session]);
	}
}

void group_check_hand(unsigned number, unsigned reader, uint64_t lsn, uint8_t qos)
{
	const struct group *group = &world->groups[number];
	const struct work *work = &group->works[lsn];
	uint8_t granted = QOS(group->members[reader].options);

	check_worker(group, number, reader, world->entries[lsn].session);
	must(work->state != WORK_LENT, "%s is given entry %" PRIu64 ", which %s has", people[reader].device, lsn,
		people[work->holder].device);
	must(work->state == WORK_OPEN || (work->state == WORK_DONE && work->maybe),
		"%s is given entry %" PRIu64 ", which is %s", people[reader].device, lsn,
		work->state == WORK_DONE ? "done with" : "not due to its group");
	must(qos == (granted > 1 ? 1 : granted) || qos == world->readers[reader].max_qos, "%s is given work at QoS %u",
		people[reader].device, qos);
	check_before(group, reader, lsn);
}

static void done(struct work *work)
{
	work->state = WORK_DONE;
	work->holder = NOBODY;
	work->maybe = false;
	work->done_ms = world->mono_ms;
}

void group_handed(unsigned number, unsigned reader, uint64_t lsn, uint8_t qos)
{
	struct work *work = &world->groups[number].works[lsn];

	world->worked++;
	if (qos == 0) {
		done(work);
		return;
	}
	work->state = WORK_LENT;
	work->holder = (uint8_t)reader;
	work->maybe = false;
}

static struct work *held(unsigned number, uint32_t life, unsigned reader, uint64_t lsn)
{
	struct group *group = &world->groups[number];
	struct work *work = &group->works[lsn];

	return group->exists && group->life == life && work->state == WORK_LENT && work->holder == reader ? work : NULL;
}

void group_done(unsigned number, uint32_t life, unsigned reader, uint64_t lsn)
{
	struct work *work = held(number, life, reader, lsn);

	if (work) {
		done(work);
	}
}

void group_returned(unsigned number, uint32_t life, unsigned reader, uint64_t lsn)
{
	struct work *work = held(number, life, reader, lsn);

	if (work) {
		give_back(&world->groups[number], lsn);
		blur(number);
	}
}

/* ---- */

static bool somebody_takes(const struct group *group, unsigned session)
{
	for (unsigned index = 0; index < READERS; index++) {
		if (group->members[index].is && world->readers[index].online && reads(role_of(index, session))) {
			return true;
		}
	}
	return false;
}

void groups_check_settled(void)
{
	for (unsigned number = 0; number < GROUPS; number++) {
		const struct group *group = &world->groups[number];
		for (uint64_t lsn = 1; group->exists && lsn <= world->head; lsn++) {
			const struct work *work = &group->works[lsn];
			const struct entry *entry = &world->entries[lsn];
			bool waits = work->state == WORK_OPEN && !work->maybe && !may_be_unfit(group, lsn) &&
						 somebody_takes(group, entry->session);
			must(!waits, "the group %s/%s leaves entry %" PRIu64 " (%s %" PRIu64 ") undone", shares[number].name,
				shares[number].plain, lsn, session_names[entry->session], entry->offset);
			must(work->state != WORK_LENT || !world->readers[work->holder].online,
				"%s still has entry %" PRIu64 " of the group %s/%s", people[work->holder].device, lsn,
				shares[number].name, shares[number].plain);
		}
	}
}
