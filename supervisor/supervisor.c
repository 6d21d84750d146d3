#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "supervisor/call.h"
#include "supervisor/control.h"
#include "supervisor/lock.h"
#include "supervisor/store_backup.h"
#include "supervisor/tx.h"
#include "supervisor/workers.h"

static void look_at_disk(struct supervisor *s);
static void on_disk(uv_timer_t *t);

static void spawn(struct supervisor *s, struct member *m)
{
	struct agent_input in = {.event = AGENT_EXITED, .code = 111};

	if (m->heir)
		workers_go(m);
	else
		supervisor_happened(s, m, &in);
}

void supervisor_act(struct supervisor *s, struct member *m, unsigned todo)
{
	if (m->agent.process == PROCESS_NONE)
		workers_drop(m); /* the one before has ended, and none follows it now */
	if (todo & AGENT_DO_DEQUEUE)
		queue_remove(&s->queue, m->id);
	if (todo & AGENT_DO_ENQUEUE) {
		queue_push(&s->queue, m->id);
		supervisor_kick(s, 0);
	}
	if (todo & AGENT_DO_TERM) {
		workers_signal(m, SIGTERM);
		workers_signal(m, SIGCONT); /* a stopped process takes TERM only when it goes on */
	}
	if (todo & AGENT_DO_KILL)
		workers_signal(m, SIGKILL);
	if (todo & AGENT_DO_REMOVE)
		call_agent_remove(s, m);
	if (todo & AGENT_DO_SPAWN)
		spawn(s, m);
}

/* --- time and events of agents --- */

/* Its row lags behind: written now. */
static void save(struct supervisor *s, struct member *m)
{
	struct err e;

	if (tx_begin(s, true, &e) < 0)
		return;
	tx_touch(s, m);
	if (store_agent_pid(s->store, m->id, m->pid, m->pid_started, &e) < 0 ||
		(m->unsaved_reason && tx_state(s, m, m->unsaved_reason, &e) < 0)) {
		tx_rollback(s);
		return;
	}
	m->unsaved = false;
	if (tx_commit(s, &e) < 0)
		m->unsaved = true;
	else
		free(take_ptr(m->unsaved_reason));
}

static void timer_freed(uv_handle_t *h)
{
	free(h);
}

static void on_time(uv_timer_t *t)
{
	struct member *m = t->data;
	struct agent_input in = {.event = AGENT_TIME};

	if (m->unsaved)
		save(m->supervisor, m);
	/* On a full disk no worker is started: it could only end again. */
	if (m->supervisor->disk.full && m->agent.process == PROCESS_NONE && m->agent.deadline_ms) {
		m->agent.deadline_ms = clock_now_ms() + SUPERVISOR_RETRY_MS;
		supervisor_arm(m);
		return;
	}
	supervisor_happened(m->supervisor, m, &in);
}

void supervisor_arm(struct member *m)
{
	int64_t wait = m->agent.deadline_ms - clock_now_ms();

	if (m->unsaved && (m->agent.deadline_ms == 0 || wait > SUPERVISOR_RETRY_MS))
		wait = SUPERVISOR_RETRY_MS;
	else if (m->agent.deadline_ms == 0) {
		if (m->timer)
			uv_close((uv_handle_t *)m->timer, timer_freed);
		m->timer = NULL;
		return;
	}
	if (!m->timer) {
		m->timer = calloc(1, sizeof(*m->timer));
		if (!m->timer)
			err_out_of_memory();
		uv_timer_init(m->supervisor->loop, m->timer);
		m->timer->data = m;
	}
	uv_update_time(m->supervisor->loop);
	uv_timer_start(m->timer, on_time, wait > 0 ? (uint64_t)wait : 0, 0);
}

/* The disk refused: memory goes on alone. A worker is not started, though, before its
 * epoch is recorded. */
static void happen_unsaved(struct supervisor *s, struct member *m, const struct agent_input *in)
{
	char reason[LAUNCHER_REASON_BYTES];
	int64_t now = clock_now_ms();
	struct agent_todo t;

	if (in->event == AGENT_SLOT) {
		queue_push(&s->queue, m->id);
		supervisor_kick(s, SUPERVISOR_RETRY_MS);
		return;
	}
	if (in->event == AGENT_TIME && m->agent.process == PROCESS_NONE) {
		if (m->agent.deadline_ms) /* else nothing of it is due but its row */
			m->agent.deadline_ms = now + SUPERVISOR_RETRY_MS;
		supervisor_arm(m);
		return;
	}
	tx_touch(s, m);
	t = agent_step(&m->next, in, now);
	if (t.what & AGENT_DO_ILLEGAL) {
		tx_rollback(s);
		return;
	}
	m->todo = t.what & ~(unsigned)AGENT_DO_TELL_STOP;
	m->unsaved = true;
	tx_settle(s);
	if (t.what & AGENT_DO_STATE) {
		tx_reason(s, m, &t, reason);
		free(m->unsaved_reason);
		m->unsaved_reason = strdup(reason);
	}
}

