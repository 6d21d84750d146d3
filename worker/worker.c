#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "shared/child.h"
#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"

/* --- doing what the policy decides --- */

int worker_save(struct worker *w, bool sync)
{
	struct err e;

	if (session_save(&w->session, sync, &e) == 0)
		return 0;
	log_error("agent=%lld session: %s", (long long)w->agent, e.text);
	return -1;
}

static void on_policy_timer(uv_timer_t *t)
{
	worker_event(t->data, MANAGER_EV_TICK, NULL);
}

static void set_policy_timer(struct worker *w)
{
	int64_t now = clock_now_ms(), due = manager_deadline(&w->session.manager, now);

	uv_timer_stop(&w->policy_timer);
	if (due >= 0)
		uv_timer_start(&w->policy_timer, on_policy_timer,
			(uint64_t)(due > now ? due - now : 0), 0);
}

/* Another worker follows: this one ends as soon as no turn and no finishing is under way.
 * A question to the model is asked again by the other. */
static void retire_if_free(struct worker *w)
{
	if (!w->retiring || w->quitting || w->finish || (w->acp && acp_busy(w->acp)))
		return;
	log_info("agent=%lld gives way to a worker of another version", (long long)w->agent);
	w->suspended = true;
	turn_flush(w);
	worker_save(w, true);
	worker_quit(w, 0);
}

void worker_step(struct worker *w, const struct manager_event *ev)
{
	unsigned todo;

	if (w->quitting)
		return;
	todo = manager_step(&w->session.manager, ev, clock_now_ms());
	if (todo & DO_ILLEGAL) {
		log_debug("agent=%lld event %d does not fit the state %s", (long long)w->agent,
			ev->kind, w->state);
		return;
	}
	if (w->session.manager.phase != MANAGER_ASKING && w->session.manager.phase != MANAGER_TURN)
		w->ready_ns = 0; /* what follows is no idle time of ours */
	if (todo & DO_CANCEL_ASK)
		ask_cancel(w);
	if (todo & DO_CANCEL_TURN)
		coder_cancel_turn(w);
	if (todo & DO_CANCEL_FINISH)
		finish_cancel(w);
	if (todo & DO_END) {
		w->ending = true;
		worker_quit(w, 0);
		return;
	}
	worker_tell_state(w);
	if (todo & DO_ASK)
		ask_start(w);
	else if (todo & DO_PROMPT)
		turn_prompt(w);
	if (w->quitting)
		return;
	if (todo & DO_FINISH)
		finish_start(w);
	set_policy_timer(w);
	if (!(todo & DO_PROMPT)) /* which has saved before it was sent */
		worker_save(w, false);
	retire_if_free(w);
}

void worker_event(struct worker *w, enum manager_event_kind kind, const char *reason)
{
	struct manager_event ev = {.kind = kind, .reason = reason, .delay_ms = -1};

	worker_step(w, &ev);
}

/* --- the wire and the lock --- */

static void on_drained(void *arg)
{
	worker_maybe_exit(arg);
}

static void on_disk_timer(uv_timer_t *t)
{
	struct worker *w = t->data;
	bool full = w->disk_full || w->told_full;

	worker_event(w, full ? MANAGER_EV_FULL : MANAGER_EV_ROOM, w->disk_reason);
}

/* Not at once: it may come out of the middle of a step. */
static void consider_disk(struct worker *w, const char *why)
{
	if (*why)
		snprintf(w->disk_reason, sizeof w->disk_reason, "%s", why);
	uv_timer_start(&w->disk_timer, on_disk_timer, 0, 0);
}

static void on_disk(void *arg, const char *full)
{
	struct worker *w = arg;

	w->told_full = *full != '\0';
	consider_disk(w, full);
}

/* A state or a diff may be among what is lost. */
static void on_lost(void *arg)
{
	struct worker *w = arg;

	w->state[0] = '\0';
	w->told_fingerprint = 0;
	if (w->quitting) {
		ending_tell_again(w);
		return;
	}
	worker_tell_state(w);
	if (w->tree && w->acp)
		worker_look(w);
}

static void on_alone(void *arg, bool alone)
{
	struct worker *w = arg;

	worker_event(w, alone ? MANAGER_EV_ALONE : MANAGER_EV_JOINED, NULL);
}

static void on_retire(void *arg)
{
	struct worker *w = arg;

	if (w->retiring)
		return;
	log_warn("agent=%lld the supervisor speaks another version of the protocol",
		(long long)w->agent);
	w->retiring = true;
	worker_event(w, MANAGER_EV_RETIRE, NULL);
}

