/* What an agent does next: a function of its state, what happened, and the time.
 * No kernel, clock or log here; worker.c does what `todo` says. The struct is plain
 * data and part of the session, so a new worker goes on where the old one was. */
#ifndef WORKER_MANAGER_H
#define WORKER_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/err.h"

#define MANAGER_MAX_BAD_ANSWERS 3
#define MANAGER_MAX_TEST_FAILURES 5
#define MANAGER_MAX_TURN_ERRORS 3
#define MANAGER_MAX_TELLS 3  /* /tell without a turn between */
#define MANAGER_MAX_HOLDS 30 /* some three hours */
#define MANAGER_REASON_BYTES 512

enum manager_phase {
	MANAGER_STARTING,  /* the coding agent is not ready */
	MANAGER_ASKING,	   /* the Agent model is asked for the next action */
	MANAGER_TURN,	   /* a prompt is under way */
	MANAGER_HOLD,	   /* a model's provider is busy: prompt or question go out again later */
	MANAGER_WAITING,   /* a person is needed */
	MANAGER_PAUSED,	   /* by a person or a limit */
	MANAGER_FINISHING, /* test, commit, push, pull request */
	MANAGER_DONE,
	MANAGER_FAILED,
	MANAGER_STOPPED,
};

enum manager_source {
	SOURCE_TASK,	/* the task's own text */
	SOURCE_MANAGER, /* an action of the Agent model */
	SOURCE_PERSON,	/* messages */
	SOURCE_TEST,	/* output of failed tests */
	SOURCE_REDO,	/* the prompt before, which was cut off */
};

enum manager_event_kind {
	MANAGER_EV_READY,      /* the coding agent takes prompts */
	MANAGER_EV_LOST,       /* its process is gone; a new one is being started; reason, late */
	MANAGER_EV_ACTION,     /* a good answer: instruct or command */
	MANAGER_EV_TOLD_OTHER, /* a good answer: /tell */
	MANAGER_EV_DONE,       /* a good answer: /finish */
	MANAGER_EV_BAD,	       /* an answer that is none; reason */
	MANAGER_EV_UNANSWERED, /* the model could not be asked; error, reason */
	MANAGER_EV_ENDED,      /* turn: end_turn */
	MANAGER_EV_CANCELLED,  /* turn: cancelled */
	MANAGER_EV_CUT,	       /* turn: max_tokens, max_turn_requests, refusal; reason */
	MANAGER_EV_ERROR,      /* turn: error; trouble, reason, delay_ms */
	MANAGER_EV_USAGE,      /* dollars spent */
	MANAGER_EV_TELL,       /* a message came; from_person */
	MANAGER_EV_ASKED,      /* the coding agent asks for a permission of a person; reason */
	MANAGER_EV_PERMITTED,  /* none is open any more */
	MANAGER_EV_INTERRUPT,
	MANAGER_EV_PAUSE,
	MANAGER_EV_RESUME,
	MANAGER_EV_STOP,
	MANAGER_EV_FINISH,
	MANAGER_EV_TESTS_FAILED, /* finishing: reason */
	MANAGER_EV_FINISHED,	 /* reason: "" or what did not work */
	MANAGER_EV_FATAL,	 /* reason: nothing can go on */
	MANAGER_EV_FULL,	 /* the disk is full; reason */
	MANAGER_EV_ROOM,	 /* there is room again */
	MANAGER_EV_ALONE,	 /* no supervisor for long; reason */
	MANAGER_EV_JOINED,	 /* it is back */
	MANAGER_EV_RETIRE,	 /* another worker takes over: nothing is begun any more */
	MANAGER_EV_DELAYED, /* what is under way is tried again; reason, delay_ms; "": goes on */
	MANAGER_EV_TICK,    /* manager_deadline has come */
};

enum manager_trouble { /* of a turn that ended with an error */
	TROUBLE_OTHER,
	TROUBLE_DENIED, /* key, budget, unknown model: a person must act */
	TROUBLE_BUSY,	/* rate limit, unavailable: may pass */
	TROUBLE_CONTEXT,
};

