/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holdfast watch: a session, from a position on.
 *
 * One filter, S/#, whatever is printed: so every offset is seen, and a gap would show. Without --device nothing of
 * it is left in the broker: after a reconnect a new client asks for the offset behind the last one printed. With
 * --device the broker keeps the position, and an entry is acknowledged only when standard output has taken it.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cbor_json.h"
#include "codec/filter.h"
#include "command.h"
#include "connection.h"
#include "print.h"
#include "stop.h"

#define EXPIRY_S (7 * 24 * 3600)
#define HINT_MS 5000 /* without a sign of Holdfast after the SUBACK */

struct watch {
	struct hf_client_options client_options;
	const char *session;
	const char *from;
	const char *device;
	uint64_t expiry_s;
	uint32_t kinds; /* HF_KIND_BIT of each topic to print */
	enum hf_print_mode mode;
	bool until_caught_up;

	struct hf_client *client;
	struct hf_printer *printer;
	char *error_filter;
	uint64_t next;   /* the offset to come; 0 while not known */
	bool subscribed; /* on this connection */
	bool caught_up;
	bool failed; /* and the user knows why */
	bool told_foreign;
	bool told_error;
	bool seen;   /* an entry or a mark: the broker has Holdfast */
	int64_t hint_due_ms;
};

/* ---- what the connection calls */

static void on_up(void *context)
{
	struct watch *watch = context;
	char *filter;
	int len;

	if (watch->device) {
		len = asprintf(&filter, "$resume/%s/%s/%s/#", watch->from, watch->client_options.root, watch->session);
	} else if (watch->next > 0) {
		len = asprintf(&filter, "$from/%" PRIu64 "/%s/%s/#", watch->next, watch->client_options.root, watch->session);
	} else {
		len = asprintf(&filter, "$from/%s/%s/%s/#", watch->from, watch->client_options.root, watch->session);
	}
	if (len < 0) {
		hf_complain("out of memory");
		watch->failed = true;
		return;
	}
	/* S/error first, so that we listen when the other one is judged. */
	hf_client_subscribe(watch->client, (char *[]){ watch->error_filter, filter }, 2);
	free(filter);
}

static void on_down(void *context)
{
	struct watch *watch = context;

	watch->subscribed = false;
	hf_print_break(watch->printer);
}

static void on_subscribed(void *context, const int *reasons, size_t count)
{
	struct watch *watch = context;
	int reason = reasons[count - 1];

	watch->subscribed = true;
	if (reason >= 0x80) {
		watch->failed = true;
		if (watch->told_error) {
			return;
		}
		hf_complain("the broker refuses to show session %s: %s. Check the rights of %s%s and the position %s.",
			watch->session, mosquitto_reason_string(reason), watch->client_options.user ? "user " : "anonymous clients",
			watch->client_options.user ? watch->client_options.user : "", watch->from);
	} else if (!watch->seen) {
		watch->hint_due_ms = hf_monotonic_ms() + HINT_MS;
	}
}

static uint64_t number_of(const char *text)
{
	char *end;
	uint64_t number = strtoull(text, &end, 10);

	return *text && !*end ? number : 0;
}

static void read_properties(struct hf_shown *shown, const mosquitto_property *property)
{
	for (; property; property = mosquitto_property_next(property)) {
		const char *value = mosquitto_property_string_value(property);
		int identifier = mosquitto_property_identifier(property);
		if (identifier == MQTT_PROP_CONTENT_TYPE) {
			shown->type = hf_slice_of(value);
		}
		if (identifier != MQTT_PROP_USER_PROPERTY || !value) {
			continue;
		}
		const char *name = mosquitto_property_string_name(property);
		if (strcmp(name, "offset") == 0) {
			shown->offset = number_of(value);
		} else if (strcmp(name, "first-offset") == 0) {
			shown->first_offset = number_of(value);
		} else if (strcmp(name, "time") == 0) {
			shown->time_ms = (int64_t)number_of(value);
		} else if (strcmp(name, "from") == 0) {
			shown->from = hf_slice_of(value);
		} else if (strcmp(name, "role") == 0) {
			shown->role = hf_slice_of(value);
		}
	}
	if (shown->first_offset == 0 || shown->first_offset > shown->offset) {
		shown->first_offset = shown->offset;
	}
}

