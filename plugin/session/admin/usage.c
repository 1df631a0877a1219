/* SPDX-License-Identifier: BSD-3-Clause */
/* What takes up the disk. All sessions are looked at, so it runs on a thread of its own: see inquiries.c. */
#include "store/usage.h"
#include "session/admin/admin.h"

static void put_parts(struct hf_admin *admin, cJSON *data, const struct hf_usage *usage)
{
	cJSON *parts = hf_admin_put_array(admin, data, "parts");

	for (size_t i = 0; i < HF_USAGE_PARTS; i++) {
		cJSON *row = hf_admin_put_object(admin, parts, NULL);
		hf_admin_put_text(admin, row, "name", hf_slice_of(usage->parts[i].name));
		hf_admin_put_number(admin, row, "tables", usage->parts[i].table_bytes);
		hf_admin_put_number(admin, row, "memory", usage->parts[i].memory_bytes);
		hf_admin_put_number(admin, row, "keys", usage->parts[i].keys);
	}
}

static void put_largest(struct hf_admin *admin, cJSON *data, const struct hf_usage_sessions *sessions)
{
	cJSON *rows = hf_admin_put_array(admin, data, "largest");

	for (size_t i = 0; i < sessions->largest_count; i++) {
		cJSON *row = hf_admin_put_object(admin, rows, NULL);
		hf_admin_put_text(admin, row, "session", hf_slice_of(sessions->largest[i].session));
		hf_admin_put_number(admin, row, "entries", sessions->largest[i].entries);
		hf_admin_put_number(admin, row, "bytes", sessions->largest[i].bytes);
	}
}

enum hf_reason hf_admin_get_usage(struct hf_admin *admin, cJSON *data)
{
	struct hf_usage usage;
	struct hf_usage_sessions sessions = {.largest_max = (size_t)admin->arguments.limit};
	enum hf_reason reason = hf_store_usage(admin->store, &usage);

	sessions.largest = calloc(sessions.largest_max, sizeof(*sessions.largest));
	if (reason == HF_OK) {
		reason = sessions.largest ? hf_store_usage_sessions(admin->store, &sessions) : HF_NO_MEMORY;
	}
	if (reason == HF_OK) {
		hf_admin_put_number(admin, data, "disk", usage.disk_bytes);
		hf_admin_put_number(admin, data, "writeAheadLog", usage.wal_bytes);
		hf_admin_put_number(admin, data, "tables", usage.table_bytes);
		put_parts(admin, data, &usage);
		hf_admin_put_number(admin, data, "sessions", sessions.sessions);
		hf_admin_put_number(admin, data, "entries", sessions.entries);
		hf_admin_put_number(admin, data, "bytes", sessions.bytes);
		put_largest(admin, data, &sessions);
	}
	free(sessions.largest);
	return reason;
}
