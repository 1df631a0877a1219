/* SPDX-License-Identifier: BSD-3-Clause */
/* What a device is handed, and when: its filters, its cursor, what is in flight. */
#ifndef HF_SESSION_DELIVERY_H
#define HF_SESSION_DELIVERY_H

#include "session/internal.h"

/* due.c */
/* Does the filter match the entry? And, with a wildcard session, does it reach back to it, where it began at an offset
 * or with the last N of each? Not whether the entry lies behind `from`, nor whether anybody may read it. */
bool hf_subscription_matches(const struct hf_subscription *subscription, const struct hf_entry *entry);
bool hf_subscription_begun(
	struct hf_hub *hub, const struct hf_subscription *subscription, const struct hf_entry *entry);
bool hf_device_wants(
	struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry, struct hf_match *match);

/* delivery.c */
/* An entry that is due; `first`: where entries were joined into this one, the first of them, else the entry itself.
 * Anything but HF_DROPPED: the device is past it. */
enum hf_handover hf_hand_entry(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry,
	const struct hf_entry *first, const struct hf_match *match);
bool hf_device_comes_back(const struct hf_device *device); /* will an event of the broker bring us back to it? */
void hf_device_try_later(struct hf_hub *hub, struct hf_device *device); /* the broker had no room for it */
void hf_fan_out(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry);
bool hf_has_room(const struct hf_hub *hub, const struct hf_device *device);
uint8_t hf_document_qos(const struct hf_device *device, enum hf_kind kind);
bool hf_hand_document(
	struct hf_hub *hub, struct hf_device *device, struct hf_slice session, enum hf_kind kind, struct hf_slice payload);
/* As above; a mark that an entry will not come. */
bool hf_hand_gap(struct hf_hub *hub, struct hf_device *device, struct hf_slice session, struct hf_slice payload,
	const struct hf_handed *instead);

/* pump.c: go on from the log */
void hf_pump(struct hf_hub *hub, struct hf_device *device);

/* positions.c */
enum hf_reason hf_position_offset(
	struct hf_log *log, struct hf_position position, uint64_t *offset); /* it may lie beyond either end */
/* Where a filter begins that is to begin at this position: one that names its session, one with a wildcard there. The
 * first: HF_OK, HF_NO_MEMORY, HF_POSITION_INVALID, and what the log says. */
enum hf_reason hf_subscription_place_in_session(
	struct hf_hub *hub, struct hf_subscription *subscription, struct hf_position position);
void hf_subscription_place_anywhere(
	struct hf_hub *hub, struct hf_subscription *subscription, struct hf_position position);

/* subscriptions.c */
void hf_subscriptions_attach(struct hf_hub *hub, struct hf_device *device);
void hf_subscriptions_detach(struct hf_hub *hub, struct hf_device *device);
void hf_subscriptions_allow(struct hf_hub *hub, struct hf_device *device);
void hf_subscriptions_free(struct hf_hub *hub, struct hf_device *device);
struct hf_subscription *hf_subscription_add(struct hf_device *device, struct hf_slice kept); /* NULL: no memory */
uint64_t hf_subscriptions_held(const struct hf_device *device);                              /* by slot */

/* cursors.c: devices in the store */
enum hf_reason hf_devices_write(struct hf_hub *hub);
enum hf_reason hf_devices_load(struct hf_hub *hub);
void hf_device_forget_stored(struct hf_hub *hub, struct hf_device *device); /* with its subscriptions */
void hf_filter_forget_stored(struct hf_hub *hub, struct hf_device *device, const struct hf_subscription *subscription);

/* owed.c. Filters are given by slot. */
bool hf_owed_add(struct hf_device *device, const struct hf_owed *owed);        /* false: no memory */
bool hf_owed_handed(struct hf_device *device, const struct hf_handed *handed); /* it is owed, then; likewise */
uint64_t hf_owed_filters(const struct hf_device *device, uint64_t lsn);        /* under which something is owed there */
uint64_t hf_owed_under(const struct hf_device *device, const struct hf_entry *entry); /* under which this entry is */
bool hf_owed_alone(const struct hf_device *device,
	uint64_t lsn); /* this very entry is owed, not those that were joined from here on */
uint64_t hf_owed_after(const struct hf_device *device, uint64_t lsn); /* the next entry owed; UINT64_MAX: none */
uint64_t hf_owed_first(
	const struct hf_device *device, uint64_t filters); /* the first that one of these is owed; likewise */
void hf_owed_settle(
	struct hf_device *device, uint64_t first, uint64_t last, uint64_t filters); /* of these LSNs nothing more */
void hf_owed_given(struct hf_device *device, uint64_t first, const struct hf_entry *entry,
	uint64_t filters); /* it was handed this one, and those from this LSN on that were joined with it */
void hf_owed_clear(struct hf_device *device);

