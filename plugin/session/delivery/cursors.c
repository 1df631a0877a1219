/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Durable devices in the store: the facts that the broker needs to have them again, their position, their
 * subscriptions.
 *
 * What is on disk is what was handed over (`sent`), and what of that has not been acknowledged (owed). So after a
 * restart a device is owed exactly the latter, and what lies beyond the former.
 *
 * The value of a device (format 3, integers little-endian):
 *
 *      0  u8   format, 3
 *      1  u8   bit 0: Retain Available; bit 1: the client is anonymous
 *      2  u8   Maximum QoS
 *      3  u8   0
 *      4  u16  listener port
 *      6  u16  length of the identity
 *      8  u16  the last Packet Identifier used
 *     10  u16  number of filters that name their session
 *     12  u32  Session Expiry Interval, s
 *     16  u32  Will Delay Interval, s
 *     20  u32  Maximum Packet Size
 *     24  i64  session expiry time, Unix s
 *     32  i64  will delay time, Unix s
 *     40  u64  sent
 *     48  u32  number of entries owed, those that were joined counted as one
 *     52  u64  shown: the newest LSN that was ever handed over; all bits set while the device is connected
 *     60       identity
 *              each entry owed: varint v | varint filters, by slot, if bit 0 of v is 1: else they are those of the one
 *                               before | varint to the last LSN, if bit 1 of v is 1: of entries that were joined.
 *                               v >> 2: the (first) LSN's difference to the (last) one before, 0 before the first,
 *                               zigzag: 0, -1, 1, -2 ... are 0, 1, 2, 3 ... | varint hf_session_number | varint offset
 *                               of the first
 *              each filter that names its session: u8 slot | varint the first offset it has not been handed
 *
 * and of a subscription (its filter is in the key):
 *
 *      0  u8   format, 3
 *      1  u8   bit 0: no business of the device's own delivery; bit 1: held; bit 2: batches; bit 3: of a group
 *      2  u8   options
 *      3  u8   slot
 *      4  u32  Subscription Identifier
 *      8  u64  from
 *     16  u64  floor
 *     24  u64  last_n
 *     32  u64  last_lsn
 */
#include "session/delivery/delivery.h"
#include "session/groups/group.h"

#include <endian.h>

#include <utlist.h>

#include "codec/varint.h"

#define FORMAT 3
#define HEADER_SIZE 60
#define SUBSCRIPTION_SIZE 40
#define PACKET_IDS_AHEAD 4096 /* more than a device is given between two writes of its cursor */

enum { ANONYMOUS = 2, OUTSIDE = 1, HELD = 2, BATCHES = 4, OF_GROUP = 8, OTHER_FILTERS = 1, JOINED = 2 };

static void put(unsigned char **at, uint64_t value, size_t size)
{
	uint64_t little = htole64(value);

	memcpy(*at, &little, size);
	*at += size;
}

static uint64_t take(const char **at, size_t size)
{
	uint64_t little = 0;

	memcpy(&little, *at, size);
	*at += size;
	return le64toh(little);
}

/* ---- what is owed */

static bool is_owed(const struct hf_handed *handed)
{
	return !handed->done && handed->lsn > 0;
}

static size_t count_owed(const struct hf_device *device)
{
	size_t count = device->owed_count;

	for (size_t i = 0; i < device->ring_count; i++) {
		count += is_owed(hf_ring_at(device, i));
	}
	return count;
}

static void put_owed(unsigned char **at, struct hf_owed *before, struct hf_owed owed)
{
	int64_t step = (int64_t)(owed.first - before->last);
	uint64_t zigzag = (uint64_t)step << 1 ^ (uint64_t)(step >> 63);
	bool other = owed.filters != before->filters, joined = owed.first < owed.last;

	*at = hf_varint_put(*at, zigzag << 2 | (other ? OTHER_FILTERS : 0u) | (joined ? JOINED : 0u));
	*at = other ? hf_varint_put(*at, owed.filters) : *at;
	*at = joined ? hf_varint_put(*at, owed.last - owed.first) : *at;
	*at = hf_varint_put(*at, owed.session);
	*at = hf_varint_put(*at, owed.offset);
	*before = owed;
}

static bool take_owed(const unsigned char **at, const unsigned char *end, struct hf_owed *before)
{
	uint64_t value, more = 0, session = 0;

	*at = hf_varint_get(*at, end, &value);
	if (*at && (value & OTHER_FILTERS)) {
		*at = hf_varint_get(*at, end, &before->filters);
	}
	if (*at && (value & JOINED)) {
		*at = hf_varint_get(*at, end, &more);
	}
	uint64_t zigzag = value >> 2;
	before->first = before->last + (zigzag >> 1 ^ (0 - (zigzag & 1)));
	before->last = before->first + more;
	*at = *at ? hf_varint_get(*at, end, &session) : NULL;
	*at = *at ? hf_varint_get(*at, end, &before->offset) : NULL;
	before->session = (uint32_t)session;
	return *at != NULL;
}

