/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The records of the audit, but for publishes, whose own records are theirs (codec/entry.h). A value on disk:
 *
 *      0  u8   format, 1
 *      1  u8   kind            enum hf_audit_kind
 *      2       link: the first 8 bytes of the chain up to this record
 *     10       the facts, a CBOR map by schemas/audit.cddl
 *
 * The key is the record's number, seq, dense from 1. The chain is that of entries, over these records:
 *
 *     SHA-256 of: link of the record before (all 32 bytes; zeros for the first) | seq u64 big-endian | bytes 0 and 1
 *                 | the facts
 */
#ifndef HF_CODEC_AUDIT_H
#define HF_CODEC_AUDIT_H

#include "codec/buffer.h"
#include "codec/digest.h"
#include "codec/reason.h"

/* Number on disk (never renumber), name for people and programs (add, never rename). What a field means for a kind is
 * in schemas/audit.cddl; plugin/AUDIT.md says what each record proves. */
#define HF_AUDIT_TABLE(X)                                                                                              \
	X(STARTED, 1, "started") /* the broker, on this store */                                                           \
	X(STOPPED, 2, "stopped")                                                                                           \
	X(CONNECTED, 3, "connected") /* a client, authenticated by the broker */                                           \
	X(DISCONNECTED, 4, "disconnected")                                                                                 \
	X(SUBSCRIBED, 5, "subscribed")                                                                                     \
	X(UNSUBSCRIBED, 6, "unsubscribed")                                                                                 \
	X(REFUSED, 7, "refused")            /* a connection, publish, subscription or request */                           \
	X(DELIVERED, 8, "delivered")        /* a page of receipts: codec/receipts.h */                                     \
	X(ROLES, 9, "roles")                /* the roles file was read */                                                  \
	X(KEY, 10, "key")                   /* seals are signed with this one from here on */                              \
	X(LOST, 11, "lost")                 /* records that could not be kept */                                           \
	X(UNCOVERED, 12, "uncovered")       /* a part of the log that was written while the audit was off */               \
	X(ERASED, 13, "erased")             /* a session: its entries are records without payloads from here on */         \
	X(LIMITS, 14, "limits")             /* of what is kept of a session */                                             \
	X(REMOVED, 15, "removed")           /* blocks of the audit itself that are gone, or are to go now */               \
	X(ADMINISTERED, 16, "administered") /* a command of an administrator was carried out */                            \
	X(HELD, 17, "held")                 /* a legal hold on a session, or an identity */                                \
	X(RELEASED, 18, "released")         /* it was lifted */                                                            \
	X(FORGETTING, 19, "forgetting")     /* what an identity has published is to lose its payload ... */                \
	X(FORGOTTEN, 20, "forgotten")       /* ... and has */                                                              \
	X(ASKED, 21, "asked")               /* a question over $CONTROL was answered */                                    \
	X(CONTROLLED, 22, "controlled")     /* a request on S/control was carried out */                                   \
	X(TRUNCATED, 23, "truncated")       /* retention removed the oldest entries of a session */                        \
	X(PRESENCE, 24, "presence")         /* a participant of a session turned: is online, is lost ... */

enum hf_audit_kind {
#define HF_AUDIT_NUMBER(id, number, name) HF_AUDIT_##id = number,
	HF_AUDIT_TABLE(HF_AUDIT_NUMBER)
#undef HF_AUDIT_NUMBER
};

/* What details say that programs read. */
#define HF_AUDIT_CLEAN "clean start"     /* connected: nothing of before is left */
#define HF_AUDIT_KEPT "session kept"     /* disconnected, and in subscribed: its subscriptions stay when it goes */
#define HF_AUDIT_CONTINUED "continued"   /* reason of asked: further pages of the question, or the same again */
#define HF_AUDIT_UNANSWERED "unanswered" /* reason of asked: the answer did not go out */
#define HF_AUDIT_PAYLOADS "payloads"     /* text of asked: what was said in a session was in the answer */
#define HF_AUDIT_NO_LOCAL "no local"     /* in subscribed: not to what it publishes itself */

struct hf_audit {
	uint64_t seq; /* the key */
	enum hf_audit_kind kind;
	int64_t time_ms;
	struct hf_slice identity; /* as authenticated */
	struct hf_slice device;   /* client id */
	struct hf_slice address;
	struct hf_slice session;
	struct hf_slice topic; /* or filter, in full */
	struct hf_slice act;   /* what was refused */
	struct hf_slice reason;
	struct hf_slice detail;
	struct hf_slice text;     /* of the roles */
	struct hf_slice protocol; /* of a connection, such as "MQTT 5" */
	struct hf_slice by;       /* the identity that asked for it */
	struct hf_slice key;
	struct hf_slice signature;
	struct hf_slice page;
	struct hf_slice blocks; /* codec/runs.h */
	uint64_t first, last, count, port;
};

/* The name; "" for a number that none has. And the reverse; 0 when unknown. */
const char *hf_audit_kind_name(enum hf_audit_kind kind);
enum hf_audit_kind hf_audit_kind_parse(struct hf_slice name);

/* The i-th text, or run of bytes, of a record; NULL when it has no more. To copy one without naming them all. */
struct hf_slice *hf_audit_slice(struct hf_audit *record, size_t i);

/* Append the value, its link zeros. False: no memory, nothing appended. */
bool hf_audit_encode(const struct hf_audit *record, struct hf_buffer *out);

/* Decode a value; slices point into it, seq is left alone. HF_OK or HF_RECORD_CORRUPT. A kind that this version does
 * not know is let pass. */
enum hf_reason hf_audit_decode(struct hf_slice value, struct hf_audit *out);

/* The link of a value of at least HF_AUDIT_HEAD bytes; `link` may be `previous`. False: no memory. */
#define HF_AUDIT_HEAD 10
bool hf_audit_link(struct hf_hasher *hasher, const uint8_t previous[HF_DIGEST_SIZE], uint64_t seq,
	struct hf_slice value, uint8_t link[HF_DIGEST_SIZE]);

/* Write the link into its value; does a value have it? */
void hf_audit_set_link(unsigned char *value, const uint8_t link[HF_DIGEST_SIZE]);
bool hf_audit_has_link(struct hf_slice value, const uint8_t link[HF_DIGEST_SIZE]);

#endif
