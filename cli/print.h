/* SPDX-License-Identifier: BSD-3-Clause */
/* What `watch` writes to standard output: text for people, JSON lines for programs, or the bare token text. */
#ifndef HF_CLI_PRINT_H
#define HF_CLI_PRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/slice.h"
#include "codec/topic.h"

enum hf_print_mode {
	HF_PRINT_TEXT,
	HF_PRINT_JSON,
	HF_PRINT_RAW, /* only the text of token batches, byte for byte */
};

/* One message of a session as it came. Slices are borrowed. */
struct hf_shown {
	struct hf_topic topic;
	bool foreign;          /* not of the session that was asked for: name it */
	uint64_t offset;       /* 0: none; it is not of the log */
	uint64_t first_offset; /* of token batches that were joined; else the offset */
	int64_t time_ms;       /* Unix ms; 0: none */
	struct hf_slice from;
	struct hf_slice role;
	struct hf_slice type; /* MQTT Content Type, or empty */
	struct hf_slice payload;
};

struct hf_printer;

/* NULL, with a message to the user, when out of memory. */
struct hf_printer *hf_printer_new(enum hf_print_mode mode);
void hf_printer_free(struct hf_printer *printer); /* NULL allowed */

void hf_print_message(struct hf_printer *printer, const struct hf_shown *shown);

/* These offsets will not come, and why. */
void hf_print_gap(struct hf_printer *printer, struct hf_slice session, uint64_t first, uint64_t last, const char *why);

/* Something else is about to be said to the user: end a line of text that is under way, and flush. */
void hf_print_break(struct hf_printer *printer);

/* Hand everything to the system. False when standard output takes no more: the user was told, unless its reader
 * has merely gone away, which is how `watch | head` ends. */
bool hf_print_flush(struct hf_printer *printer);

/* Has hf_print_flush failed for that harmless reason? */
bool hf_print_gone(const struct hf_printer *printer);

#endif
