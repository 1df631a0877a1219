/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake.h"

#include <inttypes.h>
#include <signal.h>

#include "codec/document.h"
#include "due.h"
#include "groups.h"
#include "log.h"
#include "store_control.h"

#define HANDLE_ENTRY (UINT64_C(1023) << 54)
#define HANDLE_OTHER (UINT64_C(1022) << 54)
#define HANDLE_SINGLE (UINT64_C(1021) << 54)
#define DOCUMENT_SIZE 60 /* of its packet: fits everywhere */

struct context contexts[READERS];
struct hf_hub *hub;
uint64_t activity;
struct refusal refusal;

static uint64_t others;
static unsigned writing; /* inside the broker's own writing: the hub may keep books, no more */

/* ---- lists of messages */

bool message_add(struct messages *messages, const struct message *message)
{
	if (messages->count == messages->size) {
		size_t size = messages->size ? messages->size * 2 : 32;
		struct message *data = realloc(messages->data, size * sizeof(*data));
		if (!data) {
			return false;
		}
		messages->data = data;
		messages->size = size;
	}
	messages->data[messages->count++] = *message;
	return true;
}

void message_remove(struct messages *messages, size_t index)
{
	messages->count--;
	memmove(messages->data + index, messages->data + index + 1, (messages->count - index) * sizeof(*messages->data));
}

void messages_free(struct messages *messages)
{
	free(messages->data);
	*messages = (struct messages){.data = NULL};
}

/* ---- out */

/* Mosquitto's PERSIST_CLIENT_MSG_DELETE, and what the model makes of it. */
void left_books(unsigned index, const struct message *message, enum hf_outcome outcome)
{
	bool denied = outcome == HF_OUTCOME_UNSENT && message->lsn > 0 &&
				  !reads(role_of(index, world->entries[message->lsn].session));

	if (message->what == WHAT_LOAN && message->lsn > 0 && !message->orphan) {
		(outcome == HF_OUTCOME_UNSENT ? group_returned : group_done)(
			message->group, message->life, index, message->lsn);
	} else if (message->what == WHAT_LOAN) {
		/* a mark, or not its work any more */
	} else if (message->orphan) {
		reader_orphan_left(index, message->first, message->lsn);
	} else if (message->what == WHAT_ENTRY && message->qos > 0) {
		if (outcome == HF_OUTCOME_UNSENT) {
			reader_given_up(index, message->first, message->lsn, contexts[index].persisted);
		} else {
			reader_acknowledged(index, message->first, message->lsn);
		}
	} else if (message->truncation) {
		note("  %s knows what is gone (%u)", people[index].device, message->mid);
		reader_truncation_known(index, message->handle);
	} else if (message->what == WHAT_DOCUMENT && message->lsn > 0 && denied) {
		reader_gap_taken_back(index, message->first, message->lsn, message->handle);
	} else if (message->what == WHAT_DOCUMENT && message->lsn > 0) {
		reader_gap_known(index, message->first, message->lsn, message->handle);
	}
	if (contexts[index].persisted && message->what != WHAT_OTHER && message->qos > 0) {
		writing++;
		hf_delivered(hub, people[index].device, message->handle, outcome);
		writing--;
	}
	if (message->what == WHAT_LOAN) { /* PERSIST_BASE_MSG_DELETE: nobody else has it */
		writing++;
		hf_released(hub, message->handle);
		writing--;
	}
}

