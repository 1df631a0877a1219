/* SPDX-License-Identifier: BSD-3-Clause */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/utf8.h"
#include "command.h"

#define CHARACTER_MAX 4 /* bytes of one in UTF-8 */
#define BUFFER_MIN 65536
#define HOLD_MS 30 /* how long text that is less than a batch waits for more */

struct hf_input {
	int fd;
	const char *name;
	bool owned;
	bool regular;
	bool ended;
	size_t chars;
	size_t start, len, size; /* of the buffer: what is held is [start, start + len) */
	uint64_t passed;         /* bytes cut off so far */
	int64_t held_since_ms;
	char buffer[];
};

struct hf_input *hf_input_open(const char *path, size_t chars)
{
	bool standard = !path || strcmp(path, "-") == 0;
	const char *name = standard ? "standard input" : path;
	struct stat status;

	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status)) {
		hf_complain("cannot open %s: %s", name, strerror(errno));
		return NULL;
	}
	if (S_ISDIR(status.st_mode)) {
		hf_complain("%s is a folder; say takes a file of text", name);
		if (!standard) {
			close(fd);
		}
		return NULL;
	}
	size_t size = chars * CHARACTER_MAX * 2 > BUFFER_MIN ? chars * CHARACTER_MAX * 2 : BUFFER_MIN;
	struct hf_input *input = malloc(sizeof(*input) + size);
	if (!input) {
		hf_complain("out of memory");
		if (!standard) {
			close(fd);
		}
		return NULL;
	}
	*input = (struct hf_input){
		.fd = fd,
		.name = name,
		.owned = !standard,
		.regular = S_ISREG(status.st_mode),
		.chars = chars,
		.size = size,
	};
	return input;
}

void hf_input_close(struct hf_input *input)
{
	if (input && input->owned) {
		close(input->fd);
	}
	free(input);
}

int hf_input_fd(const struct hf_input *input)
{
	/* Half a buffer always holds more than a batch, so that the end of a file is seen before its last batch is cut. */
	return input->ended || input->len > input->size / 2 ? -1 : input->fd;
}

bool hf_input_read(struct hf_input *input, int64_t now_ms)
{
	if (input->start > 0) {
		memmove(input->buffer, input->buffer + input->start, input->len);
		input->start = 0;
	}
	ssize_t got = read(input->fd, input->buffer + input->len, input->size - input->len);
	if (got < 0) {
		if (errno == EINTR || errno == EAGAIN) {
			return true;
		}
		hf_complain("cannot read %s: %s", input->name, strerror(errno));
		return false;
	}
	if (got == 0) {
		input->ended = true;
	} else if (input->len == 0) {
		input->held_since_ms = now_ms;
	}
	input->len += (size_t)got;
	return true;
}

/* The length of the character that a byte begins; 0 when none begins so. */
static size_t character_len(unsigned char lead)
{
	if (lead < 0x80) {
		return 1;
	}
	if (lead >= 0xc2 && lead <= 0xdf) {
		return 2;
	}
	if (lead >= 0xe0 && lead <= 0xef) {
		return 3;
	}
	return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* Measure the whole, well-formed characters at the front, at most a batch of them. *len are their bytes; *bad is
 * set when something else than the beginning of a character stands behind them. */
static size_t measure(const struct hf_input *input, size_t *len, bool *bad)
{
	const char *at = input->buffer + input->start;
	size_t count = 0;

	*len = 0;
	*bad = false;
	while (count < input->chars && *len < input->len) {
		size_t step = character_len((unsigned char)at[*len]);
		if (step > input->len - *len) {
			*bad = input->ended;
			break;
		}
		if (step == 0 || !hf_utf8_valid(hf_slice_from(at + *len, step))) {
			*bad = true;
			break;
		}
		*len += step;
		count++;
	}
	return count;
}

enum hf_cut hf_input_cut(struct hf_input *input, int64_t now_ms, struct hf_slice *text)
{
	bool bad;
	size_t len;
	size_t count = measure(input, &len, &bad);
	size_t rest = input->len - len;

	if (bad && count == 0) {
		hf_complain(
			"%s is not UTF-8 at byte %" PRIu64 "; iconv(1) converts other encodings", input->name, input->passed);
		return HF_CUT_BAD;
	}
	bool last = input->ended && rest == 0;
	if (count == input->chars) {
		/* More may follow in a file, or its end: see which, so that the end comes with the last text. */
		if (rest == 0 && input->regular && !input->ended) {
			return HF_CUT_NONE;
		}
	} else if (!last && !bad) {
		bool due = !input->regular && count > 0 && now_ms - input->held_since_ms >= HOLD_MS;
		if (!due) {
			return HF_CUT_NONE;
		}
	}
	*text = hf_slice_from(input->buffer + input->start, len);
	input->start += len;
	input->len -= len;
	input->passed += len;
	input->held_since_ms = now_ms;
	return last ? HF_CUT_LAST : HF_CUT_TEXT;
}

int hf_input_wait_ms(const struct hf_input *input, int64_t now_ms)
{
	bool bad;
	size_t len;
	size_t count = measure(input, &len, &bad);
	int64_t left = input->held_since_ms + HOLD_MS - now_ms;

	if (input->ended || bad || (count == input->chars && (!input->regular || len < input->len))) {
		return 0;
	}
	/* A part of a character waits for its other part, however long that takes. */
	if (input->regular || count == 0) {
		return -1;
	}
	return left > 0 ? (int)left : 0;
}
