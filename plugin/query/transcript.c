/* SPDX-License-Identifier: BSD-3-Clause */
#include "query/transcript.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/ask.h"
#include "codec/json.h"
#include "codec/notice.h"
#include "codec/properties.h"
#include "codec/token.h"
#include "codec/utf8.h"
#include "query/describe.h"

#define PAGE_BYTES (256u << 10)
#define PAGE_TEXT_MAX (256u << 10) /* of one entry: of a larger one a page has the digest */
#define AROUND 128                 /* bytes that an entry takes besides what was said */

/* A response whose batches are being joined: the index of its turn. */
struct making {
	struct hf_transcript *transcript;
	const struct hf_transcript_want *want;
	size_t *open;
	size_t open_count, open_size;
};

/* ---- turns */

/* A copy that lives as long as the turn. `room` was reserved when it was made, so nothing moves. */
static struct hf_slice keep(struct hf_turn *turn, struct hf_slice text)
{
	struct hf_slice copy = hf_slice_from(turn->texts.data + turn->texts.len, text.len);

	memcpy(turn->texts.data + turn->texts.len, text.data, text.len);
	turn->texts.len += text.len;
	return copy;
}

static struct hf_slice content_type(const struct hf_entry *entry)
{
	struct hf_slice rest = entry->properties;
	struct hf_property property;

	while (hf_property_next(&rest, &property)) {
		if (property.id == HF_PROPERTY_CONTENT_TYPE) {
			return property.value;
		}
	}
	return HF_SLICE_NONE;
}

/* The name of these parts; NULL: there is none, or, where it was to be made, no memory. */
static struct hf_turn_name *name_of(
	struct hf_transcript *transcript, char what, struct hf_slice one, struct hf_slice other, bool make)
{
	struct hf_turn_name *name;
	size_t len = 1 + one.len + 1 + other.len;
	char *key = malloc(len);

	if (!key) {
		return NULL;
	}
	key[0] = what;
	memcpy(key + 1, one.data, one.len);
	key[1 + one.len] = '\0';
	memcpy(key + 2 + one.len, other.data, other.len);
	HASH_FIND(hh, transcript->names, key, len, name);
	if (!name && make) {
		name = calloc(1, sizeof(*name) + len);
		if (name) {
			memcpy(name->key, key, len);
			name->turn = SIZE_MAX;
			HASH_ADD(hh, transcript->names, key, len, name);
		}
	}
	free(key);
	return name;
}

static struct hf_turn *turn_by_name(
	struct hf_transcript *transcript, char what, struct hf_slice one, struct hf_slice other)
{
	const struct hf_turn_name *name = name_of(transcript, what, one, other, false);

	return name ? &transcript->turns[name->turn] : NULL;
}

/* The newest turn has this name. False: no memory. */
static bool name_turn(struct hf_transcript *transcript, char what, struct hf_slice one, struct hf_slice other)
{
	struct hf_turn_name *name = name_of(transcript, what, one, other, true);

	if (name) {
		name->turn = transcript->count - 1;
	}
	return name;
}

/* One entry more of who speaks in this turn. False: no memory. */
static bool count_speaker(struct hf_transcript *transcript, const struct hf_turn *turn)
{
	const char role = (char)turn->role;
	struct hf_turn_name *name = name_of(transcript, 's', hf_slice_from(&role, 1), turn->from, true);

	if (name) {
		name->turn = name->entries++ > 0 ? name->turn : (size_t)(turn - transcript->turns);
		name->last_ms = turn->until_ms;
	}
	return name;
}

/* A new turn with the entry; NULL: no memory. */
static struct hf_turn *turn_make(
	struct hf_transcript *transcript, const struct hf_entry *entry, const struct hf_token_batch *batch)
{
	struct hf_slice type = content_type(entry);
	size_t room = entry->identity.len + entry->device.len + entry->topic.len + type.len + HF_RESPONSE_ID_MAX +
				  HF_TOKEN_KIND_MAX + 64;

