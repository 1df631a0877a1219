/* SPDX-License-Identifier: BSD-3-Clause */
#include "configuration.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct hf_server hf_servers[HF_PROGRAMS] = {
	[HF_MOSQUITTO] = {.option = "-c", .version = "mosquitto version ", .stop_signal = SIGTERM},
	[HF_REDIS] = {.version = "Redis version=", .stop_signal = SIGTERM},
	[HF_NATS] = {.option = "-c", .version = "Version:  ", .stop_signal = SIGINT},
};

/* Of those who have a user name (crowd.c, auditor.c); all others are anonymous. */
static void write_roles(const char *path)
{
	FILE *file = fopen(path, "w");

	if (file) {
		fputs("agent-* agent *\nperson-* user *\nauditor auditor *\n", file);
		fclose(file);
	}
}

static void write_plugin_options(FILE *file, const struct hf_broker_setup *setup, const char *directory)
{
	const struct hf_variant_info *variant = &hf_variant_info[setup->variant];
	char roles[PATH_MAX];

	/* Should it fail, the broker does not start, and says why. */
	snprintf(roles, sizeof(roles), "%s/roles", directory);
	write_roles(roles);
	fprintf(file, "global_plugin %s\nplugin_opt_store %s/store\nplugin_opt_anonymous_role agent\nplugin_opt_roles %s\n",
		setup->program[HF_PLUGIN], directory, roles);
	fprintf(file, "plugin_opt_window %u\n%s", setup->window, variant->no_audit ? "plugin_opt_audit off\n" : "");
	for (size_t i = 0; i < setup->options->count; i++) {
		const char *text = setup->options->text[i];
		int name_size = (int)strcspn(text, "=");

		fprintf(file, "plugin_opt_%.*s %s\n", name_size, text, text + name_size + 1);
	}
}

static void write_mosquitto(FILE *file, const struct hf_broker_setup *setup, const char *directory, uint16_t port)
{
	const struct hf_variant_info *variant = &hf_variant_info[setup->variant];

	fprintf(file, "listener %u 127.0.0.1\nallow_anonymous true\n", port);
	fprintf(file, "log_dest stderr\npersistence false\n");
	fprintf(file, "set_tcp_nodelay %s\n", setup->nagle || variant->nagle ? "false" : "true");
	/* Mosquitto tells publishers this number as its Receive Maximum; the default of 20 would forbid larger windows. */
	fprintf(file, "max_inflight_messages %u\n", setup->window);
	/* As root it would become the user mosquitto, who cannot write here. */
	if (geteuid() == 0) {
		fputs("user root\n", file);
	}
	if (variant->plugin == HF_PLUGIN) {
		write_plugin_options(file, setup, directory);
	} else {
		/* Their queues are what stores; by default they drop what is above 1,000 messages, in silence. */
		fputs("max_queued_messages 0\n", file);
	}
	if (variant->plugin == HF_PERSIST_SQLITE) {
		fprintf(
			file, "plugin %s\nplugin_opt_db_file %s/mosquitto.sqlite3\n", setup->program[HF_PERSIST_SQLITE], directory);
	}
}

static void write_redis(FILE *file, const char *directory, uint16_t port)
{
	fprintf(file, "bind 127.0.0.1\nport %u\ndir %s\n", port, directory);
	fputs("save \"\"\nappendonly yes\nappendfsync no\n", file);
}

static void write_nats(FILE *file, const char *directory, uint16_t port)
{
	fprintf(file, "listen: 127.0.0.1:%u\njetstream { store_dir: \"%s/jetstream\" }\n", port, directory);
}

bool hf_configuration_write(const struct hf_broker_setup *setup, const char *path, const char *directory, uint16_t port)
{
	FILE *file = fopen(path, "w");

	if (!file) {
		return false;
	}
	switch (hf_variant_info[setup->variant].server) {
	case HF_REDIS:
		write_redis(file, directory, port);
		break;
	case HF_NATS:
		write_nats(file, directory, port);
		break;
	default:
		write_mosquitto(file, setup, directory, port);
		break;
	}
	return fclose(file) == 0;
}
