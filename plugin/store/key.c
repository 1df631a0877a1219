/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The key that signs the seals. It lives in a file of its own; the store has its public part, in a KEY record. A
 * successor is laid beside it, under its name and ".next". At the next start or reload the old key signs the record of
 * the new one, and the new one takes its place. A kill in between leaves both files; then the record tells which is in
 * force.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/audit_internal.h"

#define KEY_FILE_SIZE_MAX 65536
#define KEY_FILE_MODE 0600
#define NEXT ".next"

static enum hf_reason refuse(struct hf_store *store, const char *path, const char *what)
{
	hf_store_say(store, "%s: %s", path, what);
	return HF_KEY_UNUSABLE;
}

static bool next_path(const struct hf_store *store, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s" NEXT, store->audit->key_path) < PATH_MAX;
}

/* ---- the file -------------------------------------------------------------------------------------------- */

/* HF_OK with *signer NULL: there is no such file. */
static enum hf_reason read_key(struct hf_store *store, const char *path, struct hf_signer **signer)
{
	char text[KEY_FILE_SIZE_MAX];
	struct stat status;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	*signer = NULL;
	if (file < 0)
		return errno == ENOENT ? HF_OK : refuse(store, path, strerror(errno));
	ssize_t len = fstat(file, &status) == 0 ? read(file, text, sizeof text) : -1;
	int error = errno;
	close(file);
	if (len < 0)
		return refuse(store, path, strerror(error));
	if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return refuse(store, path, "others than its owner may read the key: give it mode 0600");
	*signer = hf_signer_parse(hf_slice_from(text, (size_t)len));
	explicit_bzero(text, sizeof text);
	return *signer != NULL ? HF_OK : refuse(store, path, "not an Ed25519 private key in PEM");
}

static bool write_file(const char *path, struct hf_slice text)
{
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, KEY_FILE_MODE);

	if (file < 0)
		return false;
	bool written = write(file, text.data, text.len) == (ssize_t)text.len && fsync(file) == 0;
	int error = errno;
	close(file);
	if (!written)
		(void)unlink(path);
	errno = error;
	return written;
}

enum hf_reason hf_key_make(const char *path, uint8_t public_key[HF_PUBLIC_KEY_SIZE])
{
	struct hf_signer *signer = hf_signer_generate();
	struct hf_buffer pem = {0};
	enum hf_reason reason = HF_NO_MEMORY;

	if (signer != NULL && hf_signer_export(signer, &pem)) {
		reason = write_file(path, hf_buffer_slice(&pem)) ? HF_OK : HF_KEY_UNUSABLE;
		if (reason == HF_OK)
			memcpy(public_key, hf_signer_public_key(signer), HF_PUBLIC_KEY_SIZE);
	}
	int error = errno;
	if (pem.data != NULL)
		explicit_bzero(pem.data, pem.size);
	hf_buffer_free(&pem);
	hf_signer_free(signer);
	errno = error;
	return reason;
}

enum hf_reason hf_key_load(struct hf_store *store, bool first)
{
	struct hf_audit_state *state = store->audit;
	uint8_t public_key[HF_PUBLIC_KEY_SIZE];
	enum hf_reason reason = read_key(store, state->key_path, &state->signer);

	if (reason != HF_OK || state->signer != NULL || !first)
		return reason;
	reason = hf_key_make(state->key_path, public_key);
	if (reason == HF_KEY_UNUSABLE)
		return refuse(store, state->key_path, strerror(errno));
	return reason == HF_OK ? read_key(store, state->key_path, &state->signer) : reason;
}

/* ---- its record ------------------------------------------------------------------------------------------ */

static bool is_key(const struct hf_signer *signer, const uint8_t public_key[HF_PUBLIC_KEY_SIZE])
{
	return signer != NULL && memcmp(hf_signer_public_key(signer), public_key, HF_PUBLIC_KEY_SIZE) == 0;
}

