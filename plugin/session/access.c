/* SPDX-License-Identifier: BSD-3-Clause */
#include "session/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static enum hf_reason read_rules(FILE *file, struct hf_access *access, unsigned int *line_number)
{
	char *line = NULL;
	size_t size = 0;
	enum hf_reason reason = HF_OK;

	while (getline(&line, &size, file) >= 0) {
		++*line_number;
		reason = hf_access_add(access, line);
		if (reason != HF_OK) {
			break;
		}
	}
	free(line);
	return reason == HF_OK && ferror(file) ? HF_STORE_FAILED : reason;
}

enum hf_reason hf_access_load(const char *path, struct hf_access **out, char *message, size_t message_size)
{
	struct hf_access *access;
	unsigned int line_number = 0;

	*out = NULL;
	if (hf_access_new(&access) != HF_OK) {
		return HF_NO_MEMORY;
	}
	if (path && *path) {
		FILE *file = fopen(path, "re");
		if (!file) {
			snprintf(message, message_size, "plugin_opt_roles: %s cannot be read: %s", path, strerror(errno));
			hf_access_free(access);
			return HF_ROLES_INVALID;
		}
		enum hf_reason reason = read_rules(file, access, &line_number);
		int error = errno;
		fclose(file);
		if (reason == HF_STORE_FAILED) {
			snprintf(message, message_size, "plugin_opt_roles: %s cannot be read: %s", path, strerror(error));
			hf_access_free(access);
			return HF_ROLES_INVALID;
		}
		if (reason != HF_OK) {
			snprintf(message, message_size,
				"plugin_opt_roles: %s, line %u: %s; roles are agent, user, operator, observer, auditor, admin", path,
				line_number, hf_reason_sentence(reason));
			hf_access_free(access);
			return reason;
		}
	}
	*out = access;
	return HF_OK;
}
