/* SPDX-License-Identifier: BSD-3-Clause */
/* Connecting, taking over, going, expiring: Mosquitto's events in Mosquitto's order (handle_connect.c, context.c,
 * session_expiry.c). */
#include "fake.h"
#include "groups.h"

#include <inttypes.h>

#include "store_control.h"

static uintptr_t tokens;

static const void *token_of(const struct context *context)
{
	return (const void *)context->token;
}

static void context_clear(struct context *context)
{
	messages_free(&context->inflight);
	messages_free(&context->queued);
	messages_free(&context->outbox);
	memset(context, 0, sizeof(*context));
}

/* PERSIST_CLIENT_ADD; PERSIST_CLIENT_UPDATE when it goes. */
static void keep(unsigned index, bool goes)
{
	struct reader *reader = &world->readers[index];
	const struct context *context = &contexts[index];
	struct hf_durable facts = {
		.device = people[index].device,
		.identity = people[index].identity,
		.will_delay_time = (int64_t)chance(100),
		.session_expiry_time = goes ? world->wall_ms / 1000 + context->expiry : 0,
		.will_delay_interval = (uint32_t)chance(100),
		.session_expiry_interval = context->expiry,
		.max_packet_size = context->max_packet,
		.listener_port = (uint16_t)chance(65536),
		.max_qos = context->max_qos,
		.retain_available = !one_in(4),
	};

	if (reader->exists) { /* not after a first connection that failed: then the hub has not heard of it either */
		reader->facts = facts;
		reader->back = reader->outgrown = false;
		reader->size_known = !goes;
		reader->durable = true;
	}
	enum hf_reason reason = hf_durable_set(hub, &facts);
	must(reason == HF_OK || (reason == HF_STORE_FAILED && store_control_failed()), "a durable client is not kept: %s",
		hf_reason_name(reason));
}

/* PERSIST_CLIENT_DELETE. */
static void end(unsigned index)
{
	if (contexts[index].persisted) {
		hf_durable_end(hub, people[index].device);
		reader_ended(index);
		contexts[index].persisted = false;
	}
}

static void publish_will(unsigned index)
{
	uint8_t session = world->erased[0];
	bool talks = publishes(role_of(index, session), HF_KIND_INPUT);
	struct entry will = {
		.session = session,
		.kind = talks ? HF_KIND_INPUT : HF_KIND_EVENT,
		.qos = 1,
		.publisher = (uint8_t)index,
		.response = NOBODY,
		.ask = NOBODY,
		.number = ++world->publishes,
	};

	client_publish(index, &will, true);
}

static void disconnected(unsigned index, const void *token)
{
	struct context *context = &contexts[index];
	const char *device = people[index].device;

	hf_disconnected(hub, device, token, HF_WHY_CONNECTION_LOST);
	if (context->connected) {
		context->connected = false;
		reader_disconnected(index);
	}
	const void *seen = hf_connection_of(hub, device);
	must(seen == NULL, "%s is still connected", device);
}

/* context__disconnect. */
static void lose(unsigned index, const void *token, bool will)
{
	struct context *context = &contexts[index];

	disconnected(index, token);
	client_lost_socket(index);
	if (will) {
		publish_will(index);
	}
	if (context->expiry == 0) {
		end(index);
		context_clear(context);
	} else if (context->expiry != UINT32_MAX) {
		keep(index, true);
	}
}

void client_go(unsigned index, bool will)
{
	note("%s goes%s", people[index].device, will ? ", with a will" : "");
	lose(index, token_of(&contexts[index]), will);
}

void client_expire(unsigned index)
{
	note("%s expires", people[index].device);
	contexts[index].expiry = 0;
	end(index);
	context_clear(&contexts[index]);
}

static unsigned filters_under_root(const struct reader *reader)
{
	unsigned count = 0;

	for (unsigned i = 0; i < FILTERS; i++) {
		count += reader->filters[i].used && !reader->filters[i].outside;
	}
	return count;
}

static bool reads_something(unsigned index)
{
	return filters_under_root(&world->readers[index]) > 0 || reader_is_member(index);
}

/* Somebody claims the client id and is turned away: DISCONNECT under that id. */
void login_fails(unsigned index)
{
	const struct reader *reader = &world->readers[index];
	const char *owner, *other = people[index].identity_index == 2 ? "ann" : "olga";
	bool taken = reader->durable && reads_something(index);

	note("somebody fails to log in as %s", people[index].device);
	must(hf_may_connect(hub, people[index].device, people[index].identity, &owner), "%s may not have its own client id",
		people[index].device);
	must(hf_may_connect(hub, people[index].device, other, &owner) == !taken, "%s %s the client id %s", other,
		taken ? "may have" : "may not have", people[index].device);
	hf_disconnected(hub, people[index].device, (const void *)++tokens, HF_WHY_GOODBYE);
	must((hf_connection_of(hub, people[index].device) != NULL) == contexts[index].connected,
		"a failed login disconnects %s", people[index].device);
}

