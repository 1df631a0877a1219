/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a publisher sends again is not stored again. A publish with an id is known by that, a token batch by its
 * response and seq. The first entry is read to compare: another payload under the same name is refused, not swallowed.
 *
 * Each id of an identity in a session has a fact, derived from the log and written behind it; its name is the identity,
 * 0, and the id (no text of MQTT 5 has a zero in it, section 1.5.4):
 *
 *      0  u8   format, 1
 *      1  u64  offset, little-endian
 *
 * A second fact, by offset, finds it again when its entry is removed from the log: an id is remembered no longer.
 */
#include "session/internal.h"
#include "session/publish/publish.h"

#include <endian.h>

#define VALUE_SIZE 9
#define VALUE_FORMAT 1
#define FORGET_MAX HF_TRUNCATE_MAX /* ids in one go: all that one truncation can remove */
#define LOOK_BACK_REFS 256         /* at a time */
#define LOOK_BACK_MAX 4096         /* records read and times looked: some tens of milliseconds */

/* ---- ids */

static bool make_name(struct hf_buffer *out, struct hf_slice identity, struct hf_slice id)
{
	hf_buffer_clear(out);
	return hf_buffer_append(out, identity.data, identity.len) && hf_buffer_append(out, "", 1) &&
		   hf_buffer_append(out, id.data, id.len);
}

void hf_id_apply(struct hf_hub *hub, const struct hf_entry *entry)
{
	unsigned char bytes[VALUE_SIZE] = {VALUE_FORMAT};
	uint64_t offset_le = htole64(entry->offset), offset_be = htobe64(entry->offset);
	struct hf_slice value = hf_slice_from(bytes, sizeof(bytes));

	if (entry->id.len == 0) {
		return;
	}
	memcpy(bytes + 1, &offset_le, sizeof(offset_le));
	bool ok = make_name(&hub->scratch, entry->identity, entry->id);
	struct hf_slice name = hf_buffer_slice(&hub->scratch);
	ok = ok && hf_fact_put(hub->store, entry->session, HF_FACT_ID, name, &value) == HF_OK &&
		 hf_fact_put(hub->store, entry->session, HF_FACT_ID_AT, hf_slice_from(&offset_be, sizeof(offset_be)), &name) ==
			 HF_OK;
	if (!ok) {
		hf_say(hub, HF_LOG_ERROR,
			"no memory for the id of entry %llu of session %.*s: sent again it would be stored again",
			(unsigned long long)entry->offset, (int)entry->session.len, entry->session.data);
	}
}

/* The offset under a name; 0: there is none. */
static enum hf_reason offset_of(struct hf_hub *hub, struct hf_slice session, struct hf_slice name, uint64_t *offset)
{
	struct hf_buffer *value = &hub->fact;
	bool found;

	*offset = 0;
	hf_buffer_clear(value);
	enum hf_reason reason = hf_fact_get(hub->store, session, HF_FACT_ID, name, value, &found);
	if (reason != HF_OK || !found) {
		return reason;
	}
	if (value->len != VALUE_SIZE || value->data[0] != VALUE_FORMAT) {
		return HF_RECORD_CORRUPT;
	}
	memcpy(offset, value->data + 1, sizeof(*offset));
	*offset = le64toh(*offset);
	return HF_OK;
}

/* The offset of the entry that has this id; 0: there is none. */
static enum hf_reason recall(struct hf_hub *hub, const struct hf_incoming *incoming, uint64_t *offset)
{
	struct hf_log *log = incoming->session->log;

	if (!make_name(&hub->scratch, incoming->identity, incoming->publish->conditions.id)) {
		return HF_NO_MEMORY;
	}
	enum hf_reason reason = offset_of(hub, incoming->topic.session, hf_buffer_slice(&hub->scratch), offset);
	if (*offset > hf_log_head(log)) {
		return HF_RECORD_CORRUPT;
	}
	if (*offset < hf_log_tail(log)) {
		*offset = 0; /* the entry has gone, and the id with it */
	}
	return reason;
}

struct forget {
	struct hf_buffer names; /* each: offset, big-endian; length; name */
	size_t count;
	uint64_t tail;
	bool more;
};

