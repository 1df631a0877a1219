/* SPDX-License-Identifier: BSD-3-Clause */
#include "session/delivery/delivery.h"
#include "session/internal.h"

static struct hf_handed *at(const struct hf_device *device, size_t index)
{
	return &device->ring[(device->ring_head + index) & (device->ring_size - 1)];
}

struct hf_handed *hf_ring_at(const struct hf_device *device, size_t index)
{
	return at(device, index);
}

static bool grow(struct hf_device *device)
{
	size_t size = device->ring_size ? device->ring_size * 2 : 16;
	struct hf_handed *ring = malloc(size * sizeof(*ring));

	if (!ring) {
		return false;
	}
	for (size_t i = 0; i < device->ring_count; i++) {
		ring[i] = *at(device, i);
	}
	free(device->ring);
	device->ring = ring;
	device->ring_size = size;
	device->ring_head = 0;
	return true;
}

/* Acknowledged ones behind one that is not are forgotten when their place is needed. */
static void close_ranks(struct hf_device *device)
{
	size_t kept = 0;

	for (size_t i = 0; i < device->ring_count; i++) {
		if (!at(device, i)->done) {
			*at(device, kept++) = *at(device, i);
		}
	}
	device->ring_count = kept;
}

bool hf_ring_reserve(struct hf_device *device)
{
	if (device->ring_count < device->ring_size) {
		return true;
	}
	close_ranks(device);
	return device->ring_count < device->ring_size / 2 || grow(device); /* not to close ranks for every other one */
}

void hf_ring_push(struct hf_device *device, const struct hf_handed *handed)
{
	device->ring_count++;
	*at(device, device->ring_count - 1) = *handed;
	device->unacknowledged++;
	device->gap_count += handed->gap;
	device->handed_bytes += handed->bytes;
}

/* Acknowledgements mostly come in order: the first place looked at is mostly the right one. */
struct hf_handed *hf_ring_find(struct hf_device *device, uint64_t handle)
{
	for (size_t i = 0; i < device->ring_count; i++) {
		struct hf_handed *handed = at(device, i);
		if (handed->handle == handle && !handed->done) {
			return handed;
		}
	}
	return NULL;
}

static void pop(struct hf_device *device)
{
	while (device->ring_count > 0 && at(device, 0)->done) {
		device->ring_head = (device->ring_head + 1) & (device->ring_size - 1);
		device->ring_count--;
	}
}

struct hf_handed *hf_ring_find_lsn(struct hf_device *device, uint64_t lsn)
{
	for (size_t i = 0; i < device->ring_count; i++) {
		struct hf_handed *handed = at(device, i);
		if (handed->lsn == lsn && !handed->done && !handed->mark && !handed->hollow) {
			return handed;
		}
	}
	return NULL;
}

struct hf_handed *hf_ring_newest(struct hf_device *device)
{
	return at(device, device->ring_count - 1);
}

void hf_ring_done(struct hf_device *device, struct hf_handed *handed)
{
	handed->done = true;
	device->unacknowledged--;
	device->gap_count -= handed->gap;
	device->handed_bytes -= handed->bytes;
	pop(device);
}

/* ---- what the client cannot be given keeps its place until the client knows: so does its cursor */

void hf_ring_give_up(struct hf_device *device, struct hf_handed *handed)
{
	struct hf_handed *other = hf_ring_hollow(device, handed->first, handed->lsn);

	if (other) { /* another copy: the client is told once */
		other->filters |= handed->filters;
		hf_ring_done(device, handed);
		return;
	}
	device->unacknowledged--;
	device->handed_bytes -= handed->bytes;
	device->hollow_count++;
	handed->hollow = true;
	handed->handle = 0;
	handed->bytes = 0;
}

struct hf_handed *hf_ring_hollow(struct hf_device *device, uint64_t first, uint64_t lsn)
{
	for (size_t i = 0; device->hollow_count > 0 && i < device->ring_count; i++) {
		struct hf_handed *handed = at(device, i);
		if (handed->hollow && (lsn == 0 || (handed->lsn == lsn && handed->first == first))) {
			return handed;
		}
	}
	return NULL;
}

void hf_ring_fill(struct hf_device *device, struct hf_handed *hollow, const struct hf_handed *mark)
{
	device->unacknowledged++;
	device->handed_bytes += mark->bytes;
	device->hollow_count--;
	hollow->hollow = false;
	hollow->mark = true;
	hollow->handle = mark->handle;
	hollow->bytes = mark->bytes;
	hollow->packet = mark->packet;
	hollow->filters |= mark->filters;
}

void hf_ring_told(struct hf_device *device, struct hf_handed *hollow)
{
	device->hollow_count--;
	hollow->hollow = false;
	hollow->done = true;
	pop(device);
}

/* ---- filters come and go */

void hf_ring_release(struct hf_device *device, const struct hf_subscription *subscription)
{
	uint64_t slot = UINT64_C(1) << subscription->slot;

	if (subscription->slot == HF_SLOTS - 1) {
		return; /* shared: others may owe it */
	}
	hf_owed_settle(device, 0, UINT64_MAX, slot);
	for (size_t i = 0; i < device->ring_count; i++) {
		struct hf_handed *handed = at(device, i);
		handed->filters &= ~slot;
		handed->lsn = handed->filters ? handed->lsn : 0;
		handed->first = handed->filters ? handed->first : 0;
		if (handed->hollow && handed->lsn == 0) {
			device->hollow_count--;
			handed->hollow = false;
			handed->done = true;
		}
	}
	pop(device);
}

void hf_ring_clear(struct hf_device *device)
{
	free(device->ring);
	device->ring = NULL;
	device->ring_size = device->ring_head = device->ring_count = 0;
	device->unacknowledged = device->handed_bytes = device->hollow_count = device->gap_count = 0;
}
