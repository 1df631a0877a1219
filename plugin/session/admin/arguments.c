/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "codec/times.h"
#include "codec/utf8.h"
#include "session/admin/admin.h"

#define NUMBER_MAX 9007199254740992.0 /* whole numbers up to here are exact in JSON */

enum type { TEXT, NUMBER, FLAG, TIME, TIME_END };

static const struct argument {
	const char *name;
	enum type type;
	unsigned int bit;
	size_t at; /* in struct hf_admin_arguments */
	uint64_t least, most;
} table[] = {
#define ARGUMENT(id, bit, name, type, member, least, most)                                                             \
	{name, type, HF_ADMIN_##id, offsetof(struct hf_admin_arguments, member), least, most},
	HF_ADMIN_ARGUMENT_TABLE(ARGUMENT)
#undef ARGUMENT
};

#define ARGUMENT_COUNT (sizeof(table) / sizeof(table[0]))

__attribute__((format(printf, 2, 3))) static enum hf_reason invalid(struct hf_admin *admin, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(admin->message, sizeof(admin->message), format, arguments);
	va_end(arguments);
	return HF_ARGUMENT_INVALID;
}

/* "session, match and limit" */
static void list(unsigned int which, char *out, size_t size)
{
	size_t len = 0, left = (size_t)__builtin_popcount(which);

	snprintf(out, size, "nothing");
	for (size_t i = 0; i < ARGUMENT_COUNT && len < size; i++) {
		if (which & table[i].bit) {
			left--;
			len += (size_t)snprintf(out + len, size - len, "%s%s", table[i].name,
				left > 1    ? ", "
				: left == 1 ? " and "
							: "");
		}
	}
}

/* ---- one argument */

static enum hf_reason take_text(
	struct hf_admin *admin, const struct argument *argument, const cJSON *value, struct hf_slice *out)
{
	if (!cJSON_IsString(value)) {
		return invalid(admin, "'%s' must be a string", argument->name);
	}
	*out = hf_slice_of(value->valuestring);
	if (out->len < argument->least || out->len > argument->most) {
		return invalid(
			admin, "'%s' must have %" PRIu64 " to %" PRIu64 " bytes", argument->name, argument->least, argument->most);
	}
	return hf_utf8_valid(*out) ? HF_OK : invalid(admin, "'%s' is not UTF-8", argument->name);
}

static enum hf_reason take_number(
	struct hf_admin *admin, const struct argument *argument, const cJSON *value, uint64_t *out)
{
	double number = cJSON_IsNumber(value) ? value->valuedouble : -1;

	if (!(number >= (double)argument->least && number <= (double)argument->most && number <= NUMBER_MAX) ||
		number != floor(number)) {
		return invalid(admin, "'%s' must be a whole number from %" PRIu64 " to %" PRIu64, argument->name,
			argument->least, argument->most);
	}
	*out = (uint64_t)number;
	return HF_OK;
}

static enum hf_reason take_time(
	struct hf_admin *admin, const struct argument *argument, const cJSON *value, int64_t *out)
{
	int64_t first_ms, last_ms;

	if (!cJSON_IsString(value) || !hf_time_parse(value->valuestring, &first_ms, &last_ms)) {
		return invalid(
			admin, "'%s' must be a time such as \"2026-01-31\" or \"2026-01-31T12:00:00.123Z\"", argument->name);
	}
	*out = argument->type == TIME_END ? last_ms : first_ms;
	return HF_OK;
}

static enum hf_reason take(struct hf_admin *admin, const struct argument *argument, const cJSON *value)
{
	void *at = (char *)&admin->arguments + argument->at;

	admin->arguments.given |= argument->bit;
	switch (argument->type) {
	case TEXT:
		return take_text(admin, argument, value, at);
	case NUMBER:
		return take_number(admin, argument, value, at);
	case TIME:
	case TIME_END:
		return take_time(admin, argument, value, at);
	case FLAG:
		break;
	}
	if (!cJSON_IsBool(value)) {
		return invalid(admin, "'%s' must be true or false", argument->name);
	}
	*(bool *)at = cJSON_IsTrue(value);
	return HF_OK;
}

static const struct argument *find(const char *name, unsigned int may)
{
	for (size_t i = 0; i < ARGUMENT_COUNT; i++) {
		if ((table[i].bit & may) && strcmp(table[i].name, name) == 0) {
			return &table[i];
		}
	}
	return NULL;
}

/* ---- all of them */

enum hf_reason hf_admin_arguments(struct hf_admin *admin, const cJSON *command, unsigned int may, unsigned int needs)
{
	const cJSON *value;
	char names[160];

	admin->arguments = (struct hf_admin_arguments){
		.session = HF_SLICE_NONE,
		.identity = HF_SLICE_NONE,
		.device = HF_SLICE_NONE,
		.match = HF_SLICE_NONE,
		.state = HF_SLICE_NONE,
		.after = HF_SLICE_NONE,
		.kind = HF_SLICE_NONE,
		.from_ms = INT64_MIN,
		.to_ms = INT64_MAX,
		.limit = HF_ADMIN_LIMIT,
	};
	cJSON_ArrayForEach(value, command)
	{
		if (strcmp(value->string, "command") == 0 || strcmp(value->string, "correlationData") == 0) {
			continue;
		}
		const struct argument *argument = find(value->string, may | needs);
		if (!argument) {
			list(may | needs, names, sizeof(names));
			return invalid(admin, "the command takes %s, not '%.64s'", names, value->string);
		}
		if (admin->arguments.given & argument->bit) {
			return invalid(admin, "'%s' is there twice", argument->name);
		}
		enum hf_reason reason = take(admin, argument, value);
		if (reason != HF_OK) {
			return reason;
		}
	}
	unsigned int missing = needs & ~admin->arguments.given;
	if (missing) {
		list(missing, names, sizeof(names));
		return invalid(admin, "the command needs %s", names);
	}
	if ((admin->arguments.given & HF_ADMIN_SESSION) && !hf_session_id_valid(admin->arguments.session)) {
		return HF_SESSION_ID_INVALID;
	}
	return HF_OK;
}