static bool gather(void *context, struct hf_slice at, struct hf_slice name)
{
	struct forget *forget = context;
	uint64_t offset_be;

	if (at.len != sizeof(offset_be)) {
		return true;
	}
	memcpy(&offset_be, at.data, sizeof(offset_be));
	if (be64toh(offset_be) >= forget->tail) {
		return false;
	}
	forget->more = forget->count == FORGET_MAX || !hf_buffer_append(&forget->names, at.data, at.len) ||
				   !hf_buffer_append(&forget->names, &name.len, sizeof(name.len)) ||
				   !hf_buffer_append(&forget->names, name.data, name.len);
	forget->count += !forget->more;
	return !forget->more;
}

/* One of them. It may have been used again since, for another entry. */
static enum hf_reason forget_one(struct hf_hub *hub, struct hf_slice session, struct hf_slice at, struct hf_slice name)
{
	uint64_t offset, offset_be;
	enum hf_reason reason = offset_of(hub, session, name, &offset);

	memcpy(&offset_be, at.data, sizeof(offset_be));
	if (reason == HF_OK && offset == be64toh(offset_be)) {
		reason = hf_fact_put(hub->store, session, HF_FACT_ID, name, NULL);
	}
	return reason == HF_OK ? hf_fact_put(hub->store, session, HF_FACT_ID_AT, at, NULL) : reason;
}

bool hf_ids_forget(struct hf_hub *hub, struct hf_slice session, uint64_t tail)
{
	struct forget forget = {.tail = tail};
	enum hf_reason reason = hf_fact_each(hub->store, session, HF_FACT_ID_AT, gather, &forget);
	const char *next = (const char *)forget.names.data;

	for (size_t i = 0; i < forget.count && reason == HF_OK; i++) {
		struct hf_slice at = hf_slice_from(next, sizeof(uint64_t)),
						name = hf_slice_from(next + at.len + sizeof(size_t), 0);
		memcpy(&name.len, next + at.len, sizeof(name.len));
		reason = forget_one(hub, session, at, name);
		next = name.data + name.len;
	}
	hf_buffer_free(&forget.names);
	return reason == HF_OK && !forget.more;
}

static enum hf_reason compare_digest(struct hf_slice payload, struct hf_slice digest, bool *same)
{
	uint8_t own[HF_DIGEST_SIZE];
	bool made = hf_digest(payload, own);

	*same = made && hf_slice_equal(digest, hf_slice_from(own, sizeof(own)));
	return made ? HF_OK : HF_NO_MEMORY;
}

/* Of one that was erased the digest is left. */
static enum hf_reason compare_payload(struct hf_slice payload, const struct hf_entry *entry, bool *same)
{
	if (entry->stripped) {
		return compare_digest(payload, entry->digest, same);
	}
	*same = hf_slice_equal(entry->payload, payload);
	return HF_OK;
}

/* Is the publish the one that made this entry? */
static enum hf_reason compare(struct hf_incoming *incoming, const struct hf_entry *entry)
{
	bool same;
	enum hf_reason reason = compare_payload(incoming->publish->payload, entry, &same);

	if (reason != HF_OK) {
		return reason;
	}
	if (!hf_slice_equal(entry->topic, incoming->topic.rest) || !same) {
		return HF_ID_REUSED;
	}
	incoming->repeat = true;
	incoming->receipt = (struct hf_receipt){.offset = entry->offset, .time_ms = entry->time_ms};
	return HF_OK;
}

/* The entry is no longer kept: its place and time are unknown to the receipt. */
static enum hf_reason compare_gone(struct hf_incoming *incoming, struct hf_slice digest)
{
	bool same = false;
	enum hf_reason reason = digest.len > 0 ? compare_digest(incoming->publish->payload, digest, &same) : HF_OK;

	incoming->repeat = same;
	return reason == HF_OK && !same ? HF_ID_REUSED : reason;
}

enum hf_reason hf_repeat_at(struct hf_hub *hub, struct hf_incoming *incoming, uint64_t offset, struct hf_slice digest)
{
	struct hf_log *log = incoming->session->log;
	struct hf_records *records = NULL;
	struct hf_entry entry;
	uint64_t lsn;

