/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MQTT 5 properties. Stored with an entry, in the encoding of MQTT 5, section 2.2.2.2: Payload Format Indicator,
 * Content Type and User Properties. Stamped on its way out: offset, first-offset where entries were joined, time, from,
 * role, and id where it has one.
 * Taken, and not passed on, what the publisher asks of the log: codec/conditions.h.
 */
#include "codec/properties.h"
#include "broker/plugin.h"
#include "codec/number.h"

#include <stdlib.h>
#include <string.h>

#define PROPERTIES_MAX 65535

static const char *const stamped[] = {"offset", "first-offset", "time", "from", "role"};

static bool is_stamped(struct hf_slice name)
{
	for (size_t i = 0; i < sizeof(stamped) / sizeof(stamped[0]); i++) {
		if (hf_slice_is(name, stamped[i])) {
			return true;
		}
	}
	return false;
}

/* Is it one of those that are stored? Then it is in *out, whose slices point into it. */
static bool to_store(const mosquitto_property *property, struct hf_property *out)
{
	switch (mosquitto_property_identifier(property)) {
	case MQTT_PROP_PAYLOAD_FORMAT_INDICATOR:
		*out =
			(struct hf_property){.id = HF_PROPERTY_PAYLOAD_FORMAT, .format = mosquitto_property_byte_value(property)};
		return true;
	case MQTT_PROP_CONTENT_TYPE:
		*out = (struct hf_property){
			.id = HF_PROPERTY_CONTENT_TYPE,
			.value = hf_slice_from(
				mosquitto_property_string_value(property), mosquitto_property_string_value_length(property)),
		};
		return true;
	case MQTT_PROP_USER_PROPERTY:
		*out = (struct hf_property){
			.id = HF_PROPERTY_USER,
			.name = hf_slice_from(
				mosquitto_property_string_name(property), mosquitto_property_string_name_length(property)),
			.value = hf_slice_from(
				mosquitto_property_string_value(property), mosquitto_property_string_value_length(property)),
		};
		return !is_stamped(out->name);
	default:
		return false;
	}
}

enum hf_reason hf_properties_read(
	struct hf_plugin *plugin, const mosquitto_property *list, struct hf_publish_properties *out)
{
	struct hf_buffer *buffer = &plugin->properties;
	enum hf_reason reason = HF_OK;

	*out = (struct hf_publish_properties){
		.stored = HF_SLICE_NONE, .correlation = HF_SLICE_NONE, .conditions = HF_CONDITIONS_NONE};
	hf_buffer_clear(buffer);
	for (const mosquitto_property *property = list; property; property = mosquitto_property_next(property)) {
		switch (mosquitto_property_identifier(property)) {
		case MQTT_PROP_RESPONSE_TOPIC:
			out->response_topic = mosquitto_property_string_value(property);
			break;
		case MQTT_PROP_CORRELATION_DATA:
			out->correlation = hf_slice_from(
				mosquitto_property_binary_value(property), mosquitto_property_binary_value_length(property));
			break;
		default: {
			struct hf_property stored;
			bool put = to_store(property, &stored) &&
					   (stored.id != HF_PROPERTY_USER ||
						   !hf_condition_take(&out->conditions, stored.name, stored.value, &reason));
			if (put && !hf_property_put(buffer, &stored)) {
				return HF_NO_MEMORY;
			}
		}
		}
	}
	if (buffer->len > PROPERTIES_MAX) {
		return HF_PROPERTIES_TOO_LARGE;
	}
	out->stored = hf_buffer_slice(buffer);
	return reason;
}

/* ---- and back */

static bool restore_one(const struct hf_property *stored, mosquitto_property **list)
{
	char *name = strndup(stored->name.data ? stored->name.data : "", stored->name.len);
	char *value = strndup(stored->value.data ? stored->value.data : "", stored->value.len);
	int rc = MOSQ_ERR_NOMEM;

	if (name && value) {
		switch (stored->id) {
		case HF_PROPERTY_PAYLOAD_FORMAT:
			rc = mosquitto_property_add_byte(list, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, stored->format);
			break;
		case HF_PROPERTY_CONTENT_TYPE:
			rc = mosquitto_property_add_string(list, MQTT_PROP_CONTENT_TYPE, value);
			break;
		case HF_PROPERTY_USER:
			rc = mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, name, value);
			break;
		}
	}
	free(name);
	free(value);
	return rc == MOSQ_ERR_SUCCESS;
}

static bool stamp(mosquitto_property **list, const char *name, const char *value)
{
	return mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, name, value) == MOSQ_ERR_SUCCESS;
}

/* Put the stored properties of a publish behind what is in the list. */
static bool restore_all(struct hf_slice stored, mosquitto_property **list)
{
	struct hf_property property;

	while (hf_property_next(&stored, &property)) {
		if (!restore_one(&property, list)) {
			return false;
		}
	}
	return stored.len == 0;
}

/* An identity, or an id. */
static bool stamp_text(mosquitto_property **list, const char *name, struct hf_slice value)
{
	char few[256];
	char *text = value.len < sizeof(few) ? few : malloc(value.len + 1);

	if (!text) {
		return false;
	}
	if (value.len > 0) {
		memcpy(text, value.data, value.len);
	}
	text[value.len] = '\0';
	bool ok = stamp(list, name, text);
	if (text != few) {
		free(text);
	}
	return ok;
}

static bool stamp_number(mosquitto_property **list, const char *name, uint64_t value)
{
	char text[HF_NUMBER_SIZE];

	return stamp(list, name, hf_number_write(value, text));
}

static bool stamp_entry(const struct hf_message *message, mosquitto_property **list)
{
	const struct hf_entry *entry = message->entry;

	return (message->first_offset == 0 || stamp_number(list, "first-offset", message->first_offset)) &&
		   stamp_number(list, "offset", entry->offset) && stamp_number(list, "time", (uint64_t)entry->time_ms) &&
		   stamp_text(list, "from", entry->identity) && stamp(list, "role", hf_role_name(entry->role)) &&
		   (entry->id.len == 0 || stamp_text(list, "id", entry->id));
}

static bool write_all(const struct hf_message *message, mosquitto_property **list)
{
	if (message->entry && !(stamp_entry(message, list) && restore_all(message->entry->properties, list))) {
		return false;
	}
	if (message->correlation.len > 0 && mosquitto_property_add_binary(list, MQTT_PROP_CORRELATION_DATA,
											message->correlation.data, (uint16_t)message->correlation.len)) {
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

uint64_t hf_properties_offset(const mosquitto_property *list)
{
	for (; list; list = mosquitto_property_next(list)) {
		if (mosquitto_property_identifier(list) == MQTT_PROP_USER_PROPERTY &&
			strcmp(mosquitto_property_string_name(list), "offset") == 0) {
			return strtoull(mosquitto_property_string_value(list), NULL, 10);
		}
	}
	return 0;
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