	if (transcript->count == transcript->size) {
		size_t size = transcript->size ? 2 * transcript->size : 64;
		struct hf_turn *turns = realloc(transcript->turns, size * sizeof(*turns));
		if (!turns) {
			return NULL;
		}
		transcript->turns = turns;
		transcript->size = size;
	}
	struct hf_turn *turn = &transcript->turns[transcript->count];
	*turn = (struct hf_turn){
		.kind = entry->kind,
		.role = entry->role,
		.first = entry->offset,
		.last = entry->offset,
		.count = 1,
		.time_ms = entry->time_ms,
		.until_ms = entry->time_ms,
	};
	if (!hf_buffer_reserve(&turn->texts, room)) {
		return NULL;
	}
	turn->from = keep(turn, entry->identity);
	turn->device = keep(turn, entry->device);
	turn->topic = keep(turn, entry->topic);
	turn->type = keep(turn, type);
	turn->response = turn->response_kind = turn->closed = turn->question = HF_SLICE_NONE;
	if (batch) {
		turn->response = keep(turn, batch->id);
		turn->response_kind = keep(turn, batch->kind);
	}
	transcript->count++;
	return turn;
}

static bool append_text(struct hf_turn *turn, const char *text)
{
	return hf_buffer_append(&turn->text, text, strlen(text));
}

/* ---- what was said */

/* Is what was said to be left out? Then its digest is taken in its place. False: no memory. */
static bool leave_out(const struct making *making, struct hf_turn *turn, const struct hf_entry *entry, bool *left_out)
{
	*left_out = true;
	if (entry->stripped) {
		turn->removed = true;
	} else if (making->want->withhold && entry->role != HF_ROLE_BROKER) {
		turn->withheld = true;
	} else if (making->want->turns_max > 0 && entry->payload.len > PAGE_TEXT_MAX) {
		turn->large = true;
	} else {
		*left_out = false;
		return true;
	}
	return hf_buffer_append(&turn->digests, entry->digest.data, entry->digest.len);
}

/* Words for the documents of a session; for other CBOR, JSON. */
static bool take_document(struct hf_turn *turn, const struct hf_entry *entry, bool *taken)
{
	cJSON *json = hf_json_from_cbor(entry->payload);
	char *words = json ? hf_describe(entry->kind, json) : NULL;
	char *printed = json && !words ? cJSON_PrintUnformatted(json) : NULL;
	bool appended = true;

	*taken = words || printed;
	if (*taken) {
		appended = append_text(turn, words ? words : printed);
	}
	free(words);
	cJSON_free(printed);
	cJSON_Delete(json);
	return appended;
}

static bool take_payload(const struct making *making, struct hf_turn *turn, const struct hf_entry *entry)
{
	bool document = entry->kind != HF_KIND_INPUT && entry->kind != HF_KIND_EVENT && entry->kind != HF_KIND_SHARED;
	bool left_out, taken = false;
	char size[48];

	if (!leave_out(making, turn, entry, &left_out)) {
		return false;
	}
	if (left_out) {
		return true;
	}
	if ((document || hf_slice_is(turn->type, "application/cbor")) && !take_document(turn, entry, &taken)) {
		return false;
	}
	if (taken) {
		return true;
	}
	if (hf_utf8_valid(entry->payload)) {
		return hf_buffer_append(&turn->text, entry->payload.data, entry->payload.len);
	}
	turn->binary = true;
	snprintf(size, sizeof(size), "%zu bytes, no text%s", entry->payload.len, turn->type.len > 0 ? ", " : "");
	return append_text(turn, size) && hf_buffer_append(&turn->text, turn->type.data, turn->type.len) &&
		   hf_buffer_append(&turn->digests, entry->digest.data, entry->digest.len);
}

/* ---- joining */

static struct hf_turn *find_open(
	struct making *making, const struct hf_entry *entry, const struct hf_token_batch *batch)
{
	for (size_t i = 0; i < making->open_count; i++) {
		struct hf_turn *turn = &making->transcript->turns[making->open[i]];
		if (hf_slice_equal(turn->response, batch->id) && hf_slice_equal(turn->from, entry->identity) &&
			hf_slice_equal(turn->response_kind, batch->kind)) {
			return turn;
		}
	}
	return NULL;
}

