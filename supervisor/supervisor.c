#include "supervisor/supervisor.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shared/boot.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/log.h"
#include "supervisor/control.h"
#include "supervisor/lock.h"
#include "supervisor/store_backup.h"
#include "supervisor/takeup.h"

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

/* A machine that went down without warning takes the newest output with it (it is committed
 * without waiting for the disk), and somebody may have seen that. Its ids are not given to
 * what comes now: whoever goes on from the last id that he saw misses nothing. */
static int skip_lost(struct supervisor *s, struct err *e)
{
	char path[PATHS_MAX];
	bool again = boot_again(paths_boot(&s->paths, path));

	if (again && store_events_skip(s->store, e) < 0)
		return -1;
	if (again)
		log_info("the machine was started anew since; events go on 1,000,000 ids later");
	/* Without it the next start skips some once more, or none: told, and no more. */
	if (boot_remember(path, e) < 0)
		log_warn("%s", e->text);
	return 0;
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
	if (!s->store || skip_lost(s, e) < 0 || supervisor_configure(s, e) < 0)
		return -1;
	crash_point(CRASH_SUPERVISOR_STORE_OPEN);
	checkpoint_init(&s->checkpoint, path, s->store);
	backup_init(&s->backup, path);
	s->last_event = store_last_event(s->store);
	if (open_sockets(s, e) < 0 || takeup(s, e) < 0)
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
	supervisor_watch_disk(s, DISK_EVERY_MS);
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
