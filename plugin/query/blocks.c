/* SPDX-License-Identifier: BSD-3-Clause */
/* Which blocks can have what the query asks for: those in which the index has all that it names. */
#include "query/query_internal.h"

static enum hf_reason want(struct hf_blocks *blocks, enum hf_find what, struct hf_slice name)
{
	if (name.len == 0) {
		return HF_OK;
	}
	enum hf_reason reason = hf_finder_open(blocks->store, what, name, &blocks->wanted[blocks->wanted_count]);
	blocks->wanted_count += reason == HF_OK;
	return reason;
}

enum hf_reason hf_blocks_open(struct hf_store *store, const struct hf_query *query, struct hf_blocks *blocks)
{
	bool any;

	*blocks = (struct hf_blocks){.store = store};
	enum hf_reason reason = hf_seal_get(store, 0, &blocks->newest, NULL, &any);
	if (reason == HF_OK) {
		reason = want(blocks, HF_FIND_SESSION, query->session);
	}
	if (reason == HF_OK) {
		reason = want(blocks, HF_FIND_IDENTITY, query->identity);
	}
	if (reason == HF_OK) {
		reason = want(blocks, HF_FIND_DEVICE, query->device);
	}
	if (reason == HF_OK && blocks->wanted_count > 0) {
		reason = hf_finder_open(store, HF_FIND_SESSION, HF_SLICE_NONE, &blocks->anybody);
	}
	return reason;
}

void hf_blocks_close(struct hf_blocks *blocks)
{
	for (size_t i = 0; i < blocks->wanted_count; i++) {
		hf_finder_close(blocks->wanted[i]);
	}
	hf_finder_close(blocks->anybody);
}

enum hf_reason hf_blocks_seek(struct hf_blocks *blocks, int64_t time_ms)
{
	uint64_t below = 0; /* all seals up to this one are too early */
	uint64_t end = blocks->newest.number + 1;

	/* Seals' times never fall. */
	while (below + 1 < end) {
		uint64_t middle = below + (end - below) / 2;
		struct hf_seal seal;
		bool found;
		enum hf_reason reason = hf_seal_after(blocks->store, middle - 1, &seal, &found);
		if (reason != HF_OK) {
			return reason;
		}
		/* The oldest may have been removed: then it is a later one. */
		if (found && seal.time_ms < time_ms) {
			below = seal.number;
		} else {
			end = middle;
		}
	}
	if (below > blocks->at) {
		blocks->at = below;
	}
	return HF_OK;
}

/* ---- the next one */

/* The first block behind `number` in which everything is that is wanted; 0: none that is sealed. */
static enum hf_reason next_with_all(struct hf_blocks *blocks, uint64_t number, uint64_t *next, unsigned int *chains)
{
	size_t agreed = 0;

	*next = number + 1; /* the least that it can be */
	*chains = HF_CHAIN_LOG | HF_CHAIN_AUDIT;
	while (agreed < blocks->wanted_count) {
		uint64_t at;
		unsigned int its;
		enum hf_reason reason = hf_finder_after(blocks->wanted[agreed], *next - 1, &at, &its);
		if (reason != HF_OK || at == 0) {
			*next = 0;
			return reason;
		}
		if (at == *next) {
			*chains &= its;
			agreed++;
		} else {
			*next = at;
			*chains = HF_CHAIN_LOG | HF_CHAIN_AUDIT;
			agreed = 0;
		}
		if (agreed == blocks->wanted_count && *chains == 0) {
			++*next; /* the one has it in the log, the other in the audit */
			*chains = HF_CHAIN_LOG | HF_CHAIN_AUDIT;
			agreed = 0;
		}
	}
	return HF_OK;
}

static enum hf_reason next_wanted(struct hf_blocks *blocks, uint64_t *next, unsigned int *chains)
{
	uint64_t other;
	unsigned int its;
	enum hf_reason reason = next_with_all(blocks, blocks->at, next, chains);

	if (reason == HF_OK) {
		reason = hf_finder_after(blocks->anybody, blocks->at, &other, &its);
	}
	if (reason == HF_OK && other != 0 && other == *next) {
		*chains |= its;
	} else if (reason == HF_OK && other != 0 && (*next == 0 || other < *next)) {
		*next = other;
		*chains = its;
	}
	return reason;
}

static enum hf_reason next_of_all(struct hf_blocks *blocks, uint64_t *next)
{
	struct hf_seal seal;
	bool found;
	enum hf_reason reason = hf_seal_after(blocks->store, blocks->at, &seal, &found);

	*next = found ? seal.number : 0;
	return reason;
}

/* Where the block of a seal begins: at the end of the one before. */
static enum hf_reason begin(struct hf_blocks *blocks, struct hf_block *block)
{
	struct hf_seal before; /* not always by one: those between may have been removed */
	bool found;
	enum hf_reason reason = hf_seal_before(blocks->store, block->number, &before, &found);

	block->lsn = found ? before.lsn : 0;
	block->seq = found ? before.seq : 0;
	block->floor_ms = found && before.time_ms > INT64_MIN + HF_LATE_MS ? before.time_ms - HF_LATE_MS : INT64_MIN;
	return reason;
}

/* What no seal covers: the index knows nothing of it. */
static void unsealed(struct hf_blocks *blocks, struct hf_block *block)
{
	block->number = blocks->newest.number + 1;
	block->chains = HF_CHAIN_LOG | HF_CHAIN_AUDIT;
	block->lsn_end = hf_store_head(blocks->store);
	block->seq_end = UINT64_MAX;
	block->sealed = false;
	blocks->ended = true;
}

enum hf_reason hf_blocks_next(struct hf_blocks *blocks, struct hf_block *block, bool *found)
{
	struct hf_seal seal;
	uint64_t next;
	enum hf_reason reason;

	*found = !blocks->ended;
	if (blocks->ended) {
		return HF_OK;
	}
	block->chains = HF_CHAIN_LOG | HF_CHAIN_AUDIT;
	reason = blocks->anybody ? next_wanted(blocks, &next, &block->chains) : next_of_all(blocks, &next);
	if (reason != HF_OK) {
		return reason;
	}
	if (next == 0 || next > blocks->newest.number) {
		unsealed(blocks, block);
		return begin(blocks, block);
	}
	blocks->at = block->number = next;
	block->sealed = true;
	reason = hf_seal_get(blocks->store, next, &seal, NULL, found);
	if (reason != HF_OK) {
		return reason;
	}
	block->lsn_end = *found ? seal.lsn : 0; /* removed, and its index not yet: nothing is left of it */
	block->seq_end = *found ? seal.seq : 0;
	*found = true;
	return begin(blocks, block);
}
