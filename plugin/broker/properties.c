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

/* ---- and back: into a list of Mosquitto's */

static void copy_text(char *to, struct hf_slice text)
{
	if (text.len > 0) {
		memcpy(to, text.data, text.len);
	}
	to[text.len] = '\0';
}

static bool add(const struct hf_property *property, mosquitto_property **list)
{
	char few[512];
	size_t size = property->name.len + property->value.len + 2;
	char *name = size <= sizeof(few) ? few : malloc(size);
	int rc = MOSQ_ERR_NOMEM;

	if (!name) {
		return false;
	}
	char *value = name + property->name.len + 1;
	copy_text(name, property->name);
	copy_text(value, property->value);
	switch (property->id) {
	case HF_PROPERTY_PAYLOAD_FORMAT:
		rc = mosquitto_property_add_byte(list, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, property->format);
		break;
	case HF_PROPERTY_CONTENT_TYPE:
		rc = mosquitto_property_add_string(list, MQTT_PROP_CONTENT_TYPE, value);
		break;
	case HF_PROPERTY_USER:
		rc = mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, name, value);
		break;
	}
	if (name != few) {
		free(name);
	}
	return rc == MOSQ_ERR_SUCCESS;
}

/* Put properties that are stored, or packed, behind what is in the list. */
static bool add_all(struct hf_slice encoded, mosquitto_property **list)
{
	struct hf_property property;

	while (hf_property_next(&encoded, &property)) {
		if (!add(&property, list)) {
			return false;
		}
	}
	return encoded.len == 0;
}

bool hf_properties_stamp_live(const char *identity, struct hf_slice stored, mosquitto_property **out)
{
	const struct hf_property from = {
		.id = HF_PROPERTY_USER, .name = hf_slice_of("from"), .value = hf_slice_of(identity)};

	*out = NULL;
	if (add(&from, out) && add_all(stored, out)) {
		return true;
	}
	mosquitto_property_free_all(out);
	return false;
}

/* ---- what goes out with an entry */

static bool stamp(struct hf_buffer *out, const char *name, struct hf_slice value)
{
	return hf_property_put(
		out, &(struct hf_property){.id = HF_PROPERTY_USER, .name = hf_slice_of(name), .value = value});
}

static bool stamp_number(struct hf_buffer *out, const char *name, uint64_t value)
{
	char text[HF_NUMBER_SIZE];

	return stamp(out, name, hf_slice_of(hf_number_write(value, text)));
}

static bool stamp_entry(struct hf_buffer *out, const struct hf_entry *entry, uint64_t first_offset)
{
	return (first_offset == 0 || stamp_number(out, "first-offset", first_offset)) &&
		   stamp_number(out, "offset", entry->offset) && stamp_number(out, "time", (uint64_t)entry->time_ms) &&
		   stamp(out, "from", entry->identity) && stamp(out, "role", hf_slice_of(hf_role_name(entry->role))) &&
		   (entry->id.len == 0 || stamp(out, "id", entry->id)) &&
		   hf_buffer_append(out, entry->properties.data, entry->properties.len);
}

/*
 * Packed: all of them, as they will be on the wire, in a single property of the message that the broker keeps; unpacked
 * in MESSAGE_OUT, for as long as it takes to write the packet. For Mosquitto has three pieces of memory for each
 * property, and of a device that catches up there may be a thousand messages in flight: making and freeing their
 * properties took more than a third of what it costs to hand an entry out.
 *
 * The one that they are packed into may not be in any PUBLISH (MQTT 5, section 2.2.2.2, table 2-4), and Mosquitto takes
 * none from a client that has it: so no other message can be mistaken for ours.
 */
#define PACKED MQTT_PROP_AUTHENTICATION_DATA

static const mosquitto_property *find_packed(const mosquitto_property *list)
{
	while (list && mosquitto_property_identifier(list) != PACKED) {
		list = mosquitto_property_next(list);
	}
	return list;
}

static struct hf_slice packed_in(const mosquitto_property *list)
{
	const mosquitto_property *packed = find_packed(list);

	return packed
			   ? hf_slice_from(mosquitto_property_binary_value(packed), mosquitto_property_binary_value_length(packed))
			   : HF_SLICE_NONE;
}

static bool write_entry(struct hf_plugin *plugin, const struct hf_message *message, mosquitto_property **list)
{
	struct hf_buffer *buffer = &plugin->packed;

	hf_buffer_clear(buffer);
	if (!stamp_entry(buffer, message->entry, message->first_offset)) {
		return false;
	}
	return buffer->len > UINT16_MAX
			   ? add_all(hf_buffer_slice(buffer), list) /* a property has no room for that much */
			   : mosquitto_property_add_binary(list, PACKED, buffer->data, (uint16_t)buffer->len) == MOSQ_ERR_SUCCESS;
}

static bool write_all(struct hf_plugin *plugin, const struct hf_message *message, mosquitto_property **list)
{
	if (message->entry && !write_entry(plugin, message, list)) {
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

bool hf_properties_write(struct hf_plugin *plugin, const struct hf_message *message, mosquitto_property **out)
{
	*out = NULL;
	if (write_all(plugin, message, out)) {
		return true;
	}
	mosquitto_property_free_all(out);
	return false;
}

size_t hf_properties_len(const mosquitto_property *list)
{
	const mosquitto_property *packed = find_packed(list);
	size_t len = mosquitto_property_get_length_all(list);

	return packed ? len - mosquitto_property_get_length(packed) + packed_in(packed).len : len;
}

uint64_t hf_properties_offset(const mosquitto_property *list)
{
	struct hf_slice packed = packed_in(list);
	struct hf_property property;
	uint64_t offset = 0;

	while (hf_property_next(&packed, &property)) {
		if (hf_slice_is(property.name, "offset") && hf_number_parse(property.value, &offset)) {
			break;
		}
	}
	return offset;
}

/* What is in the list besides `packed`. */
static bool copy_others(const mosquitto_property *list, const mosquitto_property *packed, mosquitto_property **out)
{
	if (list == packed && !mosquitto_property_next(packed)) {
		return true;
	}
	if (mosquitto_property_copy_all(out, list) != MOSQ_ERR_SUCCESS) {
		return false;
	}
	mosquitto_property *copy = (mosquitto_property *)find_packed(*out);
	mosquitto_property_remove(out, copy);
	mosquitto_property_free(&copy);
	return true;
}

mosquitto_property *hf_properties_unpack(mosquitto_property *list)
{
	const mosquitto_property *packed = find_packed(list);
	mosquitto_property *unpacked = NULL;

	if (!packed) {
		return list;
	}
	if (copy_others(list, packed, &unpacked) && add_all(packed_in(packed), &unpacked)) {
		return unpacked;
	}
	mosquitto_property_free_all(&unpacked);
	return list;
}
