/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <glob.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

static const struct hf_extent full_extent = {
	.measure_s = 1.0, .warm_up_s = 0.2, .pace_s = 5.0, .sessions = 40000, .history = 1000000};
static const struct hf_extent quick_extent = {
	.measure_s = 0.4, .warm_up_s = 0.15, .pace_s = 1.0, .sessions = 40000, .history = 1000000};

static void print_help(void)
{
	puts(
		"usage: holdfast-bench [OPTION]...\n"
		"Compare Mosquitto bare, Mosquitto with persist-sqlite, and Holdfast, in turns, on this machine; for catch-up\n"
		"also Redis Streams and NATS JetStream.\n"
		"\n"
		"  --rounds N      rounds, each with all cases and brokers in turn (3)\n"
		"  --quick         the most telling cases, measured shortly: about a minute\n"
		"  --only PATTERN  only cases whose names match, as in --only 'store-*' or '@(store|deliver)-*'\n"
		"  --list          list the cases\n"
		"  --variant PATTERN  only variants whose names match, as in --variant '@(bare|holdfast)*'\n"
		"  --seconds S     measure each saturated case for S seconds (1; with --quick 0.4)\n"
		"  --dir PATH      make the brokers' directories here (default: beside this program)\n"
		"  --plugin-opt NAME=VALUE  an option for Holdfast's plugin, as in --plugin-opt window=500\n"
		"  --json FILE     write all samples there\n"
		"  --help          this text\n"
		"\n"
		"Environment: MOSQUITTO, REDIS_SERVER, NATS_SERVER and HOLDFAST_CLI (programs), HOLDFAST_PLUGIN and\n"
		"MOSQUITTO_PERSIST_SQLITE (plugins); without them: those of the system, and ours beside this program.");
}

static void print_cases(void)
{
	for (size_t i = 0; i < hf_case_count; i++) {
		printf("%-24s%c %s\n", hf_cases[i].name, hf_cases[i].quick ? '*' : ' ', hf_cases[i].title);
	}
	puts("* also with --quick");
}

/* ---- programs ------------------------------------------------------------------------------------------ */

/* The folder of this program: where a build puts the plugin too. "" when the system does not tell. */
static void find_own_folder(char *path)
{
	ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *end;

	path[size > 0 ? size : 0] = '\0';
	end = strrchr(path, '/');
	if (end) {
		*end = '\0';
	}
}

/* What the environment says, else the first that a pattern finds. "" when there is none. */
static void find_program(const char *variable, const char *pattern, char *path)
{
	const char *given = getenv(variable);
	glob_t found = {0};

	if (!given && glob(pattern, GLOB_BRACE, NULL, &found) == 0) {
		given = found.gl_pathv[0];
	}
	snprintf(path, PATH_MAX, "%s", given ? given : "");
	globfree(&found);
}

#define BIN "{/usr/local/sbin,/usr/sbin,/usr/local/bin,/usr/bin}/"

static bool find_programs(struct hf_options *options, const char *own_folder)
{
	char built[PATH_MAX + 32], command[PATH_MAX + 32];
	static const char *const names[HF_PROGRAMS] = {
		"mosquitto", "persist-sqlite", "the plugin", "Redis", "NATS", "the command holdfast"};

	snprintf(built, sizeof(built), "%s/mosquitto_holdfast.so", own_folder);
	find_program("MOSQUITTO", BIN "mosquitto", options->program[HF_MOSQUITTO]);
	find_program("MOSQUITTO_PERSIST_SQLITE",
		"{/usr/local/lib,/usr/lib,/usr/lib64}{,/*}{/mosquitto,}/mosquitto_persist_sqlite.so",
		options->program[HF_PERSIST_SQLITE]);
	find_program("HOLDFAST_PLUGIN", built, options->program[HF_PLUGIN]);
	snprintf(command, sizeof(command), "%s/holdfast", own_folder);
	find_program("HOLDFAST_CLI", command, options->program[HF_COMMAND]);
	find_program("REDIS_SERVER", BIN "redis-server", options->program[HF_REDIS]);
	find_program("NATS_SERVER", BIN "nats-server", options->program[HF_NATS]);
	if (!options->program[HF_MOSQUITTO][0]) {
		fputs("holdfast-bench: no mosquitto found; set MOSQUITTO\n", stderr);
		return false;
	}
	for (int i = 0; i < HF_PROGRAMS; i++) {
		if (!options->program[i][0]) {
			fprintf(stderr, "holdfast-bench: %s not found: left out\n", names[i]);
		} else if (access(options->program[i], R_OK) != 0) {
			fprintf(stderr, "holdfast-bench: %s: %s\n", options->program[i], strerror(errno));
			return false;
		}
	}
	return true;
}

static bool find_directory(const char *wanted, char *path)
{
	struct statfs status;

	if (!realpath(wanted, path) || access(path, W_OK) != 0) {
		fprintf(stderr, "holdfast-bench: %s: %s\n", wanted, strerror(errno));
		return false;
	}
	if (statfs(path, &status) == 0 && (unsigned long)status.f_type == TMPFS_MAGIC) {
		fprintf(stderr, "holdfast-bench: %s is in memory, not on a disk; --dir takes another place\n", path);
	}
	return true;
}

