/* SPDX-License-Identifier: BSD-3-Clause */
#include "wishes.h"

#include <inttypes.h>

#include "codec/token.h"
#include "fake.h"
#include "groups.h"
#include "log.h"

/* ---- publishes */

/* How long questions and ids are remembered, which outlive their entries or do not, the model does not know: where
 * entries are removed there are none. */
static bool is_remembered(enum hf_kind kind)
{
	return kind == HF_KIND_ASK || kind == HF_KIND_ANSWER;
}

static enum hf_kind pick_kind(enum hf_role role)
{
	enum hf_kind kind;

	do {
		kind = (enum hf_kind)(1 + chance(HF_KIND_LOGGED_LAST));
	} while (kind == HF_KIND_NOTICE || (world->config.retention_ms > 0 && is_remembered(kind)) ||
			 (!publishes(role, kind) && !one_in(30)));
	return kind;
}

static void pick_batch(unsigned index, struct entry *entry)
{
	const struct response *response;

	entry->response = (uint8_t)chance(RESPONSE_IDS);
	response = &world->responses[entry->session][people[index].identity_index][entry->response];
	entry->seq = response->next_seq;
	entry->end = one_in(12) ? (uint8_t)(1 + chance(3)) : HF_END_NONE;
	if (world->config.retention_ms == 0 && one_in(10) && response->next_seq > 0) {
		entry->seq = chance(response->next_seq);
		const struct entry *first =
			log_batch(entry->session, people[index].identity_index, entry->response, entry->seq);
		if (first && !one_in(3)) { /* the same again */
			entry->number = first->number;
			entry->filler = first->filler;
			entry->end = first->end;
		}
	} else if (one_in(20)) {
		entry->seq += 1 + chance(3);
	}
}

static void pick_ask(struct entry *entry)
{
	const struct ask *ask;

	entry->ask = (uint8_t)chance(ASK_IDS);
	ask = &world->asks[entry->session][entry->ask];
	uint64_t lsn = entry->kind == HF_KIND_ASK ? ask->lsn : ask->answer_lsn;
	if (lsn > 0 && one_in(2)) { /* the same again, or by somebody else */
		entry->number = world->entries[lsn].number;
		entry->filler = world->entries[lsn].filler;
	}
}

/* A publish of this identity that has an id, once more: the very same, or another one under its id. */
static bool pick_again(unsigned index, struct entry *out)
{
	const struct entry *first = &world->entries[1 + chance(world->head)];

	if (first->id == 0 || world->erased[first->session] ||
		people[first->publisher].identity_index != people[index].identity_index) {
		return false;
	}
	*out = *first;
	out->publisher = (uint8_t)index;
	out->qos = (uint8_t)chance(3);
	out->filler += one_in(4);
	return true;
}

void entry_make(unsigned index, struct entry *out)
{
	bool forgets = world->config.retention_ms > 0;

	if (!forgets && world->head > 0 && one_in(8) && pick_again(index, out)) {
		return;
	}
	*out = (struct entry){
		.session = (uint8_t)chance(SESSIONS),
		.key = (uint8_t)chance(SHARED_KEYS),
		.qos = (uint8_t)chance(3),
		.publisher = (uint8_t)index,
		.response = NOBODY,
		.ask = NOBODY,
		.with_property = one_in(5),
		.number = ++world->publishes,
		.id = !forgets && one_in(4) ? world->publishes : 0,
		.filler = one_in(15) ? 200 + (uint32_t)chance(2500) : (uint32_t)chance(20),
	};
	if (role_of(index, out->session) == HF_ROLE_NONE && !one_in(10)) {
		out->session = 0;
	}
	while (world->erased[out->session]) {
		out->session = (uint8_t)chance(SESSIONS);
	}
	out->kind = (uint8_t)pick_kind(role_of(index, out->session));
	if (out->kind == HF_KIND_TOKENS) {
		pick_batch(index, out);
	} else if (out->kind == HF_KIND_ASK || out->kind == HF_KIND_ANSWER) {
		pick_ask(out);
	}
}

void batch_make(unsigned index, unsigned session, unsigned response, struct entry *out)
{
	*out = (struct entry){
		.session = (uint8_t)session,
		.kind = HF_KIND_TOKENS,
		.qos = 1,
		.publisher = (uint8_t)index,
		.response = (uint8_t)response,
		.ask = NOBODY,
		.seq = world->responses[session][people[index].identity_index][response].next_seq,
		.with_property = one_in(20),
		.number = ++world->publishes,
		.filler = (uint32_t)chance(one_in(20) ? 300 : 20),
		.end = one_in(40) ? HF_END_COMPLETE : HF_END_NONE,
	};
}

/* ---- subscriptions */

