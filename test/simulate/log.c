/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <inttypes.h>

#include "codec/ask.h"
#include "codec/document.h"
#include "codec/properties.h"
#include "codec/signal.h"
#include "codec/token.h"
#include "groups.h"
#include "reader.h"
#include "store_control.h"

#define OVERHEAD 60 /* of a packet, about */

static struct entry pending;
static bool is_pending;

static const char *const identities[IDENTITIES] = {"agent", "ann", "olga", "watcher", ""};

void log_prepare(const struct entry *entry)
{
	pending = *entry;
	is_pending = true;
}

bool log_pending(void)
{
	return is_pending;
}

void log_forget(void)
{
	is_pending = false;
}

static void measure(struct entry *entry);

static void apply(const struct entry *entry)
{
	if (entry->response != NOBODY) {
		struct response *response =
			&world->responses[entry->session][people[entry->publisher].identity_index][entry->response];
		response->next_seq = entry->seq + 1;
		response->ended = entry->end != HF_END_NONE;
	}
	if (entry->ask != NOBODY) {
		struct ask *ask = &world->asks[entry->session][entry->ask];
		*(entry->kind == HF_KIND_ASK ? &ask->lsn : &ask->answer_lsn) = (uint64_t)(entry - world->entries);
	}
}

static void add(void)
{
	struct entry *entry = &world->entries[world->head + 1];

	must(world->head < ENTRIES, "the schedule is too long");
	*entry = pending;
	is_pending = false;
	world->head++;
	world->session_head[entry->session] = entry->offset;
	world->session_lsn[entry->session][entry->offset] = world->head;
	readers_get_entry(world->head);
	groups_get_entry(world->head);
}

void log_commit(bool hidden)
{
	struct entry *entry = &world->entries[world->head + 1];
	uint64_t offset = world->session_head[pending.session] + 1;

	must(is_pending, "an entry is stored that nobody published");
	pending.offset = offset;
	pending.hidden = hidden;
	pending.time_ms = world->wall_ms;
	if (offset > 1) {
		const struct entry *before = &world->entries[world->session_lsn[pending.session][offset - 1]];
		pending.time_ms = before->time_ms > pending.time_ms ? before->time_ms : pending.time_ms;
	}
	measure(&pending);
	add();
	if (!hidden) {
		apply(entry);
	}
}

void log_noticed(const struct hf_entry *seen)
{
	int session = session_of(seen->session);

	if (is_pending && seen->lsn == world->head + 2) {
		log_commit(false); /* what is being published came before */
	}
	struct entry held = pending;
	bool was_pending = is_pending;
	must(session >= 0 && seen->lsn == world->head + 1 && seen->offset == world->session_head[session] + 1,
		"a notice is appended at %" PRIu64 ", not %" PRIu64, seen->lsn, world->head + 1);
	pending = (struct entry){
		.session = (uint8_t)session,
		.kind = HF_KIND_NOTICE,
		.publisher = NOBODY,
		.role = (uint8_t)seen->role,
		.response = NOBODY,
		.ask = NOBODY,
		.by_broker = true,
		.size = log_packet_size(seen, 0),
		.offset = seen->offset,
		.time_ms = seen->time_ms,
	};
	add();
	pending = held;
	is_pending = was_pending;
	note("  a notice, entry %" PRIu64 " (%s %" PRIu64 ")", seen->lsn, session_names[session], seen->offset);
}

void log_removed(uint64_t lsn)
{
	struct entry *entry = &world->entries[lsn];

	must(lsn <= world->head && !entry->removed && entry->offset == log_tail(entry->session),
		"entry %" PRIu64 " is removed before an older one", lsn);
	must(world->config.clock_steps_back || world->erased[entry->session] ||
			 entry->time_ms + world->config.retention_ms <= world->wall_ms,
		"entry %" PRIu64 " is removed before its time", lsn);
	readers_lose_entry(lsn);
	groups_lose_entry(lsn);
	entry->removed = true;
	world->removed++;
	note("  entry %" PRIu64 " (%s %" PRIu64 ") is removed", lsn, session_names[entry->session], entry->offset);
}

