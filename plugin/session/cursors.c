/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Durable devices in the store: the facts the broker needs to have them again, their subscriptions, their cursor.
 * The cursor is `low`, up to which all that was due is acknowledged, and the acknowledged LSNs above it.
 *
 * The value (format 1, integers little-endian):
 *
 *      0  u8   format, 1
 *      1  u8   bit 0: Retain Available; bit 1: the client is anonymous
 *      2  u8   Maximum QoS
 *      3  u8   0
 *      4  u16  listener port
 *      6  u16  length of the identity
 *      8  u16  number of subscriptions
 *     10  u16  number of acknowledged LSNs above low
 *     12  u32  Session Expiry Interval, s
 *     16  u32  Will Delay Interval, s
 *     20  u32  Maximum Packet Size
 *     24  i64  session expiry time, Unix s
 *     32  i64  will delay time, Unix s
 *     40  u64  low
 *     48  u16  the last Packet Identifier used
 *     50       identity
 *              each subscription: u8 bit 0: outside the root | u8 options | u16 length of filter | u32 identifier
 *                                 | u64 from | u64 floor | u64 last_n | u64 last_lsn | filter
 *              each acknowledged LSN: u64
 */
#include "session/internal.h"

#include <endian.h>

#include <utlist.h>

#define FORMAT 1
#define HEADER_SIZE 50
#define PACKET_IDS_AHEAD 4096 /* more than a device is given between two writes of its cursor */
#define SUBSCRIPTION_SIZE 40

static const struct hf_handed *handed_at(const struct hf_device *device, size_t index)
{
	return &device->ring[(device->ring_head + index) & (device->ring_size - 1)];
}

uint64_t hf_device_low(const struct hf_device *device)
{
	uint64_t low = device->sent;

	for (size_t i = 0; i < device->ring_count; i++) {
		const struct hf_handed *handed = handed_at(device, i);
		if (!handed->done && handed->lsn > 0 && handed->lsn <= low) {
			low = handed->lsn - 1;
		}
	}
	return low;
}

/* Where a filter begins should the broker stop now. One that was raised when another one started at an earlier position
 * (move_device) still owes what was in flight then. */
static uint64_t from_to_write(const struct hf_device *device, const struct hf_subscription *subscription)
{
	uint64_t slot = UINT64_C(1) << subscription->slot, from = subscription->from;

	for (size_t i = 0; i < device->ring_count; i++) {
		const struct hf_handed *handed = handed_at(device, i);
		if (!handed->done && (handed->filters & slot) && handed->lsn > 0 && handed->lsn <= from) {
			from = handed->lsn - 1;
		}
	}
	return from;
}

static void put(unsigned char **at, uint64_t value, size_t size)
{
	uint64_t little = htole64(value);

	memcpy(*at, &little, size);
	*at += size;
}

static void put_text(unsigned char **at, const char *text, size_t len)
{
	memcpy(*at, text, len);
	*at += len;
}

bool hf_device_skips(const struct hf_device *device, uint64_t lsn)
{
	for (size_t i = 0; i < device->skip_count; i++) {
		if (device->skip[i] == lsn) {
			return true;
		}
	}
	return false;
}

/* Was it acknowledged before the broker last started, and does no filter placed since want it again? */
static bool skip_counts(const struct hf_device *device, uint64_t lsn)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		if (device->subscriptions[i].placed && device->subscriptions[i].from < lsn) {
			return false;
		}
	}
	return true;
}

/* What was acknowledged before the position moved back is left out: rather once more than never again. */
static bool is_acknowledged(const struct hf_handed *handed, uint64_t low)
{
	return handed->done && !handed->old && handed->lsn > low;
}

static size_t count_acknowledged(const struct hf_device *device, uint64_t low)
{
	size_t count = 0;

	for (size_t i = 0; i < device->skip_count; i++) {
		count += device->skip[i] > low && skip_counts(device, device->skip[i]);
	}
	for (size_t i = 0; i < device->ring_count; i++) {
		count += is_acknowledged(handed_at(device, i), low);
	}
	return count;
}

