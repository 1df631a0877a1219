/* SPDX-License-Identifier: BSD-3-Clause */
/* The option --store of the commands that read a store, beside a running broker or without one. */
#ifndef HF_CLI_STORE_OPTION_H
#define HF_CLI_STORE_OPTION_H

#include <argp.h>

#include "store/store.h"

/* A child for the argp of a command; its input is a const char *, the path, which it fills in. */
extern const struct argp hf_store_argp;

/* Open the store to read it. NULL: it cannot be, and standard error says why. */
struct hf_store *hf_store_open_to_read(const char *path);

#endif
