/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/runs.h"

#include <stdlib.h>

#include "codec/varint.h"

#define SIZE_FIRST 4

static bool grow(struct hf_runs *runs)
{
	size_t size = runs->size == 0 ? SIZE_FIRST : runs->size * 2;
	struct hf_run *items = reallocarray(runs->items, size, sizeof(*items));

	if (!items)
		return false;
	runs->items = items;
	runs->size = size;
	return true;
}

bool hf_runs_add(struct hf_runs *runs, uint64_t first, uint64_t last)
{
	struct hf_run *newest = runs->count > 0 ? &runs->items[runs->count - 1] : NULL;

	if (newest && first <= newest->last + 1) {
		if (last > newest->last)
			newest->last = last;
		return true;
	}
	if (runs->count == runs->size && !grow(runs))
		return false;
	runs->items[runs->count++] = (struct hf_run){.first = first, .last = last};
	return true;
}

const struct hf_run *hf_runs_find(const struct hf_runs *runs, uint64_t number)
{
	size_t low = 0, high = runs->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct hf_run *run = &runs->items[middle];
		if (number < run->first)
			high = middle;
		else if (number > run->last)
			low = middle + 1;
		else
			return run;
	}
	return NULL;
}

bool hf_runs_join(const struct hf_runs *a, const struct hf_runs *b, struct hf_runs *out)
{
	size_t i = 0, j = 0;

	hf_runs_clear(out);
	while (i < a->count || j < b->count) {
		bool from_a = j == b->count || (i < a->count && a->items[i].first <= b->items[j].first);
		const struct hf_run *run = from_a ? &a->items[i++] : &b->items[j++];
		if (!hf_runs_add(out, run->first, run->last))
			return false;
	}
	return true;
}

bool hf_runs_without(const struct hf_runs *a, const struct hf_runs *b, struct hf_runs *out)
{
	size_t j = 0;

	hf_runs_clear(out);
	for (size_t i = 0; i < a->count; i++) {
		uint64_t first = a->items[i].first;
		const uint64_t last = a->items[i].last;
		for (; j < b->count && b->items[j].last < first; j++)
			continue;
		for (size_t k = j; k < b->count && b->items[k].first <= last && first <= last; k++) {
			if (b->items[k].first > first && !hf_runs_add(out, first, b->items[k].first - 1))
				return false;
			first = b->items[k].last + 1;
		}
		if (first <= last && !hf_runs_add(out, first, last))
			return false;
	}
	return true;
}

bool hf_runs_equal(const struct hf_runs *a, const struct hf_runs *b)
{
	return a->count == b->count && (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof(*a->items)) == 0);
}

uint64_t hf_runs_sum(const struct hf_runs *runs)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < runs->count; i++)
		sum += runs->items[i].last - runs->items[i].first + 1;
	return sum;
}

bool hf_runs_encode(const struct hf_runs *runs, struct hf_buffer *out)
{
	unsigned char *begin = hf_buffer_reserve(out, runs->count * 2 * HF_VARINT_MAX + 1);
	unsigned char *at = begin;
	uint64_t next = 1; /* the lowest that the run may begin with */

	if (!begin)
		return false;
	for (size_t i = 0; i < runs->count; i++) {
		at = hf_varint_put(at, runs->items[i].first - next);
		at = hf_varint_put(at, runs->items[i].last - runs->items[i].first);
		next = runs->items[i].last + 2;
	}
	out->len += (size_t)(at - begin);
	return true;
}

bool hf_runs_decode(struct hf_slice bytes, struct hf_runs *out)
{
	const unsigned char *at = (const unsigned char *)bytes.data, *end = at + bytes.len;
	uint64_t next = 1;

	while (at && at < end) {
		uint64_t gap, more = 0;
		at = hf_varint_get(at, end, &gap);
		at = at ? hf_varint_get(at, end, &more) : NULL;
		/* Far below where numbers end, so that sums of them do not wrap. */
		if (!at || gap > INT64_MAX - next || more > INT64_MAX - next - gap ||
			!hf_runs_add(out, next + gap, next + gap + more))
			at = NULL;
		else
			next += gap + more + 2;
		if (next > INT64_MAX)
			at = NULL;
	}
	if (!at)
		hf_runs_clear(out);
	return at;
}

void hf_runs_free(struct hf_runs *runs)
{
	free(runs->items);
	*runs = (struct hf_runs){0};
}