static void expect_after(struct watch *watch, uint64_t offset)
{
	watch->next = offset + 1 > watch->next ? offset + 1 : watch->next;
	watch->seen = true;
	hf_client_progress(watch->client);
}

static void mark(struct watch *watch, const struct hf_shown *shown)
{
	cJSON *document = hf_json_from_cbor(shown->payload);
	const char *name = hf_json_text(document, "mark");
	uint64_t first, last, head;

	if (strcmp(name, "caught-up") == 0 && hf_json_u64(document, "head", &head)) {
		expect_after(watch, head);
		/* A mark before the SUBACK may be one of the last time, not acknowledged then. */
		watch->caught_up = watch->subscribed;
		if (watch->client_options.verbose && watch->subscribed) {
			hf_print_break(watch->printer);
			hf_complain("caught up at offset %" PRIu64, head);
		}
	} else if (strcmp(name, "gap") == 0 && hf_json_u64(document, "first", &first) && hf_json_u64(document, "last", &last)) {
		expect_after(watch, last);
		hf_print_gap(watch->printer, shown->topic.session, first, last, hf_json_text(document, "reason"));
	}
	cJSON_Delete(document);
}

static void error(struct watch *watch, const struct hf_shown *shown)
{
	cJSON *document = hf_json_from_cbor(shown->payload);
	const char *message = hf_json_text(document, "message");

	if (*message) {
		hf_print_break(watch->printer);
		watch->told_error = true;
		hf_complain("refused: %s: %s (%s)", hf_json_text(document, "topic"), message, hf_json_text(document, "reason"));
	}
	cJSON_Delete(document);
}

static void entry(struct watch *watch, const struct hf_shown *shown)
{
	if (shown->offset > 0) {
		if (shown->offset < watch->next) {
			return; /* sent again, since its acknowledgement had been lost */
		}
		if (watch->next > 0 && shown->first_offset > watch->next) {
			hf_print_gap(watch->printer, shown->topic.session, watch->next, shown->first_offset - 1, "the broker left them out");
		}
		expect_after(watch, shown->offset);
	}
	if (watch->kinds & HF_KIND_BIT(shown->topic.kind)) {
		hf_print_message(watch->printer, shown);
	}
}

/* From another session that the device follows too. It is sent only once: print it now, or nobody sees it. */
static void foreign(struct watch *watch, const struct hf_shown *shown)
{
	if (!hf_kind_is_logged(shown->topic.kind)) {
		return;
	}
	if (watch->mode != HF_PRINT_RAW) {
		hf_print_message(watch->printer, shown);
	} else if (!watch->told_foreign) {
		watch->told_foreign = true;
		hf_print_break(watch->printer);
		hf_complain("device %s also follows session %.*s, which is passed over here", watch->device ? watch->device : "",
			(int)shown->topic.session.len, shown->topic.session.data);
	}
}

static void on_message(void *context, const struct mosquitto_message *message, const mosquitto_property *properties)
{
	struct watch *watch = context;
	struct hf_shown shown = {
		.from = HF_SLICE_NONE,
		.role = HF_SLICE_NONE,
		.type = HF_SLICE_NONE,
		.payload = hf_slice_from(message->payloadlen > 0 ? message->payload : "", (size_t)message->payloadlen),
	};

	if (watch->failed || hf_topic_parse(watch->client_options.root, message->topic, &shown.topic) != HF_OK) {
		return;
	}
	read_properties(&shown, properties);
	shown.foreign = !hf_slice_is(shown.topic.session, watch->session);
	if (shown.foreign) {
		foreign(watch, &shown);
		return;
	}
	if (shown.topic.kind == HF_KIND_MARK) {
		mark(watch, &shown);
	} else if (shown.topic.kind == HF_KIND_ERROR) {
		error(watch, &shown);
	}
	if (hf_kind_is_logged(shown.topic.kind)) {
		entry(watch, &shown);
	} else if (watch->kinds & HF_KIND_BIT(shown.topic.kind)) {
		hf_print_message(watch->printer, &shown);
	}
}

