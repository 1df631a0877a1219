/* SPDX-License-Identifier: BSD-3-Clause */
#include "broker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "configuration.h"

#define START_NS_MAX (30 * HF_NS_PER_S)
#define STOP_NS_MAX (30 * HF_NS_PER_S)
#define POLL_NS (2 * HF_NS_PER_MS)
#define PATH_SIZE 4096
#define CONFIGURATION "server.conf"

struct hf_broker {
	struct hf_broker_setup setup;
	char directory[PATH_SIZE];
	char file[PATH_SIZE + 32]; /* scratch for the name of a file in the directory */
	pid_t pid;                 /* 0 while there is no process */
	clockid_t cpu_clock;
	uint16_t port;
};

static const char *path_of(struct hf_broker *broker, const char *name)
{
	snprintf(broker->file, sizeof(broker->file), "%s/%s", broker->directory, name);
	return broker->file;
}

static const struct hf_server *server_of(const struct hf_broker *broker)
{
	return &hf_servers[hf_variant_info[broker->setup.variant].server];
}

static void pause_briefly(void)
{
	struct timespec pause = {.tv_nsec = POLL_NS};

	nanosleep(&pause, NULL);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

/* The line of the broker's log that tells most about a failure: the first error, else the last line. */
static void telling_log_line(struct hf_broker *broker, char *line, size_t line_size)
{
	FILE *file = fopen(path_of(broker, "log"), "r");
	char next[512];

	snprintf(line, line_size, "nothing");
	while (file && fgets(next, sizeof(next), file)) {
		snprintf(line, line_size, "%.*s", (int)strcspn(next, "\n"), next);
		if (strstr(next, "Error")) {
			break;
		}
	}
	if (file) {
		fclose(file);
	}
}

void hf_broker_version(const struct hf_broker *broker, char *version, size_t version_size)
{
	struct hf_broker scratch = *broker;
	FILE *file = fopen(path_of(&scratch, "log"), "r");
	const char *marker = server_of(broker)->version;
	char line[512], found[32];

	version[0] = '\0';
	while (file && !version[0] && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, marker);

		if (at && sscanf(at + strlen(marker), "%31[0-9.]", found) == 1) {
			snprintf(version, version_size, "%s", found);
		}
	}
	if (file) {
		fclose(file);
	}
}

/* ---- process ------------------------------------------------------------------------------------------- */

static int loopback_socket(uint16_t port, bool listening, uint16_t *bound_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int failed;

	if (fd < 0) {
		return -1;
	}
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listening) {
		failed = bind(fd, (struct sockaddr *)&address, size) || getsockname(fd, (struct sockaddr *)&address, &size);
		*bound_port = ntohs(address.sin_port);
	} else {
		failed = connect(fd, (struct sockaddr *)&address, size);
	}
	close(fd);
	return failed ? -1 : 0;
}

_Noreturn static void become_broker(struct hf_broker *broker, pid_t parent)
{
	const char *program = broker->setup.program[hf_variant_info[broker->setup.variant].server];
	const char *option = server_of(broker)->option;
	char *arguments[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)option, NULL, NULL};
	int log = open(path_of(broker, "log"), O_CREAT | O_WRONLY | O_APPEND, 0600);
	cpu_set_t cpus;

	/* It ends with the benchmark, even if that is killed; and not by itself when a terminal interrupts both. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	if (getppid() != parent || log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0) {
		_exit(126);
	}
	if (broker->setup.cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET((size_t)broker->setup.cpu, &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus);
	}
	path_of(broker, CONFIGURATION);
	arguments[option ? 2 : 1] = broker->file;
	execv(program, arguments);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

/* True when it has ended, or after `limit_ns`: then it is killed. *status is that of waitpid. */
static void wait_for_end(struct hf_broker *broker, int64_t limit_ns, int *status)
{
	int64_t deadline_ns = hf_now_ns() + limit_ns;

	while (waitpid(broker->pid, status, WNOHANG) == 0) {
		if (hf_now_ns() > deadline_ns) {
			kill(broker->pid, SIGKILL);
			waitpid(broker->pid, status, 0);
			break;
		}
		pause_briefly();
	}
	broker->pid = 0;
}

static bool stop_process(struct hf_broker *broker, char *why, size_t why_size)
{
	char line[512];
	int status = 0;

	if (broker->pid == 0) {
		return true;
	}
	kill(broker->pid, server_of(broker)->stop_signal);
	wait_for_end(broker, STOP_NS_MAX, &status);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		return true;
	}
	telling_log_line(broker, line, sizeof(line));
	if (WIFSIGNALED(status)) {
		snprintf(why, why_size, "the broker ended by signal %d (%s); its log says: %s", WTERMSIG(status),
			strsignal(WTERMSIG(status)), line);
	} else {
		snprintf(why, why_size, "the broker ended with status %d; its log says: %s", WEXITSTATUS(status), line);
	}
	return false;
}

