/* SPDX-License-Identifier: BSD-3-Clause */
/* Legal holds, the erasure of what an identity has published, and what takes up the disk. */
#include <stdio.h>

#include "session/admin/admin.h"
#include "session/audit/holds.h"
#include "session/log/forget.h"

static struct hf_asker asker_of(const struct hf_admin *admin)
{
	return (struct hf_asker){
		.identity = admin->device->identity,
		.device = admin->device->id,
		.address = admin->device->address,
	};
}

/* ---- holds */

/* A hold is on a session or on an identity: not on what both have in common. */
static enum hf_reason one_of_two(struct hf_admin *admin)
{
	if ((admin->arguments.session.len > 0) != (admin->arguments.identity.len > 0)) {
		return HF_OK;
	}
	snprintf(admin->message, sizeof(admin->message), "a hold is on a 'session' or on an 'identity'");
	return HF_ARGUMENT_INVALID;
}

enum hf_reason hf_admin_place_hold(struct hf_admin *admin, cJSON *data)
{
	const struct hf_admin_arguments *arguments = &admin->arguments;
	const struct hf_asker asker = asker_of(admin);
	enum hf_reason reason = one_of_two(admin);

	(void)data;
	return reason == HF_OK ? hf_hold_place(admin->hub, arguments->session, arguments->identity, arguments->why, &asker)
						   : reason;
}

enum hf_reason hf_admin_lift_hold(struct hf_admin *admin, cJSON *data)
{
	const struct hf_admin_arguments *arguments = &admin->arguments;
	const struct hf_asker asker = asker_of(admin);
	enum hf_reason reason = one_of_two(admin);

	(void)data;
	return reason == HF_OK ? hf_hold_lift(admin->hub, arguments->session, arguments->identity, arguments->why, &asker)
						   : reason;
}

struct rows {
	struct hf_admin *admin;
	cJSON *array;
	bool more; /* than may be looked at */
};

static bool put_hold(void *context, const struct hf_hold_info *hold)
{
	struct rows *rows = context;

	rows->more = !hf_admin_look(rows->admin);
	if (rows->more) {
		return false;
	}
	cJSON *row = hf_admin_put_object(rows->admin, rows->array, NULL);
	hf_admin_put_text(rows->admin, row, "session", hold->session);
	hf_admin_put_text(rows->admin, row, "identity", hold->identity);
	hf_admin_put_text(rows->admin, row, "why", hold->why);
	hf_admin_put_text(rows->admin, row, "by", hold->by);
	hf_admin_put_time(rows->admin, row, "time", hold->time_ms);
	return true;
}

enum hf_reason hf_admin_list_holds(struct hf_admin *admin, cJSON *data)
{
	struct rows rows = {.admin = admin, .array = hf_admin_put_array(admin, data, "holds")};

	hf_holds_each(admin->hub, put_hold, &rows);
	return rows.more ? HF_REQUEST_TOO_LARGE : HF_OK;
}

/* ---- erasing */

enum hf_reason hf_admin_erase_identity(struct hf_admin *admin, cJSON *data)
{
	const struct hf_asker asker = asker_of(admin);

	(void)data;
	return hf_identity_erase(admin->hub, admin->arguments.identity, admin->arguments.why, &asker);
}

static bool put_erasure(void *context, const struct hf_forgetting_info *info)
{
	struct rows *rows = context;

	rows->more = !hf_admin_look(rows->admin);
	if (rows->more) {
		return false;
	}
	cJSON *row = hf_admin_put_object(rows->admin, rows->array, NULL);
	hf_admin_put_text(rows->admin, row, "identity", info->identity);
	hf_admin_put_text(rows->admin, row, "by", info->by);
	hf_admin_put_number(rows->admin, row, "looked", info->lsn);
	hf_admin_put_number(rows->admin, row, "toLook", info->until);
	hf_admin_put_number(rows->admin, row, "entries", info->count);
	return true;
}

enum hf_reason hf_admin_list_erasures(struct hf_admin *admin, cJSON *data)
{
	struct rows rows = {.admin = admin, .array = hf_admin_put_array(admin, data, "erasures")};

	hf_forgettings_each(admin->hub, put_erasure, &rows);
	return rows.more ? HF_REQUEST_TOO_LARGE : HF_OK;
}
