/* SPDX-License-Identifier: BSD-3-Clause */
/* Identities, the audience of a session, and its floor. Who takes part, and how they are: presence.h; wake-ups: wake.h.
 */
#ifndef HF_SESSION_PEOPLE_H
#define HF_SESSION_PEOPLE_H

#include "session/internal.h"

/* people.c */
struct hf_person *hf_person_hold(struct hf_hub *hub, const char *identity); /* give it back; NULL: no memory */
struct hf_person *hf_person_find(const struct hf_hub *hub, struct hf_slice identity); /* NULL: not in memory */
void hf_person_release(struct hf_hub *hub, struct hf_person *person);                 /* NULL allowed */

/* audience.c */
void hf_session_audience(struct hf_hub *hub, const struct hf_session *session, struct hf_audience *out);
bool hf_session_attended(struct hf_hub *hub, const struct hf_session *session); /* is there any? */
void hf_audience_caught_up(struct hf_hub *hub, const struct hf_device *device);
bool hf_attachment_watches(
	const struct hf_attachment *attachment); /* is it one of the audience, by a filter that names the session? */

/* unattended.c: is somebody there to read token batches, and what if not */
enum hf_reason hf_unattended_command(struct hf_hub *hub, struct hf_incoming *incoming,
	const struct hf_control_request *request, struct hf_buffer *answer);
enum hf_reason hf_unattended_load(struct hf_hub *hub, struct hf_session *session);
void hf_unattended_replay(
	struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, const struct hf_notice *notice);
bool hf_unattended_rejects(const struct hf_hub *hub, const struct hf_session *session); /* those that nobody reads */
enum hf_reason hf_unattended_check(
	struct hf_hub *hub, const struct hf_session *session, const struct hf_token_batch *batch); /* HF_UNATTENDED */

/* floor.c */
enum hf_reason hf_floor_command(struct hf_hub *hub, struct hf_incoming *incoming,
	const struct hf_control_request *request, struct hf_buffer *answer);
/* Nobody has it any more, since the session ends; by whom: NULL where not known. */
enum hf_reason hf_floor_close(struct hf_hub *hub, struct hf_session *session, const char *by);
enum hf_reason hf_floor_check(struct hf_incoming *incoming); /* may it be stored, by the floor and its epoch? */
bool hf_floor_allows(struct hf_hub *hub, const struct hf_session *session, struct hf_slice identity); /* to answer */
void hf_floor_init(struct hf_session *session);
enum hf_reason hf_floor_load(struct hf_hub *hub, struct hf_session *session);
void hf_floor_free(struct hf_hub *hub, struct hf_session *session);
void hf_floor_show(const struct hf_session *session, struct hf_document_floor *out);
void hf_floor_replay(
	struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, const struct hf_notice *notice);
void hf_floor_person_gone(
	struct hf_hub *hub, const struct hf_person *person); /* a device of it has gone; NULL allowed */
void hf_floors_watch(struct hf_hub *hub);

#endif
