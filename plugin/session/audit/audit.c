/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the audit knows besides the log: who came and went, who asked to read what, what was refused. Nothing here fails
 * what it takes down. While the store fails, records wait in memory and are written when it has recovered.
 */
#include "session/audit/notes.h"
#include "session/internal.h"

#include <stdio.h>

#define HF_REFUSALS_EACH 20 /* of one client within HF_REFUSALS_MS, one by one; the rest is counted */
#define HF_REFUSALS_MS 1000
#define NO_LOCAL 4 /* in the options of a subscription: MQTT 5, section 3.8.3.1 */

void hf_audit_due(struct hf_hub *hub)
{
	if (hf_store_audits(hub->store)) {
		hf_hub_due(hub, HF_TIMER_SEAL, HF_SEAL_MS);
	}
}

void hf_note(struct hf_hub *hub, struct hf_audit *record)
{
	record->time_ms = hub->broker.now_ms(hub->broker.context);
	enum hf_reason reason = hf_audit_add(hub->store, record);
	if (reason == HF_OK) {
		reason = hf_audit_write(hub->store);
	}
	if (reason == HF_STORE_FAILED) {
		hf_hub_due(hub, HF_TIMER_RECOVER, HF_RECOVER_MS);
	} else if (reason != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "a record of the audit (%s) was lost: %s", hf_audit_kind_name(record->kind),
			hf_reason_sentence(reason));
	}
	hf_audit_due(hub);
}

void hf_note_of_device(struct hf_hub *hub, const struct hf_device *device, struct hf_audit *record)
{
	record->identity = hf_slice_of(device->identity);
	record->device = hf_slice_of(device->id);
	record->address = hf_slice_of(device->address);
	hf_note(hub, record);
}

/* ---- the broker */

void hf_note_started(struct hf_hub *hub)
{
	hf_note(hub, &(struct hf_audit){.kind = HF_AUDIT_STARTED,
					 .topic = hf_slice_of(hub->options.root),
					 .detail = hf_slice_of("holdfast " HF_VERSION)});
}

void hf_note_stopped(struct hf_hub *hub)
{
	hf_note(hub, &(struct hf_audit){.kind = HF_AUDIT_STOPPED});
}

void hf_note_roles(struct hf_hub *hub)
{
	struct hf_audit record = {.kind = HF_AUDIT_ROLES,
		.reason = hf_slice_of(hf_role_name(hub->options.anonymous_role)),
		.detail = hf_slice_of(hub->options.roles)};

	hf_buffer_clear(&hub->scratch);
	if (hf_access_text(hub->access, &hub->scratch)) {
		record.text = hf_buffer_slice(&hub->scratch);
	}
	hf_note(hub, &record);
}

/* ---- clients */

void hf_note_connected(struct hf_hub *hub, const struct hf_device *device, const struct hf_connection *connection)
{
	struct hf_audit record = {
		.kind = HF_AUDIT_CONNECTED,
		.protocol = hf_slice_of(connection->protocol),
		.port = connection->port,
		.detail = hf_slice_of(connection->clean ? HF_AUDIT_CLEAN : NULL),
	};

	hf_note_of_device(hub, device, &record);
}

void hf_note_disconnected(struct hf_hub *hub, const struct hf_device *device, enum hf_why why)
{
	hf_note_of_device(hub, device,
		&(struct hf_audit){.kind = HF_AUDIT_DISCONNECTED,
			.reason = hf_slice_of(hf_why_name(why)),
			.detail = hf_slice_of(device->durable ? HF_AUDIT_KEPT : NULL)});
}

void hf_note_subscribed(
	struct hf_hub *hub, const struct hf_device *device, const char *filter, struct hf_slice session, uint8_t options)
{
	char detail[64];

	snprintf(detail, sizeof(detail), "QoS %d%s%s", options & 3, device->durable ? ", " HF_AUDIT_KEPT : "",
		options & NO_LOCAL ? ", " HF_AUDIT_NO_LOCAL : "");
	struct hf_audit record = {
		.kind = HF_AUDIT_SUBSCRIBED,
		.session = session,
		.topic = hf_slice_of(filter),
		.detail = hf_slice_of(detail),
	};

	hf_note_of_device(hub, device, &record);
}

void hf_note_unsubscribed(
	struct hf_hub *hub, const struct hf_device *device, const char *filter, struct hf_slice session)
{
	hf_note_of_device(hub, device,
		&(struct hf_audit){.kind = HF_AUDIT_UNSUBSCRIBED, .session = session, .topic = hf_slice_of(filter)});
}