/* Write one message; false: it left the list. */
static bool transmit(unsigned index, size_t at)
{
	struct context *context = &contexts[index];
	struct message *message = &context->inflight.data[at];

	if (message->state == STATE_RESEND_PUBREL) {
		message->state = STATE_WAIT_PUBCOMP;
		client_receive_pubrel(index, message->mid);
		return true;
	}
	if (message->state != STATE_PUBLISH) {
		return true;
	}
	activity++;
	if (context->max_packet > 0 && message->size > context->max_packet) {
		struct message gone = *message;
		note("  %s: a message of %u bytes is given up", people[index].device, (unsigned)gone.size);
		message_remove(&context->inflight, at);
		if (gone.what == WHAT_ENTRY && gone.qos == 0) {
			world->readers[index].debts[gone.lsn].lost = true; /* without a gap mark: the broker does not tell */
		}
		context->quota += gone.qos > 0;
		left_books(index, &gone, HF_OUTCOME_UNSENT);
		return false;
	}
	struct message packet = *message;
	message->dup = true;
	message->state = STATE_WAIT;
	if (packet.qos == 0) {
		message_remove(&context->inflight, at);
	}
	client_receive(index, &packet);
	return packet.qos > 0;
}

void write_all(unsigned index)
{
	size_t at = 0;

	while (at < contexts[index].inflight.count) {
		at += transmit(index, at);
	}
}

/* As db__message_write_inflight_out_latest: what stands behind the last one that is no longer to be published. */
static void write_latest(unsigned index)
{
	struct messages *inflight = &contexts[index].inflight;
	size_t at = inflight->count;

	while (at > 0 && inflight->data[at - 1].state == STATE_PUBLISH) {
		at--;
	}
	while (at < inflight->count) {
		at += transmit(index, at);
	}
}

void fill_and_write(unsigned index)
{
	struct context *context = &contexts[index];

	do {
		while (context->queued.count > 0 && context->quota > 0) {
			must(message_add(&context->inflight, &context->queued.data[0]), "out of memory");
			message_remove(&context->queued, 0);
			context->quota--;
		}
		if (context->connected) {
			write_latest(index);
		}
	} while (context->connected && context->queued.count > 0 && context->quota > 0); /* some were given up */
}

static bool holds(void *unused, const char *device, uint64_t handle)
{
	(void)unused;
	(void)device;
	(void)handle;
	return false; /* no answers here, yet */
}

static void flush(void *unused, const char *device)
{
	int index = reader_of_device(device);

	(void)unused;
	if (index >= 0 && contexts[index].connected) {
		fill_and_write((unsigned)index);
	}
}

/* ---- in */

static bool mid_in_use(const struct context *context, uint16_t mid)
{
	for (size_t i = 0; i < context->inflight.count; i++) {
		if (context->inflight.data[i].mid == mid && context->inflight.data[i].qos > 0) {
			return true;
		}
	}
	for (size_t i = 0; i < context->queued.count; i++) {
		if (context->queued.data[i].mid == mid) {
			return true;
		}
	}
	return false;
}

static bool has_room(unsigned index, uint8_t qos)
{
	const struct context *context = &contexts[index];
	size_t limit = world->config.max_queued;

	return qos == 0 ? context->outbox.count < limit : context->quota > 0;
}

/* As db__message_insert_outgoing; what the hub hands over does not stay in the queue. */
static enum hf_handover insert(unsigned index, struct message *message)
{
	struct context *context = &contexts[index];

	if (!has_room(index, message->qos)) {
		return HF_DROPPED;
	}
	if (message->qos == 0) {
		return message_add(&context->inflight, message) ? HF_HANDED : HF_DROPPED;
	}
	must(!mid_in_use(context, message->mid), "%s: Packet Identifier %u is given twice", people[index].device,
		message->mid);
	if (context->quota > 0) {
		context->quota--;
		return message_add(&context->inflight, message) ? HF_HANDED : HF_DROPPED;
	}
	return HF_DROPPED;
}

static uint16_t next_mid(uint16_t *last)
{
	do {
		++*last;
	} while (*last == 0 || *last == UINT16_MAX);
	return *last;
}

/* ---- documents */

/* A mark or an error, to somebody who asked for it. */
static enum hf_handover hand_document(unsigned index, const struct hf_message *message, struct message *made)
{
	int session = session_of(message->session);
	const char *device = people[index].device;
	char rest[32];

