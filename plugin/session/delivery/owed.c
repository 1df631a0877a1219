/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device is owed besides all that lies beyond its position: entries that were in flight when the broker stopped,
 * or that it had to give back, each with the filters (by slot) under which it is due once more. Entries that were
 * joined are owed together, as a range: all of the log in it that is due under the filters, which is just them, since
 * everything due in it was handed over with it. In the order of the first LSN; ranges of several filters may overlap.
 */
#include "session/delivery/delivery.h"
#include "session/internal.h"

/* Where one that begins at `lsn` goes: behind those that begin there, too. */
static size_t place_of(const struct hf_device *device, uint64_t lsn)
{
	size_t low = 0, high = device->owed_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (device->owed[middle].first <= lsn) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

bool hf_owed_add(struct hf_device *device, const struct hf_owed *owed)
{
	size_t at = place_of(device, owed->first);

	for (size_t i = at; i > 0 && device->owed[i - 1].first == owed->first; i--) {
		if (device->owed[i - 1].last == owed->last) {
			device->owed[i - 1].filters |= owed->filters;
			return true;
		}
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
		.first = handed->first,
		.last = handed->lsn,
		.filters = handed->filters,
		.offset = handed->offset,
		.session = handed->session,
	};

	return hf_owed_add(device, &owed);
}

uint64_t hf_owed_filters(const struct hf_device *device, uint64_t lsn)
{
	uint64_t filters = 0;

	for (size_t i = 0; i < device->owed_count && device->owed[i].first <= lsn; i++) {
		filters |= device->owed[i].last >= lsn ? device->owed[i].filters : 0;
	}
	return filters;
}

/* Between those that were joined there may be others, of other sessions, that were not due then. */
static bool is_of(const struct hf_owed *owed, uint32_t session)
{
	return owed->first == owed->last || owed->session == 0 || session == 0 || owed->session == session;
}

uint64_t hf_owed_under(const struct hf_device *device, const struct hf_entry *entry)
{
	uint32_t session = hf_session_number(device, entry->session);
	uint64_t filters = 0;

	for (size_t i = 0; i < device->owed_count && device->owed[i].first <= entry->lsn; i++) {
		const struct hf_owed *owed = &device->owed[i];
		filters |= owed->last >= entry->lsn && is_of(owed, session) ? owed->filters : 0;
	}
	return filters;
}

uint64_t hf_owed_after(const struct hf_device *device, uint64_t lsn)
{
	for (size_t i = 0; i < device->owed_count; i++) {
		if (device->owed[i].last > lsn) {
			return device->owed[i].first > lsn ? device->owed[i].first : lsn + 1;
		}
	}
	return UINT64_MAX;
}

bool hf_owed_alone(const struct hf_device *device, uint64_t lsn)
{
	for (size_t i = 0; i < device->owed_count && device->owed[i].first <= lsn; i++) {
		if (device->owed[i].first == lsn && device->owed[i].last == lsn) {
			return true;
		}
	}
	return false;
}

uint64_t hf_owed_first(const struct hf_device *device, uint64_t filters)
{
	for (size_t i = 0; i < device->owed_count; i++) {
		if (device->owed[i].filters & filters) {
			return device->owed[i].first;
		}
	}
	return UINT64_MAX;
}

/* What of one lies below `first` or above `last` stays owed under these filters. No memory: all of it, rather once
 * more. */
static void cut(struct hf_device *device, size_t index, uint64_t first, uint64_t last, uint64_t filters)
{
	struct hf_owed owed = device->owed[index], below = owed, above = owed;

	below.filters = above.filters = owed.filters & filters;
	below.last = first - 1;
	above.first = last + 1;
	if ((owed.first < first && !hf_owed_add(device, &below)) || (owed.last > last && !hf_owed_add(device, &above))) {
		return;
	}
	device->owed[index].filters &= ~filters; /* what was added lies behind it */
}

void hf_owed_settle(struct hf_device *device, uint64_t first, uint64_t last, uint64_t filters)
{
	size_t kept = 0;

	for (size_t i = 0; i < device->owed_count && device->owed[i].first <= last; i++) {
		if (device->owed[i].last >= first && (device->owed[i].filters & filters)) {
			cut(device, i, first, last, filters);
		}
	}
	for (size_t i = 0; i < device->owed_count; i++) {
		if (device->owed[i].filters) {
			device->owed[kept++] = device->owed[i];
		}
	}
	device->owed_count = kept;
}

void hf_owed_given(struct hf_device *device, uint64_t first, const struct hf_entry *entry, uint64_t filters)
{
	hf_owed_settle(device, first, entry->lsn, filters);
	for (size_t i = 0; i < device->owed_count; i++) {
		struct hf_owed *owed = &device->owed[i];
		if (owed->first == entry->lsn + 1 && owed->last > owed->first && owed->offset <= entry->offset &&
			owed->session == hf_session_number(device, entry->session)) {
			owed->offset = entry->offset + 1; /* the rest of those that were joined */
		}
	}
}

void hf_owed_clear(struct hf_device *device)
{
	free(device->owed);
	device->owed = NULL;
	device->owed_count = 0;
}
