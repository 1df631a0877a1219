/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/roles.h"

#include <fnmatch.h>
#include <stdlib.h>

#include <utlist.h>

struct rule {
	char *identity;
	char *sessions; /* patterns, each ended by a zero, the last by two */
	enum hf_role role;
	struct rule *next;
};

struct hf_access {
	struct rule *rules;
};

#define BIT(role) (1u << (role))
#define AGENT BIT(HF_ROLE_AGENT)
#define USER BIT(HF_ROLE_USER)
#define OPERATOR BIT(HF_ROLE_OPERATOR)
#define OBSERVER BIT(HF_ROLE_OBSERVER)
#define READERS (AGENT | USER | OPERATOR | OBSERVER)

/* DESIGN section 3. Kinds that are missing here are Holdfast's own, or not served yet. */
static const unsigned int publishers[HF_KIND_COUNT] = {
	[HF_KIND_TOKENS] = AGENT | OPERATOR, /* who has the floor: floor.c */
	[HF_KIND_INPUT] = USER | OPERATOR,
	[HF_KIND_EVENT] = AGENT | OPERATOR,
	[HF_KIND_SIGNAL] = USER | OPERATOR,
	[HF_KIND_ASK] = AGENT,
	[HF_KIND_ANSWER] = USER | OPERATOR,
	[HF_KIND_SHARED] = AGENT | USER | OPERATOR,
	[HF_KIND_CONTROL] =
		AGENT | USER | OPERATOR | OBSERVER | BIT(HF_ROLE_ADMIN), /* each command has its own: control.c */
	[HF_KIND_HISTORY] = AGENT | USER | OPERATOR | OBSERVER,
	[HF_KIND_EPHEMERAL] = AGENT | USER | OPERATOR | OBSERVER,
	[HF_KIND_PRESENCE] = AGENT | USER | OPERATOR | OBSERVER,
};

bool hf_role_may_publish(enum hf_role role, enum hf_kind kind)
{
	return role != HF_ROLE_NONE && kind < HF_KIND_COUNT && (publishers[kind] & BIT(role));
}

bool hf_role_may_read(enum hf_role role)
{
	return READERS & BIT(role);
}

static void rule_free(struct rule *rule)
{
	free(rule->identity);
	free(rule->sessions);
	free(rule);
}

void hf_access_free(struct hf_access *access)
{
	struct rule *rule, *next;

	if (!access) {
		return;
	}
	LL_FOREACH_SAFE(access->rules, rule, next)
	{
		rule_free(rule);
	}
	free(access);
}

/* "a,b" becomes "a\0b\0\0"; NULL when a pattern is empty or there is no memory. */
static char *split_patterns(const char *text)
{
	size_t len = strlen(text);
	char *patterns = calloc(1, len + 2);

	if (!patterns) {
		return NULL;
	}
	for (size_t i = 0; i < len; i++) {
		bool comma = text[i] == ',';
		if (comma && (i == 0 || i + 1 == len || text[i + 1] == ',')) {
			free(patterns);
			return NULL;
		}
		patterns[i] = comma ? '\0' : text[i];
	}
	return patterns;
}

static bool put_word(struct hf_buffer *out, const char *word, const char *behind)
{
	return hf_buffer_append(out, word, strlen(word)) && hf_buffer_append(out, behind, strlen(behind));
}

bool hf_access_text(const struct hf_access *access, struct hf_buffer *out)
{
	const struct rule *rule;

	LL_FOREACH(access->rules, rule)
	{
		if (!put_word(out, rule->identity, " ") || !put_word(out, hf_role_name(rule->role), " ")) {
			return false;
		}
		for (const char *pattern = rule->sessions; *pattern; pattern += strlen(pattern) + 1) {
			if (!put_word(out, pattern, pattern[strlen(pattern) + 1] ? "," : "\n")) {
				return false;
			}
		}
	}
	return true;
}

/* One line; *out stays NULL for one without a rule. False: not a rule (or no memory: rare enough to be told so too). */
static bool parse_line(char *line, struct rule **out)
{
	char *save;
	char *words[4] = {NULL};
	size_t count = 0;

	line[strcspn(line, "#\r\n")] = '\0';
	for (char *word = strtok_r(line, " \t", &save); word && count < 4; word = strtok_r(NULL, " \t", &save)) {
		words[count++] = word;
	}
	if (count == 0) {
		return true;
	}
	if (count != 3 || hf_role_parse(hf_slice_of(words[1])) == HF_ROLE_NONE) {
		return false;
	}
	struct rule *rule = calloc(1, sizeof(*rule));
	if (!rule) {
		return false;
	}
	rule->identity = strdup(words[0]);
	rule->role = hf_role_parse(hf_slice_of(words[1]));
	rule->sessions = split_patterns(words[2]);
	if (!rule->identity || !rule->sessions) {
		rule_free(rule);
		return false;
	}
	*out = rule;
	return true;
}