/* ring.c: what a durable device was handed and has not acknowledged */
struct hf_handed *hf_ring_at(const struct hf_device *device, size_t index); /* of ring_count, the oldest first */
bool hf_ring_reserve(struct hf_device *device);                             /* room for one more; false: no memory */
void hf_ring_push(struct hf_device *device, const struct hf_handed *handed);
struct hf_handed *hf_ring_find_lsn(struct hf_device *device, uint64_t lsn); /* the entry itself, not acknowledged */
struct hf_handed *hf_ring_newest(struct hf_device *device);                 /* the ring is not empty */
struct hf_handed *hf_ring_find(struct hf_device *device, uint64_t handle);
void hf_ring_done(struct hf_device *device, struct hf_handed *handed);
void hf_ring_release(
	struct hf_device *device, const struct hf_subscription *subscription); /* it owes nothing any more */
void hf_ring_clear(struct hf_device *device);
void hf_ring_give_up(struct hf_device *device, struct hf_handed *handed); /* hollow from now on */
struct hf_handed *hf_ring_hollow(
	struct hf_device *device, uint64_t first, uint64_t lsn); /* 0, 0: the oldest; NULL: there is none */
void hf_ring_fill(struct hf_device *device, struct hf_handed *hollow, const struct hf_handed *mark);
void hf_ring_told(struct hf_device *device, struct hf_handed *hollow); /* and nothing to wait for */

/* rollup.c: token batches of one response, one behind the other, as one message */
/* Is it a batch that may be joined with others for this device? */
bool hf_rollup_takes(const struct hf_device *device, const struct hf_entry *entry, const struct hf_match *match,
	struct hf_token_batch *batch);
/* Keep a copy of it, to see what follows. False: nothing can follow, or no memory. */
bool hf_rollup_begin(struct hf_rollup *rollup, const struct hf_entry *entry, const struct hf_match *match,
	const struct hf_token_batch *batch, size_t payload_max);
/* Join it to what is kept. False: it does not belong there, or there is nothing. */
bool hf_rollup_add(struct hf_rollup *rollup, const struct hf_entry *entry, const struct hf_match *match,
	const struct hf_token_batch *batch);
/* What goes out: the one entry that was kept, or one made of all, whose LSN, offset and time are those of the last.
 * Valid until the next begin. Then nothing is kept any more. False: no memory. */
bool hf_rollup_end(struct hf_rollup *rollup, struct hf_entry *out);
void hf_rollup_free(struct hf_rollup *rollup);

/* unseen.c: what the broker does not tell of what became of a message */
void hf_unseen_begin(struct hf_device *device);
/* To the broker, and into the books of what it does not tell. May lower the message's QoS. */
enum hf_handover hf_hand_over(
	struct hf_hub *hub, struct hf_device *device, struct hf_message *message, uint64_t *handle);
/* The largest payload that a joined message may have in which this entry is the first one; 0: it cannot be in one. */
size_t hf_unseen_join_max(const struct hf_hub *hub, const struct hf_device *device, const struct hf_entry *entry,
	const struct hf_match *match);

/* unconfirmed.c: what a kept device was handed at QoS 0 and may not have got, since its connection broke */
void hf_unconfirmed_handed(struct hf_device *device, const struct hf_entry *first, uint64_t filters); /* by slot */
void hf_unconfirmed_read(struct hf_device *device); /* it has acknowledged something */
void hf_unconfirmed_lost(struct hf_device *device, enum hf_why why);
void hf_unconfirmed_restored(const struct hf_device *device, struct hf_subscription *subscription); /* from the store */
bool hf_unconfirmed_tell(struct hf_hub *hub, struct hf_device *device); /* false: the broker has no room */

/* gaps.c: what retention has removed before a device was given it */
enum hf_told {
	HF_TOLD_ALL,     /* it knows: what is left may follow */
	HF_TOLD_MORE,    /* there is more to look at */
	HF_TOLD_FULL,    /* it has yet to acknowledge that, or others */
	HF_TOLD_REFUSED, /* the broker has no room */
};
enum hf_told hf_gaps_tell(struct hf_hub *hub, struct hf_device *device);

/* marks.c */
void hf_tell_error(struct hf_hub *hub, struct hf_device *device, struct hf_slice session, struct hf_slice topic,
	const struct hf_refusal *refusal);
bool hf_mark_caught_up(struct hf_hub *hub, struct hf_device *device);
void hf_mark_gaps(struct hf_hub *hub, struct hf_device *device);
/* That the client will not get this entry, nor those before it that were joined with it, from this offset on: `instead`
 * is what it was handed, or would have been. True: it was told, or does not want to know. */
bool hf_mark_too_large(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry,
	uint64_t first_offset, const struct hf_handed *instead);
bool hf_mark_erased(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry,
	const struct hf_handed *instead); /* likewise, in the place of an entry without payload */
bool hf_mark_gone(struct hf_hub *hub, struct hf_device *device, struct hf_slice session, uint64_t first, uint64_t last,
	const char *why); /* likewise; "truncated" or "erased" */

bool hf_mark_unconfirmed(struct hf_hub *hub, struct hf_device *device, struct hf_slice session, uint64_t first,
	uint64_t last); /* likewise */

/* retained.c: put in place what this filter is about to look up */
void hf_retained_show(struct hf_hub *hub, const struct hf_device *device, const struct hf_filter *filter);

#endif
