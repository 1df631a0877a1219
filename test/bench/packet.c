/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet.h"

#include <assert.h>
#include <string.h>

#define PROPERTY_RESPONSE_TOPIC 0x08
#define PROPERTY_SESSION_EXPIRY 0x11
#define PROPERTY_RECEIVE_MAXIMUM 0x21
#define PROPERTY_USER 0x26

size_t hf_packet_room(size_t text_and_payload)
{
	return text_and_payload + 64;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static uint8_t *put_u16(uint8_t *out, unsigned value)
{
	*out++ = (uint8_t)(value >> 8);
	*out++ = (uint8_t)value;
	return out;
}

static uint8_t *put_u32(uint8_t *out, uint32_t value)
{
	out = put_u16(out, value >> 16);
	return put_u16(out, value & 0xffffu);
}

static uint8_t *put_length(uint8_t *out, size_t value)
{
	assert(value < (size_t)1 << 28);
	do {
		uint8_t more = value >= 0x80 ? 0x80 : 0;
		*out++ = (uint8_t)(value & 0x7f) | more;
		value >>= 7;
	} while (value > 0);
	return out;
}

static uint8_t *put_string(uint8_t *out, const char *text, size_t size)
{
	assert(size <= 0xffff);
	out = put_u16(out, (unsigned)size);
	memcpy(out, text, size);
	return out + size;
}

static uint8_t *put_header(uint8_t *out, enum hf_packet_type type, unsigned flags, size_t body_size)
{
	*out++ = (uint8_t)((unsigned)type << 4 | flags);
	return put_length(out, body_size);
}

size_t hf_packet_connect(uint8_t *out, const struct hf_connect *connect)
{
	const size_t properties_size = 5 + 3;
	size_t id_size = strlen(connect->client_id), user_size = connect->user ? 2 + strlen(connect->user) : 0;
	/* protocol name, version, flags, keepalive, properties, client id, user name */
	uint8_t *at = put_header(out, HF_CONNECT, 0, 6 + 1 + 1 + 2 + 1 + properties_size + 2 + id_size + user_size);

	at = put_string(at, "MQTT", 4);
	*at++ = 5;
	*at++ = (uint8_t)((connect->clean_start ? 0x02u : 0u) | (connect->user ? 0x80u : 0u));
	at = put_u16(at, 0);
	at = put_length(at, properties_size);
	*at++ = PROPERTY_SESSION_EXPIRY;
	at = put_u32(at, connect->session_expiry_s);
	*at++ = PROPERTY_RECEIVE_MAXIMUM;
	at = put_u16(at, connect->receive_maximum);
	at = put_string(at, connect->client_id, id_size);
	if (connect->user) {
		at = put_string(at, connect->user, user_size - 2);
	}
	return (size_t)(at - out);
}

size_t hf_packet_subscribe(uint8_t *out, uint16_t id, const char *filter, uint8_t qos)
{
	size_t filter_size = strlen(filter);
	uint8_t *at = put_header(out, HF_SUBSCRIBE, 0x02, 2 + 1 + 2 + filter_size + 1);

	at = put_u16(at, id);
	at = put_length(at, 0);
	at = put_string(at, filter, filter_size);
	*at++ = qos;
	return (size_t)(at - out);
}

size_t hf_packet_user_property(uint8_t *out, const char *name, const char *value)
{
	uint8_t *at = out;

	*at++ = PROPERTY_USER;
	at = put_string(at, name, strlen(name));
	return (size_t)(put_string(at, value, strlen(value)) - out);
}

size_t hf_packet_publish(uint8_t *out, const struct hf_publish *publish)
{
	size_t id_size = publish->qos > 0 ? 2 : 0;
	size_t response_size = publish->response_topic ? strlen(publish->response_topic) : 0;
	size_t properties_size = (response_size > 0 ? 1 + 2 + response_size : 0) + publish->user_properties_size;
	uint8_t *at = put_header(out, HF_PUBLISH, (unsigned)publish->qos << 1 | (publish->dup ? 0x08u : 0u),
		2 + publish->topic_size + id_size + 1 + properties_size + publish->payload_size);

	assert(properties_size < 0x80); /* its length takes the one byte that is counted above */

	at = put_string(at, publish->topic, publish->topic_size);
	if (id_size > 0) {
		at = put_u16(at, publish->id);
	}
	at = put_length(at, properties_size);
	if (response_size > 0) {
		*at++ = PROPERTY_RESPONSE_TOPIC;
		at = put_string(at, publish->response_topic, response_size);
	}
	if (publish->user_properties_size > 0) {
		memcpy(at, publish->user_properties, publish->user_properties_size);
		at += publish->user_properties_size;
	}
	memcpy(at, publish->payload, publish->payload_size);
	return (size_t)(at - out) + publish->payload_size;
}

size_t hf_packet_puback(uint8_t *out, uint16_t id)
{
	uint8_t *at = put_header(out, HF_PUBACK, 0, 2);

	return (size_t)(put_u16(at, id) - out);
}

size_t hf_packet_disconnect(uint8_t *out)
{
	return (size_t)(put_header(out, HF_DISCONNECT, 0, 0) - out);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

struct cursor {
	const uint8_t *at;
	size_t left;
};

static bool take(struct cursor *from, size_t size, const uint8_t **bytes)
{
	if (from->left < size) {
		return false;
	}
	*bytes = from->at;
	from->at += size;
	from->left -= size;
	return true;
}

static bool take_u8(struct cursor *from, uint8_t *value)
{
	const uint8_t *bytes;

	if (!take(from, 1, &bytes)) {
		return false;
	}
	*value = bytes[0];
	return true;
}

static bool take_u16(struct cursor *from, uint16_t *value)
{
	const uint8_t *bytes;

	if (!take(from, 2, &bytes)) {
		return false;
	}
	*value = (uint16_t)(bytes[0] << 8 | bytes[1]);
	return true;
}

/* 1: *value is set; 0: cut short; -1: more than four bytes. */
static int take_length(struct cursor *from, size_t *value)
{
	uint8_t byte;

	*value = 0;
	for (unsigned shift = 0; shift < 28; shift += 7) {
		if (!take_u8(from, &byte)) {
			return 0;
		}
		*value |= (size_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			return 1;
		}
	}
	return -1;
}

static bool take_text(struct cursor *from, const uint8_t **text, uint16_t *size)
{
	return take_u16(from, size) && take(from, *size, text);
}

/* Pass over the value of a property; MQTT 5 has no lengths by which unknown ones could be skipped. */
static bool skip_property(struct cursor *from, uint8_t property)
{
	const uint8_t *bytes;
	uint16_t size;
	size_t length;

	switch (property) {
	case 0x01:
	case 0x17:
	case 0x19:
	case 0x24:
	case 0x25:
	case 0x28:
	case 0x29:
	case 0x2a:
		return take(from, 1, &bytes);
	case 0x13:
	case 0x21:
	case 0x22:
	case 0x23:
		return take(from, 2, &bytes);
	case 0x02:
	case 0x11:
	case 0x18:
	case 0x27:
		return take(from, 4, &bytes);
	case 0x0b:
		return take_length(from, &length) == 1;
	case 0x26:
		return take_text(from, &bytes, &size) && take_text(from, &bytes, &size);
	case 0x03:
	case 0x08:
	case 0x09:
	case 0x12:
	case 0x15:
	case 0x16:
	case 0x1a:
	case 0x1c:
	case 0x1f:
		return take_text(from, &bytes, &size);
	default:
		return false;
	}
}

int hf_packet_split(const uint8_t *in, size_t size, struct hf_packet *packet)
{
	struct cursor from = {in, size};
	uint8_t first;
	int whole;

	if (!take_u8(&from, &first)) {
		return 0;
	}
	whole = take_length(&from, &packet->body_size);
	if (whole != 1) {
		return whole;
	}
	packet->type = (enum hf_packet_type)(first >> 4);
	packet->flags = first & 0x0f;
	packet->size = size - from.left + packet->body_size;
	return take(&from, packet->body_size, &packet->body) ? 1 : 0;
}

bool hf_packet_read_connack(const struct hf_packet *packet, struct hf_connack *connack)
{
	struct cursor from = {packet->body, packet->body_size};
	size_t properties_size;
	uint8_t flags, property;

	connack->receive_maximum = UINT16_MAX;
	if (packet->type != HF_CONNACK || !take_u8(&from, &flags) || !take_u8(&from, &connack->reason)) {
		return false;
	}
	connack->session_present = flags & 0x01;
	if (take_length(&from, &properties_size) != 1 || properties_size != from.left) {
		return false;
	}
	while (take_u8(&from, &property)) {
		bool read = property == PROPERTY_RECEIVE_MAXIMUM ? take_u16(&from, &connack->receive_maximum)
														 : skip_property(&from, property);
		if (!read) {
			return false;
		}
	}
	return true;
}

bool hf_packet_read_publish(const struct hf_packet *packet, struct hf_publish *publish)
{
	struct cursor from = {packet->body, packet->body_size};
	const uint8_t *topic, *properties;
	size_t properties_size;
	uint16_t topic_size;

	publish->qos = (packet->flags >> 1) & 0x03;
	publish->dup = packet->flags & 0x08;
	publish->id = 0;
	publish->response_topic = NULL;
	if (packet->type != HF_PUBLISH || !take_text(&from, &topic, &topic_size)) {
		return false;
	}
	if (publish->qos > 0 && !take_u16(&from, &publish->id)) {
		return false;
	}
	if (take_length(&from, &properties_size) != 1 || !take(&from, properties_size, &properties)) {
		return false;
	}
	publish->topic = (const char *)topic;
	publish->topic_size = topic_size;
	publish->payload_size = from.left;
	return take(&from, from.left, &publish->payload);
}

bool hf_packet_read_ack(const struct hf_packet *packet, uint16_t *id, uint8_t *reason)
{
	struct cursor from = {packet->body, packet->body_size};
	const uint8_t *properties;
	size_t properties_size;

	*reason = 0;
	if (!take_u16(&from, id)) {
		return false;
	}
	if (packet->type == HF_PUBACK) {
		return from.left == 0 || take_u8(&from, reason);
	}
	return packet->type == HF_SUBACK && take_length(&from, &properties_size) == 1 &&
		   take(&from, properties_size, &properties) && take_u8(&from, reason);
}