uint64_t log_tail(unsigned session)
{
	uint64_t tail = 1;

	while (tail <= world->session_head[session] && world->entries[world->session_lsn[session][tail]].removed) {
		tail++;
	}
	return tail;
}

uint64_t log_head(void)
{
	if (world->head > 0 && world->entries[world->head].hidden && !store_control_failed()) {
		world->entries[world->head].hidden = false;
		apply(&world->entries[world->head]);
	}
	return world->head > 0 && world->entries[world->head].hidden ? world->head - 1 : world->head;
}

uint64_t log_session_head(unsigned session)
{
	uint64_t head = world->session_head[session];

	return head > 0 && world->session_lsn[session][head] > log_head() ? head - 1 : head;
}

/* ---- what entries consist of */

static void append(struct hf_buffer *out, const char *text, size_t len)
{
	must(hf_buffer_append(out, text, len), "out of memory");
}

static void ask_payload(const struct entry *entry, struct hf_slice text, struct hf_buffer *out)
{
	char id[8];

	snprintf(id, sizeof(id), "q%u", entry->ask);
	if (entry->kind == HF_KIND_ASK) {
		must(hf_ask_encode(&(struct hf_ask){.id = hf_slice_of(id), .question = text}, out), "out of memory");
	} else {
		must(hf_answer_encode(&(struct hf_answer){.id = hf_slice_of(id), .text = text}, out), "out of memory");
	}
}

static void batch_payload(const struct entry *entry, struct hf_slice text, struct hf_buffer *out)
{
	char id[8];

	snprintf(id, sizeof(id), "r%u", entry->response);
	struct hf_token_batch batch = {
		.id = hf_slice_of(id),
		.seq = entry->seq,
		.text = text,
		.kind = HF_SLICE_NONE,
		.data = HF_SLICE_NONE,
		.end = (enum hf_end)entry->end,
	};
	must(hf_token_encode(&batch, out), "out of memory");
}

/* Those that the model knows nothing of would end responses. */
static void signal_payload(struct hf_slice text, struct hf_buffer *out)
{
	struct hf_signal signal = {
		.kind = HF_SIGNAL_STEER, .response = HF_SLICE_NONE, .from = HF_SLICE_NONE, .text = text, .data = HF_SLICE_NONE};

	must(hf_signal_encode(&signal, out), "out of memory");
}

void log_payload(const struct entry *entry, struct hf_buffer *out)
{
	struct hf_buffer text = {.data = NULL};
	char number[32];
	int len = snprintf(number, sizeof(number), "#%u ", (unsigned)entry->number);

	append(&text, number, (size_t)len);
	for (uint32_t i = 0; i < entry->filler; i++) {
		append(&text, "x", 1);
	}
	hf_buffer_clear(out);
	if (entry->ask != NOBODY) {
		ask_payload(entry, hf_buffer_slice(&text), out);
	} else if (entry->response != NOBODY) {
		batch_payload(entry, hf_buffer_slice(&text), out);
	} else if (entry->kind == HF_KIND_SIGNAL) {
		signal_payload(hf_buffer_slice(&text), out);
	} else {
		append(out, (const char *)text.data, text.len);
	}
	hf_buffer_free(&text);
}

void log_properties(const struct entry *entry, struct hf_buffer *out)
{
	hf_buffer_clear(out);
	if (entry->with_property) {
		char value[32];
		snprintf(value, sizeof(value), "%u", (unsigned)entry->number);
		struct hf_property property = {
			.id = HF_PROPERTY_USER, .name = hf_slice_of("number"), .value = hf_slice_of(value)};
		must(hf_property_put(out, &property), "out of memory");
	}
}

