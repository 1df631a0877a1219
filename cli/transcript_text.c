/* SPDX-License-Identifier: BSD-3-Clause */
/* A transcript for a terminal. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/times.h"
#include "safe.h"
#include "transcript.h"

#define INDENT "    "
#define SAID INDENT "| " /* in front of each line that somebody said: so that none can pass for a receipt */

/* A name, or what else stands in a line of ours. */
static void put(struct hf_slice text)
{
	hf_write_safe_line(stdout, text);
}

static void put_offsets(const struct hf_turn *turn)
{
	printf(turn->last > turn->first ? "[%" PRIu64 "-%" PRIu64 "]" : "[%" PRIu64 "]", turn->first, turn->last);
}

static bool put_head(const struct hf_turn *turn)
{
	char time[HF_TIME_SIZE], *title = hf_turn_title(turn), *ending = hf_turn_ending(turn);

	if (title && ending) {
		put_offsets(turn);
		printf("  %s  ", hf_time_print(turn->time_ms, time));
		put(turn->role == HF_ROLE_BROKER ? hf_slice_of("Holdfast")
			: turn->from.len > 0         ? turn->from
										 : hf_slice_of("(anonymous)"));
		if (turn->role != HF_ROLE_BROKER) {
			printf(" (%s)  ", hf_role_name(turn->role));
			put(hf_slice_of(title));
			if (turn->answers > 0) {
				printf(", to the question at %" PRIu64, turn->answers);
			}
		}
		if (*ending) {
			printf("  -- ");
			put(hf_slice_of(ending));
		}
		putchar('\n');
	}
	free(ending);
	bool made = title && ending;
	free(title);
	return made;
}

static void put_body(const struct hf_turn *turn)
{
	if (turn->removed) {
		puts(INDENT "(not kept any more)");
	} else if (turn->text.len > 0) {
		fputs(SAID, stdout);
		hf_write_safe(stdout, hf_buffer_slice(&turn->text), SAID);
		putchar('\n');
	}
}

static void put_digests(const struct hf_turn *turn)
{
	for (size_t i = 0; i < turn->digests.len; i++) {
		if (i % HF_DIGEST_SIZE == 0) {
			fputs(i == 0 ? INDENT "SHA-256 " : "\n" INDENT "SHA-256 ", stdout);
		}
		printf("%02x", turn->digests.data[i]);
	}
	if (turn->digests.len > 0) {
		putchar('\n');
	}
}

static void put_receipts(const struct hf_transcript *transcript, const struct hf_turn *turn)
{
	for (size_t i = 0; i < turn->receipt_count; i++) {
		const struct hf_turn_receipts *receipts = turn->receipts[i];
		const struct hf_turn_device *device = transcript->numbered[receipts->key.device];
		struct hf_turn_fate fate = hf_turn_fate(turn, receipts);
		char time[HF_TIME_SIZE];
		fputs(INDENT "> ", stdout);
		put(device->identity.len > 0 ? device->identity : hf_slice_of("(anonymous)"));
		fputs(" on ", stdout);
		put(device->device);
		printf(": %s", fate.state);
		if (fate.count < turn->count) {
			printf(" %" PRIu64 " of %" PRIu64, fate.count, turn->count);
		}
		printf(" %s%s\n", hf_time_print(fate.acknowledged ? receipts->settled_ms : receipts->first_ms, time),
			receipts->again > 0 ? ", resent" : "");
	}
}

bool hf_transcript_text(const struct hf_transcript *transcript)
{
	char from[HF_TIME_SIZE], to[HF_TIME_SIZE];

	printf("Session %.*s: %" PRIu64 " entries", (int)transcript->session.len, transcript->session.data,
		transcript->entries);
	if (transcript->count > 0) {
		printf(", %s to %s", hf_time_print(transcript->turns[0].time_ms, from),
			hf_time_print(transcript->turns[transcript->count - 1].until_ms, to));
	}
	putchar('\n');
	for (size_t i = 0; i < transcript->count && !ferror(stdout); i++) {
		const struct hf_turn *turn = &transcript->turns[i];
		putchar('\n');
		if (!put_head(turn)) {
			return false;
		}
		put_body(turn);
		put_digests(turn);
		put_receipts(transcript, turn);
	}
	return true;
}
