/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands: a new one needs a line here, and one in plugin/CONTROL.md. */
#include "session/admin/admin.h"
#include "session/audit/notes.h"

#include <stdio.h>

#define PAGE (HF_ADMIN_PAGE_LIMIT | HF_ADMIN_AFTER)
#define DETAIL_MAX 4096

/* Of which sessions somebody must have the role. One that names a session, of that one; otherwise ... */
enum scope {
	SOME, /* ... of some: of the others nothing is shown */
	ALL,  /* ... of sessions at large: it is not about one */
};

static const struct command {
	const char *name;
	hf_admin_fn run; /* or, of an inquiry, what answers it */
	unsigned int roles;
	enum scope scope;
	unsigned int may, needs;                /* arguments */
	enum { LOOKS, CHANGES, INQUIRES } does; /* changes are taken down */
} commands[] = {
	{"listSessions", hf_admin_list_sessions, HF_ADMIN_BOTH, SOME,
		HF_ADMIN_MATCH | HF_ADMIN_STATE | HF_ADMIN_FROM | HF_ADMIN_TO | PAGE, 0, LOOKS},
	{"getSession", hf_admin_get_session, HF_ADMIN_BOTH, SOME, 0, HF_ADMIN_SESSION, LOOKS},
	{"listDevices", hf_admin_list_devices, HF_ADMIN_BOTH, ALL,
		HF_ADMIN_SESSION | HF_ADMIN_IDENTITY | HF_ADMIN_ONLINE | PAGE, 0, LOOKS},
	{"query", hf_admin_query, HF_ADMIN_BOTH, SOME,
		HF_ADMIN_SESSION | HF_ADMIN_IDENTITY | HF_ADMIN_DEVICE | HF_ADMIN_KIND | HF_ADMIN_FROM | HF_ADMIN_TO |
			HF_ADMIN_OFFSET | PAGE,
		0, INQUIRES},
	{"receipts", hf_admin_receipts, HF_ADMIN_BOTH, SOME, PAGE, HF_ADMIN_SESSION | HF_ADMIN_OFFSET, INQUIRES},
	{"seenBy", hf_admin_seen_by, HF_ADMIN_BOTH, SOME,
		HF_ADMIN_SESSION | HF_ADMIN_FROM | HF_ADMIN_TO | HF_ADMIN_ACKNOWLEDGED | PAGE, HF_ADMIN_IDENTITY, INQUIRES},
	{"report", hf_admin_report, HF_ADMIN_BOTH, ALL,
		HF_ADMIN_SESSION | HF_ADMIN_IDENTITY | HF_ADMIN_FROM | HF_ADMIN_TO | PAGE, 0, INQUIRES},
	{"transcript", hf_admin_transcript, HF_ADMIN_BOTH, SOME, HF_ADMIN_FROM | HF_ADMIN_TO | PAGE, HF_ADMIN_SESSION,
		INQUIRES},
	{"setLimits", hf_admin_set_limits, HF_ADMIN_ADMINS, SOME, HF_ADMIN_AGE | HF_ADMIN_BYTES | HF_ADMIN_COUNT,
		HF_ADMIN_SESSION, CHANGES},
	{"closeSession", hf_admin_close_session, HF_ADMIN_ADMINS, SOME, 0, HF_ADMIN_SESSION, CHANGES},
	{"eraseSession", hf_admin_erase_session, HF_ADMIN_ADMINS, SOME, 0, HF_ADMIN_SESSION, CHANGES},
	{"disconnectIdentity", hf_admin_disconnect, HF_ADMIN_ADMINS, ALL, 0, HF_ADMIN_IDENTITY, CHANGES},
	{"disconnectDevice", hf_admin_disconnect, HF_ADMIN_ADMINS, ALL, 0, HF_ADMIN_DEVICE, CHANGES},
	{"placeHold", hf_admin_place_hold, HF_ADMIN_ADMINS, ALL, HF_ADMIN_SESSION | HF_ADMIN_IDENTITY, HF_ADMIN_WHY,
		CHANGES},
	{"listHolds", hf_admin_list_holds, HF_ADMIN_BOTH, ALL, 0, 0, LOOKS},
	{"liftHold", hf_admin_lift_hold, HF_ADMIN_ADMINS, ALL, HF_ADMIN_SESSION | HF_ADMIN_IDENTITY, HF_ADMIN_WHY, CHANGES},
	{"listErasures", hf_admin_list_erasures, HF_ADMIN_BOTH, ALL, 0, 0, LOOKS},
	{"eraseIdentity", hf_admin_erase_identity, HF_ADMIN_ADMINS, ALL, 0, HF_ADMIN_IDENTITY | HF_ADMIN_WHY, CHANGES},
	{"getUsage", hf_admin_get_usage, HF_ADMIN_BOTH, ALL, HF_ADMIN_PAGE_LIMIT, 0, INQUIRES},
	{"getCheckpoint", hf_admin_get_checkpoint, HF_ADMIN_BOTH, ALL, 0, 0, LOOKS},
	{"getPublicKey", hf_admin_get_public_key, HF_ADMIN_BOTH, ALL, HF_ADMIN_FIRST, 0, LOOKS},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

/* ---- who may */

static enum hf_role role_in(const struct hf_asking_role *who, struct hf_slice session)
{
	if (!who->identity) {
		return who->anonymous;
	}
	return session.len > 0 ? hf_access_role(who->access, hf_slice_of(who->identity), session)
						   : hf_access_role_at_large(who->access, hf_slice_of(who->identity));
}

static bool has_some(const struct hf_asking_role *who, unsigned int roles)
{
	return who->identity ? hf_access_has_some(who->access, hf_slice_of(who->identity), roles)
						 : roles & HF_ADMIN_ROLE(who->anonymous);
}

bool hf_admin_sees(const struct hf_admin *admin, struct hf_slice session)
{
	return HF_ADMIN_BOTH & HF_ADMIN_ROLE(role_in(&admin->who, session));
}

bool hf_admin_reads(const struct hf_admin *admin, struct hf_slice session)
{
	return admin->who.identity && role_in(&admin->who, session) == HF_ROLE_AUDITOR &&
		   hf_access_names(admin->who.access, hf_slice_of(admin->who.identity), session);
}

bool hf_admin_may_ask(const struct hf_admin *admin)
{
	return has_some(&admin->who, HF_ADMIN_BOTH);
}

static bool may(const struct hf_admin *admin, const struct command *command)
{
	struct hf_slice session = admin->arguments.session;

	if (session.len == 0 && command->scope == SOME) {
		return has_some(&admin->who, command->roles);
	}
	return command->roles & HF_ADMIN_ROLE(role_in(&admin->who, session));
}

/* ---- the audit */

char *hf_admin_arguments_text(const cJSON *command, bool all)
{
	static const char *const without[] = {"command", "correlationData", "limit", "after"};
	cJSON *copy = cJSON_Duplicate(command, true);

	for (size_t i = 0; i < (all ? 2 : sizeof(without) / sizeof(without[0])); i++) {
		cJSON_DeleteItemFromObjectCaseSensitive(copy, without[i]);
	}
	char *text = copy ? cJSON_PrintUnformatted(copy) : NULL;
	cJSON_Delete(copy);
	return text;
}

static void note_done(struct hf_admin *admin, const char *name, const cJSON *command)
{
	char *detail = hf_admin_arguments_text(command, true);
	struct hf_audit record = {
		.kind = HF_AUDIT_ADMINISTERED,
		.session = admin->arguments.session,
		.act = hf_slice_of(name),
		.detail = hf_slice_of(detail),
		.count = admin->count,
	};

	record.detail.len = record.detail.len > DETAIL_MAX ? 0 : record.detail.len; /* cut in half it would be none */
	hf_note_of_device(admin->hub, admin->device, &record);
	free(detail);
}

static void note_refused(struct hf_admin *admin, const char *name, enum hf_reason reason)
{
	hf_note_refused(admin->hub, &(struct hf_denial){
									.device = admin->device->id,
									.identity = admin->device->identity,
									.address = admin->device->address,
									.session = admin->arguments.session,
									.topic = admin->request->topic,
									.act = name,
									.reason = hf_reason_name(reason),
								});
}

/* ---- */

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, name) == 0) {
			return &commands[i];
		}
	}
	return NULL;
}

