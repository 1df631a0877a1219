/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 (FIPS 180-4), by OpenSSL. A hasher is made once and used for one digest after another, since fetching the
 * algorithm costs more than a small digest does. */
#ifndef HF_CODEC_DIGEST_H
#define HF_CODEC_DIGEST_H

#include <stdint.h>

#include "codec/slice.h"

#define HF_DIGEST_SIZE 32

struct hf_hasher;

/* NULL: no memory. Free with hf_hasher_free (NULL allowed). */
struct hf_hasher *hf_hasher_new(void);
void hf_hasher_free(struct hf_hasher *hasher);

/* The digest of everything added since begin. A failure on the way (no memory) shows at the end: false. */
void hf_hasher_begin(struct hf_hasher *hasher);
void hf_hasher_add(struct hf_hasher *hasher, const void *data, size_t len);
bool hf_hasher_end(struct hf_hasher *hasher, uint8_t out[HF_DIGEST_SIZE]);

/* The digest of these bytes alone. */
bool hf_hasher_digest(struct hf_hasher *hasher, struct hf_slice bytes, uint8_t out[HF_DIGEST_SIZE]);

/* The same by a hasher that is made for it, where that is rare. */
bool hf_digest(struct hf_slice bytes, uint8_t out[HF_DIGEST_SIZE]);

#endif
