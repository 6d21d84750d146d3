/* down: the page, the supervisor, the agents unless told otherwise, and the keeper. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/daemon.h"

#define DOWN_MS 20000
#define ENDING_MS 5000
#define WEBUI_MS 5000

/* Asks the page to end, if it runs; the descriptor to wait on, or -1. */
static int end_webui(struct ctl *c, struct daemon_note *note)
{
	int pidfd;

	if (!daemon_note_read(&c->paths, DAEMON_PAGE, note))
		return -1;
	pidfd = daemon_pidfd(note->pid);
	if (pidfd >= 0)
		kill(note->pid, SIGTERM);
	return pidfd;
}

static void wait_webui(struct ctl *c, const struct daemon_note *note, int pidfd)
{
	if (!daemon_wait_end(pidfd, WEBUI_MS)) {
		kill(note->pid, SIGKILL);
		daemon_wait_end(pidfd, WEBUI_MS);
	}
	daemon_note_remove(&c->paths, DAEMON_PAGE);
}

static int end_supervisor(struct ctl *c, bool keep_agents, struct err *e)
{
	_cleanup_json_ cJSON *status = NULL;
	_cleanup_close_ int pidfd = -1;
	cJSON *params = cJSON_CreateObject();

	if (ctl_ask(c, "status", NULL, CTL_ASK_MS, &status, e) < 0) {
		cJSON_Delete(params);
		return c->away && !ctl_running(c) ? 0 : -1;
	}
	pidfd = daemon_pidfd((pid_t)json_int(status, "pid", 0));
	if (keep_agents)
		cJSON_AddBoolToObject(params, "keep_agents", true);
	/* One that was ending already may be gone before it answers. */
	if (ctl_ask(c, "supervisor.down", params, DOWN_MS, NULL, e) < 0)
		return c->away && pidfd >= 0 && daemon_wait_end(pidfd, ENDING_MS) ? 0 : -1;
	if (pidfd >= 0 && !daemon_wait_end(pidfd, DOWN_MS))
		return err_set(e, ERR_UNAVAILABLE,
			"the supervisor is still ending after %d s: see "
			"<state>/logs/supervisor.log",
			DOWN_MS / 1000);
	return 0;
}

/* The keeper ends with the supervisor. One that is about to start it again is told. */
static void end_keeper(const struct daemon_note *note, int pidfd, bool running)
{
	if (!running)
		kill(note->pid, SIGTERM);
	if (!daemon_wait_end(pidfd, DOWN_MS)) {
		kill(note->pid, SIGTERM);
		daemon_wait_end(pidfd, ENDING_MS);
	}
}

int ctl_down(struct ctl *c, const struct args *a)
{
	bool running = ctl_running(c);
	bool keep = args_has(a, "keep-agents");
	_cleanup_close_ int webui = -1;
	_cleanup_close_ int keeper = -1;
	struct daemon_note note, keeper_note;
	struct err e;
	int failed;

	if (a->word_count)
		return ctl_usage("down", "down takes no words");
	if (daemon_note_read(&c->paths, DAEMON_KEEPER, &keeper_note))
		keeper = daemon_pidfd(keeper_note.pid);
	webui = end_webui(c, &note);
	failed = running ? end_supervisor(c, keep, &e) : 0;
	if (webui >= 0)
		wait_webui(c, &note, webui);
	if (failed < 0)
		return ctl_fail(c, &e);
	if (keeper >= 0)
		end_keeper(&keeper_note, keeper, running);
	if (c->json)
		puts(running || webui >= 0 || keeper >= 0 ? "{\"down\":true}" : "{\"down\":false}");
	else if (!running && webui < 0 && keeper < 0)
		puts("Nothing was up.");
	else
		puts(keep ? "100x is down; its agents go on." : "100x is down.");
	return CTL_OK;
}
