#include "supervisor/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/log.h"

#define ENVIRONMENT_STEP (64 * 1024)
#define ENVIRONMENT_MAX (8 * 1024 * 1024) /* above the kernel's own limit for an exec */

/* --- looking, on any thread --- */

int64_t sweep_agent_of(const char *environment, size_t n, const char *state_dir)
{
	const char *entry = environment, *end = environment + n, *nul;
	size_t mark = strlen(SWEEP_MARK), dir = strlen(state_dir);

	for (; entry < end; entry = nul + 1) {
		nul = memchr(entry, '\0', (size_t)(end - entry));
		if (!nul)
			return 0;
		if ((size_t)(nul - entry) > mark + 1 + dir + 1 &&
			memcmp(entry, SWEEP_MARK "=", mark + 1) == 0 &&
			memcmp(entry + mark + 1, state_dir, dir) == 0 &&
			entry[mark + 1 + dir] == '/') {
			const char *digits = entry + mark + 1 + dir + 1;
			char *rest;
			long long agent = strtoll(digits, &rest, 10);

			return rest == nul && agent > 0 ? agent : 0;
		}
	}
	return 0;
}

struct scratch {
	char *data;
	size_t size;
};

/* The agent whose mark a process carries; 0: none, or it is dead. */
static int64_t marked(int proc, const char *pid, const char *state_dir, struct scratch *b)
{
	char path[64];
	size_t n = 0;
	ssize_t got;
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%.16s/environ", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	for (;;) {
		if (n == b->size) {
			if (b->size >= ENVIRONMENT_MAX)
				break;
			b->size = b->size ? b->size * 2 : ENVIRONMENT_STEP;
			b->data = realloc(b->data, b->size);
			if (!b->data)
				err_out_of_memory();
		}
		got = read(fd, b->data + n, b->size - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return n > 0 ? sweep_agent_of(b->data, n, state_dir) : 0;
}

typedef void (*found_cb)(
	void *arg, int64_t agent, int pid, int proc, const char *name, struct scratch *b);

static void look(const char *state_dir, found_cb found, void *arg)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	struct scratch b = {0};
	struct dirent *entry;
	int64_t agent;
	int pid;

	while (dir && (entry = readdir(dir))) {
		pid = atoi(entry->d_name);
		if (pid <= 1 || pid == getpid())
			continue;
		agent = marked(dirfd(dir), entry->d_name, state_dir, &b);
		if (agent)
			found(arg, agent, pid, dirfd(dir), entry->d_name, &b);
	}
	free(b.data);
}

struct start_look {
	void (*found)(void *arg, int64_t agent, int pid);
	void *arg;
};

static void tell_found(
	void *arg, int64_t agent, int pid, int proc, const char *name, struct scratch *b)
{
	struct start_look *l = arg;

	(void)proc;
	(void)name;
	(void)b;
	l->found(l->arg, agent, pid);
}

void sweep_look(const char *state_dir, void (*found)(void *arg, int64_t agent, int pid), void *arg)
{
	struct start_look l = {.found = found, .arg = arg};

	look(state_dir, tell_found, &l);
}

/* --- sweeping --- */

struct target {
	struct sweep *sweep;
	uv_poll_t poll;
	int fd; /* pidfd */
};

struct sweep {
	struct sweeper *sweeper;
	struct sweep *next;
	int64_t agent;
	void (*done)(void *arg);
	void *arg;
	const int *spare;
	int64_t asked_ms; /* when TERM was sent; 0: not yet */
	int64_t told_ms;  /* when it was last told that something does not end */
	struct target *targets;
	int targets_n, alive, handles;
	uv_timer_t timer;
	bool nested; /* groups inside its group hold processes */
	bool again;
};

struct found {
	int64_t agent;
	int pid, fd;
};

struct sweeper {
	uv_loop_t *loop;
	char state_dir[PATHS_MAX];
	struct cgroup cgroup;
	struct sweep *waiting; /* for the next look */
	struct sweep *looked;  /* those the look under way is for */
	struct found found[SWEEP_FOUND_MAX];
	size_t n;
	uv_work_t work;
	bool busy;
};

