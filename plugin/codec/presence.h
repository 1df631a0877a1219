/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Presence: how a participant of a session is, and why. The words of notices, and the documents on
 * S/presence/{identity} by schemas/presence.cddl.
 */
#ifndef HF_CODEC_PRESENCE_H
#define HF_CODEC_PRESENCE_H

#include <stdint.h>

#include "codec/buffer.h"
#include "codec/entry.h"
#include "codec/reason.h"
#include "codec/slice.h"

/* Number and name on the wire. The numbers are on disk: add at the end, never renumber or rename. */
#define HF_PRESENCE_TABLE(X)                                                                                           \
	X(OFFLINE, "offline") /* no device of it is connected, or none is in the session any more */                       \
	X(ONLINE, "online")                                                                                                \
	X(CRASHED, "crashed") /* an agent whose last connection broke, and that did not come back within its grace */      \
	X(STALLED, "stalled") /* an agent that is connected, with an open response and no batch for too long */

enum hf_presence {
#define HF_PRESENCE_NUMBER(number, name) HF_PRESENCE_##number,
	HF_PRESENCE_TABLE(HF_PRESENCE_NUMBER)
#undef HF_PRESENCE_NUMBER
		HF_PRESENCE_COUNT
};

/* As above. */
#define HF_WHY_TABLE(X)                                                                                                \
	X(NONE, "")                                                                                                        \
	X(GOODBYE, "goodbye")                 /* it sent DISCONNECT */                                                     \
	X(LEFT, "left")                       /* connected, but no filter of it names the session any more */              \
	X(CONNECTION_LOST, "connection-lost") /* without a DISCONNECT, or with reason code 0x04 */                         \
	X(KEEPALIVE, "keepalive")             /* nothing was heard of it for 1.5 times its keepalive */                    \
	X(TAKEN_OVER, "taken-over")           /* somebody connected with the same client id */                             \
	X(KICKED, "kicked")                   /* the broker was told to end the connection */                              \
	X(RESTART, "broker-restart")          /* the broker was stopped, and it did not come back */                       \
	X(ROLE, "role-lost")                  /* the roles file does not name it any more */                               \
	X(NO_BATCH, "no-batch")               /* of an open response for the time of the option stall_after */

enum hf_why {
#define HF_WHY_NUMBER(number, name) HF_WHY_##number,
	HF_WHY_TABLE(HF_WHY_NUMBER)
#undef HF_WHY_NUMBER
		HF_WHY_COUNT
};

/* The name on the wire; "" for a number out of range. Static. And the reverse: the COUNT for a name that is none. */
const char *hf_presence_name(enum hf_presence presence);
const char *hf_why_name(enum hf_why why);
enum hf_presence hf_presence_parse(struct hf_slice name);
enum hf_why hf_why_parse(struct hf_slice name);

#define HF_STATUS_MAX 256

/* What everybody sees of a participant. */
struct hf_presence_document {
	struct hf_slice identity;
	enum hf_role role;
	enum hf_presence state;
	enum hf_why why;        /* written unless HF_WHY_NONE */
	struct hf_slice status; /* its own words, at most HF_STATUS_MAX bytes; written unless empty */
	uint32_t devices;       /* of it, in the session */
	int64_t since_ms;       /* when it turned so, Unix ms */
};

/* Append in the deterministic encoding of RFC 8949, section 4.2.1. False: no memory; the end of `out` is undefined. */
bool hf_presence_encode(const struct hf_presence_document *document, struct hf_buffer *out);

/* What a participant publishes of itself: { status }. *status points into `payload`. HF_OK, HF_PAYLOAD_MALFORMED (also
 * an empty payload), HF_PAYLOAD_INVALID. */
enum hf_reason hf_status_decode(struct hf_slice payload, struct hf_slice *status);
bool hf_status_encode(struct hf_slice status, struct hf_buffer *out); /* false: no memory */

#endif
