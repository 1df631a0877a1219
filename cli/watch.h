/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast watch: what the command line asks for (watch.c), and the doing of it (follow.c). */
#ifndef HF_CLI_WATCH_H
#define HF_CLI_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "options.h"
#include "print.h"

struct hf_watch {
	struct hf_client_options client_options;
	const char *session;
	const char *from;   /* a position */
	const char *device; /* NULL: not durable */
	uint32_t expiry_s;  /* of a device */
	uint32_t kinds;     /* HF_KIND_BIT of each topic to print */
	enum hf_print_mode mode;
	bool until_caught_up;
};

/* Do it. Returns the exit status; the user was told of what went wrong. */
enum hf_exit hf_follow(const struct hf_watch *watch);

#endif
