/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/ask.h"

#include <assert.h>

#include "codec/cbor.h"

static bool size_fits(struct hf_slice text, size_t max)
{
	return text.len >= 1 && text.len <= max;
}

static enum hf_reason sized_text(struct hf_cbor_reader *reader, size_t max, struct hf_slice *out)
{
	enum hf_reason reason = hf_cbor_text(reader, out);

	return reason == HF_OK && !size_fits(*out, max) ? HF_PAYLOAD_INVALID : reason;
}

/* ---- lists of text -------------------------------------------------------------------------------------- */

/* Walk an array: begin, then ask for the next text until *more is false. */
struct list {
	uint64_t left;
	bool indefinite;
};

static enum hf_reason list_begin(struct hf_cbor_reader *reader, struct list *list)
{
	struct hf_cbor_head head;

	if (!hf_cbor_next(reader, &head))
		return HF_PAYLOAD_MALFORMED;
	if (head.type != HF_CBOR_ARRAY)
		return HF_PAYLOAD_INVALID;
	*list = (struct list){.left = head.value, .indefinite = head.indefinite};
	return HF_OK;
}

static enum hf_reason list_next(struct hf_cbor_reader *reader, struct list *list, struct hf_slice *text, bool *more)
{
	*more = false;
	if (list->indefinite) {
		struct hf_cbor_reader peek = *reader;
		struct hf_cbor_head head;
		if (!hf_cbor_next(&peek, &head))
			return HF_PAYLOAD_MALFORMED;
		if (head.type == HF_CBOR_BREAK) {
			*reader = peek;
			return HF_OK;
		}
	} else if (list->left-- == 0) {
		return HF_OK;
	}
	*more = true;
	return hf_cbor_text(reader, text);
}

struct list_limits {
	size_t count_max;
	size_t text_max;
	bool roles; /* only "user" and "operator" will do */
};

static enum hf_reason decode_list(struct hf_cbor_reader *reader, struct list_limits limits, struct hf_slice *out)
{
	const unsigned char *begin = reader->at;
	struct list list;
	struct hf_slice text;
	size_t count = 0;
	bool more = true;
	enum hf_reason reason = list_begin(reader, &list);

	while (reason == HF_OK && more) {
		reason = list_next(reader, &list, &text, &more);
		if (reason != HF_OK || !more)
			break;
		if (++count > limits.count_max || !size_fits(text, limits.text_max))
			return HF_PAYLOAD_INVALID;
		if (limits.roles && !hf_slice_is(text, "user") && !hf_slice_is(text, "operator"))
			return HF_PAYLOAD_INVALID;
	}
	if (reason == HF_OK && count == 0)
		return HF_PAYLOAD_INVALID;
	*out = hf_slice_from(begin, (size_t)(reader->at - begin));
	return reason;
}

bool hf_ask_lists(struct hf_slice list_bytes, struct hf_slice text)
{
	struct hf_cbor_reader reader = hf_cbor_reader_of(list_bytes);
	struct list list;
	struct hf_slice one;
	bool more;

	if (list_bytes.len == 0 || list_begin(&reader, &list) != HF_OK)
		return false;
	while (list_next(&reader, &list, &one, &more) == HF_OK && more) {
		if (hf_slice_equal(one, text))
			return true;
	}
	return false;
}

/* ---- maps ----------------------------------------------------------------------------------------------- */

static bool put_item(struct hf_buffer *out, const char *key, struct hf_slice item)
{
	return item.len == 0 || (hf_cbor_put_text(out, hf_slice_of(key)) && hf_buffer_append(out, item.data, item.len));
}

static bool put_text(struct hf_buffer *out, const char *key, struct hf_slice text)
{
	return text.len == 0 || hf_cbor_pair_text(out, key, text);
}

/* ---- asks ----------------------------------------------------------------------------------------------- */

static enum hf_reason ask_id(struct hf_cbor_reader *reader, void *out)
{
	return sized_text(reader, HF_ASK_ID_MAX, &((struct hf_ask *)out)->id);
}

static enum hf_reason ask_question(struct hf_cbor_reader *reader, void *out)
{
	return sized_text(reader, SIZE_MAX, &((struct hf_ask *)out)->question);
}

static enum hf_reason ask_choices(struct hf_cbor_reader *reader, void *out)
{
	struct list_limits limits = {.count_max = HF_ASK_CHOICES_MAX, .text_max = HF_ASK_CHOICE_MAX};

	return decode_list(reader, limits, &((struct hf_ask *)out)->choices);
}

static enum hf_reason ask_to(struct hf_cbor_reader *reader, void *out)
{
	struct list_limits limits = {.count_max = HF_ASK_TO_MAX, .text_max = HF_ASK_IDENTITY_MAX};

	return decode_list(reader, limits, &((struct hf_ask *)out)->to);
}