static void on_blocked(void *arg, bool blocked, const struct err *why)
{
	struct worker *w = arg;
	char reason[MANAGER_REASON_BYTES];

	w->disk_full = blocked && why->kind == ERR_SYS;
	w->blocked = blocked;
	if (w->acp)
		acp_pause_output(w->acp, blocked);
	finish_pause_output(w, blocked);
	if (!blocked)
		worker_trouble(w, "disk", "events could not be written for a while",
			"free some space in the state directory", -1);
	else
		log_error("agent=%lld %s", (long long)w->agent, why->text);
	if (w->disk_full)
		snprintf(reason, sizeof reason, "disk full: %.400s", why->text);
	else
		reason[0] = '\0';
	consider_disk(w, reason);
}

static void on_refused(void *arg, const struct err *why)
{
	struct worker *w = arg;
	bool temporary = why->kind == ERR_SYS || why->kind == ERR_UNAVAILABLE ||
			 why->kind == ERR_INTERNAL || why->kind == ERR_LIMIT;

	log_warn("agent=%lld epoch=%lld %s", (long long)w->agent, (long long)w->epoch, why->text);
	worker_quit(w, temporary ? WORKER_EXIT_TEMPORARY : WORKER_EXIT_PERMANENT);
}

static void on_lock_work(uv_work_t *work)
{
	struct worker *w = work->data;

	while (flock(w->lock_fd, LOCK_EX) < 0 && errno == EINTR)
		;
}

static void on_locked(uv_work_t *work, int status)
{
	static const struct link_handler handler = {.hello = start_on_hello,
		.command = command_came,
		.drained = on_drained,
		.blocked = on_blocked,
		.disk = on_disk,
		.lost = on_lost,
		.alone = on_alone,
		.retire = on_retire,
		.refused = on_refused};
	struct worker *w = work->data;
	char text[32];
	struct err e;
	ssize_t n;

	(void)status;
	uv_timer_stop(&w->end_timer);
	crash_point(CRASH_WORKER_LOCKED);
	if (w->quitting)
		return;
	n = pread(w->lock_fd, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	if (strtoll(text, NULL, 10) > w->epoch) {
		log_warn("agent=%lld epoch %lld was replaced by epoch %s", (long long)w->agent,
			(long long)w->epoch, text);
		worker_quit(w, WORKER_EXIT_PERMANENT);
		return;
	}
	n = snprintf(text, sizeof text, "%lld", (long long)w->epoch);
	if (ftruncate(w->lock_fd, 0) < 0 || pwrite(w->lock_fd, text, (size_t)n, 0) < n)
		log_warn("agent=%lld lock file: %s", (long long)w->agent, strerror(errno));
	if (session_open(&w->session, w->session_dir, &e) == 0)
		w->link = link_new(w->loop, &w->paths, w->agent, w->epoch, &handler, w, &e);
	if (!w->link) {
		log_error("agent=%lld %s", (long long)w->agent, e.text);
		worker_quit(w, WORKER_EXIT_TEMPORARY);
		return;
	}
	link_start(w->link, w->session.command);
}

static void on_lock_late(uv_timer_t *t)
{
	struct worker *w = t->data;

	log_error("agent=%lld an older worker holds the workspace and does not end",
		(long long)w->agent);
	_exit(WORKER_EXIT_TEMPORARY);
}

static int take_lock(struct worker *w, struct err *e)
{
	char folder[PATHS_MAX], path[PATHS_MAX];

	if (paths_mkdirs(paths_agent(&w->paths, w->agent, "", folder), 0700, e) < 0)
		return -1;
	paths_agent(&w->paths, w->agent, "lock", path);
	w->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->lock_fd < 0)
		return err_errno(e, "open %s", path);
	uv_timer_start(&w->end_timer, on_lock_late, WORKER_LOCK_MS, 0);
	w->lock_work.data = w;
	uv_queue_work(w->loop, &w->lock_work, on_lock_work, on_locked);
	return 0;
}

