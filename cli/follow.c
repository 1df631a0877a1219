/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session, from a position on.
 *
 * One filter, S/#, whatever is printed: so every offset is seen, and a gap would show. Without --device nothing of
 * it is left in the broker: after a reconnect a new client asks for the offset behind the last one printed. With
 * --device the broker keeps the position, and an entry is acknowledged only when standard output has taken it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/filter.h"
#include "codec/json.h"
#include "command.h"
#include "connection.h"
#include "print.h"
#include "stop.h"
#include "watch.h"

#define HINT_MS 5000 /* without a sign of Holdfast after the SUBACK */

struct follow {
	const struct hf_watch *watch;
	struct hf_client_options client_options; /* with the device's name as the client id */
	struct hf_client *client;
	struct hf_printer *printer;
	char *error_filter;
	uint64_t next;   /* the offset to come; 0 while not known */
	bool subscribed; /* on this connection */
	bool caught_up;
	bool failed; /* and the user knows why */
	bool told_foreign;
	bool told_error;
	bool seen; /* an entry or a mark: the broker has Holdfast */
	int64_t hint_due_ms;
};

/* ---- what the connection calls */

static void on_up(void *context)
{
	struct follow *follow = context;
	char *filter;
	int len;

	if (follow->watch->device) {
		len = asprintf(
			&filter, "$resume/%s/%s/%s/#", follow->watch->from, follow->client_options.root, follow->watch->session);
	} else if (follow->next > 0) {
		len = asprintf(
			&filter, "$from/%" PRIu64 "/%s/%s/#", follow->next, follow->client_options.root, follow->watch->session);
	} else {
		len = asprintf(
			&filter, "$from/%s/%s/%s/#", follow->watch->from, follow->client_options.root, follow->watch->session);
	}
	if (len < 0) {
		hf_complain("out of memory");
		follow->failed = true;
		return;
	}
	/* S/error first, so that we listen when the other one is judged. */
	hf_client_subscribe(follow->client, (char *[]){follow->error_filter, filter}, 2);
	free(filter);
}

static void on_down(void *context)
{
	struct follow *follow = context;

	follow->subscribed = false;
	hf_print_break(follow->printer);
}