static bool open_add(struct making *making)
{
	if (making->open_count == making->open_size) {
		size_t size = making->open_size ? 2 * making->open_size : 16;
		size_t *open = realloc(making->open, size * sizeof(*open));
		if (!open) {
			return false;
		}
		making->open = open;
		making->open_size = size;
	}
	making->open[making->open_count++] = making->transcript->count - 1;
	return true;
}

static bool take_batch(struct making *making, const struct hf_entry *entry, const struct hf_token_batch *batch)
{
	struct hf_transcript *transcript = making->transcript;
	struct hf_turn *turn = find_open(making, entry, batch);
	bool left_out;

	if (turn) {
		turn->last = entry->offset;
		turn->until_ms = entry->time_ms;
		turn->count++;
	} else {
		bool continued = batch->seq > 0 || turn_by_name(transcript, 'r', batch->id, entry->identity);
		turn = turn_make(transcript, entry, batch);
		if (!turn || !open_add(making) || !name_turn(transcript, 'r', batch->id, entry->identity)) {
			return false;
		}
		turn->continued = continued;
	}
	if (batch->end != HF_END_NONE) {
		turn->end = hf_end_name(batch->end);
	}
	turn->bytes += entry->payload_size;
	transcript->turn_of[entry->offset - transcript->first] = (uint32_t)(turn - transcript->turns) + 1;
	return count_speaker(transcript, turn) && leave_out(making, turn, entry, &left_out) &&
		   (left_out || hf_buffer_append(&turn->text, batch->text.data, batch->text.len));
}

/* Why Holdfast closed a response: said there, too. */
static void take_closed(struct hf_transcript *transcript, const struct hf_notice *notice)
{
	struct hf_turn *turn = turn_by_name(transcript, 'r', notice->id, notice->from);

	if (turn && notice->reason.len <= turn->texts.size - turn->texts.len) {
		turn->closed = keep(turn, notice->reason);
	}
}

/* Questions are found by their id; an answer is to the last one. False: no memory. */
static bool link_question(struct hf_transcript *transcript, struct hf_turn *turn, const struct hf_entry *entry)
{
	struct hf_ask ask;
	struct hf_answer answer;

	if (entry->stripped) {
		return true;
	}
	if (entry->kind == HF_KIND_ASK && hf_ask_decode(entry->payload, &ask) == HF_OK) {
		turn->question = keep(turn, ask.id);
		return name_turn(transcript, 'a', ask.id, HF_SLICE_NONE);
	}
	if (entry->kind == HF_KIND_ANSWER && hf_answer_decode(entry->payload, &answer) == HF_OK) {
		const struct hf_turn *question = turn_by_name(transcript, 'a', answer.id, HF_SLICE_NONE);
		turn->question = keep(turn, answer.id);
		turn->answers = question ? question->first : 0;
	}
	return true;
}

static bool take_other(struct making *making, const struct hf_entry *entry)
{
	struct hf_transcript *transcript = making->transcript;
	struct hf_notice notice = {.kind = HF_NOTICE_COUNT};
	bool is_notice =
		entry->kind == HF_KIND_NOTICE && !entry->stripped && hf_notice_decode(entry->payload, &notice) == HF_OK;
	struct hf_turn *turn = turn_make(transcript, entry, NULL);

	if (!turn || !take_payload(making, turn, entry) || !count_speaker(transcript, turn) ||
		!link_question(transcript, turn, entry)) {
		return false;
	}
	turn->bytes = entry->payload_size;
	transcript->turn_of[entry->offset - transcript->first] = (uint32_t)transcript->count;
	if (is_notice && notice.kind == HF_NOTICE_RESPONSE_CLOSED) {
		take_closed(transcript, &notice);
	}
	/* Who comes and goes does not interrupt anybody. */
	if (!is_notice || notice.kind != HF_NOTICE_PRESENCE) {
		making->open_count = 0;
	}
	return true;
}

