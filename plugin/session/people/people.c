/* SPDX-License-Identifier: BSD-3-Clause */
/* Identities, whatever devices they have. One is in memory as long as a device or a session refers to it. */
#include "session/people/people.h"
#include "session/internal.h"

struct hf_person *hf_person_hold(struct hf_hub *hub, const char *identity)
{
	size_t len = strlen(identity);
	struct hf_person *person;

	HASH_FIND(hh, hub->people, identity, len, person);
	if (!person) {
		person = calloc(1, sizeof(*person) + len + 1);
		if (!person) {
			return NULL;
		}
		memcpy(person->identity, identity, len + 1);
		HASH_ADD(hh, hub->people, identity, len, person);
	}
	person->references++;
	return person;
}

struct hf_person *hf_person_find(const struct hf_hub *hub, struct hf_slice identity)
{
	struct hf_person *person;

	HASH_FIND(hh, hub->people, identity.data, identity.len, person);
	return person;
}

void hf_person_release(struct hf_hub *hub, struct hf_person *person)
{
	if (person && --person->references == 0) {
		HASH_DEL(hub->people, person);
		free(person);
	}
}
