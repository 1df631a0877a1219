/* SPDX-License-Identifier: BSD-3-Clause */
#include "print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/json.h"
#include "codec/token.h"
#include "codec/utf8.h"
#include "command.h"
#include "query/describe.h"
#include "safe.h"

#define OUT_BUFFER 65536
#define KINDS_CBOR                                                                                                     \
	(HF_KIND_BIT(HF_KIND_TOKENS) | HF_KIND_BIT(HF_KIND_SIGNAL) | HF_KIND_BIT(HF_KIND_ASK) |                            \
		HF_KIND_BIT(HF_KIND_ANSWER) | HF_KIND_BIT(HF_KIND_NOTICE) | HF_KIND_BIT(HF_KIND_CONTROL) |                     \
		HF_KIND_BIT(HF_KIND_PRESENCE) | HF_KIND_BIT(HF_KIND_STATE) | HF_KIND_BIT(HF_KIND_MARK) |                       \
		HF_KIND_BIT(HF_KIND_ERROR))

struct hf_printer {
	enum hf_print_mode mode;
	bool mid_line;
	bool failed;
	bool gone; /* the reader of standard output */
	/* Whose text flows at the moment (mode text): the response, its kind, its session, and who sends it. */
	bool flowing;
	char session[HF_SESSION_ID_MAX];
	size_t session_len;
	char response[HF_RESPONSE_ID_MAX];
	size_t response_len;
	char from[256];
	size_t from_len;
	char kind[64];
	size_t kind_len;
};

struct hf_printer *hf_printer_new(enum hf_print_mode mode)
{
	struct hf_printer *printer = calloc(1, sizeof(*printer));

	if (!printer) {
		hf_complain("out of memory");
		return NULL;
	}
	printer->mode = mode;
	/* It is flushed when there is nothing more to read, which is the moment to show it. */
	setvbuf(stdout, NULL, _IOFBF, OUT_BUFFER);
	return printer;
}

void hf_printer_free(struct hf_printer *printer)
{
	free(printer);
}

/* ---- text */

static void put(struct hf_printer *printer, const char *text, size_t len)
{
	if (len > 0) {
		fwrite(text, 1, len, stdout);
		printer->mid_line = text[len - 1] != '\n';
	}
}

static void put_safe(struct hf_printer *printer, struct hf_slice text, const char *indent)
{
	if (text.len > 0) {
		hf_write_safe(stdout, text, indent);
		printer->mid_line = text.data[text.len - 1] != '\n' || *indent;
	}
}

/* What flows is at its end; what follows begins on a line of its own. */
static void end_line(struct hf_printer *printer)
{
	printer->flowing = false;
	if (printer->mode == HF_PRINT_TEXT && printer->mid_line) {
		put(printer, "\n", 1);
	}
}

static void put_head(struct hf_printer *printer, const struct hf_shown *shown)
{
	char text[80];
	time_t seconds = (time_t)(shown->time_ms / 1000);
	struct tm local;
	int len;

	end_line(printer);
	if (shown->offset == 0) {
		len = snprintf(text, sizeof(text), "%7s", "-");
	} else {
		len = snprintf(text, sizeof(text), "%7" PRIu64, shown->first_offset);
	}
	put(printer, text, (size_t)len);
	if (shown->time_ms > 0 && localtime_r(&seconds, &local)) {
		size_t used = strftime(text, sizeof(text), "  %Y-%m-%d %H:%M:%S", &local);
		put(printer, text, used);
	}
	put(printer, "  ", 2);
	if (shown->from.len > 0) {
		put_safe(printer, shown->from, "");
		put(printer, "  ", 2);
	}
	if (shown->foreign) {
		put(printer, shown->topic.session.data, shown->topic.session.len);
		put(printer, "/", 1);
	}
	put_safe(printer, shown->topic.rest, "");
}

static bool same(const char *known, size_t known_len, struct hf_slice now)
{
	return hf_slice_equal(hf_slice_from(known, known_len), now);
}

static size_t keep(char *known, size_t size, struct hf_slice now)
{
	size_t len = now.len < size ? now.len : size;

	memcpy(known, now.data, len);
	return len;
}

static void text_tokens(struct hf_printer *printer, const struct hf_shown *shown, const struct hf_token_batch *batch)
{
	if (!printer->flowing || !same(printer->response, printer->response_len, batch->id) ||
		!same(printer->session, printer->session_len, shown->topic.session) ||
		!same(printer->from, printer->from_len, shown->from) || !same(printer->kind, printer->kind_len, batch->kind)) {
		put_head(printer, shown);
		put(printer, "  ", 2);
		put_safe(printer, batch->id, "");
		if (batch->kind.len > 0) {
			put(printer, "  ", 2);
			put_safe(printer, batch->kind, "");
		}
		put(printer, "\n", 1);
		printer->flowing = true;
		printer->response_len = keep(printer->response, sizeof(printer->response), batch->id);
		printer->session_len = keep(printer->session, sizeof(printer->session), shown->topic.session);
		printer->from_len = keep(printer->from, sizeof(printer->from), shown->from);
		printer->kind_len = keep(printer->kind, sizeof(printer->kind), batch->kind);
	}
	put_safe(printer, batch->text, "");
	if (batch->end != HF_END_NONE) {
		end_line(printer);
		if (batch->end != HF_END_COMPLETE) {
			put(printer, "[", 1);
			put(printer, hf_end_name(batch->end), strlen(hf_end_name(batch->end)));
			put(printer, "]\n", 2);
		}
	}
}

