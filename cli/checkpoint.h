/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A checkpoint: a seal, kept elsewhere. Whoever has one can tell later that nothing it covers was changed, and that
 * nothing was cut off behind it. As a file it is a JSON object:
 *
 *     {"checkpoint": 2, "seal": number, "time": ISO 8601, "entries": LSN, "records": seq,
 *      "value": the seal as the store has it, in hex, "public_key": of the key it is signed with, PEM}
 */
#ifndef HF_CLI_CHECKPOINT_H
#define HF_CLI_CHECKPOINT_H

#include <stdbool.h>

#include "store/audit.h"

struct hf_checkpoint {
	struct hf_seal seal;
	unsigned char value[HF_SEAL_SIZE];
	uint8_t public_key[HF_PUBLIC_KEY_SIZE];
};

/* Read it from a file; its signature is checked. False: standard error says why not. */
bool hf_checkpoint_read(const char *path, struct hf_checkpoint *out);

/* Print it to standard output. False: no memory. */
bool hf_checkpoint_print(const struct hf_checkpoint *checkpoint);

#endif