/* ---- the first offset that a filter has not been handed; those that share the last slot cannot be told apart */

static bool has_floor(const struct hf_subscription *subscription)
{
	return !subscription->outside && !subscription->parsed.any_session && subscription->slot < HF_SLOTS - 1;
}

static size_t count_floors(const struct hf_device *device)
{
	size_t count = 0;

	for (size_t i = 0; i < device->subscription_count; i++) {
		count += has_floor(&device->subscriptions[i]);
	}
	return count;
}

static void put_floors(unsigned char **at, const struct hf_device *device)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		if (has_floor(subscription)) {
			put(at, subscription->slot, 1);
			*at = hf_varint_put(*at, subscription->floor);
		}
	}
}

static bool take_floors(size_t count, const unsigned char *at, const unsigned char *end, uint64_t floors[HF_SLOTS])
{
	memset(floors, 0, HF_SLOTS * sizeof(*floors));
	for (; count > 0 && at && at < end; count--) {
		unsigned char slot = *at++;
		if (slot >= HF_SLOTS) {
			return false;
		}
		at = hf_varint_get(at, end, &floors[slot]);
	}
	return count == 0 && at == end;
}

/* ---- out */

static bool encode(const struct hf_device *device, struct hf_buffer *out)
{
	const struct hf_durable *facts = &device->facts;
	size_t identity_len = device->identity ? strlen(device->identity) : 0, owed_count = count_owed(device);
	struct hf_owed before = {.last = 0};
	size_t floors_len = device->subscription_count * (1 + HF_VARINT_MAX);
	unsigned char *at =
					  hf_buffer_reserve(out, HEADER_SIZE + identity_len + owed_count * 5 * HF_VARINT_MAX + floors_len),
				  *begin = at;

	if (!at) {
		return false;
	}
	put(&at, FORMAT, 1);
	put(&at, (facts->retain_available ? 1u : 0u) | (device->identity ? 0u : ANONYMOUS), 1);
	put(&at, facts->max_qos, 1);
	put(&at, 0, 1);
	put(&at, facts->listener_port, 2);
	put(&at, identity_len, 2);
	put(&at, device->packet_id, 2);
	put(&at, count_floors(device), 2);
	put(&at, facts->session_expiry_interval, 4);
	put(&at, facts->will_delay_interval, 4);
	put(&at, facts->max_packet_size, 4);
	put(&at, (uint64_t)facts->session_expiry_time, 8);
	put(&at, (uint64_t)facts->will_delay_time, 8);
	put(&at, device->sent, 8);
	put(&at, owed_count, 4);
	put(&at, device->noted ? UINT64_MAX : device->shown, 8);
	memcpy(at, device->identity ? device->identity : "", identity_len);
	at += identity_len;
	for (size_t i = 0; i < device->owed_count; i++) {
		put_owed(&at, &before, device->owed[i]);
	}
	for (size_t i = 0; i < device->ring_count; i++) {
		const struct hf_handed *handed = hf_ring_at(device, i);
		if (is_owed(handed)) {
			put_owed(&at, &before,
				(struct hf_owed){
					.first = handed->first,
					.last = handed->lsn,
					.filters = handed->filters,
					.offset = handed->offset,
					.session = handed->session,
				});
		}
	}
	put_floors(&at, device);
	out->len += (size_t)(at - begin);
	return true;
}

static enum hf_reason write_device(struct hf_hub *hub, const struct hf_device *device)
{
	hf_buffer_clear(&hub->scratch);
	if (!encode(device, &hub->scratch)) {
		return HF_NO_MEMORY;
	}
	struct hf_slice value = hf_buffer_slice(&hub->scratch);
	return hf_device_put(hub->store, hf_slice_of(device->id), &value);
}

static enum hf_reason write_subscription(
	struct hf_hub *hub, const struct hf_device *device, const struct hf_subscription *subscription)
{
	unsigned char bytes[SUBSCRIPTION_SIZE], *at = bytes;
	struct hf_slice value = hf_slice_from(bytes, sizeof(bytes));

	put(&at, FORMAT, 1);
	put(&at,
		(subscription->outside ? OUTSIDE : 0u) | (subscription->held ? HELD : 0u) |
			(subscription->batches ? BATCHES : 0u) | (subscription->worker ? OF_GROUP : 0u),
		1);
	put(&at, subscription->options, 1);
	put(&at, subscription->slot, 1);
	put(&at, subscription->identifier, 4);
	put(&at, subscription->from, 8);
	put(&at, subscription->floor, 8);
	put(&at, subscription->last_n, 8);
	put(&at, subscription->last_lsn, 8);
	return hf_filter_put(hub->store, hf_slice_of(device->id), hf_slice_of(subscription->filter), &value);
}