static void on_subscribed(void *context, const int *reasons, size_t count)
{
	struct follow *follow = context;
	int reason = reasons[count - 1];

	follow->subscribed = true;
	if (reason >= 0x80) {
		follow->failed = true;
		if (follow->told_error) {
			return;
		}
		hf_complain("the broker refuses to show session %s: %s. Check the rights of %s%s and the position %s.",
			follow->watch->session, mosquitto_reason_string(reason),
			follow->client_options.user ? "user " : "anonymous clients",
			follow->client_options.user ? follow->client_options.user : "", follow->watch->from);
	} else if (!follow->seen) {
		follow->hint_due_ms = hf_monotonic_ms() + HINT_MS;
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

static void expect_after(struct follow *follow, uint64_t offset)
{
	follow->next = offset + 1 > follow->next ? offset + 1 : follow->next;
	follow->seen = true;
	hf_client_progress(follow->client);
}

static void mark(struct follow *follow, const struct hf_shown *shown)
{
	cJSON *document = hf_json_from_cbor(shown->payload);
	const char *name = hf_json_text(document, "mark");
	uint64_t first, last, head;

	if (strcmp(name, "caught-up") == 0 && hf_json_u64(document, "head", &head)) {
		expect_after(follow, head);
		/* A mark before the SUBACK may be one of the last time, not acknowledged then. */
		follow->caught_up = follow->subscribed;
		if (follow->client_options.verbose && follow->subscribed) {
			hf_print_break(follow->printer);
			hf_complain("caught up at offset %" PRIu64, head);
		}
	} else if (strcmp(name, "gap") == 0 && hf_json_u64(document, "first", &first) &&
			   hf_json_u64(document, "last", &last)) {
		expect_after(follow, last);
		hf_print_gap(follow->printer, shown->topic.session, first, last, hf_json_text(document, "reason"));
	}
	cJSON_Delete(document);
}

static void error(struct follow *follow, const struct hf_shown *shown)
{
	cJSON *document = hf_json_from_cbor(shown->payload);
	const char *message = hf_json_text(document, "message");

	if (*message) {
		hf_print_break(follow->printer);
		follow->told_error = true;
		hf_complain("refused: %s: %s (%s)", hf_json_text(document, "topic"), message, hf_json_text(document, "reason"));
	}
	cJSON_Delete(document);
}

static void entry(struct follow *follow, const struct hf_shown *shown)
{
	if (shown->offset > 0) {
		if (shown->offset < follow->next) {
			return; /* sent again, since its acknowledgement had been lost */
		}
		if (follow->next > 0 && shown->first_offset > follow->next) {
			hf_print_gap(follow->printer, shown->topic.session, follow->next, shown->first_offset - 1,
				"the broker left them out");
		}
		expect_after(follow, shown->offset);
	}
	if (follow->watch->kinds & HF_KIND_BIT(shown->topic.kind)) {
		hf_print_message(follow->printer, shown);
	}
}

/* From another session that the device follows too. It is sent only once: print it now, or nobody sees it. */
static void foreign(struct follow *follow, const struct hf_shown *shown)
{
	if (!hf_kind_is_logged(shown->topic.kind)) {
		return;
	}
	if (follow->watch->mode != HF_PRINT_RAW) {
		hf_print_message(follow->printer, shown);
	} else if (!follow->told_foreign) {
		follow->told_foreign = true;
		hf_print_break(follow->printer);
		hf_complain("device %s also follows session %.*s, which is passed over here",
			follow->watch->device ? follow->watch->device : "", (int)shown->topic.session.len,
			shown->topic.session.data);
	}
}

static void on_message(void *context, const struct mosquitto_message *message, const mosquitto_property *properties)
{
	struct follow *follow = context;
	struct hf_shown shown = {
		.from = HF_SLICE_NONE,
		.role = HF_SLICE_NONE,
		.type = HF_SLICE_NONE,
		.payload = hf_slice_from(message->payloadlen > 0 ? message->payload : "", (size_t)message->payloadlen),
	};

	if (follow->failed || hf_topic_parse(follow->client_options.root, message->topic, &shown.topic) != HF_OK) {
		return;
	}
	if (message->retain && hf_kind_is_logged(shown.topic.kind)) {
		return; /* the latest value of shared state: as an entry it comes, or came, in its turn */
	}
	read_properties(&shown, properties);
	shown.foreign = !hf_slice_is(shown.topic.session, follow->watch->session);
	if (shown.foreign) {
		foreign(follow, &shown);
		return;
	}
	if (shown.topic.kind == HF_KIND_MARK) {
		mark(follow, &shown);
	} else if (shown.topic.kind == HF_KIND_ERROR) {
		error(follow, &shown);
	}
	if (hf_kind_is_logged(shown.topic.kind)) {
		entry(follow, &shown);
	} else if (follow->watch->kinds & HF_KIND_BIT(shown.topic.kind)) {
		hf_print_message(follow->printer, &shown);
	}
}

static bool on_flush(void *context)
{
	struct follow *follow = context;

	if (!follow->failed && !hf_print_flush(follow->printer)) {
		follow->failed = true;
	}
	return !follow->failed;
}

static const struct hf_client_handlers handlers = {
	.up = on_up,
	.down = on_down,
	.subscribed = on_subscribed,
	.message = on_message,
	.flush = on_flush,
};

/* ---- the run */

static bool step(struct follow *follow)
{
	/* No events asked for: what shows is that the reader of our output has gone. */
	struct pollfd output = {.fd = STDOUT_FILENO, .events = 0};

	if (!hf_client_turn(follow->client, &output, 1, -1)) {
		follow->failed = true;
	}
	if (!on_flush(follow) || (output.revents & POLLERR)) {
		return false;
	}
	if (follow->hint_due_ms > 0 && !follow->seen && hf_monotonic_ms() >= follow->hint_due_ms) {
		follow->hint_due_ms = 0;
		hf_complain("no sign of Holdfast yet: does the broker at %s:%d load the plugin, with the root %s?",
			follow->client_options.host, follow->client_options.port, follow->client_options.root);
	}
	return !hf_stop_requested() && !(follow->watch->until_caught_up && follow->caught_up);
}

static enum hf_exit run(struct follow *follow)
{
	while (step(follow)) {
	}
	hf_print_break(follow->printer);
	on_flush(follow);
	return follow->failed && !hf_print_gone(follow->printer) ? HF_EXIT_FAILED : HF_EXIT_OK;
}

static bool prepare(struct follow *follow)
{
	const struct hf_client_setup setup = {
		.options = &follow->client_options,
		.handlers = &handlers,
		.context = follow,
		.purpose = "watch",
		/* What the broker may still hold for the connection before must not reach the next one. */
		.new_id = true,
		.session_expiry_s = follow->watch->device ? follow->watch->expiry_s : 0,
	};

	if (follow->watch->device) {
		follow->client_options.client_id = follow->watch->device;
	}
	if (asprintf(&follow->error_filter, "%s/%s/error", follow->client_options.root, follow->watch->session) < 0) {
		follow->error_filter = NULL;
		hf_complain("out of memory");
		return false;
	}
	if (!hf_stop_install()) {
		return false;
	}
	follow->printer = hf_printer_new(follow->watch->mode);
	follow->client = follow->printer ? hf_client_new(&setup) : NULL;
	return follow->client != NULL;
}

enum hf_exit hf_follow(const struct hf_watch *watch)
{
	struct follow follow = {.watch = watch, .client_options = watch->client_options};
	enum hf_exit status = prepare(&follow) ? run(&follow) : HF_EXIT_FAILED;

	hf_client_free(follow.client);
	hf_printer_free(follow.printer);
	free(follow.error_filter);
	return status;
}
