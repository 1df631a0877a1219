/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/times.h"
#include "session/admin/admin.h"

/* Into an object under its name, or at the end of an array. */
static bool add(cJSON *parent, const char *name, cJSON *item)
{
	bool added =
		item && parent && (name ? cJSON_AddItemToObject(parent, name, item) : cJSON_AddItemToArray(parent, item));

	if (!added) {
		cJSON_Delete(item);
	}
	return added;
}

void hf_admin_put(struct hf_admin *admin, cJSON *parent, const char *name, cJSON *item)
{
	if (!add(parent, name, item)) {
		admin->no_memory = true;
	}
}

void hf_admin_put_text(struct hf_admin *admin, cJSON *object, const char *name, struct hf_slice text)
{
	char *copy;

	if (text.len == 0) {
		return;
	}
	copy = strndup(text.data, text.len);
	hf_admin_put(admin, object, name, copy ? cJSON_CreateString(copy) : NULL);
	free(copy);
}

void hf_admin_put_number(struct hf_admin *admin, cJSON *object, const char *name, uint64_t number)
{
	hf_admin_put(admin, object, name, cJSON_CreateNumber((double)number));
}

void hf_admin_put_time(struct hf_admin *admin, cJSON *object, const char *name, int64_t time_ms)
{
	char text[HF_TIME_SIZE];

	hf_admin_put(admin, object, name, cJSON_CreateString(hf_time_print(time_ms, text)));
}

void hf_admin_put_flag(struct hf_admin *admin, cJSON *object, const char *name, bool flag)
{
	hf_admin_put(admin, object, name, cJSON_CreateBool(flag));
}

cJSON *hf_admin_put_array(struct hf_admin *admin, cJSON *object, const char *name)
{
	cJSON *array = cJSON_CreateArray();

	if (add(object, name, array)) {
		return array;
	}
	admin->no_memory = true;
	return NULL;
}

cJSON *hf_admin_put_object(struct hf_admin *admin, cJSON *object, const char *name)
{
	cJSON *child = cJSON_CreateObject();

	if (add(object, name, child)) {
		return child;
	}
	admin->no_memory = true;
	return NULL;
}