static enum hf_reason write_one(struct hf_hub *hub, struct hf_device *device)
{
	enum hf_reason reason = write_device(hub, device);

	for (size_t i = 0; i < device->subscription_count && reason == HF_OK; i++) {
		struct hf_subscription *subscription = &device->subscriptions[i];
		if (subscription->dirty) {
			reason = write_subscription(hub, device, subscription);
			subscription->dirty = reason != HF_OK;
		}
	}
	return reason;
}

enum hf_reason hf_devices_write(struct hf_hub *hub)
{
	struct hf_device *device, *next;
	enum hf_reason groups = hf_groups_put(hub);

	if (groups != HF_OK) {
		return groups;
	}
	LL_FOREACH_SAFE2(hub->dirty, device, next, dirty_next)
	{
		enum hf_reason reason = write_one(hub, device);
		if (reason != HF_OK) {
			return reason;
		}
		LL_DELETE2(hub->dirty, device, dirty_next);
		device->dirty = false;
	}
	enum hf_reason reason = hf_receipts_write(hub); /* in one batch with the cursors that they belong to */
	return reason == HF_OK ? hf_store_commit(hub->store) : reason;
}

static void forget(struct hf_hub *hub, const struct hf_device *device, const struct hf_subscription *subscription)
{
	struct hf_slice id = hf_slice_of(device->id);
	enum hf_reason reason = subscription ? hf_filter_put(hub->store, id, hf_slice_of(subscription->filter), NULL)
										 : hf_device_put(hub->store, id, NULL);

	if (reason != HF_OK) {
		hf_say(
			hub, HF_LOG_ERROR, "no memory to forget '%s': it may come back when the broker starts again", device->id);
	}
}

void hf_filter_forget_stored(struct hf_hub *hub, struct hf_device *device, const struct hf_subscription *subscription)
{
	if (device->durable) {
		forget(hub, device, subscription);
		hf_device_dirty(hub, device);
	}
}

void hf_device_forget_stored(struct hf_hub *hub, struct hf_device *device)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		forget(hub, device, &device->subscriptions[i]);
	}
	forget(hub, device, NULL);
	if (hf_store_commit(hub->store) != HF_OK) { /* at once: a session that has ended must not come back after a kill */
		hf_hub_due(hub, HF_TIMER_CURSORS, hub->options.ack_flush_ms);
	}
}

/* ---- and back */

struct load {
	struct hf_hub *hub;
	struct hf_device *device;  /* whose subscriptions come next; NULL: it could not be read */
	uint64_t floors[HF_SLOTS]; /* of theirs; 0: none */
};

static bool decode_owed(
	struct hf_device *device, size_t count, uint64_t head, const unsigned char **at, const unsigned char *end)
{
	struct hf_owed owed = {.last = 0};

	for (size_t i = 0; i < count; i++) {
		if (!take_owed(at, end, &owed) || owed.first == 0 || owed.last < owed.first || owed.last > head ||
			!hf_owed_add(device, &owed)) {
			return false;
		}
	}
	return true;
}

static bool decode(struct load *load, struct hf_device *device, struct hf_slice value, size_t identity_len)
{
	uint64_t head = hf_store_head(load->hub->store);
	const char *at = value.data + 1;
	struct hf_durable *facts = &device->facts;

	facts->retain_available = take(&at, 1) & 1;
	facts->max_qos = (uint8_t)take(&at, 1);
	at++;
	facts->listener_port = (uint16_t)take(&at, 2);
	at += 2;
	/* A client may still hold QoS 2 messages of before under their Packet Identifiers, and would take new ones with
	 * the same identifier for repeats of those. */
	device->packet_id = (uint16_t)(take(&at, 2) + PACKET_IDS_AHEAD);
	device->packet_id_moved = true;
	size_t floors = (size_t)take(&at, 2);
	facts->session_expiry_interval = (uint32_t)take(&at, 4);
	facts->will_delay_interval = (uint32_t)take(&at, 4);
	facts->max_packet_size = (uint32_t)take(&at, 4);
	facts->session_expiry_time = (int64_t)take(&at, 8);
	facts->will_delay_time = (int64_t)take(&at, 8);
	device->sent = take(&at, 8);
	size_t owed = (size_t)take(&at, 4);
	device->shown = take(&at, 8);
	device->shown = device->shown < head ? device->shown : head;
	device->alone_to = device->shown;
	const unsigned char *rest = (const unsigned char *)at + identity_len,
						*end = (const unsigned char *)value.data + value.len;
	return device->sent <= head && decode_owed(device, owed, head, &rest, end) &&
		   take_floors(floors, rest, end, load->floors);
}