static bool on_flush(void *context)
{
	struct watch *watch = context;

	if (!watch->failed && !hf_print_flush(watch->printer)) {
		watch->failed = true;
	}
	return !watch->failed;
}

static const struct hf_client_handlers handlers = {
	.up = on_up,
	.down = on_down,
	.subscribed = on_subscribed,
	.message = on_message,
	.flush = on_flush,
};

/* ---- the run */

static bool step(struct watch *watch)
{
	/* No events asked for: what shows is that the reader of our output has gone. */
	struct pollfd output = { .fd = STDOUT_FILENO, .events = 0 };

	if (!hf_client_turn(watch->client, &output, 1, -1)) {
		watch->failed = true;
	}
	if (!on_flush(watch) || (output.revents & POLLERR)) {
		return false;
	}
	if (watch->hint_due_ms > 0 && !watch->seen && hf_monotonic_ms() >= watch->hint_due_ms) {
		watch->hint_due_ms = 0;
		hf_complain("no sign of Holdfast yet: does the broker at %s:%d load the plugin, with the root %s?",
			watch->client_options.host, watch->client_options.port, watch->client_options.root);
	}
	return !hf_stop_requested() && !(watch->until_caught_up && watch->caught_up);
}

static enum hf_exit follow(struct watch *watch)
{
	while (step(watch)) {
	}
	hf_print_break(watch->printer);
	on_flush(watch);
	return watch->failed && !hf_print_gone(watch->printer) ? HF_EXIT_FAILED : HF_EXIT_OK;
}

static bool prepare(struct watch *watch)
{
	const struct hf_client_setup setup = {
		.options = &watch->client_options,
		.handlers = &handlers,
		.context = watch,
		.purpose = "watch",
		/* What the broker may still hold for the connection before must not reach the next one. */
		.new_id = true,
		.session_expiry_s = watch->device ? (uint32_t)watch->expiry_s : 0,
	};

	if (watch->device) {
		watch->client_options.client_id = watch->device;
	}
	if (asprintf(&watch->error_filter, "%s/%s/error", watch->client_options.root, watch->session) < 0) {
		watch->error_filter = NULL;
		hf_complain("out of memory");
		return false;
	}
	if (!hf_stop_install()) {
		return false;
	}
	watch->printer = hf_printer_new(watch->mode);
	watch->client = watch->printer ? hf_client_new(&setup) : NULL;
	return watch->client != NULL;
}

/* ---- options */

enum {
	KEY_FROM = 0x200,
	KEY_JSON,
	KEY_RAW,
	KEY_TOPICS,
	KEY_UNTIL_CAUGHT_UP,
	KEY_DEVICE,
	KEY_EXPIRY,
};

static const struct argp_option options[] = {
	{ .name = "from", .key = KEY_FROM, .arg = "POSITION",
		.doc = "Begin at earliest, latest (the default), an offset, -N (the last N) or @MS (Unix milliseconds)" },
	{ .name = "json", .key = KEY_JSON, .doc = "Print a JSON object for each entry, one a line" },
	{ .name = "raw", .key = KEY_RAW, .doc = "Print nothing but the text of token batches, byte for byte" },
	{ .name = "topics", .key = KEY_TOPICS, .arg = "LIST",
		.doc = "Print only these, with commas between them: tokens, input, event, signal, ask, answer, notice, shared; and "
			   "what is not of the log: presence, state, ephemeral (default: all of the log)" },
	{ .name = "until-caught-up", .key = KEY_UNTIL_CAUGHT_UP, .doc = "End after the last entry that is stored now" },
	{ .name = "device", .key = KEY_DEVICE, .arg = "NAME",
		.doc = "Be the durable device NAME (its client id): go on where it left off; --from counts only the first time" },
	{ .name = "expiry", .key = KEY_EXPIRY, .arg = "SECONDS",
		.doc = "How long the broker keeps the device's place when it is away (default: 604800, a week)" },
	{ 0 },
};