const char *log_id(const struct entry *entry)
{
	static char id[16];

	snprintf(id, sizeof(id), "%s%u", entry->id > 0 ? "id-" : "", (unsigned)entry->id);
	return entry->id > 0 ? id : "";
}

static void write_rest(const struct entry *entry, char *out, size_t size)
{
	if (entry->kind == HF_KIND_SHARED) {
		snprintf(out, size, "shared/k%u", entry->key);
	} else {
		snprintf(out, size, "%s", hf_kind_name((enum hf_kind)entry->kind));
	}
}

void log_topic(const struct entry *entry, char *out, size_t size)
{
	char rest[32];

	write_rest(entry, rest, sizeof(rest));
	snprintf(out, size, "sessions/%s/%s", session_names[entry->session], rest);
}

uint32_t log_packet_size(const struct hf_entry *entry, uint64_t first_offset)
{
	char numbers[80];
	int len = snprintf(numbers, sizeof(numbers), "%" PRIu64 "%s", entry->offset, hf_role_name(entry->role));

	if (first_offset > 0) {
		len += 5 + snprintf(numbers, sizeof(numbers), "first-offset%" PRIu64, first_offset);
	}
	len += entry->id.len > 0 ? 7 + (int)entry->id.len : 0;
	return OVERHEAD + (uint32_t)len +
		   (uint32_t)(entry->session.len + entry->topic.len + entry->identity.len + entry->properties.len +
					  entry->payload.len);
}

static void measure(struct entry *entry)
{
	struct hf_buffer payload = {.data = NULL}, properties = {.data = NULL};
	char rest[32];

	write_rest(entry, rest, sizeof(rest));
	log_payload(entry, &payload);
	log_properties(entry, &properties);
	struct hf_entry made = {
		.offset = entry->offset,
		.role = (enum hf_role)entry->role,
		.session = hf_slice_of(session_names[entry->session]),
		.id = hf_slice_of(log_id(entry)),
		.topic = hf_slice_of(rest),
		.identity = hf_slice_of(identities[people[entry->publisher].identity_index]),
		.properties = hf_buffer_slice(&properties),
		.payload = hf_buffer_slice(&payload),
	};
	entry->size = log_packet_size(&made, 0);
	hf_buffer_free(&payload);
	hf_buffer_free(&properties);
}

/* ---- comparing */

void log_check(const struct hf_entry *seen)
{
	struct hf_buffer payload = {.data = NULL}, properties = {.data = NULL};
	char rest[32];

	must(seen->lsn >= 1 && seen->lsn <= log_head(), "entry %" PRIu64 " is handed over, the log ends at %" PRIu64,
		seen->lsn, log_head());
	const struct entry *entry = &world->entries[seen->lsn];
	must(!entry->removed || entry->kind == HF_KIND_SHARED, "entry %" PRIu64 " is handed over, which was removed",
		seen->lsn);
	if (entry->by_broker) { /* what it says is not the model's business */
		must(seen->offset == entry->offset && seen->kind == HF_KIND_NOTICE && seen->role == HF_ROLE_BROKER,
			"entry %" PRIu64 " is not the notice that was stored", seen->lsn);
		return;
	}
	write_rest(entry, rest, sizeof(rest));
	log_payload(entry, &payload);
	log_properties(entry, &properties);
	bool same = seen->offset == entry->offset && seen->time_ms == entry->time_ms &&
				seen->kind == (enum hf_kind)entry->kind && seen->role == (enum hf_role)entry->role &&
				seen->qos == entry->qos && hf_slice_is(seen->session, session_names[entry->session]) &&
				hf_slice_is(seen->topic, rest) &&
				hf_slice_is(seen->identity, identities[people[entry->publisher].identity_index]) &&
				hf_slice_is(seen->device, people[entry->publisher].device) && hf_slice_is(seen->id, log_id(entry)) &&
				hf_slice_equal(seen->payload, hf_buffer_slice(&payload)) &&
				hf_slice_equal(seen->properties, hf_buffer_slice(&properties));
	must(same,
		"entry %" PRIu64 " is not what was stored: offset %" PRIu64 ", not %" PRIu64
		"; time %lld, not %lld; %.*s/%.*s from %.*s",
		seen->lsn, seen->offset, entry->offset, (long long)seen->time_ms, (long long)entry->time_ms,
		(int)seen->session.len, seen->session.data, (int)seen->topic.len, seen->topic.data, (int)seen->device.len,
		seen->device.data);
	hf_buffer_free(&payload);
	hf_buffer_free(&properties);
}