/* ---- payloads */

/* The payload of a topic that carries CBOR; NULL when it is something else after all. */
static cJSON *cbor_payload(const struct hf_shown *shown)
{
	return KINDS_CBOR & HF_KIND_BIT(shown->topic.kind) ? hf_json_from_cbor(shown->payload) : NULL;
}

static void text_other(struct hf_printer *printer, const struct hf_shown *shown)
{
	cJSON *json = cbor_payload(shown);
	char *words = json ? hf_describe(shown->topic.kind, json) : NULL;
	char *printed = json && !words ? cJSON_PrintUnformatted(json) : NULL;
	char size[48];

	put_head(printer, shown);
	put(printer, "  ", 2);
	if (words || printed) {
		put_safe(printer, hf_slice_of(words ? words : printed), "         ");
	} else if (hf_utf8_valid(shown->payload)) {
		struct hf_slice text = shown->payload;
		while (text.len > 0 && text.data[text.len - 1] == '\n') {
			text.len--;
		}
		put_safe(printer, text, "         ");
	} else {
		int len = snprintf(size, sizeof(size), "(%zu bytes, no text) ", shown->payload.len);
		put(printer, size, (size_t)len);
		put_safe(printer, shown->type, "");
	}
	put(printer, "\n", 1);
	free(words);
	cJSON_free(printed);
	cJSON_Delete(json);
}

/* ---- JSON */

static void add(cJSON *object, const char *name, cJSON *value)
{
	if (!cJSON_AddItemToObject(object, name, value)) {
		cJSON_Delete(value);
	}
}

static void add_text(cJSON *object, const char *name, struct hf_slice text)
{
	if (text.len > 0) {
		add(object, name, hf_json_from_text(text));
	}
}

static void put_json(struct hf_printer *printer, cJSON *object)
{
	char *printed = cJSON_PrintUnformatted(object);

	if (printed) {
		put(printer, printed, strlen(printed));
		put(printer, "\n", 1);
	} else {
		hf_complain("out of memory");
		printer->failed = true;
	}
	cJSON_free(printed);
	cJSON_Delete(object);
}

static void json_message(struct hf_printer *printer, const struct hf_shown *shown)
{
	cJSON *object = cJSON_CreateObject();
	cJSON *payload = cbor_payload(shown);

	add_text(object, "session", shown->topic.session);
	if (shown->offset > 0) {
		add(object, "offset", hf_json_from_u64(shown->offset));
	}
	if (shown->first_offset < shown->offset) {
		add(object, "first_offset", hf_json_from_u64(shown->first_offset));
	}
	if (shown->time_ms > 0) {
		add(object, "time", hf_json_from_u64((uint64_t)shown->time_ms));
	}
	add_text(object, "from", shown->from);
	add_text(object, "role", shown->role);
	add_text(object, "topic", shown->topic.rest);
	add_text(object, "type", shown->type);
	if (!payload) {
		payload = hf_json_from_text(shown->payload);
	}
	if (payload) {
		add(object, "payload", payload);
	} else {
		add(object, "payload_base64", hf_json_from_bytes(shown->payload));
	}
	put_json(printer, object);
}

/* ---- for watch */

void hf_print_message(struct hf_printer *printer, const struct hf_shown *shown)
{
	struct hf_token_batch batch;

	if (printer->mode == HF_PRINT_JSON) {
		json_message(printer, shown);
		return;
	}
	if (shown->topic.kind == HF_KIND_TOKENS && hf_token_decode(shown->payload, &batch) == HF_OK) {
		if (printer->mode == HF_PRINT_RAW) {
			put(printer, batch.text.data, batch.text.len);
		} else {
			text_tokens(printer, shown, &batch);
		}
		return;
	}
	if (printer->mode == HF_PRINT_TEXT) {
		text_other(printer, shown);
	}
}

void hf_print_gap(struct hf_printer *printer, struct hf_slice session, uint64_t first, uint64_t last, const char *why)
{
	if (printer->mode == HF_PRINT_JSON) {
		cJSON *object = cJSON_CreateObject();
		add_text(object, "session", session);
		add(object, "mark", cJSON_CreateString("gap"));
		add(object, "first", hf_json_from_u64(first));
		add(object, "last", hf_json_from_u64(last));
		add(object, "reason", cJSON_CreateString(why));
		put_json(printer, object);
	}
	hf_print_break(printer);
	hf_complain("entries %" PRIu64 " to %" PRIu64 " of session %.*s will not come: %s", first, last, (int)session.len,
		session.data, why);
}

void hf_print_break(struct hf_printer *printer)
{
	end_line(printer);
	hf_print_flush(printer);
}

bool hf_print_flush(struct hf_printer *printer)
{
	if (printer->failed) {
		return false;
	}
	if (fflush(stdout) || ferror(stdout)) {
		printer->failed = true;
		printer->gone = errno == EPIPE;
		if (!printer->gone) {
			hf_complain("cannot write to standard output: %s", strerror(errno));
		}
		return false;
	}
	return true;
}

bool hf_print_gone(const struct hf_printer *printer)
{
	return printer->gone;
}
