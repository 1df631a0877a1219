/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/control.h"

#include "codec/cbor.h"

static const struct {
	const char *name;
	unsigned int needs, may;
} commands[HF_COMMAND_COUNT] = {
#define HF_COMMAND_ROW(number, name, needs, may) [HF_COMMAND_##number] = {name, needs, may},
	HF_COMMAND_TABLE(HF_COMMAND_ROW)
#undef HF_COMMAND_ROW
};

const char *hf_command_name(enum hf_command command)
{
	return commands[command].name;
}

static enum hf_reason get_command(struct hf_cbor_reader *reader, struct hf_control_request *out)
{
	struct hf_slice name;
	enum hf_reason reason = hf_cbor_text(reader, &name);

	if (reason != HF_OK)
		return reason;
	for (unsigned int command = 0; command < HF_COMMAND_COUNT; command++) {
		if (hf_slice_is(name, commands[command].name)) {
			out->command = (enum hf_command)command;
			return HF_OK;
		}
	}
	return HF_COMMAND_UNKNOWN;
}

static enum hf_reason get_identity(struct hf_cbor_reader *reader, struct hf_slice *out)
{
	enum hf_reason reason = hf_cbor_text(reader, out);

	if (reason == HF_OK && (out->len == 0 || out->len > HF_IDENTITY_MAX || memchr(out->data, '\0', out->len)))
		return HF_PAYLOAD_INVALID;
	return reason;
}

/* One key for two commands: which of them takes the mode, its field says. */
static enum hf_reason get_mode(struct hf_cbor_reader *reader, struct hf_control_request *out)
{
	struct hf_slice mode;
	enum hf_reason reason = hf_cbor_text(reader, &mode);

	if (reason != HF_OK)
		return reason;
	out->cold = hf_slice_is(mode, "cold");
	out->reject = hf_slice_is(mode, "reject");
	if (out->reject || hf_slice_is(mode, "allow"))
		out->fields ^= HF_CONTROL_MODE | HF_CONTROL_UNATTENDED;
	else if (!out->cold && !hf_slice_is(mode, "warm"))
		return HF_PAYLOAD_INVALID;
	return HF_OK;
}

/* The field with this key; 0: there is none. */
static unsigned int field_of(struct hf_slice key)
{
	if (hf_slice_is(key, "to"))
		return HF_CONTROL_TO;
	if (hf_slice_is(key, "mode"))
		return HF_CONTROL_MODE;
	if (hf_slice_is(key, "epoch"))
		return HF_CONTROL_EPOCH;
	if (hf_slice_is(key, "max-age"))
		return HF_CONTROL_AGE;
	if (hf_slice_is(key, "max-bytes"))
		return HF_CONTROL_BYTES;
	if (hf_slice_is(key, "max-count"))
		return HF_CONTROL_COUNT;
	return 0;
}

static enum hf_reason get_field(struct hf_cbor_reader *reader, struct hf_slice key, struct hf_control_request *out)
{
	unsigned int field = field_of(key);

	if (hf_slice_is(key, "command"))
		return out->command == HF_COMMAND_COUNT ? get_command(reader, out) : HF_PAYLOAD_INVALID;
	unsigned int taken = field == HF_CONTROL_MODE ? field | HF_CONTROL_UNATTENDED : field;
	if (field == 0 || (out->fields & taken))
		return HF_PAYLOAD_INVALID;
	out->fields |= field;
	switch (field) {
	case HF_CONTROL_TO:
		return get_identity(reader, &out->to);
	case HF_CONTROL_MODE:
		return get_mode(reader, out);
	case HF_CONTROL_AGE:
		return hf_cbor_uint(reader, &out->age_ms);
	case HF_CONTROL_BYTES:
		return hf_cbor_uint(reader, &out->bytes);
	case HF_CONTROL_COUNT:
		return hf_cbor_uint(reader, &out->count);
	default:
		return hf_cbor_uint(reader, &out->epoch);
	}
}

enum hf_reason hf_control_decode(struct hf_slice payload, struct hf_control_request *out)
{
	struct hf_cbor_reader reader = hf_cbor_reader_of(payload);
	struct hf_cbor_map map;
	struct hf_slice key;
	bool more = false;

	*out = (struct hf_control_request){.command = HF_COMMAND_COUNT, .to = HF_SLICE_NONE};
	enum hf_reason reason = hf_cbor_map_begin(&reader, &map);
	if (reason == HF_OK)
		reason = hf_cbor_map_next(&reader, &map, &key, &more);
	while (reason == HF_OK && more) {
		reason = get_field(&reader, key, out);
		if (reason == HF_OK)
			reason = hf_cbor_map_next(&reader, &map, &key, &more);
	}
	if (reason != HF_OK)
		return reason;
	if (!hf_cbor_at_end(&reader))
		return HF_PAYLOAD_MALFORMED;
	if (out->command == HF_COMMAND_COUNT)
		return HF_PAYLOAD_INVALID;
	unsigned int needs = commands[out->command].needs, may = commands[out->command].may;
	return (out->fields & needs) == needs && (out->fields & ~(needs | may)) == 0 ? HF_OK : HF_PAYLOAD_INVALID;
}

bool hf_control_encode(const struct hf_control_request *request, struct hf_buffer *out)
{
	unsigned int fields = request->fields;
	size_t pairs = 1u + (size_t)__builtin_popcount(fields);

	return hf_cbor_put_map(out, pairs) && (!(fields & HF_CONTROL_TO) || hf_cbor_pair_text(out, "to", request->to)) &&
		   (!(fields & HF_CONTROL_UNATTENDED) ||
			   hf_cbor_pair_text(out, "mode", hf_slice_of(request->reject ? "reject" : "allow"))) &&
		   (!(fields & HF_CONTROL_MODE) ||
			   hf_cbor_pair_text(out, "mode", hf_slice_of(request->cold ? "cold" : "warm"))) &&
		   (!(fields & HF_CONTROL_EPOCH) || hf_cbor_pair_uint(out, "epoch", request->epoch)) &&
		   hf_cbor_pair_text(out, "command", hf_slice_of(hf_command_name(request->command))) &&
		   (!(fields & HF_CONTROL_AGE) || hf_cbor_pair_uint(out, "max-age", request->age_ms)) &&
		   (!(fields & HF_CONTROL_BYTES) || hf_cbor_pair_uint(out, "max-bytes", request->bytes)) &&
		   (!(fields & HF_CONTROL_COUNT) || hf_cbor_pair_uint(out, "max-count", request->count));
}