uint64_t log_newest(unsigned session, unsigned key)
{
	for (uint64_t lsn = log_head(); lsn > 0; lsn--) {
		const struct entry *entry = &world->entries[lsn];
		if (entry->kind == HF_KIND_SHARED && entry->session == session && entry->key == key) {
			return lsn;
		}
	}
	return 0;
}

const struct entry *log_batch(unsigned session, unsigned identity, unsigned response, uint64_t seq)
{
	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		const struct entry *entry = &world->entries[lsn];
		if (entry->session == session && entry->response == response && entry->seq == seq &&
			people[entry->publisher].identity_index == identity) {
			return entry;
		}
	}
	return NULL;
}

static bool same_payload(const struct entry *a, const struct entry *b)
{
	return a->number == b->number && a->filler == b->filler && a->response == b->response && a->seq == b->seq &&
		   a->end == b->end && a->ask == b->ask;
}

enum hf_reason log_id_check(const struct entry *entry, bool *repeat)
{
	*repeat = false;
	for (uint64_t lsn = 1; entry->id > 0 && lsn <= log_head(); lsn++) {
		const struct entry *first = &world->entries[lsn];
		if (first->id == entry->id && first->session == entry->session &&
			people[first->publisher].identity_index == people[entry->publisher].identity_index) {
			*repeat = first->kind == entry->kind && (entry->kind != HF_KIND_SHARED || first->key == entry->key) &&
					  same_payload(first, entry);
			return *repeat ? HF_OK : HF_ID_REUSED;
		}
	}
	return HF_OK;
}

bool log_is_part(uint64_t lsn, uint64_t first, uint64_t last)
{
	const struct entry *entry = &world->entries[lsn], *of = &world->entries[first];

	return lsn == first || (lsn >= first && lsn <= last && entry->session == of->session && entry->response != NOBODY &&
							   entry->response == of->response &&
							   people[entry->publisher].identity_index == people[of->publisher].identity_index);
}

void log_check_joined(const struct hf_entry *seen, uint64_t first_offset)
{
	int session = session_of(seen->session);
	struct hf_buffer text = {.data = NULL}, payload = {.data = NULL}, properties = {.data = NULL};
	struct hf_token_batch batch, part;

	must(session >= 0 && first_offset >= 1 && first_offset < seen->offset &&
			 seen->offset <= log_session_head((unsigned)session),
		"entries %" PRIu64 " to %" PRIu64 " are handed over, joined", first_offset, seen->offset);
	must(hf_token_decode(seen->payload, &batch) == HF_OK, "joined entries are no token batch");
	uint64_t first = world->session_lsn[session][first_offset], last = world->session_lsn[session][seen->offset],
			 seq = batch.seq;
	for (uint64_t lsn = first; lsn <= last; lsn++) {
		const struct entry *entry = &world->entries[lsn];
		if (!log_is_part(lsn, first, last)) {
			continue;
		}
		log_payload(entry, &payload);
		log_properties(entry, &properties);
		must(entry->seq == seq++ && hf_token_decode(hf_buffer_slice(&payload), &part) == HF_OK &&
				 hf_slice_equal(part.id, batch.id) && entry->role == seen->role && entry->id == 0 &&
				 hf_slice_equal(hf_buffer_slice(&properties), seen->properties) &&
				 (lsn == last || entry->end == HF_END_NONE),
			"entry %" PRIu64 " is joined with what it does not belong to", lsn);
		append(&text, part.text.data, part.text.len);
	}
	const struct entry *end = &world->entries[last];
	must(seq == batch.last + 1 && hf_slice_equal(batch.text, hf_buffer_slice(&text)) &&
			 batch.end == (enum hf_end)end->end && seen->lsn == last && seen->time_ms == end->time_ms &&
			 seen->payload.len <= world->config.rollup &&
			 hf_slice_is(seen->identity, identities[people[end->publisher].identity_index]),
		"entries %" PRIu64 " to %" PRIu64 " were not joined as they are", first, last);
	hf_buffer_free(&text);
	hf_buffer_free(&payload);
	hf_buffer_free(&properties);
}

