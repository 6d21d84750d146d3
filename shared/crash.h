/* Named places where a test may kill the process (kill -9), so that recovery is proved
 * from exactly there. Only a build with -DCRASH_POINTS (make MODE=chaos) has them; in any
 * other a crash point is nothing.
 *
 * HUNDREDX_CRASH lists the points to die at, separated by commas: "name", or "name:N" for
 * the Nth time that one process passes it. HUNDREDX_CRASH_DIR is where each death leaves
 * a file "name.1", "name.2", …; after HUNDREDX_CRASH_TIMES (default 1) of them a point is
 * passed unharmed. */
#ifndef SHARED_CRASH_H
#define SHARED_CRASH_H

#define CRASH_TABLE(X)                                                                             \
	/* supervisor */                                                                           \
	X(SUPERVISOR_LOCKED, "supervisor.locked")                                                  \
	X(STORE_MIGRATE_BEFORE, "store.migrate.before")                                            \
	X(STORE_MIGRATE_AFTER, "store.migrate.after")                                              \
	X(SUPERVISOR_STORE_OPEN, "supervisor.store-open")                                          \
	X(SUPERVISOR_ADOPTED, "supervisor.adopted")                                                \
	X(SUPERVISOR_TAKEN_UP, "supervisor.taken-up")                                              \
	X(SUPERVISOR_READY, "supervisor.ready")                                                    \
	X(SUPERVISOR_DOWN_BEGIN, "supervisor.down.begin")                                          \
	X(SUPERVISOR_DOWN_END, "supervisor.down.end")                                              \
	X(CHANGE_COMMIT_BEFORE, "change.commit.before")                                            \
	X(CHANGE_COMMIT_AFTER, "change.commit.after")                                              \
	X(INGEST_COMMIT_BEFORE, "ingest.commit.before")                                            \
	X(INGEST_COMMIT_AFTER, "ingest.commit.after")                                              \
	X(EVENT_PUBLISH_BEFORE, "event.publish.before")                                            \
	X(EVENT_PUBLISH_AFTER, "event.publish.after")                                              \
	X(CHECKPOINT_BEFORE, "checkpoint.before")                                                  \
	X(CHECKPOINT_AFTER, "checkpoint.after")                                                    \
	X(WORKER_SPAWN_BEFORE, "worker.spawn.before")                                              \
	X(WORKER_SPAWN_AFTER, "worker.spawn.after")                                                \
	X(WORKER_PID_RECORDED, "worker.pid.recorded")                                              \
	X(WORKER_EXITED, "worker.exited")                                                          \
	X(CONTROL_REPLY_BEFORE, "control.reply.before")                                            \
	X(CONTROL_REPLY_AFTER, "control.reply.after")                                              \
	X(NEXT_REPLY_BEFORE, "next.reply.before")                                                  \
	X(NEXT_REPLY_AFTER, "next.reply.after")                                                    \
	X(ERRAND_STARTED, "errand.started")                                                        \
	X(ERRAND_ANSWERED, "errand.answered")                                                      \
	X(DELETE_BEGIN, "delete.begin")                                                            \
	X(DELETE_REMOVED, "delete.removed")                                                        \
	X(DELETE_FORGOTTEN, "delete.forgotten")                                                    \
	X(PACK_COMMIT_BEFORE, "pack.commit.before")                                                \
	X(PACK_COMMIT_AFTER, "pack.commit.after")                                                  \
	X(DROP_COMMIT_BEFORE, "drop.commit.before")                                                \
	X(DROP_COMMIT_AFTER, "drop.commit.after")                                                  \
	X(FORGET_COMMIT_BEFORE, "forget.commit.before")                                            \
	X(FORGET_COMMIT_AFTER, "forget.commit.after")                                              \
	X(RECLAIM_BEGIN, "reclaim.begin")                                                          \
	X(RECLAIM_ANSWERED, "reclaim.answered")                                                    \
	X(RECLAIM_RECORDED, "reclaim.recorded")                                                    \
	X(RESTORE_ANSWERED, "restore.answered")                                                    \
	X(RESTORE_RECORDED, "restore.recorded")                                                    \
	/* worker */                                                                               \
	X(WORKER_LOCKED, "worker.locked")                                                          \
	X(HELLO_ANSWERED, "hello.answered")                                                        \
	X(HELLO_SAVED, "hello.saved")                                                              \
	X(SPOOL_OPENED, "spool.opened")                                                            \
	X(SPOOL_APPEND_BEFORE, "spool.append.before")                                              \
	X(SPOOL_APPEND_AFTER, "spool.append.after")                                                \
	X(SPOOL_ACKNOWLEDGE, "spool.acknowledge")                                                  \
	X(SPOOL_EMPTY_HEADER, "spool.empty.header")                                                \
	X(SPOOL_EMPTIED, "spool.emptied")                                                          \
	X(SPOOL_COMPACT_COPIED, "spool.compact.copied")                                            \
	X(SPOOL_COMPACT_RENAMED, "spool.compact.renamed")                                          \
	X(WORKER_PUBLISH_BEFORE, "worker.publish.before")                                          \
	X(WORKER_PUBLISH_AFTER, "worker.publish.after")                                            \
	X(SESSION_HOT_BEFORE, "session.hot.before")                                                \
	X(SESSION_HOT_AFTER, "session.hot.after")                                                  \
	X(SESSION_COLD_WRITTEN, "session.cold.written")                                            \
	X(SESSION_COLD_RENAMED, "session.cold.renamed")                                            \
	X(MIRROR_BEGIN, "mirror.begin")                                                            \
	X(MIRROR_FETCHED, "mirror.fetched")                                                        \
	X(CLONE_BEGIN, "clone.begin")                                                              \
	X(CLONE_CONFIGURED, "clone.configured")                                                    \
	X(CLONE_CHECKED_OUT, "clone.checked-out")                                                  \
	X(CLONE_RENAMED, "clone.renamed")                                                          \
	X(CODER_START_BEFORE, "coder.start.before")                                                \
	X(CODER_STARTED, "coder.started")                                                          \
	X(CODER_READY, "coder.ready")                                                              \
	X(PROMPT_SAVED, "prompt.saved")                                                            \
	X(PROMPT_SENT, "prompt.sent")                                                              \
	X(TURN_ENDED, "turn.ended")                                                                \
	X(TURN_END_TOLD, "turn.end.told")                                                          \
	X(MODEL_ASKED, "model.asked")                                                              \
	X(DECISION_CAME, "decision.came")                                                          \
	X(DECISION_TOLD, "decision.told")                                                          \
	X(COMMAND_CAME, "command.came")                                                            \
	X(COMMAND_DONE, "command.done")                                                            \
	X(COMMAND_SAVED, "command.saved")                                                          \
	X(TEST_DONE, "test.done")                                                                  \
	X(COMMIT_BEFORE, "commit.before")                                                          \
	X(COMMIT_STAGED, "commit.staged")                                                          \
	X(COMMIT_AFTER, "commit.after")                                                            \
	X(DESCRIBED, "described")                                                                  \
	X(PUSH_BEFORE, "push.before")                                                              \
	X(PUSH_DONE, "push.done")                                                                  \
	X(PUSH_RECORDED, "push.recorded")                                                          \
	X(PULL_BEFORE, "pull.before")                                                              \
	X(PULL_DONE, "pull.done")                                                                  \
	X(PULL_RECORDED, "pull.recorded")                                                          \
	X(FINISH_SAVED, "finish.saved")                                                            \
	X(AGENT_ENDED, "agent.ended")                                                              \
	X(REMOVE_BEGIN, "remove.begin")                                                            \
	X(REMOVE_DONE, "remove.done")                                                              \
	X(RECLAIM_SAVED, "reclaim.saved")                                                          \
	X(RECLAIM_MOVED, "reclaim.moved")                                                          \
	X(RECLAIM_GONE, "reclaim.gone")

enum crash_point {
#define X(name, text) CRASH_##name,
	CRASH_TABLE(X)
#undef X
		CRASH_POINT_COUNT,
};

#ifdef CRASH_POINTS
/* Ends the process by SIGKILL if it is to die here; async-signal-unsafe, any thread. */
void crash_point(enum crash_point p);
#else
static inline void crash_point(enum crash_point p)
{
	(void)p;
}
#endif

#endif
