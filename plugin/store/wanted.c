/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the index must have, and whether it does. Verify comes by its keys in the order of the records; to ask for each
 * at once would take longer than all else that it does. So they are collected, numbers under what stands before them,
 * and looked for in the order of the index:
 *
 *     's' | "trip" | 0x00            1, 2, 5, 6, 9       seals under which the session occurs
 *     'r' | "trip" | 0x00 | bucket   17, 18, 44          records with receipts of these offsets
 */
#include "store/audit_internal.h"

#define NUMBER_SIZE 8
#define CHAIN_BITS 2 /* under the number: in which chains */

struct hf_wanted_group {
	UT_hash_handle hh;
	uint64_t *numbers; /* rising */
	size_t count, size;
	size_t begin_len;
	char begin[];
};

static void group_free(struct hf_wanted *wanted, struct hf_wanted_group *group)
{
	HASH_DELETE(hh, wanted->groups, group);
	free(group->numbers);
	free(group);
}

void hf_wanted_clear(struct hf_wanted *wanted)
{
	struct hf_wanted_group *group;
	struct hf_wanted_group *next;

	HASH_ITER(hh, wanted->groups, group, next)
	group_free(wanted, group);
	wanted->count = 0;
}

static struct hf_wanted_group *group_of(struct hf_wanted *wanted, struct hf_slice begin)
{
	struct hf_wanted_group *group;

	HASH_FIND(hh, wanted->groups, begin.data, begin.len, group);
	if (group != NULL)
		return group;
	group = calloc(1, sizeof *group + begin.len);
	if (group == NULL)
		return NULL;
	group->begin_len = begin.len;
	memcpy(group->begin, begin.data, begin.len);
	HASH_ADD(hh, wanted->groups, begin, group->begin_len, group);
	if (group->hh.tbl == NULL) {
		free(group);
		return NULL;
	}
	return group;
}

bool hf_wanted_add(struct hf_wanted *wanted, struct hf_slice key, uint8_t chains)
{
	struct hf_wanted_group *group = group_of(wanted, hf_slice_from(key.data, key.len - NUMBER_SIZE));

	if (group == NULL)
		return false;
	if (group->count == group->size) {
		size_t size = group->size == 0 ? 4 : 2 * group->size;
		uint64_t *numbers = realloc(group->numbers, size * sizeof *numbers);
		if (numbers == NULL)
			return false;
		group->numbers = numbers;
		group->size = size;
	}
	group->numbers[group->count++] = hf_get_be64(key.data + key.len - NUMBER_SIZE) << CHAIN_BITS | chains;
	wanted->count++;
	return true;
}

/* ---- looking --------------------------------------------------------------------------------------------- */

static int compare(const struct hf_wanted_group *a, const struct hf_wanted_group *b)
{
	return hf_key_compare(hf_slice_from(a->begin, a->begin_len), hf_slice_from(b->begin, b->begin_len));
}

/* Does the iterator stand at this number of the group, with these chains? */
static bool is_at(const rocksdb_iterator_t *iterator, const struct hf_wanted_group *group, uint64_t wanted)
{
	const uint64_t chains = wanted & ((1u << CHAIN_BITS) - 1);
	struct hf_slice value = hf_iterator_value(iterator);

	return hf_get_be64(hf_iterator_key(iterator).data + group->begin_len) == wanted >> CHAIN_BITS &&
		   (chains == 0 || (value.len == 1 && ((unsigned char)value.data[0] & chains) == chains));
}

static bool is_in(const rocksdb_iterator_t *iterator, const struct hf_wanted_group *group)
{
	if (!rocksdb_iter_valid(iterator))
		return false;
	struct hf_slice key = hf_iterator_key(iterator);
	return key.len == group->begin_len + NUMBER_SIZE && memcmp(key.data, group->begin, group->begin_len) == 0;
}

/* The first of the group that is missing; what stands between is none of ours. False: all are there. */
static bool find_missing(
	rocksdb_iterator_t *iterator, struct hf_buffer *key, const struct hf_wanted_group *group, uint64_t *missing)
{
	unsigned char *number = key->data + group->begin_len;

	memcpy(key->data, group->begin, group->begin_len);
	for (size_t i = 0; i < group->count; i++) {
		*missing = group->numbers[i] >> CHAIN_BITS;
		if (i == 0 || !is_in(iterator, group) ||
			hf_get_be64(hf_iterator_key(iterator).data + group->begin_len) != *missing) {
			hf_put_be64(number, *missing);
			rocksdb_iter_seek(iterator, (const char *)key->data, group->begin_len + NUMBER_SIZE);
		}
		if (!is_in(iterator, group) || !is_at(iterator, group, group->numbers[i]))
			return true;
		rocksdb_iter_next(iterator);
	}
	return false;
}

enum hf_reason hf_wanted_look(struct hf_store *store, struct hf_wanted *wanted, struct hf_missing *missing)
{
	rocksdb_iterator_t *iterator = hf_database_walk(store, HF_FAMILY_AUDIT_INDEX);
	struct hf_wanted_group *group;
	struct hf_wanted_group *next;
	enum hf_reason reason = iterator == NULL ? HF_STORE_FAILED : HF_OK;

	HASH_SRT(hh, wanted->groups, compare);
	HASH_ITER(hh, wanted->groups, group, next)
	{
		hf_buffer_clear(&store->key);
		if (reason == HF_OK && hf_buffer_reserve(&store->key, group->begin_len + NUMBER_SIZE) == NULL)
			reason = HF_NO_MEMORY;
		if (reason == HF_OK && find_missing(iterator, &store->key, group, &missing->number)) {
			reason = hf_iterator_check(store, iterator) == HF_OK ? HF_RECORD_CORRUPT : HF_STORE_FAILED;
			missing->name_len = group->begin_len < sizeof missing->name ? group->begin_len : sizeof missing->name;
			memcpy(missing->name, group->begin, missing->name_len);
		}
		group_free(wanted, group);
	}
	wanted->count = 0;
	rocksdb_iter_destroy(iterator);
	return reason;
}
