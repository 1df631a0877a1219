/* SPDX-License-Identifier: BSD-3-Clause */
/* State, mark, error and receipt. Keys are written shorter first, then by bytes: RFC 8949, section 4.2.1. */
#include "codec/document.h"

#include "codec/cbor.h"

static bool put_asks(struct hf_buffer *out, const struct hf_document_ask *asks, size_t count)
{
	if (!hf_cbor_put_text(out, hf_slice_of("asks")) || !hf_cbor_put_array(out, count))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!hf_cbor_put_map(out, 4) || !hf_cbor_pair_text(out, "id", asks[i].id) ||
			!hf_cbor_pair_text(out, "from", asks[i].identity) || !hf_cbor_pair_uint(out, "offset", asks[i].offset) ||
			!hf_cbor_pair_uint(out, "expires", asks[i].expires_ms))
			return false;
	}
	return true;
}

static bool put_open(struct hf_buffer *out, const struct hf_document_response *open, size_t count)
{
	if (!hf_cbor_put_text(out, hf_slice_of("open")) || !hf_cbor_put_array(out, count))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!hf_cbor_put_map(out, 2) || !hf_cbor_pair_text(out, "id", open[i].id) ||
			!hf_cbor_pair_text(out, "from", open[i].identity))
			return false;
	}
	return true;
}

static bool put_audience(struct hf_buffer *out, uint32_t people, uint32_t devices, uint32_t caught_up)
{
	return hf_cbor_put_text(out, hf_slice_of("audience")) && hf_cbor_put_map(out, 3) &&
		   hf_cbor_pair_uint(out, "people", people) && hf_cbor_pair_uint(out, "devices", devices) &&
		   hf_cbor_pair_uint(out, "caught-up", caught_up);
}

static bool put_floor(struct hf_buffer *out, const struct hf_document_floor *floor)
{
	bool held = floor->holder.len > 0, offered = floor->to.len > 0;

	return hf_cbor_put_text(out, hf_slice_of("floor")) && hf_cbor_put_map(out, 2u + held + offered) &&
		   (!offered || hf_cbor_pair_text(out, "to", floor->to)) && hf_cbor_pair_uint(out, "epoch", floor->epoch) &&
		   hf_cbor_pair_text(out, "state", hf_slice_of(held ? "held" : "open")) &&
		   (!held || hf_cbor_pair_text(out, "holder", floor->holder));
}

bool hf_document_floor_changed(
	struct hf_buffer *out, const char *command, uint64_t offset, const struct hf_document_floor *floor)
{
	return hf_cbor_put_map(out, 3) && put_floor(out, floor) && hf_cbor_pair_uint(out, "offset", offset) &&
		   hf_cbor_pair_text(out, "command", hf_slice_of(command));
}

bool hf_document_state(struct hf_buffer *out, const struct hf_document_state *state)
{
	return hf_cbor_put_map(out, 6u + state->closed + state->rejects_unattended) &&
		   put_asks(out, state->asks, state->ask_count) && hf_cbor_pair_uint(out, "head", state->head) &&
		   put_open(out, state->open, state->open_count) && hf_cbor_pair_uint(out, "tail", state->tail) &&
		   put_floor(out, &state->floor) && (!state->closed || hf_cbor_pair_bool(out, "closed", true)) &&
		   put_audience(out, state->people, state->devices, state->caught_up) &&
		   (!state->rejects_unattended || hf_cbor_pair_text(out, "unattended", hf_slice_of("reject")));
}

bool hf_document_unattended_changed(struct hf_buffer *out, const char *command, uint64_t offset, const char *mode)
{
	return hf_cbor_put_map(out, 3) && hf_cbor_pair_uint(out, "offset", offset) &&
		   hf_cbor_pair_text(out, "command", hf_slice_of(command)) &&
		   hf_cbor_pair_text(out, "unattended", hf_slice_of(mode));
}