static bool wait_until_listening(struct hf_broker *broker, char *why, size_t why_size)
{
	int64_t deadline_ns = hf_now_ns() + START_NS_MAX;
	char line[512];
	int status;

	while (loopback_socket(broker->port, false, NULL) != 0) {
		bool ended = waitpid(broker->pid, &status, WNOHANG) == broker->pid;

		if (ended || hf_now_ns() > deadline_ns) {
			telling_log_line(broker, line, sizeof(line));
			snprintf(why, why_size, "the broker %s; its log says: %s",
				ended ? "did not start" : "did not listen in time", line);
			if (ended) {
				broker->pid = 0;
			}
			return false;
		}
		pause_briefly();
	}
	return true;
}

static bool start_process(struct hf_broker *broker, char *why, size_t why_size)
{
	pid_t parent = getpid();

	if (loopback_socket(0, true, &broker->port) != 0 ||
		!hf_configuration_write(&broker->setup, path_of(broker, CONFIGURATION), broker->directory, broker->port)) {
		snprintf(why, why_size, "cannot prepare the broker in %s: %s", broker->directory, strerror(errno));
		return false;
	}
	broker->pid = fork();
	if (broker->pid == 0) {
		become_broker(broker, parent);
	}
	if (broker->pid < 0) {
		snprintf(why, why_size, "fork: %s", strerror(errno));
		broker->pid = 0;
		return false;
	}
	if (clock_getcpuclockid(broker->pid, &broker->cpu_clock) != 0) {
		snprintf(why, why_size, "the system does not show the CPU time of another process");
		return false;
	}
	return wait_until_listening(broker, why, why_size);
}

struct hf_broker *hf_broker_start(const struct hf_broker_setup *setup, char *why, size_t why_size)
{
	struct hf_broker *broker = calloc(1, sizeof(*broker));
	char ignored[8];

	if (!broker) {
		snprintf(why, why_size, "out of memory");
		return NULL;
	}
	broker->setup = *setup;
	snprintf(broker->directory, sizeof(broker->directory), "%s/bench-XXXXXX", setup->parent_path);
	if (!mkdtemp(broker->directory)) {
		snprintf(why, why_size, "cannot make %s: %s", broker->directory, strerror(errno));
		free(broker);
		return NULL;
	}
	if (!start_process(broker, why, why_size)) {
		hf_broker_free(broker, ignored, sizeof(ignored));
		return NULL;
	}
	return broker;
}

bool hf_broker_restart(struct hf_broker *broker, char *why, size_t why_size)
{
	return stop_process(broker, why, why_size) && start_process(broker, why, why_size);
}

bool hf_broker_free(struct hf_broker *broker, char *why, size_t why_size)
{
	bool well = stop_process(broker, why, why_size);

	nftw(broker->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(broker);
	return well;
}

enum hf_variant hf_broker_variant(const struct hf_broker *broker)
{
	return broker->setup.variant;
}

const char *hf_broker_directory(const struct hf_broker *broker)
{
	return broker->directory;
}

const char *hf_broker_program(const struct hf_broker *broker, enum hf_program program)
{
	return broker->setup.program[program];
}

uint16_t hf_broker_port(const struct hf_broker *broker)
{
	return broker->port;
}

int64_t hf_broker_cpu_ns(const struct hf_broker *broker)
{
	return hf_clock_ns(broker->cpu_clock);
}

/* The first or the second number in a file of /proc about the broker; 0 when it cannot be read. */
static int64_t number_of(const struct hf_broker *broker, const char *name, bool second)
{
	char path[64];
	long long number = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)broker->pid, name);
	file = fopen(path, "r");
	if (file) {
		if (fscanf(file, second ? "%*d %lld" : "%lld", &number) != 1) {
			number = 0;
		}
		fclose(file);
	}
	return number;
}

int64_t hf_broker_main_ns(const struct hf_broker *broker)
{
	return number_of(broker, "schedstat", false);
}

int64_t hf_broker_wait_ns(const struct hf_broker *broker)
{
	return number_of(broker, "schedstat", true);
}

double hf_broker_rss_bytes(const struct hf_broker *broker)
{
	return (double)number_of(broker, "statm", true) * (double)sysconf(_SC_PAGESIZE);
}
