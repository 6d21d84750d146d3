/* agent.process and health: what runs, what it takes, and what is amiss. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/procinfo.h"
#include "supervisor/call.h"

#define TREE_MAX 256

static cJSON *process_object(const struct procinfo *p)
{
	cJSON *j = cJSON_CreateObject();

	json_add_int(j, "pid", p->pid);
	json_add_int(j, "ppid", p->ppid);
	json_add_text(j, "name", p->name, strlen(p->name));
	json_add_int(j, "rss_bytes", p->rss_bytes);
	json_add_int(j, "cpu_ms", p->cpu_ms);
	json_add_int(j, "started_at", p->started_at);
	return j;
}

/* Bytes of the files in a folder, not below it. */
static int64_t folder_bytes(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	struct dirent *entry;
	struct stat st;
	int64_t bytes = 0;

	while (d && (entry = readdir(d))) {
		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode))
			bytes += st.st_size;
	}
	return bytes;
}

/* By what all of them are ended, whatever they do: the strongest first. */
static void add_ends(const struct supervisor *s, const struct procinfo *tree, int n, cJSON *result)
{
	cJSON *ends = cJSON_AddArrayToObject(result, "ends");
	bool apart = false, guarded = false;

	for (int i = 1; i < n; i++) {
		apart |= procinfo_apart(tree[i].pid);
		guarded |= strcmp(tree[i].name, "100x-guard") == 0;
	}
	if (apart)
		cJSON_AddItemToArray(ends, cJSON_CreateString("namespace"));
	if (*sweeper_cgroup(s->sweeper)->folder)
		cJSON_AddItemToArray(ends, cJSON_CreateString("cgroup"));
	if (guarded)
		cJSON_AddItemToArray(ends, cJSON_CreateString("guard"));
	if (n)
		cJSON_AddItemToArray(ends, cJSON_CreateString("sweep"));
}

int call_agent_process(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct member *m = call_member(c, params, e);
	char path[PATHS_MAX];
	struct procinfo *tree;
	cJSON *worker, *all;
	int n;

	if (!m)
		return -1;
	tree = calloc(TREE_MAX, sizeof(*tree));
	if (!tree)
		err_out_of_memory();
	n = m->pid > 1 ? procinfo_tree(m->pid, tree, TREE_MAX) : 0;
	*result = cJSON_CreateObject();
	if (n) {
		worker = cJSON_AddObjectToObject(*result, "worker");
		json_add_int(worker, "pid", m->pid);
		json_add_int(worker, "epoch", m->epoch);
		json_add_int(worker, "started_at", tree[0].started_at);
	} else {
		cJSON_AddNullToObject(*result, "worker");
	}
	all = cJSON_AddArrayToObject(*result, "processes");
	for (int i = 0; i < n; i++)
		cJSON_AddItemToArray(all, process_object(&tree[i]));
	add_ends(c->s, tree, n, *result);
	free(tree);
	json_add_str(*result, "workspace", paths_agent(&c->s->paths, m->id, "repo", path));
	json_add_int(*result, "spool_bytes",
		folder_bytes(paths_agent(&c->s->paths, m->id, "spool", path)));
	return CALL_DONE;
}

static void add_process(cJSON *all, const char *what, int64_t agent, int pid)
{
	struct procinfo p;
	cJSON *j;

	if (pid <= 1 || !procinfo_read(pid, &p))
		return;
	j = process_object(&p);
	json_add_str(j, "what", what);
	if (agent)
		json_add_int(j, "agent", agent);
	cJSON_AddItemToArray(all, j);
}

static int64_t file_bytes(const char *path, const char *suffix)
{
	char name[PATHS_MAX + 8];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &st) == 0 ? st.st_size : 0;
}

static void add_disk(const struct supervisor *s, const cJSON *answer, cJSON *result)
{
	cJSON *disk = cJSON_AddObjectToObject(result, "disk");
	cJSON *store = cJSON_AddObjectToObject(result, "store");
	char path[PATHS_MAX];
	struct statvfs v;

	if (statvfs(s->paths.state_dir, &v) < 0)
		memset(&v, 0, sizeof(v));
	json_add_int(disk, "free_bytes", (int64_t)(v.f_bavail * v.f_frsize));
	json_add_int(disk, "total_bytes", (int64_t)(v.f_blocks * v.f_frsize));
	json_add_int(disk, "state_bytes", json_int(answer, "state_bytes", 0));
	json_add_str(disk, "full", s->disk.full ? s->disk.reason : "");
	paths_store(&s->paths, path);
	json_add_int(store, "events", s->last_event);
	json_add_int(store, "bytes", file_bytes(path, "") + file_bytes(path, "-wal"));
	json_add_int(store, "log_bytes", file_bytes(path, "-wal"));
}

static void add_finding(cJSON *all, const char *level, const char *what, const char *hint)
{
	cJSON *j = cJSON_CreateObject();

	json_add_str(j, "level", level);
	json_add_str(j, "what", what);
	json_add_str(j, "hint", hint);
	cJSON_AddItemToArray(all, j);
}

static void looked(void *arg, const cJSON *answer, const struct err *failure)
{
	struct call *c = arg;
	struct supervisor *s = c->s;
	cJSON *result = cJSON_CreateObject(), *part;
	const cJSON *findings = json_get(answer, "findings");
	char text[512];
	size_t i;

	json_add_str(result, "version", VERSION_STRING);
	json_add_int(result, "protocol", EVENT_VERSION);
	json_add_int(result, "uptime_ms", clock_now_ms() - s->started_ms);
	part = cJSON_AddArrayToObject(result, "processes");
	add_process(part, "supervisor", 0, getpid());
	if (s->webui_pid && process_started(s->webui_pid) == s->webui_started)
		add_process(part, "webui", 0, s->webui_pid);
	for (i = 0; i < s->fleet.n; i++)
		add_process(part, "worker", s->fleet.members[i]->id, s->fleet.members[i]->pid);
	part = cJSON_AddObjectToObject(result, "queue");
	json_add_int(part, "queued", s->fleet.count[AGENT_QUEUED]);
	json_add_int(part, "working", s->queue.busy);
	json_add_int(part, "max_working", s->queue.limit);
	add_disk(s, answer, result);
	part = findings ? cJSON_Duplicate(findings, true) : cJSON_CreateArray();
	cJSON_AddItemToObject(result, "findings", part);
	if (!findings) /* not being able to look is a finding too */
		add_finding(
			part, "error", failure ? failure->text : "nothing could be looked at", "");
	if (checkpoint_trouble(&s->checkpoint, text, sizeof(text)))
		add_finding(part, "warning", text, CHECKPOINT_HINT);
	call_answer(c, result);
}

int call_health(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	_cleanup_json_ cJSON *question = cJSON_CreateObject();

	(void)params;
	(void)result;
	(void)e;
	if (c->s->webui_port)
		json_add_int(question, "port", c->s->webui_port);
	errand_run(c->s, "health", question, looked, c);
	return CALL_LATER;
}
