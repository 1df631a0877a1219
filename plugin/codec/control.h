/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on S/control, CBOR by schemas/control.cddl: one command, and the fields that it takes. */
#ifndef HF_CODEC_CONTROL_H
#define HF_CODEC_CONTROL_H

#include <stdint.h>

#include "codec/buffer.h"
#include "codec/reason.h"
#include "codec/slice.h"

#define HF_IDENTITY_MAX 1024 /* bytes, of one that a request names */

/* The fields of requests, by bit. */
enum hf_control_field {
	HF_CONTROL_TO = 1 << 0,    /* an identity */
	HF_CONTROL_MODE = 1 << 1,  /* of a transfer */
	HF_CONTROL_EPOCH = 1 << 2, /* do it only if this is the epoch of the floor */
	HF_CONTROL_AGE = 1 << 3,   /* limits of what is kept: 0 is none; not there: as the options say */
	HF_CONTROL_BYTES = 1 << 4,
	HF_CONTROL_COUNT = 1 << 5,
	HF_CONTROL_UNATTENDED = 1 << 6, /* mode, of what is published and nobody is there to read */
};

/* Number, name on the wire, fields that it must have, fields that it may have. Add, never rename. */
#define HF_COMMAND_TABLE(X)                                                                                            \
	X(CLAIM, "claim", 0, HF_CONTROL_EPOCH)                                                                             \
	X(TRANSFER, "transfer", HF_CONTROL_TO, HF_CONTROL_MODE | HF_CONTROL_EPOCH)                                         \
	X(ACCEPT, "accept", 0, HF_CONTROL_EPOCH)                                                                           \
	X(DECLINE, "decline", 0, HF_CONTROL_EPOCH)                                                                         \
	X(HANDBACK, "handback", 0, HF_CONTROL_EPOCH)                                                                       \
	X(RELEASE, "release", 0, HF_CONTROL_EPOCH)                                                                         \
	X(UNATTENDED, "unattended", HF_CONTROL_UNATTENDED, 0)                                                              \
	X(CLOSE, "close", 0, 0)                                                                                            \
	X(ERASE, "erase", 0, 0)                                                                                            \
	X(LIMITS, "limits", 0, HF_CONTROL_AGE | HF_CONTROL_BYTES | HF_CONTROL_COUNT)

enum hf_command {
#define HF_COMMAND_NUMBER(number, name, needs, may) HF_COMMAND_##number,
	HF_COMMAND_TABLE(HF_COMMAND_NUMBER)
#undef HF_COMMAND_NUMBER
		HF_COMMAND_COUNT
};

struct hf_control_request {
	enum hf_command command;
	unsigned int fields; /* which of these are there */
	struct hf_slice to;
	bool cold;   /* mode of a transfer; without it: warm */
	bool reject; /* mode of unattended */
	uint64_t epoch;
	uint64_t age_ms, bytes, count; /* limits */
};

/* Decode a request. Slices of `out` point into `payload`. HF_OK, HF_PAYLOAD_MALFORMED, HF_COMMAND_UNKNOWN,
 * HF_PAYLOAD_INVALID: no map, no command, a field twice, of a wrong type or out of range, one that the command does not
 * take, or one that it lacks. `out` is of no use then. */
enum hf_reason hf_control_decode(struct hf_slice payload, struct hf_control_request *out);

/* Append a request in the deterministic encoding of RFC 8949, section 4.2.1. False: no memory. */
bool hf_control_encode(const struct hf_control_request *request, struct hf_buffer *out);

const char *hf_command_name(enum hf_command command); /* static */

#endif