/* What has changed is told to the workers, who pause or go on. */
static void look_at_disk(struct supervisor *s)
{
	if (!disk_look(&s->disk))
		return;
	polls_disk(s);
	uv_timer_start(&s->disk_timer, on_disk, DISK_EVERY_MS, DISK_EVERY_MS);
	if (!s->disk.full)
		supervisor_kick(s, 0);
}

static void on_disk(uv_timer_t *t)
{
	struct supervisor *s = t->data;

	look_at_disk(s);
	if (!s->disk.full && s->queue.busy == 0)
		uv_timer_stop(t); /* nobody writes much; who starts next looks first */
}

void supervisor_refused(struct supervisor *s, const char *what, const struct err *e)
{
	int64_t now = clock_now_ms();

	uv_timer_start(&s->disk_timer, on_disk, 0, DISK_EVERY_MS);
	if (s->refused_ms && now - s->refused_ms < SUPERVISOR_COMPLAIN_MS)
		return;
	s->refused_ms = now;
	log_error("%s: %s", what, e->text);
}

typedef int (*change_cb)(
	struct supervisor *s, struct member *m, const struct agent_input *in, struct err *e);

static void happened(
	struct supervisor *s, struct member *m, const struct agent_input *in, change_cb change)
{
	struct err e;

	if (tx_begin(s, true, &e) == 0) {
		if (change(s, m, in, &e) == 0 && tx_commit(s, &e) == 0)
			return;
		tx_rollback(s);
		if (e.kind == ERR_CONFLICT) {
			log_debug("agent=%lld %s", (long long)m->id, e.text);
			return;
		}
	}
	supervisor_refused(s, "states of agents not recorded, trying again", &e);
	happen_unsaved(s, m, in);
}

void supervisor_happened(struct supervisor *s, struct member *m, const struct agent_input *in)
{
	happened(s, m, in, tx_change);
}

/* Its worker has ended; the next one starts in the same transaction, if it is due. */
static int exited(
	struct supervisor *s, struct member *m, const struct agent_input *in, struct err *e)
{
	struct agent_input time = {.event = AGENT_TIME};

	if (tx_change(s, m, in, e) < 0)
		return -1;
	return !s->disk.full && agent_starts_now(&m->next, clock_now_ms())
		       ? tx_change(s, m, &time, e)
		       : 0;
}

void supervisor_exited(struct supervisor *s, struct member *m)
{
	struct agent_input in = {.event = AGENT_EXITED, .code = m->exit_code};

	if (m->exit_code != 0)
		look_at_disk(s);
	in.no_room = s->disk.full;
	happened(s, m, &in, exited);
	if (s->going_down)
		supervisor_down(s, false);
}

static void on_kick(uv_timer_t *t)
{
	struct supervisor *s = t->data;
	struct agent_input in = {.event = AGENT_SLOT};
	struct member *m;
	int64_t id = 0;
	int i;

	look_at_disk(s);
	if (!uv_is_active((uv_handle_t *)&s->disk_timer))
		uv_timer_start(&s->disk_timer, on_disk, DISK_EVERY_MS, DISK_EVERY_MS);
	if (s->disk.full)
		return;
	for (i = 0; i < SUPERVISOR_STARTS_AT_ONCE && !s->going_down; i++) {
		id = queue_next(&s->queue);
		m = id ? fleet_find(&s->fleet, id) : NULL;
		if (!id)
			return;
		if (m)
			supervisor_happened(s, m, &in);
	}
	if (!s->going_down)
		supervisor_kick(s, 0);
}

void supervisor_kick(struct supervisor *s, int64_t delay_ms)
{
	if (!uv_is_active((uv_handle_t *)&s->kick_timer) || delay_ms > 0)
		uv_timer_start(&s->kick_timer, on_kick, (uint64_t)delay_ms, 0);
}

/* --- start and end --- */

static void load_row(void *arg, const struct store_agent_row *row)
{
	struct supervisor *s = arg;
	struct member *m = fleet_add(&s->fleet, row->id);

	m->supervisor = s;
	m->task = row->task;
	m->epoch = row->epoch;
	m->committed = m->batched = row->committed_seq;
	m->command_done = row->command_done;
	m->command_last = row->command_last;
	m->pid = (int)row->pid;
	m->pid_started = row->pid_started;
	m->ended_ms = row->ended_at;
	m->packed = row->packed;
	m->segments = row->segments;
	m->workspace = row->workspace;
	m->found_stopping = row->stopping;
	m->agent.state = agent_state_parse(row->state);
	if (m->agent.state == AGENT_STATE_COUNT) /* of a program that is not ours */
		m->agent.state = AGENT_FAILED;
	s->fleet.count[AGENT_QUEUED]--;
	s->fleet.count[m->agent.state]++;
	if (agent_state_busy(m->agent.state))
		queue_busy(&s->queue, 1);
}

