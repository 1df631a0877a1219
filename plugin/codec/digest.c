/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct hf_hasher {
	EVP_MD *algorithm;
	EVP_MD_CTX *context;
	bool failed;
};

struct hf_hasher *hf_hasher_new(void)
{
	struct hf_hasher *hasher = calloc(1, sizeof *hasher);

	if (hasher == NULL)
		return NULL;
	hasher->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	hasher->context = EVP_MD_CTX_new();
	if (hasher->algorithm == NULL || hasher->context == NULL ||
		EVP_DigestInit_ex2(hasher->context, hasher->algorithm, NULL) != 1) {
		hf_hasher_free(hasher);
		return NULL;
	}
	return hasher;
}

void hf_hasher_free(struct hf_hasher *hasher)
{
	if (hasher == NULL)
		return;
	EVP_MD_CTX_free(hasher->context);
	EVP_MD_free(hasher->algorithm);
	free(hasher);
}

void hf_hasher_begin(struct hf_hasher *hasher)
{
	hasher->failed = EVP_DigestInit_ex2(hasher->context, NULL, NULL) != 1;
}

void hf_hasher_add(struct hf_hasher *hasher, const void *data, size_t len)
{
	hasher->failed = hasher->failed || EVP_DigestUpdate(hasher->context, data, len) != 1;
}

bool hf_hasher_end(struct hf_hasher *hasher, uint8_t out[HF_DIGEST_SIZE])
{
	return !hasher->failed && EVP_DigestFinal_ex(hasher->context, out, NULL) == 1;
}

bool hf_hasher_digest(struct hf_hasher *hasher, struct hf_slice bytes, uint8_t out[HF_DIGEST_SIZE])
{
	hf_hasher_begin(hasher);
	hf_hasher_add(hasher, bytes.data, bytes.len);
	return hf_hasher_end(hasher, out);
}

bool hf_digest(struct hf_slice bytes, uint8_t out[HF_DIGEST_SIZE])
{
	struct hf_hasher *hasher = hf_hasher_new();
	bool made = hasher != NULL && hf_hasher_digest(hasher, bytes, out);

	hf_hasher_free(hasher);
	return made;
}
