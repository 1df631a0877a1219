/* SPDX-License-Identifier: BSD-3-Clause */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"

struct hf_reader {
	struct hf_loop *loop;
	struct hf_client *client;
	struct hf_tally *tally;
	struct hf_reader_setup setup;
	size_t topic_size;
	bool ready;
	uint64_t received;
	uint32_t next_sequence[HF_PUBLISHERS_MAX];
};

static void subscribe(struct hf_reader *reader)
{
	uint8_t *out = hf_client_room(reader->client, hf_packet_room(strlen(reader->setup.filter)));

	if (out) {
		hf_client_wrote(reader->client, hf_packet_subscribe(out, 1, reader->setup.filter, reader->setup.qos));
	}
}

static void on_connack(struct hf_reader *reader, const struct hf_packet *packet)
{
	struct hf_connack connack;

	if (!hf_packet_read_connack(packet, &connack)) {
		hf_loop_fail(reader->loop, "a reader got a broken CONNACK");
	} else if (connack.reason != 0) {
		hf_loop_fail(reader->loop, "a reader was refused, reason 0x%02x", connack.reason);
	} else if (reader->setup.filter) {
		subscribe(reader);
	} else if (!connack.session_present) {
		hf_loop_fail(reader->loop, "the broker has lost a durable session");
	} else {
		reader->ready = true;
	}
}

static void on_suback(struct hf_reader *reader, const struct hf_packet *packet)
{
	uint8_t reason;
	uint16_t id;

	if (!hf_packet_read_ack(packet, &id, &reason)) {
		hf_loop_fail(reader->loop, "a reader got a broken SUBACK");
	} else if (reason != reader->setup.qos) {
		hf_loop_fail(reader->loop, "the filter %s was answered with reason 0x%02x", reader->setup.filter, reason);
	} else {
		reader->ready = true;
	}
}

/* True when the message is the next one of its publisher. */
static bool is_next(struct hf_reader *reader, const struct hf_stamp *stamp, bool dup)
{
	uint32_t *next;

	if (stamp->publisher >= HF_PUBLISHERS_MAX) {
		hf_loop_fail(reader->loop, "a reader got a message that nobody sent");
		return false;
	}
	next = &reader->next_sequence[stamp->publisher];
	if (stamp->sequence == *next) {
		++*next;
		return true;
	}
	if (stamp->sequence > *next) {
		hf_loop_fail(
			reader->loop, "%s missed messages: %u came instead of %u", reader->setup.client_id, stamp->sequence, *next);
	} else if (!dup) {
		hf_loop_fail(reader->loop, "%s got message %u again, without DUP", reader->setup.client_id, stamp->sequence);
	}
	return false;
}

static void acknowledge(struct hf_reader *reader, uint16_t id)
{
	uint8_t *out = hf_client_room(reader->client, hf_packet_room(0));

	if (out) {
		hf_client_wrote(reader->client, hf_packet_puback(out, id));
	}
}

/* The session's state, marks and notices are the broker's own. */
static bool is_from_publisher(const struct hf_reader *reader, const struct hf_publish *publish)
{
	return publish->topic_size == reader->topic_size &&
		   memcmp(publish->topic, reader->setup.topic, reader->topic_size) == 0;
}

static void on_batches(struct hf_reader *reader, const struct hf_publish *publish)
{
	struct hf_slice payload = hf_slice_from(publish->payload, publish->payload_size);
	unsigned count = hf_corpus_match(reader->setup.corpus, (unsigned)reader->received, payload);

	if (count == 0) {
		hf_loop_fail(reader->loop, "%s got something else than batch %llu", reader->setup.client_id,
			(unsigned long long)reader->received);
	}
	reader->received += count;
	reader->tally->delivered += count;
}

static void on_stamped(struct hf_reader *reader, const struct hf_publish *publish)
{
	struct hf_stamp stamp;

	if (publish->payload_size < sizeof(stamp)) {
		hf_loop_fail(reader->loop, "a reader got a message that nobody sent");
		return;
	}
	memcpy(&stamp, publish->payload, sizeof(stamp));
	if (is_next(reader, &stamp, publish->dup)) {
		reader->received++;
		reader->tally->delivered++;
		hdr_record_value(reader->tally->delivery_ns, hf_now_ns() - stamp.sent_ns);
	}
}

static void on_publish(struct hf_reader *reader, const struct hf_packet *packet)
{
	struct hf_tally *tally = reader->tally;
	struct hf_publish publish;

	if (!hf_packet_read_publish(packet, &publish)) {
		hf_loop_fail(reader->loop, "a reader got a broken PUBLISH");
		return;
	}
	if (publish.qos > 0) {
		acknowledge(reader, publish.id);
	}
	if (!is_from_publisher(reader, &publish)) {
		return;
	}
	tally->messages++;
	tally->delivered_bytes += packet->size;
	if (reader->setup.corpus) {
		on_batches(reader, &publish);
	} else {
		on_stamped(reader, &publish);
	}
}

static void on_packet(void *context, const struct hf_packet *packet)
{
	struct hf_reader *reader = context;

	if (packet->type == HF_PUBLISH) {
		on_publish(reader, packet);
	} else if (packet->type == HF_CONNACK) {
		on_connack(reader, packet);
	} else if (packet->type == HF_SUBACK) {
		on_suback(reader, packet);
	}
}

static void on_settled(void *context)
{
	struct hf_reader *reader = context;

	hf_client_flush(reader->client);
}

static const struct hf_client_events reader_events = {.packet = on_packet, .settled = on_settled};

struct hf_reader *hf_reader_open(
	struct hf_loop *loop, uint16_t port, const struct hf_reader_setup *setup, struct hf_tally *tally)
{
	struct hf_connect connect = {
		.client_id = setup->client_id,
		.clean_start = setup->filter != NULL,
		.session_expiry_s = HF_SESSION_EXPIRY_S,
		.receive_maximum = setup->receive_maximum,
	};
	struct hf_reader *reader = calloc(1, sizeof(*reader));
	uint8_t *out = NULL;

	if (reader) {
		reader->loop = loop;
		reader->tally = tally;
		reader->setup = *setup;
		reader->topic_size = strlen(setup->topic);
		reader->client = hf_client_open(loop, port, &reader_events, reader);
	}
	if (reader && reader->client) {
		out = hf_client_room(reader->client, hf_packet_room(strlen(setup->client_id)));
	}
	if (!out) {
		hf_loop_fail(loop, "out of memory");
		hf_reader_close(reader);
		return NULL;
	}
	hf_client_wrote(reader->client, hf_packet_connect(out, &connect));
	hf_client_flush(reader->client);
	return reader;
}

void hf_reader_close(struct hf_reader *reader)
{
	uint8_t *out;

	if (!reader) {
		return;
	}
	out = reader->client ? hf_client_room(reader->client, hf_packet_room(0)) : NULL;
	if (out) {
		hf_client_wrote(reader->client, hf_packet_disconnect(out));
		hf_client_flush(reader->client);
	}
	hf_client_close(reader->client);
	free(reader);
}

bool hf_reader_is_ready(const struct hf_reader *reader)
{
	return reader->ready;
}

uint64_t hf_reader_received(const struct hf_reader *reader)
{
	return reader->received;
}
