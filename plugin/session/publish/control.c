/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on S/control: who may give which command, and what carries it out. A new command needs a line here and one
 * in codec/control.h. */
#include "session/audit/notes.h"
#include "session/log/ending.h"
#include "session/people/people.h"
#include "session/people/presence.h"
#include "session/publish/publish.h"

#include <stdio.h>

#define BIT(role) (1u << (role))
#define TALKERS (BIT(HF_ROLE_AGENT) | BIT(HF_ROLE_OPERATOR))

static const struct {
	unsigned int roles;
	bool within; /* something done by who takes part in the session, which must not have ended */
	/* Carry it out and write what shall be answered. Reasons refuse it: then nothing has happened. */
	enum hf_reason (*handle)(struct hf_hub *hub, struct hf_incoming *incoming, const struct hf_control_request *request,
		struct hf_buffer *answer);
} commands[HF_COMMAND_COUNT] = {
	[HF_COMMAND_CLAIM] = {TALKERS, true, hf_floor_command},
	[HF_COMMAND_TRANSFER] = {TALKERS, true, hf_floor_command},
	[HF_COMMAND_ACCEPT] = {TALKERS, true, hf_floor_command},
	[HF_COMMAND_DECLINE] = {TALKERS, true, hf_floor_command},
	[HF_COMMAND_HANDBACK] = {TALKERS, true, hf_floor_command},
	[HF_COMMAND_RELEASE] = {TALKERS, true, hf_floor_command},
	[HF_COMMAND_UNATTENDED] = {TALKERS, true, hf_unattended_command},
	[HF_COMMAND_CLOSE] = {BIT(HF_ROLE_ADMIN), false, hf_end_command},
	[HF_COMMAND_ERASE] = {BIT(HF_ROLE_ADMIN), false, hf_end_command},
	[HF_COMMAND_LIMITS] = {BIT(HF_ROLE_ADMIN), false, hf_limits_command},
};

static enum hf_reason check(struct hf_hub *hub, struct hf_incoming *incoming, struct hf_control_request *request)
{
	if (incoming->publish->payload.len > hub->options.payload_max) {
		return HF_PAYLOAD_TOO_LARGE;
	}
	enum hf_reason reason = hf_control_decode(incoming->publish->payload, request);
	if (reason == HF_OK && !(commands[request->command].roles & BIT(incoming->role))) {
		reason = HF_NOT_PERMITTED;
	}
	if (reason != HF_OK) {
		return reason;
	}
	incoming->session = hf_session_use(hub, incoming->topic.session);
	if (!incoming->session) {
		return HF_NO_MEMORY;
	}
	if (!incoming->session->log) {
		return HF_SESSION_UNKNOWN;
	}
	return commands[request->command].within ? hf_session_ended(incoming->session) : HF_OK;
}

/* Who did it, from where: the notice in the log says neither of these, and goes with what retention removes. */
static void note(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_control_request *request)
{
	const struct hf_publish *publish = incoming->publish;
	char detail[HF_IDENTITY_MAX + 16];
	struct hf_audit record = {
		.kind = HF_AUDIT_CONTROLLED,
		.identity = hf_slice_of(publish->identity),
		.device = hf_slice_of(publish->device),
		.address = hf_slice_of(publish->address),
		.session = incoming->topic.session,
		.act = hf_slice_of(hf_command_name(request->command)),
		.last = hf_session_head(incoming->session),
	};

	if (request->command == HF_COMMAND_TRANSFER) {
		snprintf(detail, sizeof(detail), "%s to %.*s", request->cold ? "cold" : "warm", (int)request->to.len,
			request->to.data);
		record.detail = hf_slice_of(detail);
	} else if (request->command == HF_COMMAND_UNATTENDED) {
		record.detail = hf_slice_of(request->reject ? "reject" : "allow");
	}
	hf_note(hub, &record);
}

enum hf_reason hf_control(struct hf_hub *hub, struct hf_incoming *incoming)
{
	struct hf_control_request request;
	struct hf_buffer answer = {.data = NULL};
	enum hf_reason reason = check(hub, incoming, &request);

	if (reason == HF_OK) {
		reason = commands[request.command].handle(hub, incoming, &request, &answer);
	}
	if (reason == HF_OK) {
		note(hub, incoming, &request);
		if (commands[request.command].within && incoming->device && incoming->device->online &&
			!incoming->publish->will) {
			hf_join(hub, incoming->device, incoming->session, false);
		}
		hf_answer_with(hub, incoming, hf_buffer_slice(&answer));
	}
	hf_buffer_free(&answer);
	return reason;
}
