/* SPDX-License-Identifier: BSD-3-Clause */
/* A session as people read it, by schemas/transcript.cddl. It runs on a thread of its own: see inquiries.c. */
#include "query/transcript.h"
#include "session/admin/admin.h"

#define RECEIPTS_MAX 2000 /* of a page: of more it says how many */

/* Has it ever been? Then it is there for good, whatever is left in it. */
static enum hf_reason look_up(struct hf_store *store, struct hf_slice session)
{
	struct hf_log *log;
	enum hf_reason reason = hf_log_acquire(store, session, false, &log);

	if (reason == HF_OK) {
		hf_log_release(log);
	}
	return reason;
}

static void put_page(struct hf_admin *admin, cJSON *data, const struct hf_transcript *transcript, bool payloads)
{
	size_t receipts = RECEIPTS_MAX;

	hf_admin_put_text(admin, data, "session", transcript->session);
	hf_admin_put_flag(admin, data, "payloads", payloads);
	hf_admin_put_number(admin, data, "entries", transcript->entries);
	cJSON *turns = hf_admin_put_array(admin, data, "turns");
	for (size_t i = 0; i < transcript->count; i++) {
		hf_admin_put(admin, turns, NULL, hf_turn_json(transcript, &transcript->turns[i], &receipts));
	}
	hf_admin_put_text(admin, data, "next", hf_slice_of(transcript->next));
}

enum hf_reason hf_admin_transcript(struct hf_admin *admin, cJSON *data)
{
	bool payloads = hf_admin_reads(admin, admin->arguments.session);
	const struct hf_transcript_want want = {
		.query = hf_admin_query_of(admin),
		.withhold = !payloads,
		.turns_max = admin->arguments.limit,
		.after = admin->arguments.after,
	};
	struct hf_transcript transcript;
	enum hf_reason reason = look_up(admin->store, admin->arguments.session);

	if (reason != HF_OK) {
		return reason;
	}
	reason = hf_admin_refuse_query(admin, &want.query, hf_transcript_make(admin->store, &want, &transcript));
	if (reason == HF_OK) {
		put_page(admin, data, &transcript, payloads);
	}
	hf_transcript_free(&transcript);
	return reason;
}