static bool make_room(struct hf_transcript *transcript, uint64_t offset)
{
	if (transcript->entries == 0) {
		transcript->first = offset;
	}
	if (offset - transcript->first < transcript->offsets) {
		return true;
	}
	uint64_t offsets = (offset - transcript->first + 1) * 2;
	uint32_t *turn_of = realloc(transcript->turn_of, offsets * sizeof(*turn_of));
	if (!turn_of) {
		return false;
	}
	memset(turn_of + transcript->offsets, 0, (offsets - transcript->offsets) * sizeof(*turn_of));
	transcript->turn_of = turn_of;
	transcript->offsets = offsets;
	return true;
}

/* The entry, if the page has room for it. */
static enum hf_reason take_entry(struct making *making, const struct hf_entry *entry, bool *full)
{
	struct hf_transcript *transcript = making->transcript;
	struct hf_token_batch batch;
	bool is_batch =
		entry->kind == HF_KIND_TOKENS && !entry->stripped && hf_token_decode(entry->payload, &batch) == HF_OK;

	*full = making->want->turns_max > 0 &&
			(transcript->bytes >= PAGE_BYTES ||
				(transcript->count == making->want->turns_max && !(is_batch && find_open(making, entry, &batch))));
	if (*full) {
		return HF_OK;
	}
	if (!make_room(transcript, entry->offset)) {
		return HF_NO_MEMORY;
	}
	transcript->entries++;
	transcript->bytes += AROUND + (making->want->withhold ? 0 : entry->payload.len);
	return (is_batch ? take_batch(making, entry, &batch) : take_other(making, entry)) ? HF_OK : HF_NO_MEMORY;
}

static enum hf_reason take_page(struct making *making, struct hf_cursor *cursor)
{
	struct hf_item item;
	char last[HF_QUERY_KEY_SIZE];
	bool found = true, full = false;
	enum hf_reason reason = HF_OK;

	while (reason == HF_OK && found && !full) {
		hf_query_key(cursor, last);
		reason = hf_query_next(cursor, &item, &found);
		if (reason == HF_OK && found) {
			reason = take_entry(making, &item.entry, &full);
		}
	}
	if (full) {
		memcpy(making->transcript->next, last, sizeof(last));
	} else if (reason == HF_OK && hf_query_paused(cursor)) {
		hf_query_key(cursor, making->transcript->next);
	}
	return reason;
}

enum hf_reason hf_transcript_make(
	struct hf_store *store, const struct hf_transcript_want *want, struct hf_transcript *out)
{
	struct making making = {.transcript = out, .want = want};
	struct hf_query entries = want->query;
	struct hf_cursor *cursor;

	*out = (struct hf_transcript){.store = store, .session = want->query.session};
	(void)hf_query_add_kind(&entries, hf_slice_of("published"));
	enum hf_reason reason = hf_query_open(store, &entries, want->after, &cursor);
	if (reason == HF_OK) {
		reason = take_page(&making, cursor);
	}
	hf_query_close(cursor);
	free(making.open);
	return reason == HF_OK && out->entries > 0 ? hf_transcript_receipts(out, want->query.stop) : reason;
}

void hf_transcript_free(struct hf_transcript *transcript)
{
	struct hf_turn_device *device, *next_device;
	struct hf_turn_receipts *receipts, *next_receipts;
	struct hf_turn_name *name, *next_name;

	hf_buffer_free(&transcript->key);
	for (size_t i = 0; i < transcript->count; i++) {
		hf_buffer_free(&transcript->turns[i].text);
		hf_buffer_free(&transcript->turns[i].texts);
		hf_buffer_free(&transcript->turns[i].digests);
		free(transcript->turns[i].receipts);
	}
	HASH_ITER(hh, transcript->receipts, receipts, next_receipts)
	{
		HASH_DEL(transcript->receipts, receipts);
		free(receipts);
	}
	HASH_ITER(hh, transcript->devices, device, next_device)
	{
		HASH_DEL(transcript->devices, device);
		free(device);
	}
	HASH_ITER(hh, transcript->names, name, next_name)
	{
		HASH_DEL(transcript->names, name);
		free(name);
	}
	free(transcript->numbered);
	free(transcript->turns);
	free(transcript->turn_of);
	*transcript = (struct hf_transcript){.count = 0};
}
