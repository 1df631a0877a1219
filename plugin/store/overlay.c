/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking what is on disk and what lies over it as one, in key order. */
#include "store/store_internal.h"

int hf_key_compare(struct hf_slice a, struct hf_slice b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common > 0 ? memcmp(a.data, b.data, common) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_items(const void *a, const void *b)
{
	return hf_key_compare(((const struct hf_overlay_item *)a)->key, ((const struct hf_overlay_item *)b)->key);
}

/* The iterator's key, if it still has the prefix. */
static bool on_disk(const rocksdb_iterator_t *iterator, struct hf_slice prefix, struct hf_slice *key)
{
	if (!rocksdb_iter_valid(iterator))
		return false;
	*key = hf_iterator_key(iterator);
	return key->len >= prefix.len && (prefix.len == 0 || memcmp(key->data, prefix.data, prefix.len) == 0);
}

/* Stand at the first key that has the prefix and is greater than `after`. */
static void seek(rocksdb_iterator_t *iterator, struct hf_slice prefix, struct hf_slice after)
{
	struct hf_slice from = hf_key_compare(after, prefix) > 0 ? after : prefix;

	rocksdb_iter_seek(iterator, from.data, from.len);
	if (after.len > 0 && rocksdb_iter_valid(iterator) && hf_slice_equal(hf_iterator_key(iterator), after))
		rocksdb_iter_next(iterator);
}

enum hf_reason hf_overlay_each(struct hf_store *store, enum hf_family family, struct hf_slice prefix,
	struct hf_slice after, struct hf_overlay_item *items, size_t count, hf_overlay_fn fn, void *context)
{
	rocksdb_iterator_t *iterator = hf_database_iterate(store, family);
	size_t next = 0;
	bool go_on = true;

	if (iterator == NULL)
		return HF_STORE_FAILED;
	qsort(items, count, sizeof *items, compare_items);
	seek(iterator, prefix, after);
	while (go_on) {
		struct hf_slice key = HF_SLICE_NONE;
		bool stored = on_disk(iterator, prefix, &key);
		if (!stored && next == count)
			break;
		int order = !stored ? 1 : next == count ? -1 : hf_key_compare(key, items[next].key);
		if (order >= 0) {
			const struct hf_overlay_item *item = &items[next++];
			if (!item->removed)
				go_on = fn(context, item->key, item->value);
		} else {
			go_on = fn(context, key, hf_iterator_value(iterator));
		}
		if (order <= 0)
			rocksdb_iter_next(iterator);
	}
	enum hf_reason reason = hf_iterator_check(store, iterator);
	rocksdb_iter_destroy(iterator);
	return reason;
}