	snprintf(rest, sizeof(rest), "%.*s", (int)message->topic.len, message->topic.data);
	must(session >= 0 && reader_listens(index, (unsigned)session, rest), "%s gets %s of %.*s without having asked",
		device, rest, (int)message->session.len, message->session.data);
	if (!has_room(index, message->qos)) {
		refusal.told = refusal.told || (strcmp(rest, "error") == 0 && message->qos == 0);
		return HF_DROPPED;
	}
	check_document(index, (unsigned)session, rest, message->payload, made);
	enum hf_handover outcome = insert(index, made);
	note("  %s: %s of %s (%s)", device, rest, session_names[session], outcome == HF_HANDED ? "handed" : "dropped");
	return outcome;
}

/* ---- struct hf_broker */

static enum hf_handover hand_entry(unsigned index, const struct hf_message *message, struct message *made)
{
	const struct hf_entry *entry = message->entry;

	made->what = WHAT_ENTRY;
	made->lsn = made->first = entry->lsn;
	made->size = log_packet_size(entry, message->first_offset);
	if (message->first_offset > 0) {
		log_check_joined(entry, message->first_offset);
		made->first = world->session_lsn[session_of(entry->session)][message->first_offset];
		reader_check_joined(
			index, made->first, made->lsn, message->qos, message->subscription_ids, message->subscription_id_count);
	} else {
		log_check(entry);
		reader_check_hand(index, entry->lsn, message->qos, message->subscription_ids, message->subscription_id_count);
	}
	snprintf(made->topic, sizeof(made->topic), "sessions/%.*s/%.*s", (int)entry->session.len, entry->session.data,
		(int)entry->topic.len, entry->topic.data);
	uint32_t max_packet = world->readers[index].max_packet ? world->readers[index].max_packet : UINT32_MAX;
	bool joined = message->first_offset > 0,
		 unfit = joined ? made->size > max_packet : entry_too_large(index, entry->lsn);
	bool known = !message->check_size && message->max_packet > 0 && made->size > message->max_packet;
	bool found_out = message->check_size && unfit && has_room(index, message->qos);
	must(!known || !joined, "%s is given a joined message larger than it takes", people[index].device);
	if (joined && found_out) {
		/* Its place is lost, as in Mosquitto: so there must be another one, and it must not happen again. */
		must(contexts[index].receive_maximum > 1 && !contexts[index].spoilt,
			"%s is given a joined message that it cannot take", people[index].device);
		contexts[index].spoilt = true;
		contexts[index].quota--;
		note("  %s: a joined message is too large", people[index].device);
		return HF_TOO_LARGE;
	}
	if (known || found_out) {
		note("  %s: entry %" PRIu64 " is too large", people[index].device, entry->lsn);
		if (found_out && contexts[index].persisted) {
			hf_delivered(hub, people[index].device, made->handle, HF_OUTCOME_UNSENT); /* whatever that may be */
		}
		if (!reader_listens(index, world->entries[entry->lsn].session, "mark")) {
			reader_too_large(index, entry->lsn);
		}
		return HF_TOO_LARGE;
	}
	enum hf_handover outcome = insert(index, made);
	if (outcome != HF_DROPPED) {
		reader_handed(index, made->first, entry->lsn, made->qos);
	}
	note("  %s: entry %" PRIu64 "%s%" PRIu64 " (%s %" PRIu64 ") %s, QoS %u", people[index].device, made->first,
		made->first < made->lsn ? " to " : "=", entry->lsn, session_names[world->entries[entry->lsn].session],
		entry->offset, outcome == HF_HANDED ? "handed" : "dropped", made->qos);
	return outcome;
}

/* An entry for a worker, or the mark that it will not come; its Subscription Identifier says of which group. */
static enum hf_handover hand_loan(unsigned index, const struct hf_message *message, struct message *made)
{
	struct context *context = &contexts[index];
	int session = session_of(message->session);
	unsigned group = message->subscription_id_count == 1 ? message->subscription_ids[0] - GROUP_ID : GROUPS;