/* Agents of which processes were found at the start, each once. */
struct left {
	int64_t *agents;
	size_t n;
};

static bool left_behind(const struct left *left, int64_t agent)
{
	size_t i = 0;

	while (i < left->n && left->agents[i] != agent)
		i++;
	return i < left->n;
}

static void on_left(void *arg, int64_t agent, int pid)
{
	struct left *left = arg;

	(void)pid;
	if (left_behind(left, agent))
		return;
	left->agents = realloc(left->agents, (left->n + 1) * sizeof(*left->agents));
	if (!left->agents)
		err_out_of_memory();
	left->agents[left->n++] = agent;
}

static void nobody_left(void *arg)
{
	(void)arg;
}

/* What a worker left that was killed together with the supervisor before. */
static void sweep_left(struct supervisor *s, const struct left *left)
{
	struct member *m;

	for (size_t i = 0; i < left->n; i++) {
		m = fleet_find(&s->fleet, left->agents[i]);
		if (m && m->watch)
			continue; /* its worker lives */
		log_info("agent=%lld left processes behind", (long long)left->agents[i]);
		if (m)
			m->exit_code = AGENT_CODE_UNKNOWN;
		if (m)
			workers_sweep(m);
		else
			sweep_agent(s->sweeper, left->agents[i], NULL, nobody_left, NULL);
	}
}

static int take_up_left(struct supervisor *s, const struct left *left, struct err *e)
{
	struct member *m;
	int64_t started;
	size_t i;
	bool alive;
	int pid;

	if (store_agents_load(s->store, load_row, s, e) < 0 || tx_begin(s, true, e) < 0)
		return -1;
	/* Also the proof, before anything else, that the disk takes a write. */
	if (hourly_purge(s, e) < 0) {
		tx_rollback(s);
		return -1;
	}
	for (i = 0; i < s->fleet.n; i++) {
		m = s->fleet.members[i];
		pid = m->pid;
		started = m->pid_started;
		m->pid = 0;
		/* One that left something behind counts as running until that is gone. */
		alive = workers_adopt(m, pid, started) || left_behind(left, m->id);
		if (tx_load(s, m, alive, e) < 0) {
			tx_rollback(s);
			return -1;
		}
	}
	crash_point(CRASH_SUPERVISOR_ADOPTED);
	if (tx_commit(s, e) < 0)
		return -1;
	sweep_left(s, left);
	return 0;
}

static int take_up(struct supervisor *s, struct err *e)
{
	struct left left = {0};
	int done;

	sweep_look(s->paths.state_dir, on_left, &left);
	cgroup_look(sweeper_cgroup(s->sweeper), on_left, &left);
	done = take_up_left(s, &left, e);
	free(left.agents);
	return done;
}

static void on_down(uv_timer_t *t)
{
	uv_stop(t->loop);
}

void supervisor_down(struct supervisor *s, bool keep_agents)
{
	struct agent_input in = {.event = AGENT_SUSPEND};
	struct member *m;
	bool any = false;
	size_t i;

	if (!s->going_down) {
		log_info("going down%s", keep_agents ? ", the agents go on" : "");
		heartbeat_stopping(&s->heartbeat);
	}
	for (i = 0; i < s->fleet.n && !keep_agents; i++) {
		m = s->fleet.members[i];
		if (!s->going_down)
			supervisor_happened(s, m, &in);
		any = any || m->agent.process != PROCESS_NONE;
	}
	s->going_down = true;
	crash_point(CRASH_SUPERVISOR_DOWN_BEGIN);
	if (!any && !uv_is_active((uv_handle_t *)&s->down_timer))
		uv_timer_start(&s->down_timer, on_down, SUPERVISOR_LINGER_MS, 0);
}

static void on_signal(uv_signal_t *h, int signal)
{
	if (signal != SIGHUP)
		supervisor_down(h->data, false);
}

static void on_frame(void *arg, const char *frame, size_t n)
{
	struct supervisor *s = arg;

	if (ingest_frame(s, frame, n) < 0)
		bus_sub_refuse(s->ingest_sub);
}

static void on_drained(void *arg)
{
	ingest_commit(arg);
}

