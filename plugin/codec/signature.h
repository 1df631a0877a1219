/* SPDX-License-Identifier: BSD-3-Clause */
/* Ed25519 signatures (RFC 8032) by OpenSSL. Keys as text are PEM, as `openssl genpkey -algorithm ed25519` and
 * `openssl pkey -pubout` write them. */
#ifndef HF_CODEC_SIGNATURE_H
#define HF_CODEC_SIGNATURE_H

#include <stdint.h>

#include "codec/buffer.h"
#include "codec/slice.h"

#define HF_PUBLIC_KEY_SIZE 32
#define HF_SIGNATURE_SIZE 64

struct hf_signer; /* a private key */

/* A new key; the key in a PEM text. NULL: no memory, no randomness, no Ed25519 key in the text. */
struct hf_signer *hf_signer_generate(void);
struct hf_signer *hf_signer_parse(struct hf_slice pem);
void hf_signer_free(struct hf_signer *signer); /* NULL allowed */

/* Append the private key as PEM. Whoever has it can sign. False: no memory. */
bool hf_signer_export(const struct hf_signer *signer, struct hf_buffer *pem);

/* The public key that belongs to it. */
const uint8_t *hf_signer_public_key(const struct hf_signer *signer);

/* False: no memory. */
bool hf_signer_sign(const struct hf_signer *signer, struct hf_slice message, uint8_t signature[HF_SIGNATURE_SIZE]);

bool hf_signature_verify(
	struct hf_slice message, const uint8_t signature[HF_SIGNATURE_SIZE], const uint8_t public_key[HF_PUBLIC_KEY_SIZE]);

/* A public key to and from PEM. False: no memory; no Ed25519 public key in the text. */
bool hf_public_key_export(const uint8_t public_key[HF_PUBLIC_KEY_SIZE], struct hf_buffer *pem);
bool hf_public_key_parse(struct hf_slice pem, uint8_t public_key[HF_PUBLIC_KEY_SIZE]);

#endif
