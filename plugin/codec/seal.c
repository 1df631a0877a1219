/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/seal.h"

#include <endian.h>

#define FORMAT 2
#define LINKS_AT 33
#define PREVIOUS_AT 97
#define SIGNATURE_AT 129

static const char prefix[] = "holdfast seal";
#define PREFIX_SIZE (sizeof prefix - 1)
#define HEAD_SIZE (PREFIX_SIZE + 8)
#define SIGNED_SIZE (HEAD_SIZE + SIGNATURE_AT)

static void put64(unsigned char *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof value);
}

static uint64_t get64(const char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return le64toh(value);
}

static void write_head(uint64_t number, unsigned char out[HEAD_SIZE])
{
	memcpy(out, prefix, PREFIX_SIZE);
	put64(out + PREFIX_SIZE, number);
}

static void write_signed(uint64_t number, const void *value, unsigned char out[SIGNED_SIZE])
{
	write_head(number, out);
	memcpy(out + HEAD_SIZE, value, SIGNATURE_AT);
}

bool hf_seal_encode(const struct hf_seal *seal, const struct hf_signer *signer, unsigned char out[HF_SEAL_SIZE])
{
	unsigned char message[SIGNED_SIZE];

	out[0] = FORMAT;
	put64(out + 1, seal->lsn);
	put64(out + 9, seal->seq);
	put64(out + 17, (uint64_t)seal->time_ms);
	put64(out + 25, seal->key_seq);
	memcpy(out + LINKS_AT, seal->log_link, HF_DIGEST_SIZE);
	memcpy(out + LINKS_AT + HF_DIGEST_SIZE, seal->audit_link, HF_DIGEST_SIZE);
	memcpy(out + PREVIOUS_AT, seal->previous, HF_DIGEST_SIZE);
	write_signed(seal->number, out, message);
	return hf_signer_sign(signer, hf_slice_from(message, sizeof message), out + SIGNATURE_AT);
}

bool hf_seal_decode(struct hf_slice value, struct hf_seal *out)
{
	if (value.len != HF_SEAL_SIZE || value.data[0] != FORMAT)
		return false;
	out->lsn = get64(value.data + 1);
	out->seq = get64(value.data + 9);
	out->time_ms = (int64_t)get64(value.data + 17);
	out->key_seq = get64(value.data + 25);
	memcpy(out->log_link, value.data + LINKS_AT, HF_DIGEST_SIZE);
	memcpy(out->audit_link, value.data + LINKS_AT + HF_DIGEST_SIZE, HF_DIGEST_SIZE);
	memcpy(out->previous, value.data + PREVIOUS_AT, HF_DIGEST_SIZE);
	return true;
}

bool hf_seal_verify(struct hf_slice value, uint64_t number, const uint8_t public_key[HF_PUBLIC_KEY_SIZE])
{
	unsigned char message[SIGNED_SIZE];

	if (value.len != HF_SEAL_SIZE)
		return false;
	write_signed(number, value.data, message);
	return hf_signature_verify(
		hf_slice_from(message, sizeof message), (const uint8_t *)value.data + SIGNATURE_AT, public_key);
}

bool hf_seal_digest(
	struct hf_hasher *hasher, uint64_t number, const unsigned char value[HF_SEAL_SIZE], uint8_t digest[HF_DIGEST_SIZE])
{
	unsigned char head[HEAD_SIZE];

	write_head(number, head);
	hf_hasher_begin(hasher);
	hf_hasher_add(hasher, head, sizeof head);
	hf_hasher_add(hasher, value, HF_SEAL_SIZE);
	return hf_hasher_end(hasher, digest);
}
