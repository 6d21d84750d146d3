/* The edge: the loop, the sockets, the store, the workers' processes, and what holds
 * them together. Decisions are made in agent.c, restart.c and queue.c. */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "shared/bus.h"
#include "shared/err.h"
#include "shared/paths.h"
#include "supervisor/backup.h"
#include "supervisor/checkpoint.h"
#include "supervisor/disk.h"
#include "supervisor/errand.h"
#include "supervisor/fleet.h"
#include "supervisor/heartbeat.h"
#include "supervisor/hourly.h"
#include "supervisor/ingest.h"
#include "supervisor/keeper.h"
#include "supervisor/launcher.h"
#include "supervisor/outbox.h"
#include "supervisor/poll.h"
#include "supervisor/pulse.h"
#include "supervisor/queue.h"
#include "supervisor/store.h"
#include "supervisor/sweep.h"

#define SUPERVISOR_STARTS_AT_ONCE 8 /* workers started in one round of the loop */
#define SUPERVISOR_RETRY_MS 1000    /* after the disk refused */
#define SUPERVISOR_COMPLAIN_MS 5000
#define SUPERVISOR_LINGER_MS 100 /* lets the last answer leave */

struct call;

struct supervisor {
	uv_loop_t *loop;
	struct paths paths;
	struct store *store;
	struct checkpoint checkpoint;
	struct backup backup;
	struct disk disk;
	struct heartbeat heartbeat;
	struct pulse pulse;
	struct keeper keeper;
	struct hourly hourly;
	struct bus_sub *ingest_sub;
	struct bus_pub *events_pub;
	struct bus_rep *control_rep;

	struct fleet fleet;
	struct queue queue;
	struct ingest ingest;
	struct polls polls;
	struct launcher *launcher;
	struct sweeper *sweeper;
	struct errands errands;
	struct call *calls; /* under way, waiting for an errand or a worker's end */
	int call_count;

	/* The open transaction (tx.h). */
	struct outbox outbox;
	struct member *touched;
	bool config_touched;

	cJSON *general, *models; /* configuration with its defaults */
	int64_t last_event;
	int64_t started_ms;
	int webui_pid, webui_port;
	int64_t webui_started;

	int64_t refused_ms; /* when a refusal of the disk was last told */

	uv_timer_t kick_timer, down_timer, disk_timer;
	uv_signal_t signals[3];
	bool going_down;
};

/* Takes the locks, opens the store and the sockets, takes up what was left, and runs
 * until told to go down. restore_backup: puts the newest good copy in the store's place
 * first. Returns 0; -1 if it could not start. */
int supervisor_run(const struct paths *p, bool restore_backup, struct err *e);

/* Something has happened to an agent that cannot be undone (its worker ended, time is
 * up): recorded now, or as soon as the disk allows. */
void supervisor_happened(struct supervisor *s, struct member *m, const struct agent_input *in);

/* m's worker has ended (m->exit_code), and nothing of it lives any more. */
void supervisor_exited(struct supervisor *s, struct member *m);

/* The disk refused: told in the log, now and then. */
void supervisor_refused(struct supervisor *s, const char *what, const struct err *e);

/* Looks at the disk after first_ms, then now and then while anybody works. */
void supervisor_watch_disk(struct supervisor *s, int64_t first_ms);

/* Carries out agent_todo's actions, after they are committed. */
void supervisor_act(struct supervisor *s, struct member *m, unsigned todo);

/* Starts queued agents soon, as far as the limit allows. */
void supervisor_kick(struct supervisor *s, int64_t delay_ms);

/* Puts m's timer to its deadline. */
void supervisor_arm(struct member *m);

/* Reads the configuration from the store again. */
int supervisor_configure(struct supervisor *s, struct err *e);
struct store_defaults supervisor_defaults(const struct supervisor *s);

/* keep_agents: the workers go on without us. Ends the loop when all is done. */
void supervisor_down(struct supervisor *s, bool keep_agents);

#endif