static enum hf_reason ask_roles(struct hf_cbor_reader *reader, void *out)
{
	struct list_limits limits = {.count_max = HF_ASK_ROLES_MAX, .text_max = SIZE_MAX, .roles = true};

	return decode_list(reader, limits, &((struct hf_ask *)out)->roles);
}

static enum hf_reason ask_expires(struct hf_cbor_reader *reader, void *out)
{
	uint64_t *ms = &((struct hf_ask *)out)->expires_in_ms;
	enum hf_reason reason = hf_cbor_uint(reader, ms);

	return reason == HF_OK && (*ms == 0 || *ms > HF_ASK_EXPIRES_MAX_MS) ? HF_PAYLOAD_INVALID : reason;
}

static enum hf_reason ask_data(struct hf_cbor_reader *reader, void *out)
{
	return hf_cbor_skip(reader, &((struct hf_ask *)out)->data);
}

enum hf_reason hf_ask_decode(struct hf_slice payload, struct hf_ask *out)
{
	static const struct hf_cbor_field fields[] = {
		{"id", ask_id, true},
		{"question", ask_question, true},
		{"choices", ask_choices, false},
		{"to", ask_to, false},
		{"roles", ask_roles, false},
		{"expires-in", ask_expires, false},
		{"data", ask_data, false},
	};

	*out = (struct hf_ask){
		.id = HF_SLICE_NONE,
		.question = HF_SLICE_NONE,
		.choices = HF_SLICE_NONE,
		.to = HF_SLICE_NONE,
		.roles = HF_SLICE_NONE,
		.data = HF_SLICE_NONE,
	};
	return hf_cbor_fields(payload, fields, sizeof(fields) / sizeof(fields[0]), out);
}

bool hf_ask_encode(const struct hf_ask *ask, struct hf_buffer *out)
{
	assert(size_fits(ask->id, HF_ASK_ID_MAX) && ask->question.len > 0 && ask->expires_in_ms <= HF_ASK_EXPIRES_MAX_MS);
	size_t pairs = 2u + (ask->to.len > 0) + (ask->data.len > 0) + (ask->roles.len > 0) + (ask->choices.len > 0) +
				   (ask->expires_in_ms > 0);

	/* Shorter keys first, then by bytes: RFC 8949, section 4.2.1. */
	return hf_cbor_put_map(out, pairs) && hf_cbor_pair_text(out, "id", ask->id) && put_item(out, "to", ask->to) &&
		   put_item(out, "data", ask->data) && put_item(out, "roles", ask->roles) &&
		   put_item(out, "choices", ask->choices) && hf_cbor_pair_text(out, "question", ask->question) &&
		   (ask->expires_in_ms == 0 || hf_cbor_pair_uint(out, "expires-in", ask->expires_in_ms));
}

/* ---- answers -------------------------------------------------------------------------------------------- */

static enum hf_reason answer_id(struct hf_cbor_reader *reader, void *out)
{
	return sized_text(reader, HF_ASK_ID_MAX, &((struct hf_answer *)out)->id);
}

static enum hf_reason answer_choice(struct hf_cbor_reader *reader, void *out)
{
	return sized_text(reader, HF_ASK_CHOICE_MAX, &((struct hf_answer *)out)->choice);
}

static enum hf_reason answer_text(struct hf_cbor_reader *reader, void *out)
{
	return sized_text(reader, SIZE_MAX, &((struct hf_answer *)out)->text);
}

static enum hf_reason answer_data(struct hf_cbor_reader *reader, void *out)
{
	return hf_cbor_skip(reader, &((struct hf_answer *)out)->data);
}

enum hf_reason hf_answer_decode(struct hf_slice payload, struct hf_answer *out)
{
	static const struct hf_cbor_field fields[] = {
		{"id", answer_id, true},
		{"choice", answer_choice, false},
		{"text", answer_text, false},
		{"data", answer_data, false},
	};

	*out = (struct hf_answer){
		.id = HF_SLICE_NONE,
		.choice = HF_SLICE_NONE,
		.text = HF_SLICE_NONE,
		.data = HF_SLICE_NONE,
	};
	enum hf_reason reason = hf_cbor_fields(payload, fields, sizeof(fields) / sizeof(fields[0]), out);
	return reason == HF_OK && out->choice.len == 0 && out->text.len == 0 ? HF_PAYLOAD_INVALID : reason;
}

bool hf_answer_encode(const struct hf_answer *answer, struct hf_buffer *out)
{
	assert(size_fits(answer->id, HF_ASK_ID_MAX) && (answer->choice.len > 0 || answer->text.len > 0));
	size_t pairs = 1u + (answer->choice.len > 0) + (answer->text.len > 0) + (answer->data.len > 0);

	return hf_cbor_put_map(out, pairs) && hf_cbor_pair_text(out, "id", answer->id) &&
		   put_item(out, "data", answer->data) && put_text(out, "text", answer->text) &&
		   put_text(out, "choice", answer->choice);
}
