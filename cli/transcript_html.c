/* SPDX-License-Identifier: BSD-3-Clause */
/* A transcript as a page that needs nothing but itself, on a screen and on paper. Text of others is escaped, and set
 * off
 * (<bdi>, dir) so that writing from right to left does not reach beyond it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/times.h"
#include "transcript.h"

static const char style[] =
	":root{color-scheme:light dark;--line:#8886;--dim:#666;--agent:#2563eb;--user:#15803d;--operator:#b45309}\n"
	"@media(prefers-color-scheme:dark){:root{--dim:#aaa;--agent:#7aa2ff;--user:#6ee7a0;--operator:#fbbf77}}\n"
	"body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}\n"
	"h1{font-size:1.5rem;margin:0 0 .25rem}\n"
	"header p,footer p{color:var(--dim);margin:.25rem 0;font-size:.875rem}\n"
	"table{border-collapse:collapse;font-size:.875rem;margin:1rem 0}\n"
	"th,td{text-align:start;padding:.2rem 1rem .2rem 0;border-bottom:1px solid var(--line)}\n"
	"article{border-inline-start:3px solid var(--line);padding:.1rem 0 .1rem 1rem;margin:1.25rem 0}\n"
	"article.agent{border-color:var(--agent)}article.user{border-color:var(--user)}\n"
	"article.operator{border-color:var(--operator)}\n"
	"article h2{font-size:1rem;margin:0}article h2 small{font-weight:400;color:var(--dim)}\n"
	"article .text{white-space:pre-wrap;overflow-wrap:anywhere;margin:.25rem 0}\n"
	"article.ask .text,article.answer .text{font-weight:600}\n"
	"article.notice{border:0;padding:0;margin:.5rem 0;color:var(--dim);font-size:.875rem}\n"
	"article.notice .text{display:inline}\n"
	".end{color:#b91c1c;font-weight:600}.sum,ul{font-size:.8125rem;color:var(--dim)}\n"
	".sum{font-family:ui-monospace,monospace;overflow-wrap:anywhere}\n"
	"ul{list-style:none;padding:0;margin:.25rem 0}\n"
	"@media print{@page{margin:18mm}body{font-size:10.5pt;max-width:none;margin:0;padding:0}\n"
	":root{color-scheme:light;--dim:#444}article{break-inside:avoid-page}h2{break-after:avoid}}\n";

/* ---- escaping */

static void put_byte(unsigned char byte)
{
	switch (byte) {
	case '&':
		fputs("&amp;", stdout);
		break;
	case '<':
		fputs("&lt;", stdout);
		break;
	case '>':
		fputs("&gt;", stdout);
		break;
	case '"':
		fputs("&quot;", stdout);
		break;
	case '\'':
		fputs("&#39;", stdout);
		break;
	default:
		putchar(byte);
	}
}

/* HTML has no place for control characters: they are shown by their pictures, those of C1 and what is no UTF-8 as
 * replacement characters. */
static void put(struct hf_slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		bool c1 = byte == 0xc2 && i + 1 < text.len && (unsigned char)text.data[i + 1] < 0xa0;
		if (c1) {
			fputs("&#xfffd;", stdout);
			i++;
		} else if (byte == 0x7f || (byte < 0x20 && byte != '\n' && byte != '\t')) {
			printf("&#x24%02x;", byte == 0x7f ? 0x21 : byte);
		} else {
			put_byte(byte);
		}
	}
}

static void put_name(struct hf_slice name)
{
	fputs("<bdi>", stdout);
	put(name.len > 0 ? name : hf_slice_of("(anonymous)"));
	fputs("</bdi>", stdout);
}

static void put_time(int64_t time_ms)
{
	char time[HF_TIME_SIZE];

	hf_time_print(time_ms, time);
	printf("<time datetime=\"%s\">%s</time>", time, time);
}

/* ---- a turn */

static void put_receipts(const struct hf_transcript *transcript, const struct hf_turn *turn)
{
	if (turn->receipt_count > 0) {
		puts("<ul>");
	}
	for (size_t i = 0; i < turn->receipt_count; i++) {
		const struct hf_turn_receipts *receipts = turn->receipts[i];
		const struct hf_turn_device *device = transcript->numbered[receipts->key.device];
		struct hf_turn_fate fate = hf_turn_fate(turn, receipts);
		fputs(fate.acknowledged ? "<li>&#x2713; " : "<li>&#xb7; ", stdout);
		put_name(device->identity);
		fputs(" on ", stdout);
		put_name(device->device);
		printf(": %s", fate.state);
		if (fate.count < turn->count) {
			printf(" %" PRIu64 " of %" PRIu64, fate.count, turn->count);
		}
		putchar(' ');
		put_time(fate.acknowledged ? receipts->settled_ms : receipts->first_ms);
		puts(receipts->again > 0 ? ", resent</li>" : "</li>");
	}
	if (turn->receipt_count > 0) {
		puts("</ul>");
	}
}