enum hf_reason hf_access_new(struct hf_access **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? HF_OK : HF_NO_MEMORY;
}

enum hf_reason hf_access_add(struct hf_access *access, char *line)
{
	struct rule *rule = NULL;

	if (!parse_line(line, &rule)) {
		return HF_ROLES_INVALID;
	}
	if (rule) {
		LL_APPEND(access->rules, rule);
	}
	return HF_OK;
}

enum hf_reason hf_access_parse(struct hf_slice text, struct hf_access **out)
{
	char *copy = malloc(text.len + 1), *rest = copy;
	enum hf_reason reason = copy ? hf_access_new(out) : HF_NO_MEMORY;

	if (reason == HF_OK) {
		memcpy(copy, text.data, text.len);
		copy[text.len] = '\0';
		for (char *line = strsep(&rest, "\n"); line && reason == HF_OK; line = strsep(&rest, "\n")) {
			reason = hf_access_add(*out, line);
		}
		if (reason != HF_OK) {
			hf_access_free(*out);
		}
	}
	if (reason != HF_OK) {
		*out = NULL;
	}
	free(copy);
	return reason;
}

static bool terminated(struct hf_slice text, char *out, size_t size)
{
	if (text.len >= size || memchr(text.data, '\0', text.len)) {
		return false;
	}
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
	return true;
}

static bool session_matches(const struct rule *rule, const char *session)
{
	for (const char *pattern = rule->sessions; *pattern; pattern += strlen(pattern) + 1) {
		if (fnmatch(pattern, session, 0) == 0) {
			return true;
		}
	}
	return false;
}

/* The rule that decides; NULL: none does. */
static const struct rule *rule_for(const struct hf_access *access, struct hf_slice identity, struct hf_slice session)
{
	char name[HF_TOPIC_MAX], id[HF_SESSION_ID_MAX + 1];
	const struct rule *rule;

	if (!terminated(identity, name, sizeof(name)) || !terminated(session, id, sizeof(id))) {
		return NULL;
	}
	LL_FOREACH(access->rules, rule)
	{
		if (fnmatch(rule->identity, name, 0) == 0 && session_matches(rule, id)) {
			return rule;
		}
	}
	return NULL;
}

enum hf_role hf_access_role(const struct hf_access *access, struct hf_slice identity, struct hf_slice session)
{
	const struct rule *rule = rule_for(access, identity, session);

	return rule ? rule->role : HF_ROLE_NONE;
}

bool hf_access_names(const struct hf_access *access, struct hf_slice identity, struct hf_slice session)
{
	const struct rule *rule = rule_for(access, identity, session);

	for (const char *pattern = rule ? rule->sessions : ""; *pattern; pattern += strlen(pattern) + 1) {
		if (hf_slice_is(session, pattern)) { /* no session id has what makes a pattern */
			return true;
		}
	}
	return false;
}

bool hf_access_has_some(const struct hf_access *access, struct hf_slice identity, unsigned int roles)
{
	char name[HF_TOPIC_MAX];
	const struct rule *rule;

	if (!terminated(identity, name, sizeof(name))) {
		return false;
	}
	LL_FOREACH(access->rules, rule)
	{
		if ((roles & BIT(rule->role)) && fnmatch(rule->identity, name, 0) == 0) {
			return true;
		}
	}
	return false;
}

bool hf_access_reads_some(const struct hf_access *access, struct hf_slice identity)
{
	return hf_access_has_some(access, identity, READERS);
}

static bool has_all_sessions(const struct rule *rule)
{
	for (const char *pattern = rule->sessions; *pattern; pattern += strlen(pattern) + 1) {
		if (strcmp(pattern, "*") == 0) {
			return true;
		}
	}
	return false;
}

enum hf_role hf_access_role_at_large(const struct hf_access *access, struct hf_slice identity)
{
	char name[HF_TOPIC_MAX];
	const struct rule *rule;

	if (!terminated(identity, name, sizeof(name))) {
		return HF_ROLE_NONE;
	}
	LL_FOREACH(access->rules, rule)
	{
		if (has_all_sessions(rule) && fnmatch(rule->identity, name, 0) == 0) {
			return rule->role;
		}
	}
	return HF_ROLE_NONE;
}