struct sweeper *sweeper_new(uv_loop_t *loop, const struct paths *p)
{
	struct sweeper *s = calloc(1, sizeof(*s));

	if (!s)
		err_out_of_memory();
	s->loop = loop;
	snprintf(s->state_dir, sizeof(s->state_dir), "%s", p->state_dir);
	cgroup_find(&s->cgroup, p->state_dir);
	return s;
}

void sweeper_free(struct sweeper *s)
{
	if (s && !s->busy && !s->waiting)
		free(s);
}

const struct cgroup *sweeper_cgroup(const struct sweeper *s)
{
	return &s->cgroup;
}

static bool looked_for(const struct sweeper *s, int64_t agent)
{
	const struct sweep *w = s->looked;

	while (w && w->agent != agent)
		w = w->next;
	return w != NULL;
}

static void keep(struct sweeper *s, int64_t agent, int pid, int fd)
{
	s->found[s->n++] = (struct found){.agent = agent, .pid = pid, .fd = fd};
}

static int open_pid(int pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void take_marked(
	void *arg, int64_t agent, int pid, int proc, const char *name, struct scratch *b)
{
	struct sweeper *s = arg;
	int fd;

	if (s->n == SWEEP_FOUND_MAX || !looked_for(s, agent))
		return;
	fd = open_pid(pid);
	if (fd < 0)
		return;
	/* Read again behind the open: the descriptor is of this process, not of a new one
	 * under the same number. */
	if (marked(proc, name, s->state_dir, b) == agent)
		keep(s, agent, pid, fd);
	else
		close(fd);
}

static void take_grouped(struct sweeper *s, struct sweep *w)
{
	int pids[CGROUP_LIST_MAX];
	size_t i, k, n = cgroup_list(&s->cgroup, w->agent, pids, CGROUP_LIST_MAX);

	w->nested = cgroup_populated(&s->cgroup, w->agent);
	for (i = 0; i < n && s->n < SWEEP_FOUND_MAX; i++) {
		int fd;

		for (k = 0; k < s->n && s->found[k].pid != pids[i]; k++)
			;
		fd = k == s->n ? open_pid(pids[i]) : -1;
		if (fd < 0)
			continue;
		if (cgroup_holds(&s->cgroup, w->agent, pids[i]))
			keep(s, w->agent, pids[i], fd);
		else
			close(fd);
	}
}

static void on_look(uv_work_t *work)
{
	struct sweeper *s = work->data;
	struct sweep *w;

	s->n = 0;
	look(s->state_dir, take_marked, s);
	for (w = s->looked; w; w = w->next)
		take_grouped(s, w);
}

static void consider(struct sweeper *s);

static void wait_for_look(struct sweep *w)
{
	w->next = w->sweeper->waiting;
	w->sweeper->waiting = w;
	consider(w->sweeper);
}

/* All handles of the round are closed: the next look, or the end. */
static void handle_closed(struct sweep *w)
{
	if (--w->handles > 0)
		return;
	free(w->targets);
	w->targets = NULL;
	wait_for_look(w);
}

static void target_closed(uv_handle_t *h)
{
	struct target *t = h->data;

	close(t->fd);
	handle_closed(t->sweep);
}

static void timer_closed(uv_handle_t *h)
{
	handle_closed(h->data);
}

static void round_over(struct sweep *w)
{
	if (w->again)
		return;
	w->again = true;
	for (int i = 0; i < w->targets_n; i++) {
		if (!uv_is_closing((uv_handle_t *)&w->targets[i].poll))
			uv_close((uv_handle_t *)&w->targets[i].poll, target_closed);
	}
	uv_close((uv_handle_t *)&w->timer, timer_closed);
}

static void on_target_dead(uv_poll_t *p, int status, int events)
{
	struct target *t = p->data;
	struct sweep *w = t->sweep;

	(void)status;
	(void)events;
	uv_close((uv_handle_t *)p, target_closed);
	if (--w->alive == 0 && !w->nested)
		round_over(w);
}

static void on_round_time(uv_timer_t *t)
{
	round_over(t->data);
}

static void send_signal(int fd, int signal)
{
	syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
}

static void watch(struct sweep *w, int fd)
{
	struct target *t = &w->targets[w->targets_n++];

	t->sweep = w;
	t->fd = fd;
	t->poll.data = t;
	uv_poll_init(w->sweeper->loop, &t->poll, fd);
	uv_poll_start(&t->poll, UV_READABLE, on_target_dead);
	w->alive++;
	w->handles++;
}

static bool meant(const struct sweep *w, const struct found *f)
{
	return f->agent == w->agent && !(w->spare && *w->spare == f->pid);
}

/* Something is left: ask it to end, or kill it, and look again when it is gone. */
static void strike(struct sweep *w, int n)
{
	struct sweeper *s = w->sweeper;
	int64_t now = clock_now_ms(), wait = SWEEP_AGAIN_MS;
	bool first = w->asked_ms == 0, deadly = !first && now - w->asked_ms >= SWEEP_GRACE_MS;

	if (first)
		w->asked_ms = now;
	if (!deadly)
		wait = w->asked_ms + SWEEP_GRACE_MS - now;
	if (first || (deadly && now - w->told_ms >= SWEEP_GRACE_MS)) {
		w->told_ms = now;
		log_warn("agent=%lld %d processes outlived its worker and are %s",
			(long long)w->agent, n, deadly ? "killed" : "asked to end");
	}
	w->targets = calloc((size_t)n + 1, sizeof(*w->targets));
	if (!w->targets)
		err_out_of_memory();
	w->targets_n = w->alive = 0;
	w->again = false;
	uv_timer_init(s->loop, &w->timer);
	w->timer.data = w;
	w->handles = 1;
	for (size_t i = 0; i < s->n; i++) {
		struct found *f = &s->found[i];

		if (!meant(w, f))
			continue;
		log_debug("agent=%lld pid=%d outlived its worker", (long long)w->agent, f->pid);
		send_signal(f->fd, deadly ? SIGKILL : SIGTERM);
		/* A stopped process takes TERM only when it goes on. */
		send_signal(f->fd, SIGCONT);
		watch(w, f->fd);
	}
	if (deadly)
		cgroup_kill(&s->cgroup, w->agent);
	uv_timer_start(&w->timer, on_round_time, (uint64_t)(wait > 0 ? wait : 1), 0);
}

static void on_looked(uv_work_t *work, int status)
{
	struct sweeper *s = work->data;
	struct sweep *w = s->looked, *next;
	size_t i;
	int n;

	(void)status;
	s->looked = NULL;
	for (; w; w = next) {
		next = w->next;
		for (n = 0, i = 0; i < s->n; i++)
			n += meant(w, &s->found[i]);
		if (n > 0 || w->nested) {
			strike(w, n);
			continue;
		}
		cgroup_remove(&s->cgroup, w->agent);
		w->done(w->arg);
		free(w);
	}
	s->busy = false; /* found is free again */
	consider(s);
}

static void consider(struct sweeper *s)
{
	if (s->busy || !s->waiting)
		return;
	s->busy = true;
	s->looked = s->waiting;
	s->waiting = NULL;
	s->work.data = s;
	uv_queue_work(s->loop, &s->work, on_look, on_looked);
}

bool sweep_empty(struct sweeper *s, int64_t agent)
{
	int pid;

	if (cgroup_list(&s->cgroup, agent, &pid, 1) > 0 || cgroup_populated(&s->cgroup, agent))
		return false;
	cgroup_remove(&s->cgroup, agent);
	return true;
}

void sweep_agent(
	struct sweeper *s, int64_t agent, const int *spare, void (*done)(void *arg), void *arg)
{
	struct sweep *w = calloc(1, sizeof(*w));

	if (!w)
		err_out_of_memory();
	w->sweeper = s;
	w->agent = agent;
	w->spare = spare;
	w->done = done;
	w->arg = arg;
	wait_for_look(w);
}
