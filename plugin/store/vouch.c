/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which signatures are checked: the last one of each key, and the last one before seals that were removed.
 *
 * Each seal has the digest of the seal before, its signature included (codec/seal.h), and the walk compares them all.
 * So a good signature on one seal speaks for every byte of those before it, back to the first or to where some were
 * removed; and these for all that they cover, since the walk compares each with both chains.
 *
 *     seals     1 <- 2 <- 3 <- 4 <- 5     9 <- 10 <- 11 <- 12        6 to 8 were removed, 9 stands for them
 *     key       A    A    A    B    B     B    B     B     B
 *     checked             *         *                      *
 *
 * That is as sound as checking each: whoever lacks a key can make nothing that passes so and would fail with all
 * signatures checked. For let the signature of a seal not be checked. Behind it, without a gap and under the same key,
 * is one whose signature is good. Whoever had that key signed the digest of exactly these bytes, directly or through
 * the seals between; otherwise SHA-256 or Ed25519 is broken. The broker, who has it, signs only on top of a seal that
 * it has just made itself, or whose signature it has checked when it took the store up (take_up_seal in block.c). So
 * this one was signed, too, and those before it likewise. That check at the start is a part of the argument: without it
 * somebody could change a store that is at rest, make all links and digests new, and the broker would sign that.
 * Somebody who does have the key proves nothing by signatures: he makes them as good as he likes, here and there.
 *
 * In particular:
 *
 * - A seal that is changed, moved, left out or put in: the digest that the next one has is another, since the number is
 *   in it; to make that one new is to change it, and so on to one whose signature is checked.
 * - An old key, out of service, in the wrong hands: the first seal of the key after it has the digest of its last one.
 *   So not even a time that only a seal knows can be signed anew, which signatures alone would let pass.
 * - The new key, and not the one before: its seals could be made to have whatever digest. So the last seal of each key
 *   is checked, whatever comes behind it.
 * - Rotations are records. Their chain, and the signature of the old key on the new one, are compared by the walk in
 *   any case, and a seal must name the key that is in force where it stands.
 * - Removed blocks: the seal that stands for them is in the digest of the one behind it. There always is one, as the
 *   record of the removal is sealed. Nothing has the digest of the seal before them any more: it is checked.
 * - What no seal covers, and an end that was cut off: signatures have nothing to say about these. Checkpoints have:
 *   they are compared byte by byte with the seal that they are of, and one of them fixes all seals before it.
 *
 * When anything is bad, the walk is made once more with each signature checked (verify.c), to name the first that is.
 */
#include "store/audit_internal.h"

static enum hf_vouched check_digest(struct hf_vouch *vouch, const struct hf_seal *seal)
{
	uint8_t digest[HF_DIGEST_SIZE];

	if (vouch->number == 0 || seal->number != vouch->number + 1) /* there was none before, or it was removed */
		return HF_VOUCHED_GOOD;
	if (!hf_seal_digest(vouch->hasher, vouch->number, vouch->value, digest))
		return HF_VOUCHED_NO_MEMORY;
	return memcmp(seal->previous, digest, HF_DIGEST_SIZE) == 0 ? HF_VOUCHED_GOOD : HF_VOUCHED_REPLACED;
}

bool hf_vouch_end(struct hf_vouch *vouch)
{
	if (!vouch->waits)
		return true;
	vouch->waits = false;
	vouch->checked++;
	return hf_seal_verify(hf_slice_from(vouch->value, HF_SEAL_SIZE), vouch->number, vouch->key);
}

enum hf_vouched hf_vouch_next(
	struct hf_vouch *vouch, const struct hf_seal *seal, struct hf_slice value, const uint8_t key[HF_PUBLIC_KEY_SIZE])
{
	bool vouches = seal->number == vouch->number + 1 && seal->key_seq == vouch->key_seq;

	if (!vouches && !hf_vouch_end(vouch))
		return HF_VOUCHED_UNSIGNED;
	if (vouch->each) {
		vouch->checked++;
		if (!hf_seal_verify(value, seal->number, key))
			return HF_VOUCHED_UNSIGNED;
	}
	enum hf_vouched vouched = check_digest(vouch, seal);
	vouch->number = seal->number;
	vouch->key_seq = seal->key_seq;
	vouch->waits = !vouch->each;
	memcpy(vouch->value, value.data, HF_SEAL_SIZE);
	memcpy(vouch->key, key, HF_PUBLIC_KEY_SIZE);
	return vouched;
}
