/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients: a socket that may be full, Packet Identifiers that they remember (MQTT 5, section 4.3.3), and answers that
 * come late, in any order, or never. */
#include "fake.h"

#include <inttypes.h>

#include "log.h"

static bool holds(const struct reader *reader, uint16_t mid)
{
	for (unsigned i = 0; i < reader->held_count; i++) {
		if (reader->held[i] == mid) {
			return true;
		}
	}
	return false;
}

static void hold(struct reader *reader, uint16_t mid)
{
	if (!holds(reader, mid)) {
		must(reader->held_count < HELD, "a client holds too many messages for this program");
		reader->held[reader->held_count++] = mid;
	}
}

static void let_go(struct reader *reader, uint16_t mid)
{
	for (unsigned i = 0; i < reader->held_count; i++) {
		if (reader->held[i] == mid) {
			reader->held[i] = reader->held[--reader->held_count];
			return;
		}
	}
}

static void inbox_add(struct context *context, const struct receipt *receipt)
{
	must(context->inbox_count < HELD, "a client has too many messages for this program");
	context->inbox[context->inbox_count++] = *receipt;
}

static void advance(struct reader *reader, const struct message *message)
{
	if (message->what == WHAT_ENTRY && message->pass == reader->stream_pass && message->lsn > reader->stream_last) {
		reader->stream_last = message->lsn;
	}
}

/* All new, or all seen before: so a client need only look at the offset of a message, not into it. Returns how many. */
static unsigned note_seen(struct reader *reader, const char *device, const struct message *message)
{
	bool before = reader->seen[message->first];
	unsigned count = 0;

	for (uint64_t lsn = message->first; lsn <= message->lsn; lsn++) {
		if (log_is_part(lsn, message->first, message->lsn)) {
			must(reader->seen[lsn] == before || message->pass < reader->pass,
				"%s receives entries %" PRIu64 " to %" PRIu64 ", some of which it has seen", device, message->first,
				message->lsn);
			reader->seen[lsn] = reader->seen[lsn] || message->pass == reader->pass;
			count++;
		}
	}
	return count;
}

static void read_entry(struct reader *reader, const char *device, const struct message *message)
{
	unsigned count = note_seen(reader, device, message);

	if (message->dup) {
		reader->got_again++;
		advance(reader, message); /* the first time, it was lost */
		return;
	}
	/* Each pass over the log rises. A retransmission is let pass: it is older, and says so. */
	must(message->pass >= reader->stream_pass, "%s receives an entry of before it was told to start elsewhere", device);
	if (message->pass > reader->stream_pass) {
		reader->stream_pass = message->pass;
		reader->stream_last = 0;
	}
	must(message->first > reader->stream_last, "%s receives entry %" PRIu64 " after entry %" PRIu64, device,
		message->first, reader->stream_last);
	reader->stream_last = message->lsn;
	reader->got += count;
}

static void read_packet(unsigned index, const struct message *message)
{
	struct context *context = &contexts[index];
	struct reader *reader = &world->readers[index];

	if (message->qos == 2 && message->what != WHAT_OTHER && holds(reader, message->mid)) {
		must(message->dup, "%s takes a new message for a repeat: it still holds Packet Identifier %u",
			people[index].device, message->mid);
	} else if (message->orphan) {
		reader->got_again++;
	} else if (message->what == WHAT_ENTRY) {
		read_entry(reader, people[index].device, message);
	} else if (message->after > 0 && message->pass == reader->stream_pass && message->pass == reader->pass &&
			   !reader->debts[message->after]
				   .lost) { /* told to start elsewhere since, what it was then is not known any more */
		must(reader->stream_last >= message->after,
			"%s is told that it has caught up, but entry %" PRIu64 " comes later", people[index].device,
			message->after);
	}
	if (message->qos == 2) {
		hold(reader, message->mid);
	}
	if (message->qos > 0) {
		inbox_add(context, &(struct receipt){.mid = message->mid, .qos = message->qos});
	}
}