static int open_world(struct worker *w, struct err *e)
{
	char env_file[PATHS_MAX + 8], prices[PATHS_MAX + 16], pace[PATHS_MAX + 16];
	const char *token;

	snprintf(env_file, sizeof env_file, "%s/.env", w->paths.home);
	snprintf(prices, sizeof prices, "%s/prices.tsv", w->paths.data_dir);
	w->keys = dotenv_load(env_file, e);
	if (!w->keys || child_subreaper(e) < 0 || workspace_library_init(e) < 0 ||
		paths_program("100x-guard", w->guard, e) < 0)
		return -1;
	w->http = http_new(w->loop, e);
	w->llm = w->http ? llm_new(w->loop, w->http, w->keys, prices, e) : NULL;
	if (!w->llm)
		return -1;
	token = dotenv_get(w->keys, "GITHUB_TOKEN");
	if (token) {
		struct forge_options o = {.token = token,
			.api_url = dotenv_get(w->keys, "GITHUB_API_URL"),
			.pace_path = pace,
			.seconds = dotenv_get(w->keys, "HUNDREDX_GITHUB_SECONDS")};

		snprintf(pace, sizeof pace, "%s/github.pace", w->paths.state_dir);
		w->forge = forge_new(w->loop, w->http, &o, e);
		if (!w->forge)
			return -1;
	}
	return 0;
}

static void on_piece(void *arg, enum output_stream stream, const char *text, size_t n, bool cut)
{
	struct worker *w = arg;
	cJSON *body = cJSON_CreateObject();

	json_add_int(body, "turn", w->session.manager.turn);
	json_add_str(body, "stream", output_stream_word(stream));
	json_add_text(body, "text", text, n);
	if (cut)
		cJSON_AddBoolToObject(body, "cut", true);
	worker_emit(w, EVENT_OUTPUT, body);
}

static void init_handles(struct worker *w)
{
	uv_timer_t *timers[] = {&w->policy_timer, &w->output_timer, &w->turn_timer,
		&w->restart_timer, &w->end_timer, &w->disk_timer, &w->watch_timer};

	for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
		uv_timer_init(w->loop, timers[i]);
		timers[i]->data = w;
	}
	uv_signal_init(w->loop, &w->sigterm);
	uv_signal_init(w->loop, &w->sigint);
	w->sigterm.data = w->sigint.data = w;
	uv_signal_start(&w->sigterm, ending_on_signal, SIGTERM);
	uv_signal_start(&w->sigint, ending_on_signal, SIGINT);
	output_init(&w->output, on_piece, w);
	w->idle_ms = -1;
}

static void close_handle(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void clear(struct worker *w)
{
	child_sweep();
	forge_free(w->forge);
	llm_free(w->llm);
	http_free(w->http);
	tree_free(w->tree);
	link_free(w->link);
	session_clear(&w->session);
	assignment_clear(&w->task);
	output_clear(&w->output);
	dotenv_free(w->keys);
	free(w->bad_answer);
	free(w->complaint);
	free(w->stop_reason);
	free(w->last_action);
	coder_expire_permissions(w);
	if (w->lock_fd >= 0)
		close(w->lock_fd);
	/* Closing is finished by the loop; ours are the handles that remain. */
	uv_run(w->loop, UV_RUN_NOWAIT);
	uv_walk(w->loop, close_handle, NULL);
	uv_run(w->loop, UV_RUN_NOWAIT);
	uv_loop_close(w->loop);
}

/* Everything is loaded and nothing touched. True: we may begin. False: we are not wanted,
 * or the supervisor is dead. */
static bool pass_gate(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	char go;

	do
		n = read(STDIN_FILENO, &go, 1);
	while (n < 0 && errno == EINTR);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		close(null);
	}
	return n == 1;
}

int worker_run(const struct paths *paths, int64_t agent, int64_t epoch, bool gate)
{
	_cleanup_free_ struct worker *w = calloc(1, sizeof *w);
	uv_loop_t loop;
	struct err e;

	if (!w)
		err_out_of_memory();
	if (uv_loop_init(&loop) != 0) {
		log_error("no event loop: the system gives no more descriptors or memory");
		return WORKER_EXIT_TEMPORARY;
	}
	w->loop = &loop;
	w->paths = *paths;
	w->agent = agent;
	w->epoch = epoch;
	w->lock_fd = -1;
	w->random = (uint64_t)clock_now_ns() ^ ((uint64_t)agent << 32);
	paths_agent(paths, agent, "repo", w->repo);
	paths_agent(paths, agent, "session", w->session_dir);
	paths_mirrors(paths, w->mirrors);
	init_handles(w);
	if (open_world(w, &e) < 0 || ((!gate || pass_gate()) && take_lock(w, &e) < 0)) {
		log_error("agent=%lld %s", (long long)agent, e.text);
		w->exit_code = WORKER_EXIT_TEMPORARY;
	} else if (w->lock_fd >= 0) {
		uv_run(&loop, UV_RUN_DEFAULT);
	}
	clear(w);
	return w->exit_code;
}
