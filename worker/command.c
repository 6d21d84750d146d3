/* Commands of people and of other agents: taken over durably, then done. */
#include <stdio.h>
#include <string.h>

#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/worker.h"

/* Event and session are two files: which event it will be is recorded before, so that a
 * worker that gets the command again knows whether it was told. */
static void tell_message(struct worker *w, int64_t n, const char *from, const char *text)
{
	cJSON *event;
	char to[32];

	if (w->session.telling == n)
		return;
	w->session.telling = w->blocked ? 0 : n; /* what is held back has no seq yet */
	w->session.telling_seq = link_last(w->link) + 1;
	worker_save(w, false);
	event = cJSON_CreateObject();
	snprintf(to, sizeof to, "agent/%lld", (long long)w->agent);
	json_add_str(event, "direction", "in");
	json_add_str(event, "from", from);
	json_add_str(event, "to", to);
	json_add_str(event, "text", text);
	json_add_int(event, "command", n);
	json_add_int(event, "turn", w->session.manager.turn);
	worker_emit(w, EVENT_MESSAGE, event);
}

static void take_message(struct worker *w, int64_t n, const cJSON *body)
{
	const char *from = json_str(body, "from", "person"), *text = json_str(body, "text", "");
	struct manager_event ev = {.kind = MANAGER_EV_TELL, .delay_ms = -1};

	tell_message(w, n, from, text);
	w->session.command = n;
	session_add_message(&w->session, from, text);
	ev.from_person = strncmp(from, "agent/", 6) != 0;
	worker_step(w, &ev);
}

void command_came(void *arg, int64_t n, const char *kind, const cJSON *body)
{
	struct worker *w = arg;

	if (w->quitting)
		return;
	if (n <= w->session.command) { /* taken over, but the disk did not keep it */
		if (worker_save(w, true) == 0)
			link_taken(w->link, n);
		return;
	}
	log_info("agent=%lld command %lld: %s", (long long)w->agent, (long long)n, kind);
	crash_point(CRASH_COMMAND_CAME);
	if (!strcmp(kind, "tell"))
		take_message(w, n, body);
	w->session.command = n;
	if (!strcmp(kind, "interrupt"))
		worker_event(w, MANAGER_EV_INTERRUPT, NULL);
	else if (!strcmp(kind, "pause"))
		worker_event(w, MANAGER_EV_PAUSE, NULL);
	else if (!strcmp(kind, "resume"))
		worker_event(w, MANAGER_EV_RESUME, NULL);
	else if (!strcmp(kind, "stop"))
		worker_event(w, MANAGER_EV_STOP, NULL);
	else if (!strcmp(kind, "finish"))
		worker_event(w, MANAGER_EV_FINISH, NULL);
	else if (!strcmp(kind, "pull_request"))
		w->task.pull_request = json_bool(body, "wanted", true);
	else if (!strcmp(kind, "permission"))
		coder_permit(w, json_str(body, "permission", ""), json_str(body, "option", ""));
	else if (strcmp(kind, "tell") != 0)
		log_warn("agent=%lld unknown command \"%s\" is skipped", (long long)w->agent, kind);
	crash_point(CRASH_COMMAND_DONE);
	if (w->quitting || worker_save(w, true) < 0)
		return;
	crash_point(CRASH_COMMAND_SAVED);
	link_taken(w->link, n);
}
