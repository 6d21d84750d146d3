/* Questions about the store that both its writer and the webui answer. SQL text only:
 * each side has its own connection. */
#ifndef SHARED_VIEWS_H
#define SHARED_VIEWS_H

#define VIEWS_REPOSITORIES_MAX "50"
#define VIEWS_COSTS_MAX "10000"

/* Of earlier tasks, newest first; base: the last one used. */
#define VIEWS_REPOSITORIES                                                                         \
	"SELECT repository,base,count(*) AS tasks,max(created_at) AS last_at FROM tasks "          \
	"GROUP BY repository ORDER BY last_at DESC,repository LIMIT " VIEWS_REPOSITORIES_MAX

/* ?1, ?2: from and to in ms, 0: open; whole days of this machine's calendar. */
#define VIEWS_DAY(ms) "strftime('%Y-%m-%d'," ms "/1000,'unixepoch','localtime')"
#define VIEWS_COSTS                                                                                \
	"SELECT day,repository,model,role,calls,tokens_in,tokens_out,tokens_cached,dollars,"       \
	"unpriced FROM costs WHERE (?1=0 OR day>=" VIEWS_DAY(                                      \
		"?1") ") AND (?2=0 OR day<=" VIEWS_DAY("?2") ") ORDER BY day "                     \
							     "DESC,repository,model,role "         \
							     "LIMIT " VIEWS_COSTS_MAX

/* Behind an INSERT of one call. */
#define VIEWS_COSTS_ADD                                                                            \
	" ON CONFLICT(day,repository,model,role) DO UPDATE SET calls=calls+1,"                     \
	"tokens_in=tokens_in+excluded.tokens_in,tokens_out=tokens_out+excluded.tokens_out,"        \
	"tokens_cached=tokens_cached+excluded.tokens_cached,dollars=CASE WHEN "                    \
	"excluded.dollars IS NULL THEN dollars ELSE coalesce(dollars,0)+excluded.dollars END,"     \
	"unpriced=unpriced+excluded.unpriced"

/* Bodies without what is long: patches, whole prompts, outputs of tests. */
#define VIEWS_ACTIVITY_BODY                                                                        \
	"CASE kind WHEN 'diff' THEN json_remove(body,'$.patch')"                                   \
	" WHEN 'tool' THEN json_remove(body,'$.diffs','$.text')"                                   \
	" WHEN 'test' THEN json_remove(body,'$.output')"                                           \
	" WHEN 'turn' THEN CASE WHEN json_type(body,'$.prompt')='text' THEN "                      \
	"json_set(body,'$.prompt',substr(json_extract(body,'$.prompt'),1,500)) ELSE body END"      \
	" ELSE body END"
/* Newest first. ?1: below this id (0: the end), ?2: agent, ?3: task (0: all), ?4: kinds as
 * a JSON list (NULL: all), ?5: how many. The index is named, since most rows of a large
 * store are output. */
#define VIEWS_ACTIVITY                                                                             \
	"SELECT id,stream,subject,kind,at," VIEWS_ACTIVITY_BODY                                    \
	" FROM events INDEXED BY events_activity WHERE kind<>'output'"                             \
	" AND id<CASE WHEN ?1=0 THEN 9223372036854775807 ELSE ?1 END"                              \
	" AND (?2=0 OR (stream='agent' AND subject=?2))"                                           \
	" AND (?3=0 OR (stream='task' AND subject=?3) OR (stream='agent' AND subject IN "          \
	"(SELECT id FROM agents WHERE task_id=?3)))"                                               \
	" AND (?4 IS NULL OR kind IN (SELECT value FROM json_each(?4))) ORDER BY id DESC LIMIT ?5"

#endif
