/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device is owed besides all that lies beyond its position: entries that were in flight when the broker stopped,
 * or that it had to give back, each with the filters (by slot) under which it is due once more. In the order of LSNs.
 */
#include "session/internal.h"

/* The first at or above `lsn`. */
static size_t place_of(const struct hf_device *device, uint64_t lsn)
{
	size_t low = 0, high = device->owed_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (device->owed[middle].lsn < lsn) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

bool hf_owed_add(struct hf_device *device, const struct hf_owed *owed)
{
	size_t at = place_of(device, owed->lsn);

	if (at < device->owed_count && device->owed[at].lsn == owed->lsn) {
		device->owed[at].filters |= owed->filters;
		return true;
	}
	struct hf_owed *grown = realloc(device->owed, (device->owed_count + 1) * sizeof(*grown));
	if (!grown) {
		return false;
	}
	device->owed = grown;
	memmove(grown + at + 1, grown + at, (device->owed_count - at) * sizeof(*grown));
	grown[at] = *owed;
	device->owed_count++;
	return true;
}

bool hf_owed_handed(struct hf_device *device, const struct hf_handed *handed)
{
	const struct hf_owed owed = {
		.lsn = handed->lsn,
		.filters = handed->filters,
		.offset = handed->offset,
		.session = handed->session,
	};

	return hf_owed_add(device, &owed);
}

uint64_t hf_owed_filters(const struct hf_device *device, uint64_t lsn)
{
	size_t at = device->owed_count > 0 ? place_of(device, lsn) : 0;

	return at < device->owed_count && device->owed[at].lsn == lsn ? device->owed[at].filters : 0;
}

uint64_t hf_owed_after(const struct hf_device *device, uint64_t lsn)
{
	size_t at = device->owed_count > 0 ? place_of(device, lsn + 1) : 0;

	return at < device->owed_count ? device->owed[at].lsn : UINT64_MAX;
}

uint64_t hf_owed_first(const struct hf_device *device, uint64_t filters)
{
	for (size_t i = 0; i < device->owed_count; i++) {
		if (device->owed[i].filters & filters) {
			return device->owed[i].lsn;
		}
	}
	return UINT64_MAX;
}

void hf_owed_settle(struct hf_device *device, uint64_t first, uint64_t last, uint64_t filters)
{
	size_t kept = 0;

	for (size_t i = 0; i < device->owed_count; i++) {
		struct hf_owed owed = device->owed[i];
		if (owed.lsn >= first && owed.lsn <= last) {
			owed.filters &= ~filters;
		}
		if (owed.filters) {
			device->owed[kept++] = owed;
		}
	}
	device->owed_count = kept;
}

void hf_owed_clear(struct hf_device *device)
{
	free(device->owed);
	device->owed = NULL;
	device->owed_count = 0;
}
