/* SPDX-License-Identifier: BSD-3-Clause */
/* What entries of a kind mean: responses, signals, questions, shared state. */
#ifndef HF_SESSION_KINDS_H
#define HF_SESSION_KINDS_H

#include "session/internal.h"

/* responses.c */
enum hf_reason hf_tokens_check(struct hf_hub *hub, struct hf_incoming *incoming);
void hf_tokens_apply(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry);
enum hf_reason hf_responses_load(struct hf_hub *hub, struct hf_session *session);
enum hf_reason hf_responses_write(struct hf_hub *hub, struct hf_session *session);
void hf_responses_free(struct hf_hub *hub, struct hf_session *session);
/* Close, by a notice each, the open responses of which this member sent the last batch. Not HF_OK: some are still open.
 */
enum hf_reason hf_responses_close(struct hf_hub *hub, struct hf_member *member, enum hf_closed closed);
/* Likewise those of everybody who has not the floor. */
enum hf_reason hf_responses_yield(struct hf_hub *hub, struct hf_session *session);
/* Likewise all of them. */
enum hf_reason hf_responses_close_all(struct hf_hub *hub, struct hf_session *session, enum hf_closed closed);
void hf_responses_forget(struct hf_hub *hub, struct hf_member *member); /* they stay open, nobody's */
/* They are another member's of the same session from now on. */
void hf_responses_hand_over(struct hf_hub *hub, struct hf_member *member, struct hf_member *to);
void hf_response_replay(struct hf_hub *hub, struct hf_session *session,
	const struct hf_entry *entry); /* session: NULL when not in memory */
void hf_response_replay_closed(
	struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, const struct hf_notice *notice);
void hf_responses_stop_due(struct hf_hub *hub); /* those that were interrupted and have not ended in time */

/* signals.c */
enum hf_reason hf_signal_check(struct hf_hub *hub, struct hf_incoming *incoming);
void hf_signal_apply(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry);
void hf_signal_replay(
	struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry); /* session: as above */

/* held.c: interrupts of responses that nobody has begun, of a session that comes into memory, and that goes */
enum hf_reason hf_held_load(struct hf_hub *hub, struct hf_session *session);
void hf_held_free(struct hf_session *session);

/* asks.c: questions and answers. Each kind's check and apply; what the facts say of a session that comes into memory;
 * replay; the timer. */
enum hf_reason hf_ask_check(struct hf_hub *hub, struct hf_incoming *incoming);
void hf_ask_apply(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry);
enum hf_reason hf_answer_check(struct hf_hub *hub, struct hf_incoming *incoming);
void hf_answer_apply(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry);
enum hf_reason hf_asks_load(struct hf_hub *hub, struct hf_session *session);
void hf_asks_free(struct hf_session *session);
/* End the open ones, by a notice each that says why. Not HF_OK: some are still open. */
enum hf_reason hf_asks_close(struct hf_hub *hub, struct hf_session *session, struct hf_slice why);
/* Likewise those that an identity has asked, also of a session that is not in memory. */
enum hf_reason hf_asks_erase(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity);
size_t hf_asks_list(
	const struct hf_session *session, struct hf_document_ask *out); /* how many; out: NULL, or room for them */
void hf_ask_replay(
	struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry); /* session: as above */
void hf_asks_expire(struct hf_hub *hub);
void hf_asks_forget(
	struct hf_hub *hub, struct hf_session *session); /* those that ended with an entry that is no longer kept */

/* shared.c */
enum hf_reason hf_shared_check(struct hf_hub *hub, struct hf_incoming *incoming);
void hf_shared_apply(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry);
/* The values of an identity go, and their keys with them. As hf_asks_erase. */
enum hf_reason hf_shared_erase(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity);
void hf_shared_replay(struct hf_hub *hub, struct hf_session *session,
	const struct hf_entry *entry); /* session: NULL when not in memory */
void hf_shared_show(struct hf_hub *hub, const struct hf_device *device,
	const struct hf_filter *filter);     /* have retained what it will look up */
void hf_shared_hide(struct hf_hub *hub); /* it has looked */
void hf_shared_free(struct hf_hub *hub);

#endif
