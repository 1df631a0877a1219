/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on S/control that manage the session itself: close, erase, limits. */
#include "session/log/ending.h"
#include "session/publish/publish.h"

static struct hf_asker asker_of(const struct hf_incoming *incoming)
{
	const struct hf_publish *publish = incoming->publish;

	return (struct hf_asker){.identity = publish->identity, .device = publish->device, .address = publish->address};
}

/* Not HF_OK only before it was done: what is done is answered, if there is memory for it. */
enum hf_reason hf_end_command(struct hf_hub *hub, struct hf_incoming *incoming,
	const struct hf_control_request *request, struct hf_buffer *answer)
{
	const struct hf_asker asker = asker_of(incoming);
	uint64_t offset;
	enum hf_reason reason = request->command == HF_COMMAND_CLOSE
								? hf_session_close(hub, incoming->topic.session, &asker, &offset)
								: hf_session_erase(hub, incoming->topic.session, &asker, &offset);

	if (reason == HF_OK) {
		(void)hf_document_ended(answer, hf_command_name(request->command), offset);
	}
	return reason;
}

enum hf_reason hf_limits_command(struct hf_hub *hub, struct hf_incoming *incoming,
	const struct hf_control_request *request, struct hf_buffer *answer)
{
	const struct hf_asker asker = asker_of(incoming);
	const struct hf_retention limits = {
		.age_ms = request->fields & HF_CONTROL_AGE ? request->age_ms : HF_RETENTION_DEFAULT,
		.bytes = request->fields & HF_CONTROL_BYTES ? request->bytes : HF_RETENTION_DEFAULT,
		.count = request->fields & HF_CONTROL_COUNT ? request->count : HF_RETENTION_DEFAULT,
	};
	struct hf_retention now;
	uint64_t offset;

	if (request->age_ms > INT64_MAX || request->bytes > INT64_MAX || request->count > INT64_MAX) {
		return HF_RETENTION_INVALID;
	}
	enum hf_reason reason = hf_session_limit(hub, incoming->topic.session, &limits, &asker, &now, &offset);
	if (reason == HF_OK) {
		(void)hf_document_limits(answer, hf_command_name(request->command), offset, now.age_ms, now.bytes, now.count);
	}
	return reason;
}