/* ---- cores --------------------------------------------------------------------------------------------- */

static void share_cores(struct hf_options *options)
{
	cpu_set_t allowed, own;
	int cpus[2], count = 0;

	options->broker_cpu = -1;
	snprintf(options->cpus, sizeof(options->cpus), "brokers and load share the only core");
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
		return;
	}
	for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++) {
		if (CPU_ISSET((size_t)cpu, &allowed)) {
			cpus[count++] = cpu;
		}
	}
	if (count < 2) {
		return;
	}
	CPU_ZERO(&own);
	CPU_SET((size_t)cpus[0], &own);
	if (sched_setaffinity(0, sizeof(own), &own) != 0) {
		return;
	}
	options->broker_cpu = cpus[1];
	snprintf(options->cpus, sizeof(options->cpus), "load on core %d, broker on core %d", cpus[0], cpus[1]);
}

/* ---- command line -------------------------------------------------------------------------------------- */

static bool read_number(const char *text, const char *name, double min, double max, double *value)
{
	char *end;

	errno = 0;
	*value = strtod(text, &end);
	if (errno == 0 && end != text && *end == '\0' && *value >= min && *value <= max) {
		return true;
	}
	fprintf(stderr, "holdfast-bench: --%s must be from %g to %g\n", name, min, max);
	return false;
}

static bool check_choice(const struct hf_options *options)
{
	bool any = false;

	for (size_t i = 0; i < hf_case_count; i++) {
		any = any || hf_options_select(options, &hf_cases[i]);
	}
	if (!any) {
		fprintf(stderr, "holdfast-bench: no case matches '%s'; --list shows them\n", options->only);
		return false;
	}
	for (int i = 0; options->variant && i < HF_VARIANTS; i++) {
		if (fnmatch(options->variant, hf_variant_info[i].name, FNM_EXTMATCH) == 0) {
			return true;
		}
	}
	if (options->variant) {
		fprintf(stderr, "holdfast-bench: no variant matches '%s'\n", options->variant);
	}
	return !options->variant;
}

bool hf_options_select(const struct hf_options *options, const struct hf_case *which)
{
	if (options->only) {
		return fnmatch(options->only, which->name, FNM_EXTMATCH) == 0;
	}
	return which->quick || !options->quick;
}

static bool add_plugin_option(struct hf_plugin_options *options, const char *text)
{
	if (options->count == HF_PLUGIN_OPTIONS_MAX || !strchr(text, '=')) {
		fprintf(stderr, "holdfast-bench: --plugin-opt takes NAME=VALUE, at most %d times\n", HF_PLUGIN_OPTIONS_MAX);
		return false;
	}
	options->text[options->count++] = text;
	return true;
}

enum hf_options_result hf_options_read(int argc, char **argv, struct hf_options *options)
{
	static const struct option known[] = {{"rounds", required_argument, NULL, 'r'}, {"quick", no_argument, NULL, 'q'},
		{"only", required_argument, NULL, 'o'}, {"list", no_argument, NULL, 'l'},
		{"variant", required_argument, NULL, 'v'}, {"seconds", required_argument, NULL, 's'},
		{"dir", required_argument, NULL, 'd'}, {"json", required_argument, NULL, 'j'},
		{"plugin-opt", required_argument, NULL, 'p'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	double rounds = 3, seconds = 0;
	char own_folder[PATH_MAX];
	const char *directory = own_folder;
	int option;

	*options = (struct hf_options){0};
	find_own_folder(own_folder);
	while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (option) {
		case 'r':
			if (!read_number(optarg, "rounds", 1, HF_ROUNDS_MAX, &rounds)) {
				return HF_OPTIONS_BAD;
			}
			break;
		case 's':
			if (!read_number(optarg, "seconds", 0.05, 60, &seconds)) {
				return HF_OPTIONS_BAD;
			}
			break;
		case 'q':
			options->quick = true;
			break;
		case 'o':
			options->only = optarg;
			break;
		case 'v':
			options->variant = optarg;
			break;
		case 'd':
			directory = optarg;
			break;
		case 'p':
			if (!add_plugin_option(&options->plugin_options, optarg)) {
				return HF_OPTIONS_BAD;
			}
			break;
		case 'j':
			options->json_path = optarg;
			break;
		case 'l':
			print_cases();
			return HF_OPTIONS_DONE;
		case 'h':
			print_help();
			return HF_OPTIONS_DONE;
		default:
			return HF_OPTIONS_BAD;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "holdfast-bench: '%s' is no option; --help shows them\n", argv[optind]);
		return HF_OPTIONS_BAD;
	}
	options->rounds = (unsigned)rounds;
	options->extent = options->quick ? quick_extent : full_extent;
	if (seconds > 0) {
		options->extent.measure_s = seconds;
	}
	if (!check_choice(options) || !find_programs(options, own_folder) ||
		!find_directory(directory, options->parent_path)) {
		return HF_OPTIONS_BAD;
	}
	share_cores(options);
	return HF_OPTIONS_RUN;
}
