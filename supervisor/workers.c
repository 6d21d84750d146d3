#include "supervisor/workers.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "supervisor/supervisor.h"
#include "supervisor/tx.h"

/* A worker that is our child. */
struct run {
	struct member *member; /* NULL: nobody asks how it ends */
	struct child *child;
	int64_t epoch, started;
};

/* A worker of an earlier supervisor: not our child, watched by its pidfd. */
struct watch {
	struct member *member;
	uv_poll_t poll;
	int fd;
};

/* --- the end --- */

/* Nothing of it lives any more: only now it has ended, and may be started again. */
static void swept(void *arg)
{
	struct member *m = arg;

	m->exit_pid = m->pid;
	m->pid = 0;
	m->pid_started = 0;
	supervisor_exited(m->supervisor, m);
}

void workers_sweep(struct member *m)
{
	sweep_agent(m->supervisor->sweeper, m->id, &m->heir_pid, swept, m);
}

/* child: it was ours, and what it left became ours. */
static void ended(struct member *m, int code, bool child)
{
	/* Whatever it left behind in its group goes with it. */
	if (m->pid > 1)
		kill(-m->pid, SIGKILL);
	if (code == AGENT_CODE_UNKNOWN)
		log_info("agent=%lld adopted worker pid=%d ended", (long long)m->id, m->pid);
	else
		log_info("agent=%lld worker pid=%d ended code=%d", (long long)m->id, m->pid, code);
	m->exit_code = code;
	crash_point(CRASH_WORKER_EXITED);
	if (child && child_no_strays() && sweep_empty(m->supervisor->sweeper, m->id))
		swept(m);
	else
		workers_sweep(m);
}

/* The next one is started at once, if one will be. */
static void run_exited(void *arg, int code)
{
	const struct run *r = arg;
	struct member *m = r->member;
	int64_t now = clock_now_ms();

	if (m && m->child == r && !m->supervisor->disk.full && !m->supervisor->going_down &&
		agent_succeeds(&m->agent, code, now))
		workers_prepare(m, m->epoch + 1);
}

static void run_done(void *arg, int code)
{
	struct run *r = arg;
	struct member *m = r->member;

	if (m && m->heir == r) {
		log_warn("agent=%lld worker pid=%d ended before it began: code=%d",
			(long long)m->id, m->heir_pid, code);
		m->heir = NULL;
		m->heir_pid = 0;
	} else if (m && m->child == r) {
		m->child = NULL;
		ended(m, code, true);
	}
	free(r);
}

static void watch_freed(uv_handle_t *h)
{
	struct watch *w = h->data;

	close(w->fd);
	free(w);
}

static void watch_ready(uv_poll_t *p, int status, int events)
{
	struct watch *w = p->data;
	struct member *m = w->member;

	(void)status;
	(void)events;
	m->watch = NULL;
	uv_close((uv_handle_t *)&w->poll, watch_freed);
	ended(m, AGENT_CODE_UNKNOWN, false);
}

/* --- the start --- */

bool workers_prepare(struct member *m, int64_t epoch)
{
	static const struct child_events on = {.exited = run_exited, .done = run_done};
	struct run *r;
	struct err e;

	if (m->heir && m->heir->epoch == epoch)
		return true;
	workers_drop(m);
	r = calloc(1, sizeof(*r));
	if (!r)
		err_out_of_memory();
	crash_point(CRASH_WORKER_SPAWN_BEFORE);
	r->child = launcher_start(m->supervisor->launcher, m->id, epoch, &on, r, &e);
	if (!r->child) {
		log_error("agent=%lld worker not started: %s", (long long)m->id, e.text);
		free(r);
		return false;
	}
	crash_point(CRASH_WORKER_SPAWN_AFTER);
	r->member = m;
	r->epoch = epoch;
	m->heir = r;
	m->heir_pid = child_pid(r->child);
	r->started = process_started(m->heir_pid);
	return true;
}

void workers_go(struct member *m)
{
	struct run *r = m->heir;

	m->heir = NULL;
	m->heir_pid = 0;
	m->child = r;
	m->pid = child_pid(r->child);
	m->pid_started = r->started;
	m->heard_ms = clock_now_ms();
	cgroup_add(sweeper_cgroup(m->supervisor->sweeper), m->id, m->pid,
		json_int(m->supervisor->general, "agent_processes", 0));
	launcher_go(r->child);
	log_info("agent=%lld worker pid=%d epoch=%lld started", (long long)m->id, m->pid,
		(long long)m->epoch);
	crash_point(CRASH_WORKER_PID_RECORDED);
}

void workers_drop(struct member *m)
{
	struct run *r = m->heir;

	if (!r)
		return;
	m->heir = NULL;
	m->heir_pid = 0;
	r->member = NULL;
	child_end(r->child, 0);
}

int64_t workers_heir_started(const struct member *m)
{
	return m->heir ? m->heir->started : 0;
}

bool workers_adopt(struct member *m, int pid, int64_t started)
{
	struct watch *w;
	int fd;

	if (pid <= 1 || started == 0)
		return false;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return false;
	if (process_started(pid) != started) { /* asked after the open: the fd is of this one */
		close(fd);
		return false;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	w = calloc(1, sizeof(*w));
	if (!w)
		err_out_of_memory();
	w->member = m;
	w->fd = fd;
	w->poll.data = w;
	uv_poll_init(m->supervisor->loop, &w->poll, fd);
	uv_poll_start(&w->poll, UV_READABLE, watch_ready);
	m->watch = w;
	m->heard_ms = clock_now_ms();
	m->pid = pid;
	m->pid_started = started;
	return true;
}

void workers_signal(struct member *m, int signal)
{
	if (m->child)
		child_signal(m->child->child, signal);
	else if (m->watch && m->pid > 1)
		kill(-m->pid, signal);
}