/* NULL: it cannot be read, or there is no memory. */
static struct hf_device *load_device(struct load *load, const char *name, struct hf_slice value)
{
	struct hf_hub *hub = load->hub;

	if (value.len < HEADER_SIZE || value.data[0] != FORMAT) {
		return NULL;
	}
	const char *at = value.data + 6;
	size_t identity_len = (size_t)take(&at, 2);
	bool anonymous = value.data[1] & ANONYMOUS;
	if (value.len < HEADER_SIZE + identity_len) {
		return NULL;
	}
	char *identity = anonymous ? NULL : strndup(value.data + HEADER_SIZE, identity_len);
	struct hf_device *device = anonymous || identity ? hf_device_make(hub, name, identity) : NULL;
	free(identity);
	if (device && !decode(load, device, value, identity_len)) {
		hf_device_forget(hub, device);
		device = NULL;
	}
	return device;
}

/* The root may be another one since: then the filter is none of ours any more. False: no memory. */
static bool reread(struct hf_hub *hub, struct hf_device *device, struct hf_subscription *subscription, unsigned flags)
{
	struct hf_filter filter;
	bool ours = hf_filter_parse_kept(hub->options.root, subscription->filter, &filter) == HF_OK;

	subscription->outside = (flags & OUTSIDE) || !ours;
	if (!ours || !(flags & OF_GROUP)) {
		subscription->parsed = filter;
		return true;
	}
	subscription->worker = hf_group_rejoin(hub, device, &filter, subscription->options, subscription->identifier);
	return subscription->worker != NULL;
}

static bool load_subscription(struct load *load, struct hf_slice filter, struct hf_slice value)
{
	struct hf_device *device = load->device;
	const char *at = value.data + 1;

	if (value.len != SUBSCRIPTION_SIZE || value.data[0] != FORMAT || (unsigned char)value.data[3] >= HF_SLOTS) {
		return false;
	}
	struct hf_subscription *subscription = hf_subscription_add(device, filter);
	if (!subscription) {
		return false;
	}
	unsigned flags = (unsigned)take(&at, 1);
	subscription->options = (uint8_t)take(&at, 1);
	subscription->slot = (uint8_t)take(&at, 1);
	subscription->identifier = (uint32_t)take(&at, 4);
	subscription->from = take(&at, 8);
	subscription->floor = take(&at, 8);
	subscription->last_n = take(&at, 8);
	subscription->last_lsn = take(&at, 8);
	subscription->held = flags & HELD;
	if (!reread(load->hub, device, subscription, flags)) {
		return false;
	}
	if (has_floor(subscription) && load->floors[subscription->slot] > 0) {
		subscription->floor = load->floors[subscription->slot];
	}
	subscription->told = subscription->parsed.any_session && subscription->last_n == 0 ? subscription->last_lsn : 0;
	subscription->batches = flags & BATCHES;
	hf_unconfirmed_restored(device, subscription);
	return true;
}

static bool load_one(void *context, struct hf_slice id, struct hf_slice filter, struct hf_slice value)
{
	struct load *load = context;
	char *name = strndup(id.data, id.len);
	bool good;

	if (filter.len == 0) {
		load->device = name ? load_device(load, name, value) : NULL;
		good = load->device != NULL;
	} else {
		bool known = name && load->device && strcmp(load->device->id, name) == 0;
		good = !known || load_subscription(load, filter, value);
	}
	if (!good && filter.len > 0) {
		hf_say(load->hub, HF_LOG_ERROR,
			"the subscription of '%s' to %.*s cannot be read from the store and is left out", name, (int)filter.len,
			filter.data);
	} else if (!good) {
		hf_say(load->hub, HF_LOG_ERROR, "the durable client '%s' cannot be read from the store and is left out",
			name ? name : "?");
	}
	free(name);
	return true;
}

/* Beyond what it was sent, and what it is owed. */
static void take_up(struct hf_device *device)
{
	uint64_t slots = 0;

	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_subscription *subscription = &device->subscriptions[i];
		slots |= UINT64_C(1) << subscription->slot;
		if (!subscription->held && subscription->from < device->sent) {
			subscription->from = device->sent;
			subscription->dirty = true;
		}
	}
	hf_owed_settle(device, 0, UINT64_MAX, ~slots);
	if (device->owed_count > 0 && device->owed[0].first <= device->sent) {
		device->sent = device->owed[0].first - 1;
	}
	device->durable = true;
	device->at_head = false;
}

enum hf_reason hf_devices_load(struct hf_hub *hub)
{
	struct load load = {.hub = hub};
	enum hf_reason reason = hf_device_each(hub->store, load_one, &load);

	for (struct hf_device *device = hub->devices; device; device = device->hh.next) {
		take_up(device);
	}
	return reason;
}