enum hf_reason log_response_check(const struct entry *entry, bool *repeat)
{
	unsigned identity = people[entry->publisher].identity_index;
	const struct response *known = &world->responses[entry->session][identity][entry->response];

	*repeat = entry->seq < known->next_seq;
	if (*repeat) {
		const struct entry *first = log_batch(entry->session, identity, entry->response, entry->seq);
		must(first, "a batch that was stored is not in the log");
		return same_payload(first, entry) ? HF_OK : HF_ID_REUSED;
	}
	if (known->ended) {
		return HF_RESPONSE_CLOSED;
	}
	return entry->seq == known->next_seq ? HF_OK : HF_SEQ_GAP;
}

enum hf_reason log_ask_check(const struct entry *entry, bool *repeat, const struct entry **because)
{
	const struct ask *ask = &world->asks[entry->session][entry->ask];
	uint64_t lsn = entry->kind == HF_KIND_ASK ? ask->lsn : ask->answer_lsn;
	const struct entry *first = &world->entries[lsn];

	*because = NULL;
	if (entry->kind == HF_KIND_ANSWER && ask->lsn == 0) {
		return HF_ASK_UNKNOWN;
	}
	if (lsn == 0) {
		return HF_OK;
	}
	*repeat = people[first->publisher].identity_index == people[entry->publisher].identity_index &&
			  same_payload(first, entry);
	if (*repeat) {
		return HF_OK;
	}
	*because = first;
	return entry->kind == HF_KIND_ASK ? HF_ASK_EXISTS : HF_ASK_ANSWERED;
}

const char *log_identity(const struct entry *entry)
{
	return identities[people[entry->publisher].identity_index];
}

static bool has_open_asks(unsigned session)
{
	for (unsigned i = 0; i < ASK_IDS; i++) {
		if (world->asks[session][i].lsn > 0 && world->asks[session][i].answer_lsn == 0) {
			return true;
		}
	}
	return false;
}

bool log_state_is(unsigned session, struct hf_slice payload)
{
	struct hf_document_response open = {.id = HF_SLICE_NONE};
	struct hf_document_state state = {
		.head = log_session_head(session), .tail = log_tail(session), .open = &open, .floor = {.epoch = 1}};
	struct hf_buffer wanted = {.data = NULL};
	char id[8];
	bool is = false;

	for (unsigned identity = 0; identity < IDENTITIES; identity++) {
		for (unsigned i = 0; i < RESPONSE_IDS; i++) {
			const struct response *response = &world->responses[session][identity][i];
			if (response->next_seq > 0 && !response->ended) {
				snprintf(id, sizeof(id), "r%u", i);
				open =
					(struct hf_document_response){.id = hf_slice_of(id), .identity = hf_slice_of(identities[identity])};
				state.open_count++;
			}
		}
	}
	if (state.open_count > 1 || has_open_asks(session)) {
		return true;
	}
	reader_audience(session, &state.people, &state.devices);
	/* How far each of them is, the hub alone knows at any moment. */
	for (; !is && state.caught_up <= state.devices; state.caught_up++) {
		hf_buffer_clear(&wanted);
		is = hf_document_state(&wanted, &state) && hf_slice_equal(payload, hf_buffer_slice(&wanted));
	}
	hf_buffer_free(&wanted);
	return is;
}
