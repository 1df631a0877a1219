/* SPDX-License-Identifier: BSD-3-Clause */
/* What is taken down besides the log. */
#ifndef HF_SESSION_NOTES_H
#define HF_SESSION_NOTES_H

#include "session/internal.h"

/* audit.c: what is taken down besides the log. */
struct hf_denial {
	const char *device, *identity, *address; /* NULL where not known */
	struct hf_slice session;                 /* empty when it names none */
	const char *topic;                       /* or filter */
	const char *act;                         /* "connect", "publish", "subscribe" */
	const char *reason, *detail;             /* detail may be NULL */
};
void hf_note(struct hf_hub *hub, struct hf_audit *record); /* fills in when */
void hf_note_started(struct hf_hub *hub);
void hf_note_stopped(struct hf_hub *hub);
void hf_note_roles(struct hf_hub *hub); /* those in force from now on */
void hf_note_connected(struct hf_hub *hub, const struct hf_device *device, const struct hf_connection *connection);
void hf_note_disconnected(struct hf_hub *hub, const struct hf_device *device, enum hf_why why);
void hf_note_subscribed(
	struct hf_hub *hub, const struct hf_device *device, const char *filter, struct hf_slice session, uint8_t options);
void hf_note_unsubscribed(
	struct hf_hub *hub, const struct hf_device *device, const char *filter, struct hf_slice session);
/* What the broker kept of a device that is away has ended, its subscriptions with it. */
void hf_note_session_ended(struct hf_hub *hub, const struct hf_device *device);
void hf_note_of_device(
	struct hf_hub *hub, const struct hf_device *device, struct hf_audit *record); /* fills in who, whence, when */
void hf_note_refused(struct hf_hub *hub, const struct hf_denial *denial);
void hf_refusals_pass(struct hf_hub *hub); /* those that were only counted are noted */
void hf_asked_pass(struct hf_hub *hub);    /* admin/asked.c: likewise questions that went on */
void hf_audit_due(struct hf_hub *hub);     /* there is something to seal */
void hf_audit_seal_now(struct hf_hub *hub);
void hf_audit_take_next_key(struct hf_hub *hub); /* if there is one */

/* keep.c: what of the audit is too old goes. */
void hf_audit_keep_look(struct hf_hub *hub);
void hf_audit_keep_soon(struct hf_hub *hub); /* it shall be looked at: at start, and when a hold was lifted */

#endif
