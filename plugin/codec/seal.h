/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seals: every few seconds, or thousand records, the ends of both chains are signed (Ed25519, RFC 8032). All records
 * up to there are fixed by it, as far as its signature is trusted; and so are all seals before it, since each has the
 * digest of the one before. A value on disk; integers little-endian:
 *
 *      0  u8   format, 2
 *      1  u64  LSN of the last entry that it covers
 *      9  u64  seq of the last record of the audit that it covers
 *     17  i64  time, Unix ms: not before that of any record it covers, nor of the seal before
 *     25  u64  seq of the record that introduced its key
 *     33       link of that entry, 32 bytes
 *     65       link of that record, 32 bytes
 *     97       digest of the seal before, 32 bytes; zeros for the first
 *    129       signature, 64 bytes
 *
 * The key is the seal's number, dense from 1. What is signed: "holdfast seal" | number u64 little-endian | bytes 0
 * to 128. The digest of a seal is the SHA-256 of: "holdfast seal" | number | all its bytes, with the signature.
 */
#ifndef HF_CODEC_SEAL_H
#define HF_CODEC_SEAL_H

#include "codec/digest.h"
#include "codec/signature.h"

#define HF_SEAL_SIZE 193

struct hf_seal {
	uint64_t number; /* the key */
	uint64_t lsn;
	uint64_t seq;
	int64_t time_ms;
	uint64_t key_seq;
	uint8_t log_link[HF_DIGEST_SIZE];
	uint8_t audit_link[HF_DIGEST_SIZE];
	uint8_t previous[HF_DIGEST_SIZE]; /* digest of the seal before */
};

/* Write and sign. False: it could not be signed. */
bool hf_seal_encode(const struct hf_seal *seal, const struct hf_signer *signer, unsigned char out[HF_SEAL_SIZE]);

/* Decode, whoever signed it; `number` is left alone. False: not a seal. */
bool hf_seal_decode(struct hf_slice value, struct hf_seal *out);

/* Is the signature of this value, under this number, by this public key? */
bool hf_seal_verify(struct hf_slice value, uint64_t number, const uint8_t public_key[HF_PUBLIC_KEY_SIZE]);

/* The digest of this value under this number. False: no memory. */
bool hf_seal_digest(
	struct hf_hasher *hasher, uint64_t number, const unsigned char value[HF_SEAL_SIZE], uint8_t digest[HF_DIGEST_SIZE]);

#endif
