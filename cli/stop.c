/* SPDX-License-Identifier: BSD-3-Clause */
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

/* A signal handler gets no context: these two cannot live elsewhere. */
static volatile sig_atomic_t requested;
static int ends[2] = {-1, -1};

static void handle(int number)
{
	int saved = errno;

	(void)number;
	requested = 1;
	/* A full pipe is readable already, which is all that is wanted. */
	if (write(ends[1], "", 1) < 0) {
		errno = saved;
	}
	errno = saved;
}

bool hf_stop_install(void)
{
	/* No SA_RESTART: a signal also interrupts a connect() that hangs. */
	struct sigaction action = {.sa_handler = handle, .sa_flags = (int)SA_RESETHAND};

	sigemptyset(&action.sa_mask);
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) || sigaction(SIGINT, &action, NULL) || sigaction(SIGTERM, &action, NULL) ||
		sigaction(SIGHUP, &action, NULL)) {
		hf_complain("cannot handle signals: %s", strerror(errno));
		return false;
	}
	return true;
}

bool hf_stop_requested(void)
{
	return requested;
}

int hf_stop_fd(void)
{
	return ends[0];
}

void hf_stop_seen(void)
{
	char bytes[16];

	while (read(ends[0], bytes, sizeof(bytes)) > 0) {
	}
}
