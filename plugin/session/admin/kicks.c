/* SPDX-License-Identifier: BSD-3-Clause */
#include "session/admin/admin.h"

#include <utlist.h>

#define KICKS_EACH 64 /* in one turn of the broker's loop: each may have a will, and responses to be closed */

struct hf_kick {
	struct hf_kick *prev, *next;
	uint64_t number;   /* of the device, which may be forgotten and made anew ... */
	const void *token; /* ... and of its connection, whose address the next one may have, too */
	char device[];
};

bool hf_kick(struct hf_hub *hub, const struct hf_device *device)
{
	struct hf_kick *kick = malloc(sizeof(*kick) + strlen(device->id) + 1);

	if (!kick) {
		return false;
	}
	kick->number = device->number;
	kick->token = device->token;
	strcpy(kick->device, device->id);
	DL_APPEND(hub->kicks, kick);
	hub->broker.wake(hub->broker.context, 1);
	return true;
}

void hf_kicks_go_on(struct hf_hub *hub)
{
	for (int i = 0; hub->kicks && i < KICKS_EACH; i++) {
		struct hf_kick *kick = hub->kicks;
		DL_DELETE(hub->kicks, kick);
		const struct hf_device *device = hf_device_find(hub, kick->device);
		if (device && device->online && device->number == kick->number && device->token == kick->token) {
			hub->broker.kick(hub->broker.context, kick->device);
		}
		free(kick);
	}
	if (hub->kicks) {
		hub->broker.wake(hub->broker.context, 1);
	}
}

void hf_kicks_free(struct hf_hub *hub)
{
	struct hf_kick *kick, *next;

	DL_FOREACH_SAFE(hub->kicks, kick, next)
	{
		DL_DELETE(hub->kicks, kick);
		free(kick);
	}
}
