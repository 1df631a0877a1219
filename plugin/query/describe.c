/* SPDX-License-Identifier: BSD-3-Clause */
#include "query/describe.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"

/*
 * Words for documents. The first row is taken whose kind is right, whose key (if any) has this value in the document,
 * and whose members in braces are all there; what is in brackets is left out where a member in it is missing.
 */
static const struct {
	enum hf_kind kind;
	const char *key, *value;
	const char *words;
} table[] = {
	{HF_KIND_SIGNAL, "signal", "interrupt", "stop[ response {response}][, of {from}][: {text}]"},
	{HF_KIND_SIGNAL, "signal", "steer", "go on otherwise[ with response {response}][, of {from}][: {text}]"},
	{HF_KIND_SIGNAL, "signal", "resume", "do not stop[ response {response}][, of {from}][: {text}]"},
	{HF_KIND_ANSWER, NULL, NULL, "{id}  {choice}[  {text}]"},
	{HF_KIND_ANSWER, NULL, NULL, "{id}  {text}"},
	{HF_KIND_ASK, NULL, NULL, "{id}  {question}[\nchoices: {choices}][\nfor: {to}][\nfor every: {roles}]"},
	{HF_KIND_NOTICE, "notice", "truncated", "entries {first} to {last} are no longer kept"},
	{HF_KIND_NOTICE, "notice", "limits",
		"kept from now on[ by {by}]:[ at most {max-count} entries][ at most {max-bytes} bytes][ for {max-age} ms]"},
	{HF_KIND_NOTICE, "notice", "closed", "the session is closed[ by {by}]"},
	{HF_KIND_NOTICE, "change", "claim", "{by} has the floor, epoch {epoch}"},
	{HF_KIND_NOTICE, "change", "transfer", "{by} offers the floor to {to}"},
	{HF_KIND_NOTICE, "change", "transfer", "{by} gives the floor to {holder}, epoch {epoch}"},
	{HF_KIND_NOTICE, "change", "accept", "{by} has accepted the floor[ of {previous}], epoch {epoch}"},
	{HF_KIND_NOTICE, "change", "decline", "{by} declines the floor[; {holder} keeps it]"},
	{HF_KIND_NOTICE, "change", "handback", "{by} hands the floor back to {holder}, epoch {epoch}"},
	{HF_KIND_NOTICE, "change", "handback", "{by} hands the floor back: it is open, epoch {epoch}"},
	{HF_KIND_NOTICE, "change", "release", "{by} opens the floor, epoch {epoch}"},
	{HF_KIND_NOTICE, "change", "close", "{by} closes the session: the floor is open, epoch {epoch}"},
	{HF_KIND_NOTICE, "change", "lease", "who had the floor is lost: it is open, epoch {epoch}"},
	{HF_KIND_NOTICE, "notice", "presence", "{identity} ({role}) is {state}[: {reason}]"},
	{HF_KIND_NOTICE, "notice", "response-closed", "response {id}[ of {from}] is closed: {reason}"},
	{HF_KIND_PRESENCE, NULL, NULL, "{role}, {state}[: {reason}][, {devices} devices][\n{status}]"},
	{HF_KIND_NOTICE, "mode", "reject", "while nobody is there to read, token batches are refused[, says {by}]"},
	{HF_KIND_NOTICE, "mode", "allow", "also while nobody is there to read, token batches are taken[, says {by}]"},
	{HF_KIND_NOTICE, "notice", "ask-expired", "question {id}[ of {from}] has ended: {reason}"},
	{HF_KIND_NOTICE, "notice", "ask-expired", "nobody has answered question {id}[ of {from}] in time"},
};

static const cJSON *member(const cJSON *document, const char *name, size_t len)
{
	char key[32];

	if (len >= sizeof(key)) {
		return NULL;
	}
	memcpy(key, name, len);
	key[len] = '\0';
	return cJSON_GetObjectItemCaseSensitive(document, key);
}

/* Are all members there that these words name? Of those in brackets only when `inside`. */
static bool has_members(const cJSON *document, const char *words, size_t len, bool inside)
{
	bool optional = false;

	for (size_t i = 0; i < len; i++) {
		if (words[i] == '[' || words[i] == ']') {
			optional = words[i] == '[';
		} else if (words[i] == '{') {
			size_t name_len = strcspn(words + i + 1, "}");
			if ((inside || !optional) && !member(document, words + i + 1, name_len)) {
				return false;
			}
			i += name_len;
		}
	}
	return true;
}

static void put_member(FILE *out, const cJSON *value)
{
	const cJSON *item;
	bool first = true;

	if (cJSON_IsArray(value)) {
		cJSON_ArrayForEach(item, value)
		{
			fputs(first ? "" : ", ", out);
			put_member(out, item);
			first = false;
		}
	} else if (cJSON_IsString(value) || cJSON_IsRaw(value)) {
		fputs(value->valuestring, out);
	} else {
		char *printed = cJSON_PrintUnformatted(value);
		fputs(printed ? printed : "?", out);
		cJSON_free(printed);
	}
}

static void put_words(FILE *out, const cJSON *document, const char *words)
{
	for (size_t i = 0; words[i] != '\0'; i++) {
		if (words[i] == '{') {
			size_t len = strcspn(words + i + 1, "}");
			put_member(out, member(document, words + i + 1, len));
			i += len + 1;
		} else if (words[i] == '[') {
			size_t len = strcspn(words + i + 1, "]");
			if (!has_members(document, words + i + 1, len, true)) {
				i += len + 1;
			}
		} else if (words[i] != ']') {
			fputc(words[i], out);
		}
	}
}

static const char *words_for(enum hf_kind kind, const cJSON *document)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		bool fits = table[i].kind == kind &&
					(!table[i].key || strcmp(hf_json_text(document, table[i].key), table[i].value) == 0);
		if (fits && has_members(document, table[i].words, strlen(table[i].words), false)) {
			return table[i].words;
		}
	}
	return NULL;
}

char *hf_describe(enum hf_kind kind, const cJSON *document)
{
	const char *words = words_for(kind, document);
	char *text = NULL;
	size_t size;
	FILE *out = words ? open_memstream(&text, &size) : NULL;

	if (out) {
		put_words(out, document, words);
		if (fclose(out) != 0) {
			free(text);
			return NULL;
		}
	}
	return text;
}
