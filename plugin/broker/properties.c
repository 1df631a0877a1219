/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MQTT 5 properties. Stored with an entry, in the encoding of MQTT 5, section 2.2.2.2: Payload Format Indicator,
 * Content Type and User Properties. Stamped on its way out: offset, time, from, role.
 */
#include "broker/plugin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROPERTIES_MAX 65535

static const char *const stamped[] = { "offset", "first-offset", "time", "from", "role" };

static bool is_stamped(const char *name)
{
	for (size_t i = 0; i < sizeof(stamped) / sizeof(stamped[0]); i++) {
		if (strcmp(name, stamped[i]) == 0) {
			return true;
		}
	}
	return false;
}

static bool put_byte(struct hf_buffer *out, int value)
{
	unsigned char byte = (unsigned char)value;

	return hf_buffer_append(out, &byte, 1);
}

static bool put_string(struct hf_buffer *out, const char *text, uint16_t len)
{
	unsigned char size[2] = { (unsigned char)(len >> 8), (unsigned char)(len & 0xff) };

	return hf_buffer_append(out, size, 2) && hf_buffer_append(out, text, len);
}

static bool store_one(struct hf_buffer *out, const mosquitto_property *property)
{
	switch (mosquitto_property_identifier(property)) {
	case MQTT_PROP_PAYLOAD_FORMAT_INDICATOR:
		return put_byte(out, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR) && put_byte(out, mosquitto_property_byte_value(property));
	case MQTT_PROP_CONTENT_TYPE:
		return put_byte(out, MQTT_PROP_CONTENT_TYPE) &&
			put_string(out, mosquitto_property_string_value(property), mosquitto_property_string_value_length(property));
	case MQTT_PROP_USER_PROPERTY:
		if (is_stamped(mosquitto_property_string_name(property))) {
			return true;
		}
		return put_byte(out, MQTT_PROP_USER_PROPERTY) &&
			put_string(out, mosquitto_property_string_name(property), mosquitto_property_string_name_length(property)) &&
			put_string(out, mosquitto_property_string_value(property), mosquitto_property_string_value_length(property));
	default:
		return true;
	}
}

enum hf_reason hf_properties_read(struct hf_plugin *plugin, const mosquitto_property *list, struct hf_publish_properties *out)
{
	struct hf_buffer *buffer = &plugin->properties;

	*out = (struct hf_publish_properties){ .stored = HF_SLICE_NONE, .correlation = HF_SLICE_NONE };
	hf_buffer_clear(buffer);
	for (const mosquitto_property *property = list; property; property = mosquitto_property_next(property)) {
		switch (mosquitto_property_identifier(property)) {
		case MQTT_PROP_RESPONSE_TOPIC:
			out->response_topic = mosquitto_property_string_value(property);
			break;
		case MQTT_PROP_CORRELATION_DATA:
			out->correlation =
				hf_slice_from(mosquitto_property_binary_value(property), mosquitto_property_binary_value_length(property));
			break;
		default:
			if (!store_one(buffer, property)) {
				return HF_NO_MEMORY;
			}
		}
	}
	if (buffer->len > PROPERTIES_MAX) {
		return HF_PROPERTIES_TOO_LARGE;
	}
	out->stored = hf_buffer_slice(buffer);
	return HF_OK;
}

/* ---- and back */

struct reader {
	const unsigned char *at, *end;
};

/* A string of the stored properties, as C wants it; free it. NULL: the properties end too early, or no memory. */
static char *take_string(struct reader *reader)
{
	if (reader->end - reader->at < 2) {
		return NULL;
	}
	size_t len = (size_t)reader->at[0] << 8 | reader->at[1];
	if ((size_t)(reader->end - reader->at) < 2 + len) {
		return NULL;
	}
	char *text = strndup((const char *)reader->at + 2, len);
	reader->at += 2 + len;
	return text;
}

static bool restore_user_property(struct reader *reader, mosquitto_property **list)
{
	char *name = take_string(reader);
	char *value = name ? take_string(reader) : NULL;
	bool ok = value && mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, name, value) == MOSQ_ERR_SUCCESS;

	free(name);
	free(value);
	return ok;
}

static bool restore_one(struct reader *reader, mosquitto_property **list)
{
	switch (*reader->at++) {
	case MQTT_PROP_PAYLOAD_FORMAT_INDICATOR:
		return reader->at < reader->end &&
			mosquitto_property_add_byte(list, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, *reader->at++) == MOSQ_ERR_SUCCESS;
	case MQTT_PROP_CONTENT_TYPE: {
		char *type = take_string(reader);
		bool ok = type && mosquitto_property_add_string(list, MQTT_PROP_CONTENT_TYPE, type) == MOSQ_ERR_SUCCESS;
		free(type);
		return ok;
	}
	case MQTT_PROP_USER_PROPERTY:
		return restore_user_property(reader, list);
	default:
		return false;
	}
}

static bool stamp(mosquitto_property **list, const char *name, const char *value)
{
	return mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, name, value) == MOSQ_ERR_SUCCESS;
}

/* Put the stored properties of a publish behind what is in the list. */
static bool restore_all(struct hf_slice stored, mosquitto_property **list)
{
	struct reader reader = { .at = (const unsigned char *)stored.data, .end = (const unsigned char *)stored.data + stored.len };

	while (reader.at < reader.end) {
		if (!restore_one(&reader, list)) {
			return false;
		}
	}
	return true;
}

static bool stamp_entry(const struct hf_entry *entry, mosquitto_property **list)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, entry->offset);
	if (!stamp(list, "offset", number)) {
		return false;
	}
	snprintf(number, sizeof(number), "%" PRId64, entry->time_ms);
	if (!stamp(list, "time", number)) {
		return false;
	}
	char *from = strndup(entry->identity.data, entry->identity.len);
	bool ok = from && stamp(list, "from", from) && stamp(list, "role", hf_role_name(entry->role));
	free(from);
	return ok;
}

static bool write_all(const struct hf_message *message, mosquitto_property **list)
{
	if (message->entry && !(stamp_entry(message->entry, list) && restore_all(message->entry->properties, list))) {
		return false;
	}
	if (message->correlation.len > 0 &&
		mosquitto_property_add_binary(list, MQTT_PROP_CORRELATION_DATA, message->correlation.data, (uint16_t)message->correlation.len)) {
		return false;
	}
	/* The broker adds the first Subscription Identifier itself; further ones have to be properties of the message. */
	for (size_t i = 1; i < message->subscription_id_count; i++) {
		if (mosquitto_property_add_varint(list, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, message->subscription_ids[i])) {
			return false;
		}
	}
	return true;
}

bool hf_properties_write(const struct hf_message *message, mosquitto_property **out)
{
	*out = NULL;
	if (write_all(message, out)) {
		return true;
	}
	mosquitto_property_free_all(out);
	return false;
}

bool hf_properties_stamp_live(const char *identity, struct hf_slice stored, mosquitto_property **out)
{
	*out = NULL;
	if (stamp(out, "from", identity ? identity : "") && restore_all(stored, out)) {
		return true;
	}
	mosquitto_property_free_all(out);
	return false;
}
