/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/times.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define YEAR_MIN 1970
#define YEAR_MAX 9999

const char *hf_time_print(int64_t time_ms, char out[HF_TIME_SIZE])
{
	int64_t ms = time_ms % 1000 < 0 ? time_ms % 1000 + 1000 : time_ms % 1000;
	time_t seconds = (time_t)((time_ms - ms) / 1000);
	struct tm utc;

	if (!gmtime_r(&seconds, &utc) || utc.tm_year + 1900 > YEAR_MAX || utc.tm_year + 1900 < 0) {
		snprintf(out, HF_TIME_SIZE, "-");
		return out;
	}
	size_t len = strftime(out, HF_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(out + len, HF_TIME_SIZE - len, ".%03dZ", (int)ms);
	return out;
}

/* Digits, exactly so many. */
static bool take(const char **at, int digits, int *value)
{
	*value = 0;
	for (int i = 0; i < digits; i++, ++*at) {
		if (**at < '0' || **at > '9') {
			return false;
		}
		*value = *value * 10 + (**at - '0');
	}
	return true;
}

static int64_t ms_of(struct tm *utc, int ms)
{
	return (int64_t)timegm(utc) * 1000 + ms;
}

/* Did timegm have to put it right? Then there is no such day or time. */
static bool is_real(const struct tm *given)
{
	struct tm put_right = *given;

	timegm(&put_right);
	return put_right.tm_mon == given->tm_mon && put_right.tm_mday == given->tm_mday &&
		   put_right.tm_hour == given->tm_hour && put_right.tm_min == given->tm_min &&
		   put_right.tm_sec == given->tm_sec;
}

bool hf_time_parse(const char *text, int64_t *first_ms, int64_t *last_ms)
{
	/* What stands in front of each part, and how many digits it has. */
	static const struct {
		char before;
		int digits;
	} parts[] = {{0, 4}, {'-', 2}, {'-', 2}, {'T', 2}, {':', 2}, {':', 2}, {'.', 3}};
	enum { COUNT = sizeof(parts) / sizeof(parts[0]) };
	int values[COUNT] = {0, 1, 1, 0, 0, 0, 0}, given = 0;
	const char *at = text;

	while (given < COUNT && (given == 0 || *at == parts[given].before)) {
		at += given > 0;
		if (!take(&at, parts[given].digits, &values[given])) {
			return false;
		}
		given++;
	}
	at += *at == 'Z' && given > 3;
	struct tm utc = {.tm_year = values[0] - 1900,
		.tm_mon = values[1] - 1,
		.tm_mday = values[2],
		.tm_hour = values[3],
		.tm_min = values[4],
		.tm_sec = values[5]};
	if (*at || values[0] < YEAR_MIN || !is_real(&utc)) {
		return false;
	}
	struct tm next = utc;
	int *const fields[] = {&next.tm_year, &next.tm_mon, &next.tm_mday, &next.tm_hour, &next.tm_min, &next.tm_sec};
	*first_ms = ms_of(&utc, values[6]);
	if (given == COUNT) {
		*last_ms = *first_ms;
	} else {
		++*fields[given - 1];
		*last_ms = ms_of(&next, 0) - 1;
	}
	return true;
}