bool hf_document_ended(struct hf_buffer *out, const char *command, uint64_t offset)
{
	return hf_cbor_put_map(out, 2) && hf_cbor_pair_uint(out, "offset", offset) &&
		   hf_cbor_pair_text(out, "command", hf_slice_of(command));
}

bool hf_document_limits(
	struct hf_buffer *out, const char *command, uint64_t offset, uint64_t age_ms, uint64_t bytes, uint64_t count)
{
	size_t pairs = 2u + (age_ms > 0) + (bytes > 0) + (count > 0);

	return hf_cbor_put_map(out, pairs) && hf_cbor_pair_uint(out, "offset", offset) &&
		   hf_cbor_pair_text(out, "command", hf_slice_of(command)) &&
		   (age_ms == 0 || hf_cbor_pair_uint(out, "max-age", age_ms)) &&
		   (bytes == 0 || hf_cbor_pair_uint(out, "max-bytes", bytes)) &&
		   (count == 0 || hf_cbor_pair_uint(out, "max-count", count));
}

bool hf_document_caught_up(struct hf_buffer *out, uint64_t head, const char *ended)
{
	return hf_cbor_put_map(out, ended ? 3 : 2) && hf_cbor_pair_uint(out, "head", head) &&
		   hf_cbor_pair_text(out, "mark", hf_slice_of("caught-up")) &&
		   (!ended || hf_cbor_pair_text(out, "ended", hf_slice_of(ended)));
}

bool hf_document_gap(struct hf_buffer *out, uint64_t first, uint64_t last, const char *why)
{
	return hf_cbor_put_map(out, 4) && hf_cbor_pair_uint(out, "last", last) &&
		   hf_cbor_pair_text(out, "mark", hf_slice_of("gap")) && hf_cbor_pair_uint(out, "first", first) &&
		   hf_cbor_pair_text(out, "reason", hf_slice_of(why));
}

static size_t refusal_pairs(const struct hf_refusal *refusal)
{
	return 2u + (refusal->expected != NULL) + (refusal->by.len > 0) + (refusal->offset > 0);
}

/* `topic` is NULL where the document has none. */
static bool put_refusal(struct hf_buffer *out, const struct hf_slice *topic, const struct hf_refusal *refusal)
{
	return hf_cbor_put_map(out, refusal_pairs(refusal) + (topic != NULL)) &&
		   (refusal->by.len == 0 || hf_cbor_pair_text(out, "by", refusal->by)) &&
		   (topic == NULL || hf_cbor_pair_text(out, "topic", *topic)) &&
		   (refusal->offset == 0 || hf_cbor_pair_uint(out, "offset", refusal->offset)) &&
		   hf_cbor_pair_text(out, "reason", hf_slice_of(hf_reason_name(refusal->reason))) &&
		   hf_cbor_pair_text(out, "message", hf_slice_of(hf_reason_sentence(refusal->reason))) &&
		   (refusal->expected == NULL || hf_cbor_pair_uint(out, "expected", *refusal->expected));
}

bool hf_document_error(struct hf_buffer *out, struct hf_slice topic, const struct hf_refusal *refusal)
{
	return put_refusal(out, &topic, refusal);
}

bool hf_document_refused(struct hf_buffer *out, const struct hf_refusal *refusal)
{
	return put_refusal(out, NULL, refusal);
}

bool hf_document_receipt(struct hf_buffer *out, const struct hf_receipt *receipt)
{
	bool placed = receipt->offset > 0;

	return hf_cbor_put_map(out, placed ? 4 : 2) &&
		   (!placed || (hf_cbor_put_text(out, hf_slice_of("time")) && hf_cbor_put_int(out, receipt->time_ms) &&
						   hf_cbor_pair_uint(out, "offset", receipt->offset))) &&
		   put_audience(out, receipt->people, receipt->devices, receipt->caught_up) &&
		   hf_cbor_pair_bool(out, "duplicate", receipt->duplicate);
}
