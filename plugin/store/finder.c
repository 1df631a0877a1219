/* SPDX-License-Identifier: BSD-3-Clause */
/* Which seals cover records of a session, an identity or a device. */
#include "store/audit_internal.h"

struct hf_finder {
	struct hf_store *store;
	rocksdb_iterator_t *iterator;
	uint64_t at; /* the seal at whose key the iterator stands; 0: nowhere */
	size_t begin_len;
	char key[]; /* type, name and 0x00; behind them room for a number */
};

#define NUMBER_SIZE 8

enum hf_reason hf_finder_open(struct hf_store *store, enum hf_find what, struct hf_slice name, struct hf_finder **out)
{
	struct hf_finder *finder = malloc(sizeof *finder + 1 + name.len + 1 + NUMBER_SIZE);

	*out = NULL;
	if (finder == NULL)
		return HF_NO_MEMORY;
	finder->store = store;
	finder->at = 0;
	finder->begin_len = 1 + name.len + 1;
	finder->key[0] = (char)what;
	if (name.len > 0)
		memcpy(finder->key + 1, name.data, name.len);
	finder->key[1 + name.len] = 0;
	finder->iterator = hf_database_iterate(store, HF_FAMILY_AUDIT_INDEX);
	if (finder->iterator == NULL) {
		free(finder);
		return HF_STORE_FAILED;
	}
	*out = finder;
	return HF_OK;
}

/* Which seal is it at? 0: at another key. */
static uint64_t seal_at(const struct hf_finder *finder)
{
	if (!rocksdb_iter_valid(finder->iterator))
		return 0;
	struct hf_slice key = hf_iterator_key(finder->iterator);
	if (key.len != finder->begin_len + NUMBER_SIZE || memcmp(key.data, finder->key, finder->begin_len) != 0)
		return 0;
	return hf_get_be64(key.data + finder->begin_len);
}

enum hf_reason hf_finder_after(struct hf_finder *finder, uint64_t number, uint64_t *next, unsigned *chains)
{
	if (finder->at != 0 && finder->at == number) {
		rocksdb_iter_next(finder->iterator);
	} else {
		hf_put_be64(finder->key + finder->begin_len, number + 1);
		rocksdb_iter_seek(finder->iterator, finder->key, finder->begin_len + NUMBER_SIZE);
	}
	finder->at = *next = seal_at(finder);
	*chains = 0;
	if (finder->at == 0)
		return hf_iterator_check(finder->store, finder->iterator);
	struct hf_slice value = hf_iterator_value(finder->iterator);
	*chains = value.len == 1 ? (unsigned char)value.data[0] : HF_CHAIN_LOG | HF_CHAIN_AUDIT;
	return HF_OK;
}

void hf_finder_close(struct hf_finder *finder)
{
	if (finder == NULL)
		return;
	rocksdb_iter_destroy(finder->iterator);
	free(finder);
}
