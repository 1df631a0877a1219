/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The MQTT properties that an entry keeps: Payload Format Indicator, Content Type, User Property, in the encoding of
 * MQTT 5, section 2.2.2.2, one behind the other, without the length in front.
 */
#ifndef HF_CODEC_PROPERTIES_H
#define HF_CODEC_PROPERTIES_H

#include <stdint.h>

#include "codec/buffer.h"

/* The identifiers of MQTT 5. */
enum hf_property_id {
	HF_PROPERTY_PAYLOAD_FORMAT = 1,
	HF_PROPERTY_CONTENT_TYPE = 3,
	HF_PROPERTY_USER = 38,
};

struct hf_property {
	enum hf_property_id id;
	uint8_t format;        /* PAYLOAD_FORMAT: 0 bytes, 1 UTF-8 */
	struct hf_slice name;  /* USER */
	struct hf_slice value; /* USER, CONTENT_TYPE */
};

/* Take the first property off `rest`; slices of `out` point into it. False: none is left (then rest->len is 0), or
 * what follows is not one of the three, is cut off, or is not UTF-8 (then it is not 0). */
bool hf_property_next(struct hf_slice *rest, struct hf_property *out);

/* Append a property. False: no memory, or a text above 65535 bytes; nothing appended. */
bool hf_property_put(struct hf_buffer *out, const struct hf_property *property);

#endif
