/* SPDX-License-Identifier: BSD-3-Clause */
#include "corpus.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/token.h"

#define TEXT_MAX 4096
#define FILLER "the quick brown fox jumps over the lazy dog "

struct hf_corpus {
	unsigned count, size;
	struct hf_buffer payloads;
	uint16_t *text_at; /* of each payload; the text is its end */
};

/* A text of `size` bytes that is unlike all others. */
static void write_text(char *text, unsigned index, size_t size)
{
	char number[16];
	size_t digits = (size_t)snprintf(number, sizeof(number), "%08u ", index);

	for (size_t i = 0; i < size; i++) {
		text[i] = i < digits ? number[i] : FILLER[(i + index) % (sizeof(FILLER) - 1)];
	}
}

static bool add(struct hf_corpus *corpus, unsigned index)
{
	char text[TEXT_MAX];
	struct hf_token_batch batch = {
		.id = hf_slice_of("r-1"), .seq = index, .text = HF_SLICE_NONE, .kind = HF_SLICE_NONE, .data = HF_SLICE_NONE};
	size_t begin = corpus->payloads.len;

	/* What is around the text grows with seq and with the text. */
	for (size_t size = corpus->size < TEXT_MAX ? corpus->size : TEXT_MAX; size > 0; size--) {
		write_text(text, index, size);
		batch.text = hf_slice_from(text, size);
		corpus->payloads.len = begin;
		if (!hf_token_encode(&batch, &corpus->payloads)) {
			return false;
		}
		if (corpus->payloads.len - begin == corpus->size) {
			corpus->text_at[index] = (uint16_t)(corpus->size - size);
			return true;
		}
	}
	return false;
}

struct hf_corpus *hf_corpus_new(unsigned count, unsigned size)
{
	struct hf_corpus *corpus = calloc(1, sizeof(*corpus));
	bool good = corpus != NULL;

	if (good) {
		corpus->count = count;
		corpus->size = size;
		corpus->text_at = calloc(count, sizeof(*corpus->text_at));
		good = corpus->text_at != NULL;
	}
	for (unsigned i = 0; good && i < count; i++) {
		good = add(corpus, i);
	}
	if (!good) {
		hf_corpus_free(corpus);
		return NULL;
	}
	return corpus;
}

void hf_corpus_free(struct hf_corpus *corpus)
{
	if (!corpus) {
		return;
	}
	hf_buffer_free(&corpus->payloads);
	free(corpus->text_at);
	free(corpus);
}

unsigned hf_corpus_count(const struct hf_corpus *corpus)
{
	return corpus->count;
}

struct hf_slice hf_corpus_payload(const struct hf_corpus *corpus, unsigned index)
{
	return hf_slice_from(corpus->payloads.data + (size_t)index * corpus->size, corpus->size);
}

static struct hf_slice text_of(const struct hf_corpus *corpus, unsigned index)
{
	struct hf_slice payload = hf_corpus_payload(corpus, index);
	size_t at = corpus->text_at[index];

	return hf_slice_from(payload.data + at, payload.len - at);
}

static unsigned match_joined(const struct hf_corpus *corpus, unsigned next, struct hf_slice payload)
{
	struct hf_token_batch batch;
	size_t at = 0;

	if (hf_token_decode(payload, &batch) != HF_OK || batch.seq != next || batch.last >= corpus->count ||
		!hf_slice_is(batch.id, "r-1")) {
		return 0;
	}
	for (uint64_t i = next; i <= batch.last; i++) {
		struct hf_slice text = text_of(corpus, (unsigned)i);
		if (batch.text.len - at < text.len || memcmp(batch.text.data + at, text.data, text.len) != 0) {
			return 0;
		}
		at += text.len;
	}
	return at == batch.text.len ? (unsigned)(batch.last - next + 1) : 0;
}

unsigned hf_corpus_match(const struct hf_corpus *corpus, unsigned next, struct hf_slice payload)
{
	if (next >= corpus->count) {
		return 0;
	}
	return hf_slice_equal(payload, hf_corpus_payload(corpus, next)) ? 1 : match_joined(corpus, next, payload);
}
