/* SPDX-License-Identifier: BSD-3-Clause */
/* Into the log, out of it by pages, and what is derived from it anew. */
#ifndef HF_SESSION_LOG_H
#define HF_SESSION_LOG_H

#include "session/internal.h"

/* append.c: the only way into the log, for publishes and for what Holdfast itself has to say. */
/* Append, derive, hand on. Fills in session, lsn, offset and time of the entry; `incoming` is the publish that it comes
 * from, NULL when none. Reasons as hf_log_append: after anything but HF_OK nothing was handed on. */
enum hf_reason hf_append(
	struct hf_hub *hub, struct hf_session *session, struct hf_entry *entry, struct hf_incoming *incoming);
enum hf_reason hf_append_notice(struct hf_hub *hub, struct hf_session *session, const struct hf_notice *notice);
void hf_publish_apply(struct hf_hub *hub, struct hf_incoming *incoming, const struct hf_entry *entry); /* publish.c */

/* replay.c: entries that the derived data may not know yet, at open and after the store had failed. */
void hf_replay(void *hub, const struct hf_entry *entry);

/* history.c */
enum hf_reason hf_history(
	struct hf_hub *hub, struct hf_device *device, const struct hf_publish *publish, const struct hf_topic *topic);

#endif
