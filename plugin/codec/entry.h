/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One entry of a session's log, and the record that stores it. One record is one RocksDB value; it carries all
 * that delivery, history and the audit need, so that one put makes an entry durable.
 *
 * The record (format 1; all integers little-endian):
 *
 *      0  u8   format, 1
 *      1  u8   kind            enum hf_kind
 *      2  u8   role            enum hf_role
 *      3  u8   QoS in bits 0-1, the rest 0
 *      4  u8   length of the session id
 *      5  u8   length of the idempotency id, 0 when there is none
 *      6  u16  length of the topic behind the session
 *      8  u16  length of the identity
 *     10  u16  length of the client id
 *     12  u32  length of the properties
 *     16  u32  length of the payload
 *     20  u64  offset
 *     28  i64  time, Unix ms
 *     36       session | idempotency id | topic | identity | client id | properties | payload
 *
 * Properties are those of the publish that readers get too (Payload Format Indicator, Content Type, User
 * Property), in the encoding of MQTT 5, section 2.2.2.2, without the length in front: codec/properties.h.
 */
#ifndef HF_CODEC_ENTRY_H
#define HF_CODEC_ENTRY_H

#include "codec/buffer.h"
#include "codec/topic.h"

enum hf_role {
	HF_ROLE_NONE = 0,
	HF_ROLE_AGENT = 1,
	HF_ROLE_USER = 2,
	HF_ROLE_OPERATOR = 3,
	HF_ROLE_OBSERVER = 4,
	HF_ROLE_AUDITOR = 5,
	HF_ROLE_ADMIN = 6,
	HF_ROLE_BROKER = 7, /* Holdfast's own entries */
};

struct hf_entry {
	uint64_t lsn;    /* log sequence number: place in the whole log, the key of the record; not in the value */
	uint64_t offset; /* place in the session, dense from 1 */
	int64_t time_ms; /* Unix ms; never falls within a session */
	enum hf_kind kind;
	enum hf_role role;
	uint8_t qos;
	struct hf_slice session;
	struct hf_slice topic; /* behind root/{session}/ */
	struct hf_slice id;    /* idempotency id */
	struct hf_slice identity;
	struct hf_slice device; /* client id */
	struct hf_slice properties;
	struct hf_slice payload;
};

/* Append the record of `entry` to `out`. HF_OK, HF_NO_MEMORY, or HF_PROPERTIES_TOO_LARGE when a part does not
 * fit its length field; then nothing is appended. The rest of the entry must be what hf_entry_decode takes
 * (assert). */
enum hf_reason hf_entry_encode(const struct hf_entry *entry, struct hf_buffer *out);

/* Decode a record; slices of `out` point into it, `lsn` is left alone. HF_OK or HF_RECORD_CORRUPT (`out` is
 * untouched then): another format, a length that does not add up, a kind that is not logged, no role, a QoS or
 * session id that cannot be, offset 0, properties that do not parse. Never reads beyond the record. */
enum hf_reason hf_entry_decode(struct hf_slice record, struct hf_entry *out);

/* "agent" ..., "" for none; and the reverse (HF_ROLE_NONE when unknown, also for "broker"). */
const char *hf_role_name(enum hf_role role);
enum hf_role hf_role_parse(struct hf_slice name);

#endif
