/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One entry of a session's log, and the record that stores it. One record is one RocksDB value; it carries all
 * that delivery, history and the audit need, so that one put makes an entry durable.
 *
 * The record (format 2; all integers little-endian):
 *
 *      0  u8   format, 2
 *      1  u8   kind            enum hf_kind
 *      2  u8   role            enum hf_role
 *      3  u8   QoS in bits 0-1; bit 2: stripped; bit 3: has a digest; bit 4: has a link; bit 5: erased; the rest 0
 *      4  u8   length of the session id
 *      5  u8   length of the idempotency id, 0 when there is none
 *      6  u16  length of the topic behind the session
 *      8  u16  length of the identity
 *     10  u16  length of the client id
 *     12  u8   length of the address
 *     13       3 bytes 0
 *     16  u32  length of the properties
 *     20  u32  length of the payload
 *     24  u64  offset
 *     32  i64  time, Unix ms
 *     40       digest: SHA-256 of the payload; zeros when there is none
 *     72       link: the first 8 bytes of the chain up to this record; zeros when there is none
 *     80       session | idempotency id | topic | identity | client id | address | properties | payload
 *
 * Properties are those of the publish that readers get too (Payload Format Indicator, Content Type, User
 * Property), in the encoding of MQTT 5, section 2.2.2.2, without the length in front: codec/properties.h.
 *
 * A stripped record has lost its payload and properties, by retention or erasure: instead of both it has the SHA-256
 * of the properties, where it had any. The two lengths stay. One that is erased, too, is still an entry of its session.
 *
 * The chain makes a change of any record show. Each link is a SHA-256:
 *
 *     link of the record before (all 32 bytes; zeros for the first) | LSN u64 big-endian
 *     | bytes 0 to 71, with bits 2 to 5 of byte 3 cleared | the texts, session to address
 *     | SHA-256 of the properties, where there are any
 *
 * The payload is in it by its digest, so that stripping a record leaves its link as it is.
 */
#ifndef HF_CODEC_ENTRY_H
#define HF_CODEC_ENTRY_H

#include "codec/buffer.h"
#include "codec/digest.h"
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
	struct hf_slice id;    /* idempotency id: conditions.h */
	struct hf_slice identity;
	struct hf_slice device;  /* client id */
	struct hf_slice address; /* the client's, as text */
	struct hf_slice properties;
	struct hf_slice payload;

	/* For the audit. Those who append leave it to the store. */
	struct hf_slice digest;                 /* SHA-256 of the payload; empty: of a store without audit */
	struct hf_slice link;                   /* HF_LINK_SIZE bytes; empty likewise */
	bool stripped;                          /* payload and properties are gone, and empty here ... */
	bool erased;                            /* ... by request: readers are told so in its place */
	uint32_t payload_size, properties_size; /* what they are, or were (set by hf_entry_decode) */
	struct hf_slice properties_digest;      /* SHA-256 of the properties; only when stripped of some */
};

#define HF_LINK_SIZE 8

/* Append the record of `entry` to `out`. HF_OK, HF_NO_MEMORY, or HF_PROPERTIES_TOO_LARGE when a part does not
 * fit its length field; then nothing is appended. The rest of the entry must be what hf_entry_decode takes
 * (assert). */
enum hf_reason hf_entry_encode(const struct hf_entry *entry, struct hf_buffer *out);

/* Decode a record; slices of `out` point into it, `lsn` is left alone. HF_OK or HF_RECORD_CORRUPT (`out` is
 * untouched then): another format, a length that does not add up, a kind that is not logged, no role, a QoS or
 * session id that cannot be, offset 0, an idempotency id that is no UTF-8, properties that do not parse, stripped
 * without a digest. Never reads beyond the record. */
enum hf_reason hf_entry_decode(struct hf_slice record, struct hf_entry *out);

/* Take payload and properties out of an entry, so that hf_entry_encode writes what may stay. `digests` is where their
 * digests are put, and must live as long as the entry. Harmless when stripped already. False: no memory. */
struct hf_entry_digests {
	uint8_t payload[HF_DIGEST_SIZE];
	uint8_t properties[HF_DIGEST_SIZE];
};
bool hf_entry_strip(struct hf_entry *entry, struct hf_hasher *hasher, struct hf_entry_digests *digests);

/* The link of a sound record with a digest, stripped or not; `link` may be `previous`. False: no memory. */
bool hf_entry_link(struct hf_hasher *hasher, const uint8_t previous[HF_DIGEST_SIZE], uint64_t lsn,
	struct hf_slice record, uint8_t link[HF_DIGEST_SIZE]);

/* Write the link into its record. */
void hf_entry_set_link(unsigned char *record, const uint8_t link[HF_DIGEST_SIZE]);

/* "agent" ..., "" for none; and the reverse (HF_ROLE_NONE when unknown, also for "broker"). */
const char *hf_role_name(enum hf_role role);
enum hf_role hf_role_parse(struct hf_slice name);

#endif