static size_t value_size(const struct hf_device *device, size_t acknowledged)
{
	size_t size = HEADER_SIZE + (device->identity ? strlen(device->identity) : 0) + acknowledged * 8;

	for (size_t i = 0; i < device->subscription_count; i++) {
		size += SUBSCRIPTION_SIZE + strlen(device->subscriptions[i].filter);
	}
	return size;
}

static bool encode(const struct hf_device *device, struct hf_buffer *out)
{
	const struct hf_durable *facts = &device->facts;
	size_t identity_len = device->identity ? strlen(device->identity) : 0;
	uint64_t low = hf_device_low(device);
	size_t acknowledged = count_acknowledged(device, low);
	size_t size = value_size(device, acknowledged);
	unsigned char *at = hf_buffer_reserve(out, size);

	if (!at) {
		return false;
	}
	out->len += size;
	put(&at, FORMAT, 1);
	put(&at, (facts->retain_available ? 1u : 0u) | (device->identity ? 0u : 2u), 1);
	put(&at, facts->max_qos, 1);
	put(&at, 0, 1);
	put(&at, facts->listener_port, 2);
	put(&at, identity_len, 2);
	put(&at, device->subscription_count, 2);
	put(&at, acknowledged, 2);
	put(&at, facts->session_expiry_interval, 4);
	put(&at, facts->will_delay_interval, 4);
	put(&at, facts->max_packet_size, 4);
	put(&at, (uint64_t)facts->session_expiry_time, 8);
	put(&at, (uint64_t)facts->will_delay_time, 8);
	put(&at, low, 8);
	put(&at, device->packet_id, 2);
	put_text(&at, device->identity ? device->identity : "", identity_len);
	for (size_t i = 0; i < device->subscription_count; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		size_t filter_len = strlen(subscription->filter);
		put(&at, subscription->outside ? 1 : 0, 1);
		put(&at, subscription->options, 1);
		put(&at, filter_len, 2);
		put(&at, subscription->identifier, 4);
		put(&at, from_to_write(device, subscription), 8);
		put(&at, subscription->floor, 8);
		put(&at, subscription->last_n, 8);
		put(&at, subscription->last_lsn, 8);
		put_text(&at, subscription->filter, filter_len);
	}
	for (size_t i = 0; i < device->skip_count; i++) {
		if (device->skip[i] > low && skip_counts(device, device->skip[i])) {
			put(&at, device->skip[i], 8);
		}
	}
	for (size_t i = 0; i < device->ring_count; i++) {
		if (is_acknowledged(handed_at(device, i), low)) {
			put(&at, handed_at(device, i)->lsn, 8);
		}
	}
	return true;
}

enum hf_reason hf_devices_write(struct hf_hub *hub)
{
	struct hf_device *device, *next;

	LL_FOREACH_SAFE2(hub->dirty, device, next, dirty_next)
	{
		hf_buffer_clear(&hub->scratch);
		if (!encode(device, &hub->scratch)) {
			return HF_NO_MEMORY;
		}
		struct hf_slice value = hf_buffer_slice(&hub->scratch);
		enum hf_reason reason = hf_device_put(hub->store, hf_slice_of(device->id), &value);
		if (reason != HF_OK) {
			return reason;
		}
		LL_DELETE2(hub->dirty, device, dirty_next);
		device->dirty = false;
	}
	return hf_store_commit(hub->store);
}

/* ---- and back */

static uint64_t take(const char **at, size_t size)
{
	uint64_t little = 0;

	memcpy(&little, *at, size);
	*at += size;
	return le64toh(little);
}

