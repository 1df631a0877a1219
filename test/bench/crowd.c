/* SPDX-License-Identifier: BSD-3-Clause */
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "codec/notice.h"
#include "codec/token.h"

#define NAME_SIZE 32
#define NOTICE_END "/notice"

struct member {
	struct hf_crowd *crowd;
	struct hf_client *client;
	char name[NAME_SIZE];
	unsigned acked; /* of what it begins with */
	bool closed;    /* it has the notice of a response that was closed */
};

struct hf_crowd {
	struct hf_loop *loop;
	struct hf_tally *tally;
	struct hf_crowd_setup setup;
	unsigned filter_count;
	int64_t since_ns;
	unsigned noticed;
	struct member *members;
};

static uint8_t *room(struct member *member, size_t size)
{
	return hf_client_room(member->client, hf_packet_room(size));
}

static void begin_response(struct member *member)
{
	const struct hf_token_batch batch = {
		.id = hf_slice_of("r"), .text = hf_slice_of("one moment"), .kind = HF_SLICE_NONE, .data = HF_SLICE_NONE};
	const char *topic = member->crowd->setup.tokens;
	struct hf_buffer payload = {.data = NULL};

	if (!hf_token_encode(&batch, &payload)) {
		hf_loop_fail(member->crowd->loop, "out of memory");
		return;
	}
	const struct hf_publish publish = {
		.topic = topic,
		.topic_size = strlen(topic),
		.qos = 1,
		.id = 1,
		.payload = payload.data,
		.payload_size = payload.len,
	};
	uint8_t *out = room(member, publish.topic_size + payload.len);
	if (out) {
		hf_client_wrote(member->client, hf_packet_publish(out, &publish));
	}
	hf_buffer_free(&payload);
}

static void on_connack(struct member *member, const struct hf_packet *packet)
{
	const struct hf_crowd *crowd = member->crowd;
	struct hf_connack connack;

	if (!hf_packet_read_connack(packet, &connack) || connack.reason != 0) {
		hf_loop_fail(crowd->loop, "%s was not let in", member->name);
		return;
	}
	for (unsigned i = 0; i < crowd->filter_count; i++) {
		uint8_t *out = room(member, strlen(crowd->setup.filters[i]));
		if (out) {
			hf_client_wrote(member->client, hf_packet_subscribe(out, (uint16_t)(i + 2), crowd->setup.filters[i], 1));
		}
	}
	if (crowd->setup.tokens) {
		begin_response(member);
	}
}

static void on_notice(struct member *member, const struct hf_publish *publish)
{
	struct hf_crowd *crowd = member->crowd;
	struct hf_notice notice;

	if (hf_notice_decode(hf_slice_from(publish->payload, publish->payload_size), &notice) != HF_OK) {
		hf_loop_fail(crowd->loop, "%s got a notice that is none", member->name);
	} else if (notice.kind == HF_NOTICE_RESPONSE_CLOSED) {
		member->closed = true;
	} else if (notice.kind == HF_NOTICE_PRESENCE && hf_slice_is(notice.state, "crashed")) {
		if (!member->closed) {
			hf_loop_fail(crowd->loop, "%s got the notices of a crash in the wrong order", member->name);
		}
		member->closed = false;
		crowd->noticed++;
		hdr_record_value(crowd->tally->delivery_ns, hf_now_ns() - crowd->since_ns);
	}
}

static void on_publish(struct member *member, const struct hf_packet *packet)
{
	const size_t end = strlen(NOTICE_END);
	struct hf_publish publish;

	if (!hf_packet_read_publish(packet, &publish)) {
		hf_loop_fail(member->crowd->loop, "%s got a broken PUBLISH", member->name);
		return;
	}
	uint8_t *out = publish.qos > 0 ? room(member, 0) : NULL;
	if (out) {
		hf_client_wrote(member->client, hf_packet_puback(out, publish.id));
	}
	if (publish.topic_size > end && memcmp(publish.topic + publish.topic_size - end, NOTICE_END, end) == 0) {
		on_notice(member, &publish);
	}
}

static void on_packet(void *context, const struct hf_packet *packet)
{
	struct member *member = context;
	uint8_t reason;
	uint16_t id;

	if (packet->type == HF_PUBLISH) {
		on_publish(member, packet);
	} else if (packet->type == HF_CONNACK) {
		on_connack(member, packet);
	} else if (!hf_packet_read_ack(packet, &id, &reason) || reason >= 0x80) {
		hf_loop_fail(member->crowd->loop, "%s was refused what it begins with", member->name);
	} else {
		member->acked++;
	}
}

static void on_settled(void *context)
{
	struct member *member = context;

	hf_client_flush(member->client);
}

static const struct hf_client_events member_events = {.packet = on_packet, .settled = on_settled};

static bool open_member(struct hf_crowd *crowd, uint16_t port, unsigned index)
{
	struct member *member = &crowd->members[index];
	const struct hf_connect connect = {
		.client_id = member->name, .user = member->name, .clean_start = true, .receive_maximum = 100};

	member->crowd = crowd;
	snprintf(member->name, sizeof(member->name), "%s-%u", crowd->setup.name, index);
	member->client = hf_client_open(crowd->loop, port, &member_events, member);
	uint8_t *out = member->client ? room(member, 2 * strlen(member->name)) : NULL;
	if (!out) {
		return false;
	}
	hf_client_wrote(member->client, hf_packet_connect(out, &connect));
	hf_client_flush(member->client);
	return true;
}

struct hf_crowd *hf_crowd_open(
	struct hf_loop *loop, uint16_t port, const struct hf_crowd_setup *setup, struct hf_tally *tally)
{
	struct hf_crowd *crowd = calloc(1, sizeof(*crowd));
	bool good = crowd != NULL;

	if (good) {
		*crowd = (struct hf_crowd){.loop = loop, .tally = tally, .setup = *setup};
		crowd->members = calloc(setup->count, sizeof(*crowd->members));
		good = crowd->members != NULL;
	}
	while (good && crowd->filter_count < HF_CROWD_FILTERS_MAX && setup->filters[crowd->filter_count]) {
		crowd->filter_count++;
	}
	for (unsigned i = 0; good && i < setup->count; i++) {
		good = open_member(crowd, port, i);
	}
	if (!good) {
		hf_loop_fail(loop, "out of memory");
		hf_crowd_close(crowd);
		return NULL;
	}
	return crowd;
}

void hf_crowd_close(struct hf_crowd *crowd)
{
	if (!crowd) {
		return;
	}
	for (unsigned i = 0; crowd->members && i < crowd->setup.count; i++) {
		hf_client_close(crowd->members[i].client);
	}
	free(crowd->members);
	free(crowd);
}

bool hf_crowd_is_ready(const struct hf_crowd *crowd)
{
	unsigned wanted = crowd->filter_count + (crowd->setup.tokens != NULL);

	for (unsigned i = 0; i < crowd->setup.count; i++) {
		if (crowd->members[i].client && crowd->members[i].acked < wanted) {
			return false;
		}
	}
	return true;
}

void hf_crowd_break(struct hf_crowd *crowd, unsigned index)
{
	hf_client_close(crowd->members[index].client);
	crowd->members[index].client = NULL;
}

void hf_crowd_expect(struct hf_crowd *crowd, int64_t since_ns)
{
	crowd->since_ns = since_ns;
	crowd->noticed = 0;
}

bool hf_crowd_has_noticed(const struct hf_crowd *crowd)
{
	return crowd->noticed >= crowd->setup.count;
}