void hf_note_session_ended(struct hf_hub *hub, const struct hf_device *device)
{
	hf_note_of_device(
		hub, device, &(struct hf_audit){.kind = HF_AUDIT_UNSUBSCRIBED, .reason = hf_slice_of("session-ended")});
}

/* ---- refusals: a client that is refused again and again must not fill the disk */

struct hf_refusals {
	UT_hash_handle hh;
	unsigned int noted;
	uint64_t counted; /* besides */
	char reason[64];  /* what these have in common; "" where they differ */
	char act[16];
	char identity[256];
	char device[];
};

/* Keep what the counted ones have in common. */
static void keep_common(const struct hf_refusals *refusals, char *common, size_t size, const char *text)
{
	if (refusals->counted == 0) {
		snprintf(common, size, "%s", text ? text : "");
	} else if (strncmp(common, text ? text : "", size - 1) != 0) {
		*common = '\0';
	}
}

static struct hf_refusals *refusals_of(struct hf_hub *hub, const struct hf_denial *denial)
{
	struct hf_refusals *refusals;

	HASH_FIND_STR(hub->refusals, denial->device, refusals);
	if (!refusals) {
		refusals = calloc(1, sizeof(*refusals) + strlen(denial->device) + 1);
		if (!refusals) {
			return NULL;
		}
		strcpy(refusals->device, denial->device);
		HASH_ADD_STR(hub->refusals, device, refusals);
		hf_hub_due(hub, HF_TIMER_REFUSALS, HF_REFUSALS_MS);
	}
	return refusals;
}

void hf_note_refused(struct hf_hub *hub, const struct hf_denial *denial)
{
	if (!hf_store_audits(hub->store)) {
		return;
	}
	struct hf_refusals *refusals = refusals_of(hub, denial);
	if (refusals && refusals->noted >= HF_REFUSALS_EACH) {
		keep_common(refusals, refusals->reason, sizeof(refusals->reason), denial->reason);
		keep_common(refusals, refusals->act, sizeof(refusals->act), denial->act);
		keep_common(refusals, refusals->identity, sizeof(refusals->identity), denial->identity);
		refusals->counted++;
		return;
	}
	if (refusals) {
		refusals->noted++;
	}
	hf_note(hub, &(struct hf_audit){
					 .kind = HF_AUDIT_REFUSED,
					 .identity = hf_slice_of(denial->identity),
					 .device = hf_slice_of(denial->device),
					 .address = hf_slice_of(denial->address),
					 .session = denial->session,
					 .topic = hf_slice_of(denial->topic),
					 .act = hf_slice_of(denial->act),
					 .reason = hf_slice_of(denial->reason),
					 .detail = hf_slice_of(denial->detail),
					 .count = 1,
				 });
}

void hf_refused(struct hf_hub *hub, const char *id, const char *user_name, const char *address, const char *why)
{
	hf_note_refused(hub, &(struct hf_denial){
							 .device = id,
							 .address = address,
							 .session = HF_SLICE_NONE,
							 .act = "connect",
							 .reason = why,
							 .detail = user_name, /* not the identity: nobody has checked it */
						 });
}

void hf_refusals_pass(struct hf_hub *hub)
{
	struct hf_refusals *refusals, *next;

	HASH_ITER(hh, hub->refusals, refusals, next)
	{
		if (refusals->counted > 0) {
			hf_note(hub, &(struct hf_audit){
							 .kind = HF_AUDIT_REFUSED,
							 .identity = hf_slice_of(refusals->identity),
							 .device = hf_slice_of(refusals->device),
							 .act = hf_slice_of(refusals->act),
							 .reason = hf_slice_of(*refusals->reason ? refusals->reason : "various"),
							 .detail = hf_slice_of("and more"),
							 .count = refusals->counted,
						 });
		}
		HASH_DEL(hub->refusals, refusals);
		free(refusals);
	}
}

/* ---- seals */

void hf_audit_seal_now(struct hf_hub *hub)
{
	enum hf_reason reason = hf_audit_seal(hub->store, hub->broker.now_ms(hub->broker.context));

	if (reason != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the audit could not be sealed, trying again: %s", hf_store_error(hub->store));
		hf_audit_due(hub);
	}
}

void hf_audit_take_next_key(struct hf_hub *hub)
{
	bool rotated;
	enum hf_reason reason = hf_audit_rotate(hub->store, hub->broker.now_ms(hub->broker.context), &rotated);

	if (reason != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "the key of the audit stays as it was: %s", hf_store_error(hub->store));
	} else if (rotated) {
		hf_say(hub, HF_LOG_WARNING, "the audit is sealed with a new key from now on");
	}
	hf_audit_due(hub);
}