static bool decode_subscriptions(struct hf_hub *hub, struct hf_device *device, size_t count, const char **at, const char *end)
{
	device->subscriptions = calloc(count ? count : 1, sizeof(*device->subscriptions));
	for (size_t i = 0; device->subscriptions && i < count; i++) {
		struct hf_subscription *subscription = &device->subscriptions[i];
		if (end - *at < SUBSCRIPTION_SIZE) {
			return false;
		}
		subscription->outside = take(at, 1) & 1;
		subscription->options = (uint8_t)take(at, 1);
		size_t len = (size_t)take(at, 2);
		subscription->identifier = (uint32_t)take(at, 4);
		subscription->from = take(at, 8);
		subscription->floor = take(at, 8);
		subscription->last_n = take(at, 8);
		subscription->last_lsn = take(at, 8);
		if ((size_t)(end - *at) < len || !(subscription->filter = strndup(*at, len))) {
			return false;
		}
		*at += len;
		subscription->slot = (uint8_t)(i < HF_SLOTS - 1 ? i : HF_SLOTS - 1);
		device->subscription_count++;
		/* The root may be another one since: then the filter is none of ours any more. */
		if (!subscription->outside && hf_filter_parse(hub->options.root, subscription->filter, &subscription->parsed) != HF_OK) {
			subscription->outside = true;
		}
	}
	return device->subscriptions != NULL;
}

/* Those acknowledged above low: the pump passes over them. */
static bool decode_acknowledged(struct hf_device *device, size_t count, const char **at, const char *end)
{
	if ((size_t)(end - *at) != count * 8) {
		return false;
	}
	device->skip = count ? calloc(count, sizeof(*device->skip)) : NULL;
	for (size_t i = 0; i < count; i++) {
		uint64_t lsn = take(at, 8);
		if (device->skip) {
			device->skip[device->skip_count++] = lsn;
		}
	}
	return count == 0 || device->skip;
}

static bool decode(struct hf_hub *hub, struct hf_device *device, struct hf_slice value, size_t identity_len)
{
	const char *at = value.data + 1, *end = value.data + value.len;
	struct hf_durable *facts = &device->facts;

	facts->retain_available = take(&at, 1) & 1;
	facts->max_qos = (uint8_t)take(&at, 1);
	at++;
	facts->listener_port = (uint16_t)take(&at, 2);
	at += 2;
	size_t subscriptions = (size_t)take(&at, 2);
	size_t acknowledged = (size_t)take(&at, 2);
	facts->session_expiry_interval = (uint32_t)take(&at, 4);
	facts->will_delay_interval = (uint32_t)take(&at, 4);
	facts->max_packet_size = (uint32_t)take(&at, 4);
	facts->session_expiry_time = (int64_t)take(&at, 8);
	facts->will_delay_time = (int64_t)take(&at, 8);
	device->sent = take(&at, 8);
	/* A client may still hold QoS 2 messages of before under their Packet Identifiers, and would take new ones with
	 * the same identifier for repeats of those. */
	device->packet_id = (uint16_t)(take(&at, 2) + PACKET_IDS_AHEAD);
	device->packet_id_moved = true;
	at += identity_len;
	return decode_subscriptions(hub, device, subscriptions, &at, end) && decode_acknowledged(device, acknowledged, &at, end);
}

static bool load_one(void *context, struct hf_slice id, struct hf_slice value)
{
	struct hf_hub *hub = context;
	const char *at = value.data + 6;
	char *name = strndup(id.data, id.len), *identity = NULL;
	size_t identity_len = 0;
	struct hf_device *device = NULL;

	bool ok = name && value.len >= HEADER_SIZE && value.data[0] == FORMAT;
	if (ok) {
		identity_len = (size_t)take(&at, 2);
		ok = value.len >= HEADER_SIZE + identity_len;
	}
	if (ok && !(value.data[1] & 2)) {
		identity = strndup(value.data + HEADER_SIZE, identity_len);
		ok = identity != NULL;
	}
	if (ok) {
		device = hf_device_make(hub, name, identity);
		ok = device && decode(hub, device, value, identity_len);
	}
	if (ok) {
		device->durable = true;
		device->at_head = false;
	} else {
		hf_say(hub, HF_LOG_ERROR, "the durable client '%s' cannot be read from the store and is left out", name ? name : "?");
		if (device) {
			hf_device_forget(hub, device);
		}
	}
	free(identity);
	free(name);
	return true;
}

enum hf_reason hf_devices_load(struct hf_hub *hub)
{
	return hf_device_each(hub->store, load_one, hub);
}