static enum hf_reason carry_out(struct hf_admin *admin, const struct command *spec, const cJSON *command, cJSON *data)
{
	enum hf_reason reason = hf_admin_arguments(admin, command, spec->may, spec->needs);

	if (reason == HF_OK && !may(admin, spec)) {
		reason = HF_NOT_PERMITTED;
	}
	admin->asked = reason == HF_OK && spec->does != CHANGES;
	if (reason == HF_OK && admin->looks == 0) {
		reason = HF_REQUEST_TOO_LARGE;
	}
	if (reason == HF_OK && spec->does == INQUIRES) {
		admin->inquire = spec->run;
		return HF_OK;
	}
	return reason == HF_OK ? spec->run(admin, data) : reason;
}

enum hf_reason hf_admin_command(struct hf_admin *admin, const char *name, const cJSON *command, cJSON *data)
{
	const struct command *spec = find(name);

	admin->arguments.session = HF_SLICE_NONE;
	admin->count = 0;
	admin->asked = false;
	admin->inquire = NULL;
	if (!spec) {
		snprintf(admin->message, sizeof(admin->message), "there is no such command; plugin/CONTROL.md lists them");
		return HF_COMMAND_UNKNOWN;
	}
	enum hf_reason reason = carry_out(admin, spec, command, data);
	if (reason == HF_NOT_PERMITTED) {
		note_refused(admin, spec->name, reason);
	} else if (reason == HF_OK && spec->does == CHANGES) {
		note_done(admin, spec->name, command);
	}
	return reason;
}