/* ---- connecting */

/* db__message_reconnect_reset_outgoing. */
static void reset(struct context *context)
{
	context->quota = context->receive_maximum;
	for (size_t i = 0; i < context->inflight.count; i++) {
		struct message *message = &context->inflight.data[i];
		context->quota -= context->quota > 0 && message->qos > 0;
		message->state = message->state == STATE_WAIT_PUBCOMP || message->state == STATE_RESEND_PUBREL
							 ? STATE_RESEND_PUBREL
							 : STATE_PUBLISH;
	}
}

/* db__client_messages_check_acl: a no deletes the message. */
static void check_again(unsigned index, struct messages *messages)
{
	size_t at = 0;

	while (at < messages->count) {
		struct message message = messages->data[at];
		bool ours = strncmp(message.topic, "sessions/", 9) == 0;
		if (!ours) {
			hf_packet_sent(hub, people[index].device);
		}
		if (!ours || hf_may_keep(hub, people[index].identity, message.topic) == HF_OK) {
			at++;
			continue;
		}
		message_remove(messages, at);
		if (messages == &contexts[index].inflight) {
			contexts[index].quota += message.qos > 0;
		}
		left_books(index, &message, HF_OUTCOME_UNSENT);
	}
}

/* What is left of an earlier connection, taken over or found. True: its session goes on. */
static bool take_up(unsigned index, const struct connecting *how)
{
	struct context *context = &contexts[index];

	if (!context->exists) {
		return false;
	}
	bool was_connected = context->connected, resumes = !how->clean && context->expiry > 0;
	if (how->clean) {
		context->expiry = 0;
		end(index);
	}
	if (was_connected && !resumes && one_in(3)) {
		publish_will(index);
	}
	/* A session that was to end with its connection ends now, but no event says so, if it was kept before. */
	bool persisted = context->persisted, emptied = context->emptied;
	disconnected(index, token_of(context));
	client_lost_socket(index);
	if (!resumes) {
		context_clear(context);
		groups_take_back(index);
		context->persisted = persisted;
		context->emptied = emptied || persisted;
	}
	return resumes;
}

/* The hub has let go of what is in flight to a client that has no filter: the broker, for all it knows, has too. */
static void let_go(unsigned index)
{
	struct messages *lists[] = {&contexts[index].inflight, &contexts[index].queued};

	reader_lets_go(index);
	for (unsigned list = 0; list < 2; list++) {
		for (size_t i = 0; i < lists[list]->count; i++) {
			lists[list]->data[i].orphan = lists[list]->data[i].what != WHAT_OTHER;
		}
	}
}

void client_connect(unsigned index, const struct connecting *how)
{
	struct context *context = &contexts[index];
	const char *device = people[index].device;

	note("%s connects%s%s: expiry %" PRIu32 ", Receive Maximum %u, Maximum Packet Size %" PRIu32 ", Maximum QoS %u%s",
		device, how->clean ? ", clean" : "", contexts[index].connected ? ", taking over" : "", how->expiry,
		how->receive_maximum, how->max_packet, how->max_qos, how->fails ? ", and fails" : "");
	bool resumes = take_up(index, how);
	context->exists = true;
	context->token = ++tokens;
	context->expiry = how->expiry;
	context->receive_maximum = how->receive_maximum;
	context->max_packet = how->max_packet;
	context->max_qos = how->max_qos;
	context->blocked = context->spoilt = false;
	reset(context);
	if (resumes) {
		check_again(index, &context->inflight);
		check_again(index, &context->queued);
	}
	if (!resumes || how->clean) {
		world->readers[index].held_count = 0;
	}
	/* CONNACK; what was in flight goes out before anybody hears of the connection. */
	if (how->fails) {
		fill_and_write(index);
		write_all(index);
		lose(index, token_of(context), false);
		return;
	}
	context->connected = true;
	fill_and_write(index);
	write_all(index);
	struct hf_connection connection = {
		.device = device,
		.identity = people[index].identity,
		.token = token_of(context),
		.clean = how->clean,
		.unsubscribed = true, /* until a filter is found */
		.unlimited = how->unlimited,
	};
	if (context->emptied && !how->clean) {
		reader_begins_anew(index);
	}
	context->emptied = false;
	reader_connected(index, how->clean);
	world->readers[index].max_packet = how->max_packet;
	groups_worker_back(index);
	world->readers[index].size_known = false;
	world->readers[index].max_qos = how->max_qos;
	world->readers[index].outgrown = world->readers[index].outgrown || how->unlimited;
	for (unsigned i = 0; i < FILTERS; i++) {
		connection.unsubscribed = connection.unsubscribed && !world->readers[index].filters[i].used;
	}
	connection.unsubscribed = connection.unsubscribed && !reader_is_member(index);
	if (connection.unsubscribed) {
		let_go(index);
	}
	must(hf_connected(hub, &connection) == HF_OK, "%s cannot connect", device);
	must(hf_connection_of(hub, device) == token_of(context), "%s is not connected", device);
	if (context->expiry > 0 && !context->persisted) {
		context->persisted = true;
		keep(index, false);
	}
}

