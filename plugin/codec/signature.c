/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/signature.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

struct hf_signer {
	EVP_PKEY *key;
	uint8_t public_key[HF_PUBLIC_KEY_SIZE];
};

static bool get_public_key(const EVP_PKEY *key, uint8_t out[HF_PUBLIC_KEY_SIZE])
{
	size_t len = HF_PUBLIC_KEY_SIZE;

	return EVP_PKEY_is_a(key, "ED25519") && EVP_PKEY_get_raw_public_key(key, out, &len) == 1 &&
		   len == HF_PUBLIC_KEY_SIZE;
}

/* Failures leave their story in a queue of the thread, where the broker's TLS code would take it for its own. */
static bool told(bool done)
{
	if (!done)
		ERR_clear_error();
	return done;
}

/* Takes the key over. */
static struct hf_signer *signer_of(EVP_PKEY *key)
{
	struct hf_signer *signer = key != NULL ? calloc(1, sizeof *signer) : NULL;

	if (signer == NULL || !get_public_key(key, signer->public_key)) {
		EVP_PKEY_free(key);
		free(signer);
		(void)told(false);
		return NULL;
	}
	signer->key = key;
	return signer;
}

struct hf_signer *hf_signer_generate(void)
{
	return signer_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
}

struct hf_signer *hf_signer_parse(struct hf_slice pem)
{
	char no_password[] = ""; /* else OpenSSL asks the terminal for one */
	BIO *bio = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, no_password) : NULL;

	BIO_free(bio);
	return signer_of(key);
}

void hf_signer_free(struct hf_signer *signer)
{
	if (signer == NULL)
		return;
	EVP_PKEY_free(signer->key);
	free(signer);
}

static bool append_bio(BIO *bio, struct hf_buffer *out)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	return len > 0 && hf_buffer_append(out, data, (size_t)len);
}

bool hf_signer_export(const struct hf_signer *signer, struct hf_buffer *pem)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	bool done = bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, signer->key, NULL, NULL, 0, NULL, NULL) == 1 &&
				append_bio(bio, pem);

	BIO_free(bio);
	return told(done);
}

const uint8_t *hf_signer_public_key(const struct hf_signer *signer)
{
	return signer->public_key;
}

bool hf_signer_sign(const struct hf_signer *signer, struct hf_slice message, uint8_t signature[HF_SIGNATURE_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t len = HF_SIGNATURE_SIZE;
	bool done = context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, signer->key) == 1 &&
				EVP_DigestSign(context, signature, &len, (const unsigned char *)message.data, message.len) == 1 &&
				len == HF_SIGNATURE_SIZE;

	EVP_MD_CTX_free(context);
	return told(done);
}

static EVP_PKEY *public_key_of(const uint8_t bytes[HF_PUBLIC_KEY_SIZE])
{
	return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, bytes, HF_PUBLIC_KEY_SIZE);
}

bool hf_signature_verify(
	struct hf_slice message, const uint8_t signature[HF_SIGNATURE_SIZE], const uint8_t public_key[HF_PUBLIC_KEY_SIZE])
{
	EVP_PKEY *key = public_key_of(public_key);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good =
		key != NULL && context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
		EVP_DigestVerify(context, signature, HF_SIGNATURE_SIZE, (const unsigned char *)message.data, message.len) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return told(good);
}

bool hf_public_key_export(const uint8_t public_key[HF_PUBLIC_KEY_SIZE], struct hf_buffer *pem)
{
	EVP_PKEY *key = public_key_of(public_key);
	BIO *bio = BIO_new(BIO_s_mem());
	bool done = key != NULL && bio != NULL && PEM_write_bio_PUBKEY(bio, key) == 1 && append_bio(bio, pem);

	BIO_free(bio);
	EVP_PKEY_free(key);
	return told(done);
}

bool hf_public_key_parse(struct hf_slice pem, uint8_t public_key[HF_PUBLIC_KEY_SIZE])
{
	BIO *bio = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	bool done = key != NULL && get_public_key(key, public_key);

	BIO_free(bio);
	EVP_PKEY_free(key);
	return told(done);
}
