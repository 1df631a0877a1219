/* SPDX-License-Identifier: BSD-3-Clause */
/* Checkpoints as files. */
#ifndef HF_CLI_CHECKPOINT_H
#define HF_CLI_CHECKPOINT_H

#include "query/checkpoint.h"

/* Read it from a file; its signature is checked. False: standard error says why not. */
bool hf_checkpoint_read(const char *path, struct hf_checkpoint *out);

#endif