	if (offset < hf_log_tail(log)) {
		return compare_gone(incoming, digest);
	}
	enum hf_reason reason = offset > hf_log_head(log) ? HF_RECORD_CORRUPT : hf_log_lsn_of(log, offset, &lsn);
	if (reason == HF_OK) {
		reason = hf_records_open(hub->store, &records);
	}
	if (reason == HF_OK) {
		reason = hf_records_at(records, lsn, &entry);
	}
	if (reason == HF_OK) {
		reason = compare(incoming, &entry);
	}
	hf_records_close(records);
	return reason;
}

enum hf_reason hf_repeat_by_id(struct hf_hub *hub, struct hf_incoming *incoming)
{
	uint64_t offset;

	if (incoming->publish->conditions.id.len == 0 || !incoming->session->log) {
		return HF_OK;
	}
	enum hf_reason reason = recall(hub, incoming, &offset);
	return reason != HF_OK || offset == 0 ? reason : hf_repeat_at(hub, incoming, offset, HF_SLICE_NONE);
}

/* ---- token batches */

struct look_back {
	struct hf_incoming *incoming;
	struct hf_records *records;
	uint64_t high;     /* the batch stands at this offset or below it */
	unsigned int left; /* of LOOK_BACK_MAX */
};

static enum hf_reason look_at(struct look_back *look, uint64_t lsn)
{
	const struct hf_token_batch *wanted = &look->incoming->batch;
	struct hf_token_batch batch;
	struct hf_entry entry;
	enum hf_reason reason = hf_records_at(look->records, lsn, &entry);

	if (reason != HF_OK) {
		return reason;
	}
	if (!hf_slice_equal(entry.identity, look->incoming->identity) || hf_token_decode(entry.payload, &batch) != HF_OK ||
		!hf_slice_equal(batch.id, wanted->id) || batch.seq < wanted->seq) {
		return HF_OK;
	}
	if (batch.seq > wanted->seq) {
		look->high = entry.offset - (batch.seq - wanted->seq); /* those between are of other seqs */
		return HF_OK;
	}
	return compare(look->incoming, &entry);
}

/* The entries from `first` to look->high, the newest first. */
static enum hf_reason look_through(struct look_back *look, struct hf_log *log, uint64_t first)
{
	struct hf_ref refs[LOOK_BACK_REFS];
	struct hf_scan *scan;
	size_t count = 0;
	enum hf_reason reason = hf_scan_open(log, first, &scan);

	if (reason != HF_OK) {
		return reason;
	}
	while (count < LOOK_BACK_REFS && hf_scan_next(scan, &refs[count]) && refs[count].offset <= look->high) {
		count++;
	}
	reason = hf_scan_reason(scan);
	hf_scan_close(scan);
	while (reason == HF_OK && count > 0 && !look->incoming->repeat && look->left > 0) {
		const struct hf_ref *ref = &refs[--count];
		if (ref->kind == HF_KIND_TOKENS && ref->offset <= look->high) {
			look->left--;
			reason = look_at(look, ref->lsn);
		}
	}
	return reason;
}

enum hf_reason hf_repeat_of_batch(struct hf_hub *hub, struct hf_incoming *incoming, uint64_t not_above)
{
	struct look_back look = {.incoming = incoming, .high = not_above, .left = LOOK_BACK_MAX};
	struct hf_log *log = incoming->session->log;
	enum hf_reason reason = hf_records_open(hub->store, &look.records);

	while (reason == HF_OK && !incoming->repeat && look.left > 0 && look.high >= hf_log_tail(log)) {
		uint64_t tail = hf_log_tail(log),
				 first = look.high - tail < LOOK_BACK_REFS ? tail : look.high - LOOK_BACK_REFS + 1;
		look.left--;
		reason = look_through(&look, log, first);
		look.high = look.high < first ? look.high : first - 1;
	}
	hf_records_close(look.records);
	incoming->repeat = reason == HF_OK; /* it is one, wherever it stands */
	return reason;
}