void client_receive(unsigned index, const struct message *message)
{
	struct context *context = &contexts[index];

	if (!context->connected) {
		return; /* the connection broke before it was seen: nothing arrives */
	}
	if (!context->blocked) {
		read_packet(index, message);
		return;
	}
	if (context->outbox.count >= world->config.max_queued && message->what != WHAT_OTHER) {
		/* packet__queue_append: gone without a word, though the broker waits for its acknowledgement. What it discards
		 * of its own is not ours to look after. */
		fail("the broker discards a message for %s, whose socket is full", people[index].device);
	}
	must(message_add(&context->outbox, message), "out of memory");
}

void client_read_some(unsigned index, size_t count)
{
	struct messages *outbox = &contexts[index].outbox;

	for (; count > 0 && outbox->count > 0; count--) {
		read_packet(index, &outbox->data[0]);
		message_remove(outbox, 0);
	}
}

void client_unblock(unsigned index)
{
	contexts[index].blocked = false;
	client_read_some(index, SIZE_MAX);
	messages_free(&contexts[index].outbox);
}

void client_receive_pubrel(unsigned index, uint16_t mid)
{
	if (contexts[index].connected) {
		inbox_add(&contexts[index], &(struct receipt){.mid = mid, .qos = 2, .pubrel = true});
	}
}

void client_lost_socket(unsigned index)
{
	for (size_t i = 0; i < contexts[index].outbox.count; i++) {
		if (contexts[index].outbox.data[i].qos == 0) {
			advance(&world->readers[index], &contexts[index].outbox.data[i]); /* it will never come */
		}
	}
	contexts[index].inbox_count = 0;
	contexts[index].blocked = false;
	messages_free(&contexts[index].outbox);
}

/* ---- answers */

static int in_flight(const struct context *context, uint16_t mid)
{
	for (size_t i = 0; i < context->inflight.count; i++) {
		if (context->inflight.data[i].mid == mid && context->inflight.data[i].qos > 0) {
			return (int)i;
		}
	}
	return -1;
}

/* PUBACK, PUBCOMP, or a failing PUBREC: db__message_delete_outgoing. */
static void release(unsigned index, uint16_t mid, enum hf_outcome outcome)
{
	struct context *context = &contexts[index];
	int at = in_flight(context, mid);

	context->quota += context->quota < context->receive_maximum;
	must(at >= 0, "%s answers a message that is not in flight", people[index].device);
	struct message message = context->inflight.data[at];
	left_books(index, &message, outcome);
	message_remove(&context->inflight, (size_t)at);
	fill_and_write(index);
}

bool client_answer(unsigned index, bool nicely)
{
	struct context *context = &contexts[index];
	struct reader *reader = &world->readers[index];

	if (!context->connected || context->blocked || context->inbox_count == 0) {
		return false;
	}
	activity++;
	unsigned at = one_in(3) ? (unsigned)chance(context->inbox_count) : 0;
	struct receipt receipt = context->inbox[at];
	context->inbox_count--;
	memmove(context->inbox + at, context->inbox + at + 1, (context->inbox_count - at) * sizeof(receipt));
	if (receipt.qos == 1) {
		note("%s acknowledges %u", people[index].device, receipt.mid);
		release(index, receipt.mid, HF_OUTCOME_ACKNOWLEDGED);
	} else if (receipt.pubrel) {
		note("%s completes %u", people[index].device, receipt.mid);
		let_go(reader, receipt.mid);
		release(index, receipt.mid, HF_OUTCOME_ACKNOWLEDGED);
	} else if (!nicely && one_in(10)) {
		note("%s rejects %u", people[index].device, receipt.mid);
		let_go(reader, receipt.mid);
		release(index, receipt.mid, HF_OUTCOME_REJECTED);
	} else {
		note("%s has received %u", people[index].device, receipt.mid);
		int found = in_flight(context, receipt.mid);
		must(found >= 0, "%s answers a message that is not in flight", people[index].device);
		context->inflight.data[found].state = STATE_WAIT_PUBCOMP;
		client_receive_pubrel(index, receipt.mid);
	}
	return true;
}
