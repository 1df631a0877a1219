/* SPDX-License-Identifier: BSD-3-Clause */
/* The options that say and watch share: which broker, as whom, under which root. */
#ifndef HF_CLI_OPTIONS_H
#define HF_CLI_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/slice.h"

struct hf_client_options {
	const char *host;
	int port;
	const char *user;     /* NULL: anonymous */
	const char *password; /* NULL: none */
	const char *root;
	bool tls;
	const char *cafile; /* NULL: the system's authorities */
	const char *cert;   /* NULL: no client certificate */
	const char *key;
	const char *client_id; /* NULL: one made up */
	bool quiet;
	bool verbose;
	const char *password_file;
	char *password_read; /* from the file; freed by hf_client_options_free */
};

/* A child for the argp of a command; its input is a struct hf_client_options, which it fills in and checks. */
extern const struct argp hf_client_argp;

void hf_client_options_free(struct hf_client_options *options);

/*
 * Read a whole number in min..max that is the value of option `name`; anything else is a usage error that says
 * what would be right (and does not return).
 */
uint64_t hf_number_argument(struct argp_state *state, const char *name, const char *text, uint64_t min, uint64_t max);

/* Take the session of a command, or end with a usage error. */
const char *hf_session_argument(struct argp_state *state, const char *text);

/* Take the value of the option `name` that names somebody or something. Of an empty one, which would narrow nothing, a
 * script that lacks it is told with a usage error. */
struct hf_slice hf_name_argument(struct argp_state *state, const char *name, const char *text);

#endif
