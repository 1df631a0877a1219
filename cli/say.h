/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast say: what the command line asks for (say.c), and the streaming of it (stream.c). */
#ifndef HF_CLI_SAY_H
#define HF_CLI_SAY_H

#include "codec/token.h"
#include "command.h"
#include "options.h"

struct hf_say {
	struct hf_client_options client_options;
	const char *session;
	const char *path;                      /* NULL or "-": standard input */
	char response[HF_RESPONSE_ID_MAX + 1]; /* "": one made up */
	uint64_t first_seq;
	size_t batch_chars;
	size_t window;       /* batches on their way at most */
	int64_t interval_ns; /* between batches; 0: as fast as the window allows */
};

/* Do it. Returns the exit status; the user was told of what went wrong. */
enum hf_exit hf_stream(const struct hf_say *say);

#endif
