/* SPDX-License-Identifier: BSD-3-Clause */
/* Ctrl-C and SIGTERM as something that a poll loop can see. */
#ifndef HF_CLI_STOP_H
#define HF_CLI_STOP_H

#include <stdbool.h>

/*
 * From now on the first SIGINT, SIGTERM or SIGHUP only asks to stop; the second of the same kind ends the
 * program, as it would have without us. False, with a message to the user, when the system refuses.
 */
bool hf_stop_install(void);

/* Was it asked for? */
bool hf_stop_requested(void);

/* A descriptor that becomes readable with the request and stays so until hf_stop_seen. */
int hf_stop_fd(void);
void hf_stop_seen(void);

#endif