/* What an old key signs of a new one. */
struct hf_slice hf_key_message(const uint8_t new_key[HF_PUBLIC_KEY_SIZE], unsigned char message[HF_KEY_MESSAGE_SIZE])
{
	memcpy(message, "holdfast key ", HF_KEY_MESSAGE_SIZE - HF_PUBLIC_KEY_SIZE);
	memcpy(message + HF_KEY_MESSAGE_SIZE - HF_PUBLIC_KEY_SIZE, new_key, HF_PUBLIC_KEY_SIZE);
	return hf_slice_from(message, HF_KEY_MESSAGE_SIZE);
}

/* Add the record of a new key; `old` NULL: nobody vouches for it. Nothing else waits to be written. */
static enum hf_reason introduce(
	struct hf_store *store, const struct hf_signer *old, const struct hf_signer *new, int64_t now_ms)
{
	struct hf_audit record = {.kind = HF_AUDIT_KEY, .time_ms = now_ms};
	unsigned char message[HF_KEY_MESSAGE_SIZE];
	uint8_t signature[HF_SIGNATURE_SIZE];

	record.key = hf_slice_from(hf_signer_public_key(new), HF_PUBLIC_KEY_SIZE);
	if (old != NULL) {
		if (!hf_signer_sign(old, hf_key_message(hf_signer_public_key(new), message), signature))
			return HF_NO_MEMORY;
		record.signature = hf_slice_from(signature, sizeof signature);
	}
	enum hf_reason reason = hf_audit_add(store, &record);
	if (reason == HF_OK)
		store->audit->key_seq = store->audit->records.number + store->audit->added_count;
	return reason;
}

/* The successor takes the place of the key. */
static void use(struct hf_audit_state *state, struct hf_signer *successor)
{
	hf_signer_free(state->signer);
	state->signer = successor;
}

static enum hf_reason move_file(struct hf_store *store, const char *next)
{
	return rename(next, store->audit->key_path) == 0 ? HF_OK : refuse(store, next, strerror(errno));
}

enum hf_reason hf_key_settle(struct hf_store *store, const uint8_t *current, int64_t now_ms)
{
	struct hf_audit_state *state = store->audit;
	struct hf_signer *successor = NULL;
	char next[PATH_MAX];

	if (!next_path(store, next))
		return refuse(store, state->key_path, "the path is too long");
	if (current == NULL)
		return introduce(store, NULL, state->signer, now_ms);
	enum hf_reason reason = read_key(store, next, &successor);
	if (reason != HF_OK)
		return reason;
	if (successor != NULL && is_key(successor, current)) { /* a kill, or a failed write, came before the move */
		use(state, successor);
		return move_file(store, next);
	}
	if (state->signer != NULL && !is_key(state->signer, current)) {
		hf_signer_free(successor);
		return refuse(store, state->key_path,
			"not the key that this store is sealed with. Put that one back; if it is lost, see holdfast(1), 'audit "
			"key'");
	}
	if (successor == NULL)
		return state->signer != NULL
				   ? HF_OK
				   : refuse(store, state->key_path,
						 "the key that this store is sealed with is missing. Put it back; if it is lost, see "
						 "holdfast(1), 'audit key'");
	reason = introduce(store, state->signer, successor, now_ms);
	if (reason != HF_OK) {
		hf_signer_free(successor);
		return reason;
	}
	/* Once added, the record will be written before any seal: also where it cannot be written now. */
	use(state, successor);
	reason = hf_audit_write(store);
	return reason == HF_OK ? move_file(store, next) : reason;
}

enum hf_reason hf_audit_rotate(struct hf_store *store, int64_t now_ms, bool *rotated)
{
	struct hf_audit_state *state = store->audit;
	uint8_t current[HF_PUBLIC_KEY_SIZE];

	*rotated = false;
	if (state == NULL)
		return HF_OK;
	enum hf_reason reason = hf_audit_write(store);
	if (reason != HF_OK)
		return reason;
	const uint64_t before = state->key_seq;
	memcpy(current, hf_signer_public_key(state->signer), sizeof current);
	reason = hf_key_settle(store, current, now_ms);
	*rotated = state->key_seq != before;
	return reason;
}
