/* Inside of the manager, for manager*.c alone: its moves from phase to phase. Like
 * manager_step, those that return unsigned tell what to do. */
#ifndef WORKER_MANAGER_MOVES_H
#define WORKER_MANAGER_MOVES_H

#include <stddef.h>

#include "worker/manager.h"

/* --- manager.c: moves --- */
/* Every change of phase goes through here, so that active time is counted. */
void manager_enter(struct manager *m, enum manager_phase p, const char *reason, int64_t now_ms);
unsigned manager_start_turn(struct manager *m, enum manager_source source, int64_t now_ms);
unsigned manager_ask(struct manager *m, int64_t now_ms);
unsigned manager_finish(struct manager *m, int64_t now_ms);
/* The agent is free: what follows? */
unsigned manager_next(struct manager *m, int64_t now_ms);
unsigned manager_wait(struct manager *m, const char *reason, int64_t now_ms); /* for a person */
/* What a phase leaves under way. */
unsigned manager_cancel_bits(struct manager *m);

/* --- manager_limits.c --- */
int64_t manager_minutes_ms(const struct manager_limits *l, int64_t minutes);
/* Fills reason when a limit is reached. one_more_turn: before it. */
bool manager_over_limit(
	const struct manager *m, bool one_more_turn, int64_t now_ms, char *reason, size_t n);
void manager_grant_more(struct manager *m, int64_t now_ms);
unsigned manager_pause_by_limit(struct manager *m, const char *reason, int64_t now_ms);

/* --- manager_outcome.c: events --- */
unsigned manager_on_answer(struct manager *m, const struct manager_event *ev, int64_t now_ms);
unsigned manager_on_turn_end(struct manager *m, const struct manager_event *ev, int64_t now_ms);
unsigned manager_on_lost(struct manager *m, const struct manager_event *ev, int64_t now_ms);
unsigned manager_on_tests_failed(struct manager *m, int64_t now_ms);
unsigned manager_on_delayed(struct manager *m, const struct manager_event *ev);

/* --- manager_wish.c: events --- */
unsigned manager_on_tell(struct manager *m, bool from_person, int64_t now_ms);
unsigned manager_on_interrupt(struct manager *m, int64_t now_ms);
unsigned manager_on_pause(struct manager *m, int64_t now_ms);
unsigned manager_on_resume(struct manager *m, int64_t now_ms);
unsigned manager_on_finish(struct manager *m, int64_t now_ms);
unsigned manager_on_hold(
	struct manager *m, enum manager_hold why, const char *reason, int64_t now_ms);
unsigned manager_on_release(struct manager *m, enum manager_hold why, int64_t now_ms);

#endif
