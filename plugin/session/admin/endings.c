/* SPDX-License-Identifier: BSD-3-Clause */
/* Closing and erasing sessions, and what is kept of one. */
#include "session/admin/admin.h"
#include "session/log/ending.h"

static struct hf_asker asker_of(const struct hf_admin *admin)
{
	return (struct hf_asker){
		.identity = admin->device->identity, .device = admin->device->id, .address = admin->device->address};
}

static enum hf_reason end(struct hf_admin *admin, cJSON *data,
	enum hf_reason (*how)(struct hf_hub *, struct hf_slice, const struct hf_asker *, uint64_t *))
{
	const struct hf_asker asker = asker_of(admin);
	uint64_t offset;
	enum hf_reason reason = how(admin->hub, admin->arguments.session, &asker, &offset);

	if (reason == HF_OK) {
		hf_admin_put_number(admin, data, "offset", offset);
	}
	return reason;
}

enum hf_reason hf_admin_close_session(struct hf_admin *admin, cJSON *data)
{
	return end(admin, data, hf_session_close);
}

enum hf_reason hf_admin_erase_session(struct hf_admin *admin, cJSON *data)
{
	return end(admin, data, hf_session_erase);
}

enum hf_reason hf_admin_set_limits(struct hf_admin *admin, cJSON *data)
{
	const struct hf_admin_arguments *arguments = &admin->arguments;
	const struct hf_asker asker = asker_of(admin);
	const struct hf_retention limits = {
		.age_ms = arguments->given & HF_ADMIN_AGE ? arguments->age_ms : HF_RETENTION_DEFAULT,
		.bytes = arguments->given & HF_ADMIN_BYTES ? arguments->bytes : HF_RETENTION_DEFAULT,
		.count = arguments->given & HF_ADMIN_COUNT ? arguments->count : HF_RETENTION_DEFAULT,
	};
	struct hf_retention now;
	uint64_t offset;
	enum hf_reason reason = hf_session_limit(admin->hub, arguments->session, &limits, &asker, &now, &offset);

	if (reason == HF_OK) {
		hf_admin_put_number(admin, data, "offset", offset);
		hf_admin_put_limits(admin, data, &now);
	}
	return reason;
}