struct manager_event {
	enum manager_event_kind kind;
	const char *reason; /* NULL: "" */
	enum err_kind error;
	enum manager_trouble trouble;
	int64_t delay_ms; /* asked for by the provider; -1: none */
	double chance;	  /* random in [0,1), spreads what is tried again */
	double dollars;
	bool from_person;
	bool late; /* LOST: it was ended because its turn did not end in time */
};

/* Why nothing is begun for now, as bits. What is under way is cancelled, the agent pauses,
 * and goes on by itself when none is left. */
enum manager_hold {
	HELD_DISK = 1,	/* it is full */
	HELD_ALONE = 2, /* no supervisor for long */
};

/* What is to be done, as bits, in the order of their values. */
enum manager_todo {
	DO_CANCEL_ASK = 1,
	DO_CANCEL_TURN = 2,
	DO_CANCEL_FINISH = 4,
	DO_ASK = 8,	/* ask the Agent model */
	DO_PROMPT = 16, /* send the prompt of `source`; turn is its number */
	DO_FINISH = 32,
	DO_END = 64,	  /* the agent has ended */
	DO_ILLEGAL = 128, /* the event cannot happen here; nothing changed */
};

struct manager_limits {
	int64_t turns, minutes; /* 0: none */
	int64_t minute_ms;	/* how long a minute is; 0: 60000 */
	double dollars;
};

struct manager {
	/* Of the task. */
	bool managed;
	struct manager_limits limits;
	/* Of the moment. */
	enum manager_phase phase;
	char reason[MANAGER_REASON_BYTES];
	enum manager_source source; /* of the prompt to send, under way, or last */
	bool ready;		    /* the coding agent takes prompts */
	bool turn_open;		    /* a prompt is not answered yet */
	bool interrupted;	    /* a person cancelled the turn */
	bool resume_wanted;	    /* resumed before the cancelled turn had ended */
	bool redo;		    /* the last prompt was cut off */
	bool prompt_queued;	    /* decided, waiting for the coding agent */
	bool finish_wanted;
	bool by_limit;	  /* paused by a limit: resuming grants as much again */
	unsigned held;	  /* of enum manager_hold */
	bool by_hold;	  /* paused by one of these: goes on by itself */
	bool retiring;	  /* what follows is begun by another worker */
	bool asks_person; /* a permission is open */
	bool hold_asks;	  /* what is held is a question to the Agent model */
	int64_t turn;
	int pending; /* messages that no prompt has carried yet */
	int carried; /* how many of them the question under way carries */
	int bad_answers, test_failures, turn_errors, tells, holds;
	int64_t hold_until_ms;
	/* Spent, and how much is granted; raised by resuming. */
	int64_t granted_turns, granted_ms;
	double granted_dollars;
	double dollars;
	int64_t active_ms;	 /* without the stretch under way */
	int64_t active_since_ms; /* -1: not active */
};

void manager_init(struct manager *m, bool managed, const struct manager_limits *limits);
/* A new worker takes a stored state up: nothing is under way any more. What was
 * cut off is redone; an ended agent (a retry) goes on. */
void manager_resume(struct manager *m);

/* Changes m and returns what to do, as bits of enum manager_todo. */
unsigned manager_step(struct manager *m, const struct manager_event *ev, int64_t now_ms);

/* How long what is held is still to wait; -1: nothing is held. */
int64_t manager_hold_ms(const struct manager *m, int64_t now_ms);
/* When TICK is due, monotonic ms; -1: never. */
int64_t manager_deadline(const struct manager *m, int64_t now_ms);

/* The word of the agent's state in events ("working", ...). */
const char *manager_state(const struct manager *m);
/* True if the dollars that are granted are spent. */
bool manager_spent(const struct manager *m);
bool manager_ended(const struct manager *m);
int64_t manager_active_ms(const struct manager *m, int64_t now_ms);
const char *manager_source_word(enum manager_source s);

#endif