/* ---- starting and ending */

static bool restored[READERS];

static bool same_facts(const struct hf_durable *a, const struct hf_durable *b)
{
	return strcmp(a->device, b->device) == 0 &&
		   (a->identity ? b->identity && strcmp(a->identity, b->identity) == 0 : !b->identity) &&
		   a->will_delay_time == b->will_delay_time && a->will_delay_interval == b->will_delay_interval &&
		   a->session_expiry_interval == b->session_expiry_interval && a->listener_port == b->listener_port &&
		   a->max_qos == b->max_qos && a->retain_available == b->retain_available;
}

static bool restore_client(void *unused, const struct hf_durable *durable)
{
	int index = reader_of_device(durable->device);

	(void)unused;
	must(index >= 0, "a client '%s' is restored that never was", durable->device);
	struct reader *reader = &world->readers[index];
	must(reader->durable && reads_something((unsigned)index), "%s is restored, but its session had ended",
		durable->device);
	must(same_facts(durable, &reader->facts), "%s is restored with other facts", durable->device);
	must(durable->max_packet_size == reader->facts.max_packet_size ||
			 (reader->outgrown && durable->max_packet_size == 0),
		"%s is restored with another Maximum Packet Size", durable->device);
	must(durable->session_expiry_time == reader->facts.session_expiry_time ||
			 (reader->back && durable->session_expiry_time == 0),
		"%s is restored with another expiry time", durable->device);
	reader->outgrown = durable->max_packet_size != reader->facts.max_packet_size; /* as far as it was written */
	contexts[index] = (struct context){
		.exists = true,
		.persisted = true,
		.token = ++tokens,
		.expiry = durable->session_expiry_interval,
		.max_packet = durable->max_packet_size,
		.receive_maximum = 20,
		.quota = 20,
	};
	restored[index] = true;
	return true;
}

static bool restore_subscription(
	void *unused, const char *device, const char *text, uint8_t options, uint32_t identifier)
{
	int index = reader_of_device(device);

	(void)unused;
	must(index >= 0 && restored[index], "a subscription of '%s' is restored, but not the client", device);
	for (unsigned i = 0; i < FILTERS; i++) {
		struct filter *filter = &world->readers[index].filters[i];
		if (filter->used && strcmp(filter->plain, text) == 0) {
			must(filter->options == options && filter->identifier == identifier,
				"%s: %s is restored with other options", device, text);
			filter->restored = true;
			return true;
		}
	}
	int group = group_of_kept(text);
	if (group >= 0 && group_is_member((unsigned)group, (unsigned)index)) {
		struct member *member = &world->groups[group].members[index];
		must(member->options == options && member->identifier == identifier, "%s: %s is restored with other options",
			device, text);
		member->restored = true;
		return true;
	}
	fail("%s: %s is restored, but was unsubscribed", device, text);
}

void fake_restore(void)
{
	struct hf_restore restore = {.client = restore_client, .subscription = restore_subscription};

	memset(restored, 0, sizeof(restored));
	for (unsigned index = 0; index < READERS; index++) {
		for (unsigned i = 0; i < FILTERS; i++) {
			world->readers[index].filters[i].restored = false;
		}
		for (unsigned group = 0; group < GROUPS; group++) {
			world->groups[group].members[index].restored = false;
		}
	}
	must(hf_hub_restore(hub, &restore) == HF_OK, "the durable clients cannot be restored");
	for (unsigned index = 0; index < READERS; index++) {
		struct reader *reader = &world->readers[index];
		bool comes_back = reader->durable && reads_something(index);
		must(comes_back == restored[index], "%s is not restored", people[index].device);
		for (unsigned i = 0; i < FILTERS && comes_back; i++) {
			must(!reader->filters[i].used || reader->filters[i].restored, "%s: %s is not restored",
				people[index].device, reader->filters[i].plain);
		}
		for (unsigned group = 0; group < GROUPS && comes_back; group++) {
			const struct member *member = &world->groups[group].members[index];
			must(!member->is || member->restored, "%s is not restored as a worker of %s/%s", people[index].device,
				shares[group].name, shares[group].plain);
		}
		if (!comes_back) {
			memset(reader, 0, sizeof(*reader));
		}
	}
}

void fake_end(void)
{
	for (unsigned index = 0; index < READERS; index++) {
		context_clear(&contexts[index]);
	}
}
