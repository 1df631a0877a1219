/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MQTT 5 packets, as far as a load generator needs them: the client's side of QoS 0 and 1.
 *
 * Writers put one whole packet at `out`, which must have hf_packet_room() bytes, and return its size.
 * Readers look into the bytes that hf_packet_split was given; nothing is copied.
 */
#ifndef HF_BENCH_PACKET_H
#define HF_BENCH_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hf_packet_type {
	HF_CONNECT = 1,
	HF_CONNACK = 2,
	HF_PUBLISH = 3,
	HF_PUBACK = 4,
	HF_SUBSCRIBE = 8,
	HF_SUBACK = 9,
	HF_DISCONNECT = 14,
};

struct hf_packet {
	enum hf_packet_type type;
	uint8_t flags;
	const uint8_t *body;
	size_t body_size;
	size_t size; /* of the whole packet */
};

struct hf_connect {
	const char *client_id;
	const char *user; /* NULL: anonymous */
	bool clean_start;
	uint32_t session_expiry_s;
	uint16_t receive_maximum;
};

struct hf_connack {
	bool session_present;
	uint8_t reason;
	uint16_t receive_maximum; /* 65535 where the broker states none */
};

struct hf_publish {
	const char *topic;
	size_t topic_size;
	uint8_t qos;
	bool dup;
	uint16_t id;                    /* 0 at QoS 0 */
	const char *response_topic;     /* written where not NULL; not read */
	const uint8_t *user_properties; /* encoded, written behind that; not read */
	size_t user_properties_size;
	const uint8_t *payload;
	size_t payload_size;
};

/* An upper bound for any packet with so many bytes of strings and payload. */
size_t hf_packet_room(size_t text_and_payload);

size_t hf_packet_connect(uint8_t *out, const struct hf_connect *connect);
size_t hf_packet_subscribe(uint8_t *out, uint16_t id, const char *filter, uint8_t qos);
/* Write a User Property, to be put into a PUBLISH. Returns its size: 5, and the lengths of name and value. */
size_t hf_packet_user_property(uint8_t *out, const char *name, const char *value);
size_t hf_packet_publish(uint8_t *out, const struct hf_publish *publish);
size_t hf_packet_puback(uint8_t *out, uint16_t id);
size_t hf_packet_disconnect(uint8_t *out);

/* Find the packet at the start of `in`. 1: *packet is set; 0: more bytes are needed; -1: not MQTT. */
int hf_packet_split(const uint8_t *in, size_t size, struct hf_packet *packet);

/* False when the packet is cut short or of another type. */
bool hf_packet_read_connack(const struct hf_packet *packet, struct hf_connack *connack);
bool hf_packet_read_publish(const struct hf_packet *packet, struct hf_publish *publish);
/* PUBACK, or SUBACK of one filter. */
bool hf_packet_read_ack(const struct hf_packet *packet, uint16_t *id, uint8_t *reason);

#endif
