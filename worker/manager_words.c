/* The words that events have for states and sources (docs/protocol.md, section 1). */
#include "worker/manager.h"

const char *manager_state(const struct manager *m)
{
	switch (m->phase) {
	case MANAGER_STARTING:
		return "starting";
	case MANAGER_TURN:
		return m->asks_person ? "waiting" : "working";
	case MANAGER_ASKING:
	case MANAGER_HOLD:
		return "working";
	case MANAGER_WAITING:
		return "waiting";
	case MANAGER_PAUSED:
		return "paused";
	case MANAGER_FINISHING:
		return "finishing";
	case MANAGER_DONE:
		return "done";
	case MANAGER_FAILED:
		return "failed";
	case MANAGER_STOPPED:
		return "stopped";
	}
	return "failed";
}

const char *manager_source_word(enum manager_source s)
{
	switch (s) {
	case SOURCE_TASK:
	case SOURCE_REDO:
		return "task";
	case SOURCE_MANAGER:
		return "manager";
	case SOURCE_PERSON:
		return "person";
	case SOURCE_TEST:
		return "test";
	}
	return "task";
}