static void put_digests(const struct hf_turn *turn)
{
	for (size_t i = 0; i < turn->digests.len; i++) {
		fputs(i % HF_DIGEST_SIZE > 0 ? "" : "<p class=\"sum\">SHA-256 ", stdout);
		printf("%02x", turn->digests.data[i]);
		fputs((i + 1) % HF_DIGEST_SIZE > 0 ? "" : "</p>\n", stdout);
	}
}

static void put_body(const struct hf_turn *turn)
{
	if (turn->removed) {
		puts("<p><em>not kept any more</em></p>");
	} else if (turn->text.len > 0) {
		fputs("<div class=\"text\" dir=\"auto\">", stdout);
		put(hf_buffer_slice(&turn->text));
		puts("</div>");
	}
	put_digests(turn);
}

static void put_offsets(const struct hf_turn *turn)
{
	printf(turn->last > turn->first ? "%" PRIu64 "&#x2013;%" PRIu64 : "%" PRIu64, turn->first, turn->last);
}

/* What Holdfast did or noticed: a line. */
static void put_notice(const struct hf_turn *turn)
{
	printf("<article class=\"notice\" id=\"o%" PRIu64 "\">", turn->first);
	put_time(turn->time_ms);
	fputs(" (", stdout);
	put_offsets(turn);
	fputs(") ", stdout);
	put_body(turn);
	puts("</article>");
}

static bool put_turn(const struct hf_transcript *transcript, const struct hf_turn *turn)
{
	char *title = hf_turn_title(turn), *ending = hf_turn_ending(turn);
	bool made = title && ending;

	if (made && turn->role == HF_ROLE_BROKER) {
		put_notice(turn);
	} else if (made) {
		printf("<article class=\"%s %s\" id=\"o%" PRIu64 "\">\n<h2>", hf_role_name(turn->role),
			hf_kind_name(turn->kind), turn->first);
		put_name(turn->from);
		printf(" <small>%s &#xb7; ", hf_role_name(turn->role));
		put_time(turn->time_ms);
		fputs(" &#xb7; ", stdout);
		put_offsets(turn);
		fputs(" &#xb7; <bdi>", stdout);
		put(hf_slice_of(title));
		fputs("</bdi>", stdout);
		if (turn->answers > 0) {
			printf(" to <a href=\"#o%" PRIu64 "\">%" PRIu64 "</a>", turn->answers, turn->answers);
		}
		puts("</small></h2>");
		put_body(turn);
		if (*ending) {
			fputs("<p class=\"end\">", stdout);
			put(hf_slice_of(ending));
			puts("</p>");
		}
		put_receipts(transcript, turn);
		puts("</article>");
	}
	free(title);
	free(ending);
	return made;
}

/* ---- the page */

/* Who has said something, in the order of first words. */
static void put_speakers(const struct hf_transcript *transcript)
{
	puts("<table><thead><tr><th>who</th><th>role</th><th>entries</th><th>first</th><th>last</th></tr></thead><tbody>");
	for (const struct hf_turn_name *name = transcript->names; name; name = name->hh.next) {
		const struct hf_turn *turn = &transcript->turns[name->turn];
		if (name->key[0] != 's' || turn->role == HF_ROLE_BROKER) {
			continue;
		}
		fputs("<tr><td>", stdout);
		put_name(turn->from);
		printf("</td><td>%s</td><td>%" PRIu64 "</td><td>", hf_role_name(turn->role), name->entries);
		put_time(turn->time_ms);
		fputs("</td><td>", stdout);
		put_time(name->last_ms);
		puts("</td></tr>");
	}
	puts("</tbody></table>");
}

bool hf_transcript_html(const struct hf_transcript *transcript)
{
	printf("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
		   "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Session %.*s</title>\n<style>\n%s</style>\n"
		   "</head>\n<body>\n<header>\n<h1>Session %.*s</h1>\n<p>%" PRIu64 " entries",
		(int)transcript->session.len, transcript->session.data, style, (int)transcript->session.len,
		transcript->session.data, transcript->entries);
	if (transcript->count > 0) {
		fputs(", ", stdout);
		put_time(transcript->turns[0].time_ms);
		fputs(" to ", stdout);
		put_time(transcript->turns[transcript->count - 1].until_ms);
	}
	puts("</p>\n<p>Times are UTC, by the clock of the broker. Numbers are offsets in the session's log. &#x2713;: the "
		 "device's MQTT library has acknowledged all of it; that says nothing about who read it.</p>");
	put_speakers(transcript);
	puts("</header>\n<main>");
	for (size_t i = 0; i < transcript->count && !ferror(stdout); i++) {
		if (!put_turn(transcript, &transcript->turns[i])) {
			return false;
		}
	}
	puts("</main>\n<footer><p>Made by <code>holdfast audit transcript</code>. A page can be changed by anybody: what "
		 "proves "
		 "it is the store, with <code>holdfast audit verify</code>.</p></footer>\n</body>\n</html>");
	return true;
}