	must(group < GROUPS && session >= 0, "%s is given the work of no group", people[index].device);
	made->what = WHAT_LOAN;
	made->group = (uint8_t)group;
	made->life = world->groups[group].life;
	made->size = DOCUMENT_SIZE;
	if (message->entry) {
		log_check(message->entry);
		made->lsn = made->first = message->entry->lsn;
		made->size = log_packet_size(message->entry, 0);
		group_check_hand(group, index, made->lsn, message->qos);
	} else {
		group_check_mark(group, index, (unsigned)session);
	}
	bool known = !message->check_size && message->max_packet > 0 && made->size > message->max_packet;
	bool unfit = context->max_packet > 0 && made->size > context->max_packet;
	if (known || (unfit && made->qos > 0 && has_room(index, made->qos))) {
		note("  %s: entry %" PRIu64 " is too large for work", people[index].device, made->lsn);
		return HF_TOO_LARGE; /* it is given up when it is written */
	}
	enum hf_handover outcome = insert(index, made);
	note("  %s: work of %s/%s, entry %" PRIu64 " (%s), %s, QoS %u, %u", people[index].device, shares[group].name,
		shares[group].plain, made->lsn, session_names[session], outcome == HF_HANDED ? "handed" : "dropped", made->qos,
		made->mid);
	if (outcome == HF_HANDED && made->lsn > 0) {
		group_handed(group, index, made->lsn, made->qos);
	}
	return outcome;
}

static void recall(void *unused, const char *device, uint16_t mid)
{
	int index = reader_of_device(device);
	struct context *context = index >= 0 ? &contexts[index] : NULL;

	(void)unused;
	must(context && !context->connected, "%s is asked to give back what it has, and is there", device);
	for (size_t i = 0; i < context->inflight.count; i++) {
		struct message message = context->inflight.data[i];
		if (message.mid == mid && message.qos > 0) {
			must(message.what == WHAT_LOAN, "%s is to give back what is its own", device);
			note("  %s gives back entry %" PRIu64, device, message.lsn);
			message_remove(&context->inflight, i);
			context->quota += context->quota < context->receive_maximum;
			if (message.lsn > 0) {
				group_returned(message.group, message.life, (unsigned)index, message.lsn);
			}
			return;
		}
	}
}

static enum hf_handover hand(void *unused, const char *device, const struct hf_message *message, uint64_t *handle)
{
	int index = reader_of_device(device);
	struct message made = {.qos = message->qos};

	(void)unused;
	if (log_pending()) {
		log_commit(false); /* what is being published is in the log, or nothing would be handed over now */
	}
	if (world->kill_in > 0 && --world->kill_in == 0) {
		note("killed while handing over to %s", device);
		world->ending = ENDING_KILLED;
		raise(SIGKILL);
	}
	must(index >= 0 && contexts[index].connected && world->readers[index].online,
		"something is handed to %s, which is not there", device);
	must(writing == 0, "something is handed to %s inside the broker's own writing", device);
	must(message->max_packet == world->readers[index].facts.max_packet_size ||
			 (world->readers[index].outgrown && !message->max_packet),
		"%s: the Maximum Packet Size is %u", device, (unsigned)message->max_packet);
	bool shared =
		message->entry && !message->first_offset && message->subscription_id_count <= 1 && !message->check_size;
	*handle = made.handle = message->single ? HANDLE_SINGLE | ++others
							: shared        ? HANDLE_ENTRY | message->entry->lsn
											: HANDLE_OTHER | ++others;
	made.pass = world->readers[index].pass;
	if (message->qos > contexts[index].max_qos) {
		must(message->max_qos, "%s: a message of QoS %u, its listener lowers that to %u", device, message->qos,
			contexts[index].max_qos);
		made.qos = contexts[index].max_qos;
	}
	if (message->check_room) {
		(void)next_mid(message->packet_id); /* that of the trial */
		if (contexts[index].outbox.count >= world->config.max_queued) {
			refusal.told = refusal.told || !message->entry;
			return HF_DROPPED;
		}
	}
	if (message->qos > 0) {
		made.mid = contexts[index].last_mid = next_mid(message->packet_id);
	}
	enum hf_handover outcome;
	if (message->single) {
		outcome = hand_loan((unsigned)index, message, &made);
	} else if (message->entry) {
		outcome = hand_entry((unsigned)index, message, &made);
	} else {
		made.what = WHAT_DOCUMENT;
		made.size = DOCUMENT_SIZE;
		snprintf(made.topic, sizeof(made.topic), "sessions/%.*s/%.*s", (int)message->session.len, message->session.data,
			(int)message->topic.len, message->topic.data);
		outcome = hand_document((unsigned)index, message, &made);
	}
	activity += outcome == HF_HANDED;
	if (outcome == HF_HANDED && message->max_qos) {
		*message->max_qos = made.qos;
	}
	if (outcome == HF_HANDED &&
		(message->qos == 0 || message->max_qos || message->check_room || message->check_size || message->single)) {
		fill_and_write((unsigned)index);
	}
	if (message->check_size && outcome == HF_HANDED && message->max_packet > 0 && made.size > message->max_packet) {
		*message->outgrown = world->readers[index].outgrown = true;
	}
	return outcome;
}

