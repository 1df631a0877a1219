/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/presence.h"

#include "codec/cbor.h"

static const char *const states[HF_PRESENCE_COUNT] = {
#define HF_PRESENCE_NAME(number, name) [HF_PRESENCE_##number] = name,
	HF_PRESENCE_TABLE(HF_PRESENCE_NAME)
#undef HF_PRESENCE_NAME
};

static const char *const whys[HF_WHY_COUNT] = {
#define HF_WHY_NAME(number, name) [HF_WHY_##number] = name,
	HF_WHY_TABLE(HF_WHY_NAME)
#undef HF_WHY_NAME
};

const char *hf_presence_name(enum hf_presence presence)
{
	return (unsigned int)presence < HF_PRESENCE_COUNT ? states[presence] : "";
}

const char *hf_why_name(enum hf_why why)
{
	return (unsigned int)why < HF_WHY_COUNT ? whys[why] : "";
}

enum hf_presence hf_presence_parse(struct hf_slice name)
{
	unsigned int presence = 0;

	while (presence < HF_PRESENCE_COUNT && !hf_slice_is(name, states[presence]))
		presence++;
	return (enum hf_presence)presence;
}

enum hf_why hf_why_parse(struct hf_slice name)
{
	unsigned int why = 0;

	while (why < HF_WHY_COUNT && !hf_slice_is(name, whys[why]))
		why++;
	return (enum hf_why)why;
}

bool hf_presence_encode(const struct hf_presence_document *document, struct hf_buffer *out)
{
	bool online = document->state == HF_PRESENCE_ONLINE || document->state == HF_PRESENCE_STALLED;
	bool reason = document->why != HF_WHY_NONE, status = document->status.len > 0;

	/* Shorter keys first, then by bytes. */
	return hf_cbor_put_map(out, 6u + reason + status) &&
		   hf_cbor_pair_text(out, "role", hf_slice_of(hf_role_name(document->role))) &&
		   hf_cbor_put_text(out, hf_slice_of("since")) && hf_cbor_put_int(out, document->since_ms) &&
		   hf_cbor_pair_text(out, "state", hf_slice_of(hf_presence_name(document->state))) &&
		   hf_cbor_pair_bool(out, "online", online) &&
		   (!reason || hf_cbor_pair_text(out, "reason", hf_slice_of(hf_why_name(document->why)))) &&
		   (!status || hf_cbor_pair_text(out, "status", document->status)) &&
		   hf_cbor_pair_uint(out, "devices", document->devices) &&
		   hf_cbor_pair_text(out, "identity", document->identity);
}

enum hf_reason hf_status_decode(struct hf_slice payload, struct hf_slice *status)
{
	struct hf_cbor_reader reader = hf_cbor_reader_of(payload);
	struct hf_cbor_map map;
	struct hf_slice key, text = HF_SLICE_NONE;
	bool more = false, seen = false;
	enum hf_reason reason = hf_cbor_map_begin(&reader, &map);

	if (reason == HF_OK)
		reason = hf_cbor_map_next(&reader, &map, &key, &more);
	while (reason == HF_OK && more) {
		if (seen || !hf_slice_is(key, "status"))
			return HF_PAYLOAD_INVALID;
		seen = true;
		reason = hf_cbor_text(&reader, &text);
		if (reason == HF_OK && text.len > HF_STATUS_MAX)
			return HF_PAYLOAD_INVALID;
		if (reason == HF_OK)
			reason = hf_cbor_map_next(&reader, &map, &key, &more);
	}
	if (reason != HF_OK)
		return reason;
	if (!hf_cbor_at_end(&reader))
		return HF_PAYLOAD_MALFORMED;
	if (!seen)
		return HF_PAYLOAD_INVALID;
	*status = text;
	return HF_OK;
}

bool hf_status_encode(struct hf_slice status, struct hf_buffer *out)
{
	return hf_cbor_put_map(out, 1) && hf_cbor_pair_text(out, "status", status);
}
