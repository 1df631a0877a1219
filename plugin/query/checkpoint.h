/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A checkpoint: a seal, kept elsewhere. Whoever has one can tell later that nothing it covers was changed, and that
 * nothing was cut off behind it. As a document it is a JSON object:
 *
 *     {"checkpoint": 1, "seal": number, "time": ISO 8601, "entries": LSN, "records": seq,
 *      "value": the seal as the store has it, in hex, "public_key": of the key it is signed with, PEM}
 */
#ifndef HF_QUERY_CHECKPOINT_H
#define HF_QUERY_CHECKPOINT_H

#include <cjson/cJSON.h>

#include "store/audit.h"

#define HF_CHECKPOINT_VERSION 1

struct hf_checkpoint {
	struct hf_seal seal;
	unsigned char value[HF_SEAL_SIZE];
	uint8_t public_key[HF_PUBLIC_KEY_SIZE];
};

/* That of the newest seal; *found is false where there is none yet. HF_OK, HF_RECORD_CORRUPT, HF_STORE_FAILED. */
enum hf_reason hf_checkpoint_newest(struct hf_store *store, struct hf_checkpoint *out, bool *found);

/* Fill in the document, an empty object. False: no memory. */
bool hf_checkpoint_json(const struct hf_checkpoint *checkpoint, cJSON *object);

/* The public key that the newest seal is signed with, before the first seal that of the store's first record; `first`:
 * the one that the store was begun with. As hf_audit_public_key. */
enum hf_reason hf_checkpoint_key(struct hf_store *store, bool first, uint8_t public_key[HF_PUBLIC_KEY_SIZE]);

#endif
