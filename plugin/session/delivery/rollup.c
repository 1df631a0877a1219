/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rollup: a device that catches up gets neighbouring token batches of one response as one message, so that a long
 * answer is a few messages and not thousands. Joined are entries that follow each other in what this device gets, are
 * batches of one response without `data` or an id of their own, one seq and one offset behind the other, and are alike
 * in all else: sender, role, kind, properties, the filters they are due under. The text of the message is theirs, one
 * behind the other.
 */
#include "session/delivery/delivery.h"
#include "session/internal.h"

/* Of the payload of a joined message, all but the text, the id and the kind: codec/token.c. */
#define OVERHEAD 64

bool hf_rollup_takes(const struct hf_device *device, const struct hf_entry *entry, const struct hf_match *match,
	struct hf_token_batch *batch)
{
	/* What it may have seen before the broker was killed comes once more as it came then, so that a message is either
	 * all new to it or not at all. */
	return entry->kind == HF_KIND_TOKENS && !match->batches && entry->id.len == 0 && entry->lsn > device->alone_to &&
		   hf_token_decode(entry->payload, batch) == HF_OK && batch->data.len == 0;
}

static bool same_match(const struct hf_match *a, const struct hf_match *b)
{
	return a->qos == b->qos && a->filters == b->filters && a->id_count == b->id_count &&
		   memcmp(a->ids, b->ids, a->id_count * sizeof(*a->ids)) == 0;
}

/* ---- */

static struct hf_slice keep(struct hf_buffer *kept, struct hf_slice slice)
{
	size_t at = kept->len;

	hf_buffer_append(kept, slice.data, slice.len); /* there is room */
	return hf_slice_from(kept->data + at, slice.len);
}

bool hf_rollup_begin(struct hf_rollup *rollup, const struct hf_entry *entry, const struct hf_match *match,
	const struct hf_token_batch *batch, size_t payload_max)
{
	size_t used = OVERHEAD + batch->id.len + batch->kind.len;
	size_t size = entry->session.len + entry->topic.len + entry->identity.len + entry->device.len +
				  entry->properties.len + entry->payload.len;

	if (batch->end != HF_END_NONE || used + batch->text.len >= payload_max) {
		return false;
	}
	hf_buffer_clear(&rollup->kept);
	hf_buffer_clear(&rollup->text);
	if (!hf_buffer_reserve(&rollup->kept, size)) {
		return false;
	}
	rollup->first = *entry;
	rollup->first.session = keep(&rollup->kept, entry->session);
	rollup->first.topic = keep(&rollup->kept, entry->topic);
	rollup->first.identity = keep(&rollup->kept, entry->identity);
	rollup->first.device = keep(&rollup->kept, entry->device);
	rollup->first.properties = keep(&rollup->kept, entry->properties);
	rollup->first.payload = keep(&rollup->kept, entry->payload);
	rollup->batch = *batch;
	rollup->batch.id =
		hf_slice_from(rollup->first.payload.data + (batch->id.data - entry->payload.data), batch->id.len);
	rollup->batch.kind =
		batch->kind.len > 0
			? hf_slice_from(rollup->first.payload.data + (batch->kind.data - entry->payload.data), batch->kind.len)
			: HF_SLICE_NONE;
	rollup->batch.last = batch->seq;
	rollup->last_lsn = entry->lsn;
	rollup->last_offset = entry->offset;
	rollup->last_time_ms = entry->time_ms;
	rollup->match = *match;
	rollup->text_max = payload_max - used;
	rollup->count = hf_buffer_append(&rollup->text, batch->text.data, batch->text.len);
	return rollup->count > 0;
}

bool hf_rollup_add(struct hf_rollup *rollup, const struct hf_entry *entry, const struct hf_match *match,
	const struct hf_token_batch *batch)
{
	const struct hf_entry *first = &rollup->first;

	if (rollup->count == 0 || rollup->batch.end != HF_END_NONE || batch->seq != rollup->batch.last + 1 ||
		entry->offset != rollup->last_offset + 1 || rollup->text.len + batch->text.len > rollup->text_max ||
		!hf_slice_equal(batch->id, rollup->batch.id) || !hf_slice_equal(batch->kind, rollup->batch.kind) ||
		entry->role != first->role || !hf_slice_equal(entry->session, first->session) ||
		!hf_slice_equal(entry->identity, first->identity) || !hf_slice_equal(entry->properties, first->properties) ||
		!same_match(match, &rollup->match) || !hf_buffer_append(&rollup->text, batch->text.data, batch->text.len)) {
		return false;
	}
	rollup->batch.last = batch->seq;
	rollup->batch.end = batch->end;
	rollup->last_lsn = entry->lsn;
	rollup->last_offset = entry->offset;
	rollup->last_time_ms = entry->time_ms;
	rollup->count++;
	return true;
}

bool hf_rollup_end(struct hf_rollup *rollup, struct hf_entry *out)
{
	bool joined = rollup->count > 1;

	rollup->count = 0;
	*out = rollup->first;
	if (!joined) {
		return true;
	}
	rollup->batch.text = hf_buffer_slice(&rollup->text);
	hf_buffer_clear(&rollup->payload);
	if (!hf_token_encode(&rollup->batch, &rollup->payload)) {
		return false;
	}
	out->payload = hf_buffer_slice(&rollup->payload);
	out->lsn = rollup->last_lsn;
	out->offset = rollup->last_offset;
	out->time_ms = rollup->last_time_ms;
	return true;
}

void hf_rollup_free(struct hf_rollup *rollup)
{
	hf_buffer_free(&rollup->kept);
	hf_buffer_free(&rollup->text);
	hf_buffer_free(&rollup->payload);
}
