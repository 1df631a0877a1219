/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries that have lost their payload, and the records that say why. A payload is no part of the chain but by its
 * digest, so that it can go; so anybody who can write to the store could take one out. Each that is gone must therefore
 * lie within what a record tells of: a truncation or the erasure of its session; where it is marked as erased, the
 * erasure of what its identity has published.
 *
 * Not asked for is what is older than the end of the newest stretch without an audit, or of the newest block that was
 * removed: nobody took down what was done then, or what said so may be gone.
 */
#include "store/audit_internal.h"

struct hf_strip {
	UT_hash_handle hh;
	uint64_t lsn;    /* of the newest that is stripped; 0: none is */
	uint64_t offset; /* of that; 0: of an identity */
	uint64_t told;   /* the newest offset that a record tells of; of an identity: whether one does */
	size_t key_len;
	char key[]; /* 's' and a session, 'i' and an identity */
};

static struct hf_strip *strip_of(struct hf_strips *strips, char type, struct hf_slice name)
{
	struct hf_strip *strip;

	hf_buffer_clear(&strips->key);
	if (!hf_buffer_append(&strips->key, &type, 1) || !hf_buffer_append(&strips->key, name.data, name.len))
		return NULL;
	HASH_FIND(hh, strips->all, strips->key.data, strips->key.len, strip);
	if (strip != NULL)
		return strip;
	strip = calloc(1, sizeof *strip + strips->key.len);
	if (strip == NULL)
		return NULL;
	strip->key_len = strips->key.len;
	memcpy(strip->key, strips->key.data, strip->key_len);
	HASH_ADD(hh, strips->all, key, strip->key_len, strip);
	if (strip->hh.tbl == NULL) {
		free(strip);
		return NULL;
	}
	return strip;
}

bool hf_strips_take_entry(struct hf_strips *strips, const struct hf_entry *entry)
{
	if (!entry->stripped)
		return true;
	struct hf_strip *strip =
		entry->erased ? strip_of(strips, 'i', entry->identity) : strip_of(strips, 's', entry->session);
	if (strip == NULL)
		return false;
	strip->lsn = entry->lsn;
	strip->offset = entry->erased ? 0 : entry->offset;
	return true;
}

bool hf_strips_take_record(struct hf_strips *strips, const struct hf_audit *record)
{
	struct hf_strip *strip;

	switch (record->kind) {
	case HF_AUDIT_TRUNCATED:
	case HF_AUDIT_ERASED:
		strip = strip_of(strips, 's', record->session);
		if (strip != NULL && record->last > strip->told)
			strip->told = record->last;
		return strip != NULL;
	case HF_AUDIT_FORGETTING:
		strip = strip_of(strips, 'i', record->identity);
		if (strip != NULL)
			strip->told = 1;
		return strip != NULL;
	case HF_AUDIT_UNCOVERED:
		hf_strips_excuse(strips, record->last);
		return true;
	default:
		return true;
	}
}

void hf_strips_excuse(struct hf_strips *strips, uint64_t lsn)
{
	if (lsn > strips->excused)
		strips->excused = lsn;
}

uint64_t hf_strips_find_untold(const struct hf_strips *strips)
{
	uint64_t lsn = 0;

	for (const struct hf_strip *strip = strips->all; strip != NULL; strip = strip->hh.next) {
		bool told = strip->key[0] == 's' ? strip->offset <= strip->told : strip->told != 0;
		if (strip->lsn > strips->excused && !told && (lsn == 0 || strip->lsn < lsn))
			lsn = strip->lsn;
	}
	return lsn;
}

void hf_strips_free(struct hf_strips *strips)
{
	struct hf_strip *strip;
	struct hf_strip *next;

	HASH_ITER(hh, strips->all, strip, next)
	{
		HASH_DELETE(hh, strips->all, strip);
		free(strip);
	}
	hf_buffer_free(&strips->key);
}