static int open_sockets(struct supervisor *s, struct err *e)
{
	char url[PATHS_MAX];

	s->events_pub = bus_pub_listen(paths_events_url(&s->paths, url), e);
	if (!s->events_pub)
		return -1;
	s->ingest_sub = bus_sub_listen(s->loop, paths_ingest_url(&s->paths, url), on_frame, s, e);
	if (!s->ingest_sub)
		return -1;
	bus_sub_on_drained(s->ingest_sub, on_drained);
	return 0;
}

static void timer(struct supervisor *s, uv_timer_t *t)
{
	uv_timer_init(s->loop, t);
	t->data = s;
}

/* Each agent takes three sockets and a process. */
static void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int start(struct supervisor *s, struct err *e)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	char path[PATHS_MAX];
	int i;

	raise_limits();
	signal(SIGPIPE, SIG_IGN);
	/* What a killed worker leaves behind becomes ours, and ends with it. */
	if (child_subreaper(e) < 0)
		return -1;
	timer(s, &s->kick_timer);
	timer(s, &s->down_timer);
	timer(s, &s->disk_timer);
	if (disk_open(&s->disk, s->paths.state_dir, e) < 0)
		return -1;
	s->sweeper = sweeper_new(s->loop, &s->paths);
	s->launcher = launcher_new(s->loop, &s->paths, e);
	if (!s->launcher)
		return -1;
	if (backup_check(paths_store(&s->paths, path), e) < 0)
		return -1;
	s->store = store_open(path, e);
	if (!s->store || supervisor_configure(s, e) < 0)
		return -1;
	crash_point(CRASH_SUPERVISOR_STORE_OPEN);
	checkpoint_init(&s->checkpoint, path, s->store);
	backup_init(&s->backup, path);
	s->last_event = store_last_event(s->store);
	if (open_sockets(s, e) < 0 || take_up(s, e) < 0)
		return -1;
	crash_point(CRASH_SUPERVISOR_TAKEN_UP);
	/* Asked last, so that who gets an answer finds everything in place. */
	s->control_rep =
		bus_rep_listen(s->loop, paths_control_url(&s->paths, path), control_request, s, e);
	if (!s->control_rep)
		return -1;
	for (i = 0; i < 3; i++) {
		uv_signal_init(s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, signals[i]);
	}
	pulse_start(s);
	uv_timer_start(&s->disk_timer, on_disk, DISK_EVERY_MS, DISK_EVERY_MS);
	keeper_init(s);
	hourly_start(s);
	return 0;
}

static int put_backup(const struct paths *p, struct err *e)
{
	char path[PATHS_MAX], kept[PATHS_MAX];

	if (store_backup_restore(paths_store(p, path), kept, e) < 0)
		return -1;
	log_warn("the newest good copy of the store is in place; the damaged one is %s", kept);
	return 0;
}

/* Ours as long as the lock is held, which is until the process ends. */
static void remove_sockets(const struct supervisor *s)
{
	static const char *(*const urls[])(const struct paths *, char *) = {
		paths_control_url, paths_events_url, paths_ingest_url};
	char url[PATHS_MAX];

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		unlink(urls[i](&s->paths, url) + strlen("ipc://"));
}

int supervisor_run(const struct paths *p, bool restore_backup, struct err *e)
{
	struct supervisor *s = calloc(1, sizeof(*s));
	int lock;

	if (!s)
		err_out_of_memory();
	s->paths = *p;
	s->loop = uv_default_loop();
	s->started_ms = clock_now_ms();
	if (!s->loop) {
		free(s);
		return err_set(e, ERR_SYS,
			"no event loop: the system gives no more descriptors or memory");
	}
	heartbeat_init(&s->heartbeat);
	lock = lock_take(p, e);
	if (lock >= 0)
		crash_point(CRASH_SUPERVISOR_LOCKED);
	if (lock < 0 || (restore_backup && put_backup(p, e) < 0) || start(s, e) < 0) {
		store_close(s->store);
		free(s);
		return -1;
	}
	crash_point(CRASH_SUPERVISOR_READY);
	log_info("ready: %s, %zu agents, at most %d at work", s->paths.state_dir, s->fleet.n,
		s->queue.limit);
	heartbeat_ready(&s->heartbeat, s->loop);
	uv_run(s->loop, UV_RUN_DEFAULT);
	remove_sockets(s);
	crash_point(CRASH_SUPERVISOR_DOWN_END);
	store_close(s->store);
	launcher_free(s->launcher);
	sweeper_free(s->sweeper);
	queue_clear(&s->queue);
	fleet_clear(&s->fleet);
	outbox_clear(&s->outbox);
	outbox_clear(&s->ingest.batch);
	free(s);
	log_info("ended");
	return 0;
}
