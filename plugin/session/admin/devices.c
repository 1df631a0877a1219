/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices: who is connected, who may come back, how far they have read; and ending connections. */
#include "session/admin/admin.h"

#include <inttypes.h>
#include <stdio.h>

#define NAMED_MAX 100  /* of those that are disconnected */
#define FILTERS_MAX 50 /* that are shown of one */

/* ---- pages
 *
 * Devices stand in the hub's table in the order in which they came into it, by a number that rises. A page ends with
 * the number of its last device, and its name, by which that is found at once, if it is still there. */

static void put_next(struct hf_admin *admin, cJSON *data, const struct hf_device *last)
{
	char *text;

	if (asprintf(&text, "%" PRIu64 " %s", last->number, last->id) < 0) {
		admin->no_memory = true;
		return;
	}
	hf_admin_put_text(admin, data, "next", hf_slice_of(text));
	free(text);
}

/* The first device of the page. */
static enum hf_reason begin(struct hf_admin *admin, const struct hf_device **out)
{
	const char *after = admin->arguments.after.data;
	char *name;

	*out = admin->hub->devices;
	if (admin->arguments.after.len == 0) {
		return HF_OK;
	}
	uint64_t number = strtoull(after, &name, 10);
	if (*after < '0' || *after > '9' || *name != ' ') {
		snprintf(admin->message, sizeof(admin->message), "'after' is what a page before had as 'next'");
		return HF_ARGUMENT_INVALID;
	}
	const struct hf_device *device = hf_device_find(admin->hub, name + 1);
	if (device && device->number == number) {
		*out = device->hh.next;
		return HF_OK;
	}
	while (*out && (*out)->number <= number) { /* it has gone */
		*out = (*out)->hh.next;
	}
	return HF_OK;
}

/* ---- which */

static bool reads(const struct hf_subscription *subscription, struct hf_slice session)
{
	return !subscription->outside && subscription->allowed &&
		   (subscription->parsed.any_session || hf_slice_equal(subscription->parsed.session, session));
}

static bool is_of_session(const struct hf_device *device, struct hf_slice session)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		if (reads(&device->subscriptions[i], session)) {
			return true;
		}
	}
	return false;
}

static bool is_wanted(const struct hf_admin *admin, const struct hf_device *device)
{
	const struct hf_admin_arguments *arguments = &admin->arguments;

	return (!(arguments->given & HF_ADMIN_ONLINE) || arguments->online == device->online) &&
		   (arguments->identity.len == 0 || (device->identity && hf_slice_is(arguments->identity, device->identity))) &&
		   (arguments->session.len == 0 || is_of_session(device, arguments->session));
}

/* ---- what is said of one */

/* What it was handed of the session: all up to an offset, what of that it has not acknowledged aside. */
static enum hf_reason put_position(
	struct hf_admin *admin, cJSON *row, const struct hf_device *device, struct hf_log *log)
{
	uint64_t offset = hf_log_head(log) + 1;
	enum hf_reason reason = device->at_head ? HF_OK : hf_log_offset_after(log, device->sent, &offset);

	if (reason == HF_OK) {
		hf_admin_put_number(admin, row, "position", offset - 1);
		hf_admin_put_number(admin, row, "behind", hf_log_head(log) + 1 - offset);
	}
	return reason;
}

static void put_filters(struct hf_admin *admin, cJSON *row, const struct hf_device *device)
{
	cJSON *filters = hf_admin_put_array(admin, row, "filters");

	for (size_t i = 0; i < device->subscription_count && i < FILTERS_MAX; i++) {
		const struct hf_subscription *subscription = &device->subscriptions[i];
		cJSON *filter = hf_admin_put_object(admin, filters, NULL);
		hf_admin_put_text(admin, filter, "filter", hf_slice_of(subscription->filter));
		hf_admin_put_number(admin, filter, "qos", subscription->options & 3u);
		if (!subscription->outside && !subscription->allowed) {
			hf_admin_put_flag(admin, filter, "allowed", false);
		}
	}
	if (device->subscription_count > FILTERS_MAX) {
		hf_admin_put_flag(admin, row, "moreFilters", true);
	}
}

static enum hf_reason put_device(
	struct hf_admin *admin, cJSON *rows, const struct hf_device *device, struct hf_log *log)
{
	cJSON *row = hf_admin_put_object(admin, rows, NULL);

	hf_admin_put_text(admin, row, "device", hf_slice_of(device->id));
	hf_admin_put_text(admin, row, "identity", hf_slice_of(device->identity));
	hf_admin_put_flag(admin, row, "online", device->online);
	hf_admin_put_flag(admin, row, "durable", device->durable);
	hf_admin_put_text(admin, row, "address", hf_slice_of(device->online ? device->address : NULL));
	hf_admin_put_number(admin, row, "unacknowledged", device->unacknowledged);
	put_filters(admin, row, device);
	return log ? put_position(admin, row, device, log) : HF_OK;
}

/* ---- the command */

static enum hf_reason put_page(struct hf_admin *admin, cJSON *data, const struct hf_device *device, struct hf_log *log)
{
	cJSON *rows = hf_admin_put_array(admin, data, "devices");
	const struct hf_device *last = NULL;
	uint64_t count = 0;
	enum hf_reason reason = HF_OK;

	for (; device && reason == HF_OK; device = device->hh.next) {
		if (count == admin->arguments.limit || !hf_admin_look(admin)) {
			put_next(admin, data, last);
			break;
		}
		if (is_wanted(admin, device)) {
			reason = put_device(admin, rows, device, log);
			count++;
		}
		last = device;
	}
	return reason;
}

enum hf_reason hf_admin_list_devices(struct hf_admin *admin, cJSON *data)
{
	const struct hf_device *device;
	struct hf_log *log = NULL;
	enum hf_reason reason = begin(admin, &device);

	if (reason == HF_OK && admin->arguments.session.len > 0) {
		reason = hf_log_acquire(admin->hub->store, admin->arguments.session, false, &log);
	}
	if (reason != HF_OK) {
		return reason;
	}
	reason = put_page(admin, data, device, log);
	if (log) {
		hf_log_release(log);
	}
	return reason;
}

/* ---- ending connections */

static bool is_meant(const struct hf_admin *admin, const struct hf_device *device)
{
	return device->online && device->identity && hf_slice_is(admin->arguments.identity, device->identity);
}

static bool disconnect(struct hf_admin *admin, const struct hf_device *device, cJSON *names)
{
	if (admin->count++ < NAMED_MAX) {
		hf_admin_put_text(admin, names, NULL, hf_slice_of(device->id));
	}
	return hf_kick(admin->hub, device);
}

enum hf_reason hf_admin_disconnect(struct hf_admin *admin, cJSON *data)
{
	cJSON *names = hf_admin_put_array(admin, data, "devices");
	const struct hf_device *device = admin->hub->devices;
	bool ok = true;

	if (admin->arguments.device.len > 0) {
		device = hf_device_find(admin->hub, admin->arguments.device.data);
		ok = !device || !device->online || disconnect(admin, device, names);
		device = NULL;
	}
	for (; device && ok; device = device->hh.next) {
		ok = !is_meant(admin, device) || disconnect(admin, device, names);
	}
	hf_admin_put_number(admin, data, "count", admin->count);
	return ok ? HF_OK : HF_NO_MEMORY;
}
