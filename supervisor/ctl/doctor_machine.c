/* doctor: disk, limits, cores, memory, port, kernel. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "supervisor/ctl/daemon.h"
#include "supervisor/ctl/doctor.h"

#define DISK_MISSING_BYTES (200LL << 20)
#define DISK_HINT_BYTES (2LL << 30)
#define AGENT_BYTES (400LL << 20) /* one aider at work */
#define CEILING_NEAR 0.9	  /* of keep_gigabytes */
#define FILES_WANTED 1024

static void disk(struct doctor *d)
{
	char path[PATHS_MAX], text[32];
	struct statvfs fs;
	int64_t left;

	/* The nearest folder that exists. */
	snprintf(path, sizeof(path), "%s", d->ctl->paths.state_dir);
	while (statvfs(path, &fs) < 0) {
		char *slash = strrchr(path, '/');

		if (!slash || slash == path)
			return;
		*slash = 0;
	}
	left = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
	if (access(path, W_OK) != 0)
		doctor_find(d, FINDING_MISSING, "state", "chown it, or use --state-dir",
			"%s is not writable", path);
	doctor_find(d,
		left < DISK_MISSING_BYTES ? FINDING_MISSING
		: left < DISK_HINT_BYTES  ? FINDING_HINT
					  : FINDING_GOOD,
		"disk", left < DISK_HINT_BYTES ? "make room, or use --state-dir" : "",
		"%s free at %s", term_bytes(left, text), path);
}

/* Known while a supervisor runs. */
static void ceiling(struct doctor *d)
{
	_cleanup_json_ cJSON *config = NULL;
	char path[PATHS_MAX], text[32], most[32];
	struct stat st;
	struct err e;
	double limit;

	if (stat(paths_store(&d->ctl->paths, path), &st) < 0 ||
		ctl_ask(d->ctl, "config.get", NULL, CTL_ASK_MS, &config, &e) < 0)
		return;
	limit = json_num(json_get(config, "general"), "keep_gigabytes", 0) * 1e9;
	if (limit <= 0 || (double)st.st_size < CEILING_NEAR * limit)
		return;
	doctor_find(d, FINDING_HINT, "store",
		"raise keep_gigabytes (`100x config`), or let the oldest output go",
		"%s of at most %s: output of the agents that ended first is removed",
		term_bytes(st.st_size, text), term_bytes((int64_t)limit, most));
}

static int64_t memory_available(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long long kib;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %lld kB", &kib) == 1)
			return kib * 1024;
	return 0;
}

static void size(struct doctor *d)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t memory = memory_available();
	char text[32];

	doctor_find(d, memory < 2 * AGENT_BYTES ? FINDING_HINT : FINDING_GOOD, "machine",
		memory < 2 * AGENT_BYTES ? "lower max_working: `100x config set max_working=1`"
					 : "",
		"%ld core%s, %s of memory free: room for about %lld aiders", cores,
		cores == 1 ? "" : "s", term_bytes(memory, text), (long long)(memory / AGENT_BYTES));
}

static void limits(struct doctor *d)
{
	struct rlimit files, processes;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		doctor_find(d, files.rlim_cur < FILES_WANTED ? FINDING_HINT : FINDING_GOOD,
			"limits", files.rlim_cur < FILES_WANTED ? "raise it: ulimit -n 4096" : "",
			"%llu open files a process", (unsigned long long)files.rlim_cur);
	if (getrlimit(RLIMIT_NPROC, &processes) == 0 && processes.rlim_cur != RLIM_INFINITY &&
		processes.rlim_cur < 512)
		doctor_find(d, FINDING_HINT, "limits", "raise it: ulimit -u 4096",
			"%llu processes a user", (unsigned long long)processes.rlim_cur);
}

static void kernel(struct doctor *d)
{
	_cleanup_close_ int fd = daemon_pidfd(getpid());

	if (fd < 0)
		doctor_find(d, FINDING_MISSING, "kernel", "Linux 5.3 or newer is needed",
			"pidfd_open: %s", strerror(errno));
}

/* By which means all processes of an agent are ended. */
static void ending(struct doctor *d)
{
	_cleanup_json_ cJSON *config = NULL, *status = NULL;
	char guard[PATHS_MAX], said[256];
	const char *way = "auto", *argv[] = {guard, "--probe", NULL, NULL};
	bool works, refused;
	struct err e;

	if (paths_program("100x-guard", guard, &e) < 0) /* found missing elsewhere */
		return;
	if (ctl_running(d->ctl)) {
		if (ctl_ask(d->ctl, "config.get", NULL, CTL_ASK_MS, &config, &e) == 0)
			way = json_str(json_get(config, "general"), "pid_namespace", way);
		ctl_ask(d->ctl, "status", NULL, CTL_ASK_MS, &status, &e);
	}
	argv[2] = way;
	works = doctor_run(argv, NULL, said, sizeof(said)) == 0;
	refused = !works && strcmp(way, "user") == 0;
	doctor_find(d, refused ? FINDING_HINT : FINDING_GOOD, "agents' end",
		refused ? "allow user namespaces (see `man 100x`), or `100x config set "
			  "pid_namespace=auto`"
			: "",
		"%s%s%sguard, sweep%s%s%s",
		!works		       ? ""
		: strstr(said, "user") ? "PID namespace in a user namespace, "
				       : "PID namespace, ",
		json_bool(status, "cgroup", false) ? "control group, " : "",
		json_bool(status, "process_limits", false) ? "limit of processes, " : "",
		works ? "" : " (no PID namespace: ", works ? "" : said, works ? "" : ")");
}

/* The port of the page that is with the supervisor, whoever started it; 0: there is none. */
static int page_port(struct doctor *d)
{
	_cleanup_json_ cJSON *status = NULL;
	struct daemon_note note;
	struct err e;

	if (daemon_note_read(&d->ctl->paths, DAEMON_PAGE, &note))
		return note.port;
	if (!ctl_running(d->ctl) || ctl_ask(d->ctl, "status", NULL, CTL_ASK_MS, &status, &e) < 0)
		return 0;
	return (int)json_int(json_get(status, "webui"), "port", 0);
}

static void port(struct doctor *d)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)d->port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int page = page_port(d), yes = 1;

	if (page) {
		doctor_find(d, FINDING_GOOD, "port", "", "the page runs on port %d", page);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		doctor_find(d, FINDING_GOOD, "port", "", "%d is free", d->port);
	else
		doctor_find(d, FINDING_HINT, "port", "use another: `100x up --port 5001`", "%d: %s",
			d->port, strerror(errno));
}

void doctor_machine(struct doctor *d)
{
	disk(d);
	ceiling(d);
	size(d);
	limits(d);
	kernel(d);
	ending(d);
	port(d);
}
