/* SPDX-License-Identifier: BSD-3-Clause */
/* What was found and not handed out yet. */
#include "query/query_internal.h"

#include <stdlib.h>

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

int hf_item_key_compare(const struct hf_item_key *a, const struct hf_item_key *b)
{
	int order = (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);

	if (order == 0) {
		order = compare(a->rank, b->rank);
	}
	if (order == 0) {
		order = compare(a->number, b->number);
	}
	return order ? order : compare(a->salt, b->salt);
}

/* ---- records */

struct hf_kept *hf_kept_make(const struct hf_audit *record)
{
	struct hf_audit copy = *record;
	size_t len = 0;

	copy.page = HF_SLICE_NONE;
	for (size_t i = 0; hf_audit_slice(&copy, i); i++) {
		len += hf_audit_slice(&copy, i)->len;
	}
	struct hf_kept *kept = malloc(sizeof(*kept) + len);
	if (!kept) {
		return NULL;
	}
	char *at = kept->texts;
	for (size_t i = 0; hf_audit_slice(&copy, i); i++) {
		struct hf_slice *slice = hf_audit_slice(&copy, i);
		if (slice->len > 0) {
			memcpy(at, slice->data, slice->len);
		}
		*slice = hf_slice_from(at, slice->len);
		at += slice->len;
	}
	kept->record = copy;
	kept->users = 1;
	return kept;
}

void hf_kept_release(struct hf_kept *kept)
{
	if (kept && --kept->users == 0) {
		free(kept);
	}
}

/* ---- the array */

bool hf_items_add(struct hf_items *items, const struct hf_found *found)
{
	if (items->count == items->size) {
		size_t size = items->size ? items->size * 2 : 256;
		struct hf_found *array = realloc(items->array, size * sizeof(*array));
		if (!array) {
			return false;
		}
		items->array = array;
		items->size = size;
	}
	items->array[items->count++] = *found;
	if (found->kept) {
		found->kept->users++;
	}
	return true;
}

static int compare_found(const void *a, const void *b)
{
	return hf_item_key_compare(&((const struct hf_found *)a)->key, &((const struct hf_found *)b)->key);
}

static void forget(struct hf_items *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		hf_kept_release(items->array[i].kept);
	}
}

void hf_items_sort(struct hf_items *items)
{
	if (items->count == 0) {
		return;
	}
	forget(items, items->next);
	items->count -= items->next;
	memmove(items->array, items->array + items->next, items->count * sizeof(*items->array));
	items->next = 0;
	qsort(items->array, items->count, sizeof(*items->array), compare_found);
}

void hf_items_free(struct hf_items *items)
{
	forget(items, items->count);
	free(items->array);
	*items = (struct hf_items){.array = NULL};
}