static const struct argp_child children[] = {
	{ .argp = &hf_client_argp },
	{ 0 },
};

static uint32_t kinds_argument(struct argp_state *state, const char *list)
{
	uint32_t kinds = 0;

	for (const char *at = list;; at++) {
		size_t len = strcspn(at, ",");
		enum hf_kind kind = HF_KIND_NONE + 1;
		while (kind < HF_KIND_COUNT && !hf_slice_is(hf_slice_from(at, len), hf_kind_name(kind))) {
			kind++;
		}
		if (kind == HF_KIND_COUNT || len == 0) {
			argp_error(state, "--topics takes names such as tokens,input, not '%s'", list);
			return 0;
		}
		kinds |= HF_KIND_BIT(kind);
		at += len;
		if (*at == '\0') {
			return kinds;
		}
	}
}

static void set_mode(struct argp_state *state, struct watch *watch, enum hf_print_mode mode)
{
	if (watch->mode != HF_PRINT_TEXT && watch->mode != mode) {
		argp_error(state, "--json and --raw exclude each other");
	}
	watch->mode = mode;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct watch *watch = state->input;
	struct hf_position position;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &watch->client_options;
		break;
	case KEY_FROM:
		if (hf_position_parse(hf_slice_of(arg), &position) != HF_OK) {
			argp_error(state, "--from takes earliest, latest, an offset from 1, -N or @ and Unix milliseconds, not '%s'", arg);
		}
		watch->from = arg;
		break;
	case KEY_JSON:
		set_mode(state, watch, HF_PRINT_JSON);
		break;
	case KEY_RAW:
		set_mode(state, watch, HF_PRINT_RAW);
		break;
	case KEY_TOPICS:
		watch->kinds = kinds_argument(state, arg);
		break;
	case KEY_UNTIL_CAUGHT_UP:
		watch->until_caught_up = true;
		break;
	case KEY_DEVICE:
		if (*arg == '\0') {
			argp_error(state, "--device takes a name");
		}
		watch->device = arg;
		break;
	case KEY_EXPIRY:
		watch->expiry_s = hf_number_argument(state, "expiry", arg, 1, UINT32_MAX);
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0) {
			argp_error(state, "too many arguments: %s", arg);
		}
		watch->session = hf_session_argument(state, arg);
		break;
	case ARGP_KEY_END:
		if (!watch->session) {
			argp_error(state, "which session?");
		}
		break;
	case ARGP_KEY_SUCCESS:
		if (watch->device && watch->client_options.client_id) {
			argp_error(state, "--device and --client-id exclude each other: the name of the device is its client id");
		}
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SESSION",
	.doc = "Print a session: what is stored from a position on, and then what comes."
		   "\vThe text of a response flows as it streams. A connection that breaks is made again, and the session goes on "
		   "without a gap or a repeat. Ctrl-C ends it.\n\n"
		   "Exit status: 0 ended by Ctrl-C, by --until-caught-up, or because nobody reads the output any more; 1 refused or "
		   "failed; 2 wrong usage.",
	.children = children,
};

int hf_command_watch(int argc, char **argv)
{
	struct watch watch = { .from = "latest", .expiry_s = EXPIRY_S, .kinds = HF_KINDS_LOGGED };
	enum hf_exit status = HF_EXIT_FAILED;

	if (argp_parse(&argp, argc, argv, 0, NULL, &watch)) {
		return HF_EXIT_USAGE;
	}
	if (prepare(&watch)) {
		status = follow(&watch);
	}
	hf_client_free(watch.client);
	hf_printer_free(watch.printer);
	free(watch.error_filter);
	hf_client_options_free(&watch.client_options);
	return (int)status;
}
