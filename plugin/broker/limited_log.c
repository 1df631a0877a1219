/* SPDX-License-Identifier: BSD-3-Clause */
#include "broker/plugin.h"

#include <stdarg.h>
#include <stdio.h>

#define WINDOW_MS 10000
#define LINES_MAX 20

static int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A client that is refused a thousand times a second must not fill the disk with the news of it. */
void hf_log_limited(struct hf_plugin *plugin, int level, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	int64_t now = monotonic_ms();

	if (now - plugin->log_window_ms >= WINDOW_MS) {
		if (plugin->log_count > LINES_MAX) {
			mosquitto_log_printf(
				MOSQ_LOG_WARNING, "holdfast: %u more lines like these were left out", plugin->log_count - LINES_MAX);
		}
		plugin->log_window_ms = now;
		plugin->log_count = 0;
	}
	if (plugin->log_count++ >= LINES_MAX) {
		return;
	}
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	mosquitto_log_printf(level, "holdfast: %s", text);
}
