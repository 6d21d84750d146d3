#include "supervisor/pulse.h"

#include <stdlib.h>

#include "shared/clock.h"
#include "shared/log.h"
#include "supervisor/supervisor.h"

static bool deaf(const struct supervisor *s, const struct member *m, int64_t now)
{
	return (m->child || m->watch) && m->agent.process == PROCESS_RUNNING && !m->poll &&
	       now - m->heard_ms > s->pulse.silent_ms;
}

static void on_look(uv_timer_t *t)
{
	struct supervisor *s = t->data;
	struct pulse *h = &s->pulse;
	struct agent_input in = {.event = AGENT_DEAF};
	int64_t now = clock_now_ms();
	bool late = now - h->looked_ms > 3 * h->silent_ms / PULSE_LOOKS;

	h->looked_ms = now;
	for (size_t i = 0; i < s->fleet.n; i++) {
		struct member *m = s->fleet.members[i];

		if (late)
			m->heard_ms = now;
		if (!deaf(s, m, now))
			continue;
		log_warn("agent=%lld worker pid=%d was not heard of for %lld s", (long long)m->id,
			m->pid, (long long)(now - m->heard_ms) / 1000);
		supervisor_happened(s, m, &in);
	}
}

void pulse_start(struct supervisor *s)
{
	const char *set = getenv("HUNDREDX_SILENT_MS");
	long long ms = set ? atoll(set) : 0;
	struct pulse *h = &s->pulse;
	uint64_t every;

	h->silent_ms = ms > 0 && ms < PULSE_SILENT_MS ? ms : PULSE_SILENT_MS;
	h->looked_ms = clock_now_ms();
	every = (uint64_t)(h->silent_ms / PULSE_LOOKS) + 1;
	uv_timer_init(s->loop, &h->timer);
	h->timer.data = s;
	uv_timer_start(&h->timer, on_look, every, every);
}

int64_t pulse_poll_ms(const struct pulse *h)
{
	int64_t ms = h->silent_ms / 3;

	return ms > 0 && ms < POLL_WAIT_MS ? ms : POLL_WAIT_MS;
}