static void pick_filter(struct wish *wish)
{
	static const char *const rests[] = {
		"#", "#", "tokens", "tokens", "input", "event", "+", "shared/+", "shared/k1", "mark", "state"};
	const char *rest = rests[chance(sizeof(rests) / sizeof(*rests))];
	uint64_t dice = chance(20);

	wish->session = NOBODY;
	if (dice == 0) {
		wish->outside = true;
		snprintf(wish->plain, sizeof(wish->plain), "other/%u", (unsigned)chance(2));
	} else if (dice == 1) {
		wish->broad = true;
		snprintf(wish->plain, sizeof(wish->plain), "#");
	} else if (dice == 2) {
		wish->broad = true;
		wish->session = (uint8_t)chance(SESSIONS);
		snprintf(wish->plain, sizeof(wish->plain), "+/%s/%s", session_names[wish->session], rest);
	} else if (dice < 7) {
		snprintf(wish->plain, sizeof(wish->plain), "sessions/+/%s", rest);
	} else {
		wish->session = (uint8_t)chance(SESSIONS);
		snprintf(wish->plain, sizeof(wish->plain), "sessions/%s/%s", session_names[wish->session], rest);
	}
}

static void pick_position(struct wish *wish, char *text, size_t size)
{
	uint64_t head = wish->session == NOBODY ? world->head : world->session_head[wish->session];
	/* Across sessions, a time is a place in the log only if the clock never stepped back. */
	bool timed = wish->session != NOBODY || !world->config.clock_steps_back;

	switch (chance(timed ? 5 : 4)) {
	case 0:
		wish->position = (struct hf_position){.kind = HF_POSITION_EARLIEST};
		snprintf(text, size, "earliest");
		break;
	case 1:
		wish->position = (struct hf_position){.kind = HF_POSITION_LATEST};
		snprintf(text, size, "latest");
		break;
	case 2:
		wish->position = (struct hf_position){.kind = HF_POSITION_OFFSET, .value = 1 + chance(head + 2)};
		snprintf(text, size, "%" PRIu64, wish->position.value);
		break;
	case 3:
		wish->position = (struct hf_position){.kind = HF_POSITION_LAST, .value = 1 + chance(head + 2)};
		snprintf(text, size, "-%" PRIu64, wish->position.value);
		break;
	default:
		wish->position = (struct hf_position){
			.kind = HF_POSITION_TIME,
			.value = head > 0 ? (uint64_t)world->entries[1 + chance(world->head)].time_ms + chance(3)
							  : (uint64_t)world->wall_ms,
		};
		snprintf(text, size, "@%" PRIu64, wish->position.value);
		break;
	}
}

static bool has_room(const struct reader *reader, const char *plain)
{
	bool room = false;

	for (unsigned i = 0; i < FILTERS; i++) {
		const struct filter *filter = &reader->filters[i];
		room = room || !filter->used || strcmp(filter->plain, plain) == 0;
	}
	return room;
}

bool wish_make(unsigned index, struct wish *out)
{
	const struct reader *reader = &world->readers[index];
	char position[32];

	*out = (struct wish){.verb = HF_VERB_PLAIN, .position = {.kind = HF_POSITION_LATEST}};
	pick_filter(out);
	unsigned again = (unsigned)chance(FILTERS);
	if (one_in(3) && reader->filters[again].used && !reader->filters[again].outside) {
		snprintf(out->plain, sizeof(out->plain), "%s", reader->filters[again].plain); /* once more */
		out->session = reader->filters[again].session;
		out->outside = false;
		out->broad = strncmp(out->plain, "sessions/", 9) != 0;
	}
	out->options = (uint8_t)(chance(3) | (one_in(5) ? 0x04 : 0));
	out->identifier = one_in(2) ? 0 : 1 + (uint32_t)chance(5);
	if (!has_room(reader, out->plain)) {
		return false;
	}
	if (out->outside || one_in(3)) {
		snprintf(out->text, sizeof(out->text), "%s", out->plain);
		return true;
	}
	out->verb = one_in(2) ? HF_VERB_FROM : HF_VERB_RESUME;
	out->batches = one_in(5);
	pick_position(out, position, sizeof(position));
	snprintf(out->text, sizeof(out->text), "%s/%s%s/%s", out->verb == HF_VERB_FROM ? "$from" : "$resume", position,
		out->batches ? ",batches" : "", out->plain);
	return true;
}

const char *wish_to_end(unsigned index, char *filter, size_t size)
{
	static const char *const prefixes[] = {"", "", "$from/earliest/", "$resume/-3/"};
	const struct filter *found = &world->readers[index].filters[chance(FILTERS)];

	if (!found->used) {
		return NULL;
	}
	bool named = strncmp(found->plain, "sessions/", 9) == 0;
	snprintf(filter, size, "%s%s", !named ? "" : prefixes[chance(sizeof(prefixes) / sizeof(*prefixes))], found->plain);
	return found->plain;
}

void wish_to_join(unsigned group, struct wish *out)
{
	const struct share *share = &shares[group];
	char position[32], prefix[64] = "";

	*out = (struct wish){
		.verb = HF_VERB_PLAIN,
		.position = {.kind = HF_POSITION_LATEST},
		.session = share->session,
		.options = (uint8_t)(one_in(6) ? 0 : 1 + chance(2)),
		.identifier = GROUP_ID + group,
	};
	snprintf(out->plain, sizeof(out->plain), "%s", share->plain);
	if (!one_in(3)) {
		out->verb = one_in(3) ? HF_VERB_FROM : HF_VERB_RESUME;
		pick_position(out, position, sizeof(position));
		snprintf(prefix, sizeof(prefix), "%s/%s/", out->verb == HF_VERB_FROM ? "$from" : "$resume", position);
	}
	snprintf(out->text, sizeof(out->text), "$share/%s/%s%s", share->name, prefix, share->plain);
}