/* ---- the broker's own messages */

void hand_other(unsigned index, const char *topic, uint8_t qos)
{
	struct context *context = &contexts[index];
	struct message message = {.what = WHAT_OTHER, .qos = qos, .size = DOCUMENT_SIZE};

	hf_packet_sent(hub, people[index].device);
	snprintf(message.topic, sizeof(message.topic), "%s", topic);
	if (qos > 0) {
		message.mid = ++context->last_mid ? context->last_mid : ++context->last_mid;
	}
	if (insert(index, &message) == HF_DROPPED && qos > 0 && context->queued.count < world->config.max_queued / 4) {
		must(message_add(&context->queued, &message), "out of memory");
	}
	fill_and_write(index);
}

/* ---- time */

static void wake(void *unused, unsigned int in_ms)
{
	int64_t at = world->mono_ms + (in_ms ? in_ms : 1);

	(void)unused;
	if (world->wake_at_ms == 0 || at < world->wake_at_ms) {
		world->wake_at_ms = at;
	}
}

static int64_t now_ms(void *unused)
{
	(void)unused;
	return world->wall_ms;
}

static int64_t monotonic_ms(void *unused)
{
	(void)unused;
	return world->mono_ms;
}

static void say(void *unused, enum hf_log_level level, const char *text)
{
	(void)unused;
	note("  log: %s", text);
	/* Without a faulty disk there is nothing to complain about. */
	bool of_group = strstr(text, "of the group") || strstr(text, "of a group"); /* what it passes over, it says */
	must(level == HF_LOG_INFO || of_group || world->failing_ms != INT64_MIN || store_control_failed(),
		"an error is logged: %s", text);
}

void watch_store(void)
{
	if (store_control_failed()) {
		world->failing_ms = world->mono_ms;
		world->ticks_since_failing = 0;
	} else {
		(void)log_head(); /* an entry that was in doubt is known now, also should it fail again before anybody asks */
	}
}

void tick(void)
{
	bool woken = world->wake_at_ms && world->mono_ms >= world->wake_at_ms;
	bool failed = store_control_failed();

	deliver_own();
	if (woken) {
		world->wake_at_ms = 0;
	}
	hf_hub_tick(hub);
	if (woken) {
		hf_hub_rewake(hub);
	}
	watch_store();
	if (failed || store_control_failed()) {
		return;
	}
	if (world->failing_ms == INT64_MIN ||
		(++world->ticks_since_failing >= 5 && world->mono_ms - world->failing_ms >= 5000)) {
		world->written_ms = world->mono_ms - world->config.ack_flush_ms;
	}
}

void fake_broker(struct hf_broker *out)
{
	*out = (struct hf_broker){
		.hand = hand,
		.holds = holds,
		.recall = recall,
		.flush = flush,
		.wake = wake,
		.now_ms = now_ms,
		.monotonic_ms = monotonic_ms,
		.log = say,
	};
	fake_retained(out);
}
