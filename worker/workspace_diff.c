/* The state of the branch against its base as the body of a `diff` event
 * (docs/protocol.md, "Kinds and bodies"). One pass over libgit2's patch; whatever the
 * agent left there, the text stays below EVENT_BODY_MAX. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/event.h"
#include "shared/json.h"
#include "worker/workspace_git.h"

#define DIFF_MAX_FILES 1000
#define DIFF_FILES_JSON_MAX (256 * 1024) /* encoded */
#define DIFF_PATCH_MAX (512 * 1024)	 /* bytes */
#define DIFF_PATCH_JSON_MAX (640 * 1024) /* encoded: control characters take six bytes each */
#define DIFF_LOOK_MAX (32 * 1024 * 1024) /* bytes of patch looked at; past it the counts stop */
#define DIFF_FILE_MAX (2 * 1024 * 1024)	 /* a larger file is told as binary */

_Static_assert(DIFF_FILES_JSON_MAX + DIFF_PATCH_JSON_MAX + 4096 < EVENT_BODY_MAX,
	"a diff event always fits");

struct file_stat {
	const git_diff_delta *delta;
	int64_t added, removed;
	bool binary;
};

struct report {
	struct file_stat *file;
	size_t count, at; /* at: the file that lines belong to */
	int64_t added, removed;
	struct buf patch;
	size_t encoded; /* bytes of patch once it is JSON */
	size_t looked;
	bool cut;
	uint64_t hash;
};

static void hash_bytes(struct report *r, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		r->hash = (r->hash ^ p[i]) * 0x100000001b3ULL;
}

static size_t encoded_size(const char *text, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 && !strchr("\n\t\r\b\f", c ? c : 1))
			sum += 6;
		else if (c < 0x20 || c == '"' || c == '\\')
			sum += 2;
		else
			sum += c < 0x80 ? 1 : 3; /* a bad byte becomes U+FFFD */
	}
	return sum;
}

static void keep(struct report *r, const char *text, size_t n)
{
	size_t more = encoded_size(text, n);

	if (r->cut || more > DIFF_PATCH_JSON_MAX - r->encoded || !buf_add(&r->patch, text, n)) {
		r->cut = true;
		return;
	}
	r->encoded += more;
}

static int on_line(const git_diff_delta *delta, const git_diff_hunk *hunk,
	const git_diff_line *line, void *payload)
{
	struct report *r = payload;
	bool sign = line->origin == GIT_DIFF_LINE_CONTEXT ||
		    line->origin == GIT_DIFF_LINE_ADDITION ||
		    line->origin == GIT_DIFF_LINE_DELETION;

	(void)hunk;
	while (r->at < r->count && r->file[r->at].delta != delta)
		r->at++;
	if (r->at == r->count)
		return 0;
	if (line->origin == GIT_DIFF_LINE_ADDITION)
		r->file[r->at].added++;
	else if (line->origin == GIT_DIFF_LINE_DELETION)
		r->file[r->at].removed++;
	else if (line->origin == GIT_DIFF_LINE_BINARY)
		r->file[r->at].binary = true;
	if (sign) {
		hash_bytes(r, &line->origin, 1);
		keep(r, &line->origin, 1);
	}
	hash_bytes(r, line->content, line->content_len);
	keep(r, line->content, line->content_len);
	r->looked += line->content_len + 1;
	if (r->looked > DIFF_LOOK_MAX) {
		r->cut = true;
		return GIT_EUSER;
	}
	return 0;
}

static const char *status_word(git_delta_t status)
{
	switch (status) {
	case GIT_DELTA_ADDED:
	case GIT_DELTA_UNTRACKED:
	case GIT_DELTA_COPIED:
		return "added";
	case GIT_DELTA_DELETED:
		return "deleted";
	case GIT_DELTA_RENAMED:
		return "renamed";
	case GIT_DELTA_UNMODIFIED:
	case GIT_DELTA_MODIFIED:
	case GIT_DELTA_IGNORED:
	case GIT_DELTA_TYPECHANGE:
	case GIT_DELTA_UNREADABLE:
	case GIT_DELTA_CONFLICTED:
		break;
	}
	return "modified";
}

static int make_diff(git_repository *repo, const struct workspace *w, git_diff **diff)
{
	_cleanup_git_(commit) git_commit *commit = NULL;
	_cleanup_git_(tree) git_tree *tree = NULL;
	git_diff_options options;
	git_diff_find_options find;
	git_oid base;
	int rc = git_oid_fromstr(&base, w->base_commit);

	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	git_diff_find_options_init(&find, GIT_DIFF_FIND_OPTIONS_VERSION);
	options.flags = GIT_DIFF_INCLUDE_UNTRACKED | GIT_DIFF_RECURSE_UNTRACKED_DIRS |
			GIT_DIFF_SHOW_UNTRACKED_CONTENT | GIT_DIFF_IGNORE_SUBMODULES |
			GIT_DIFF_INCLUDE_TYPECHANGE;
	options.max_size = DIFF_FILE_MAX;
	find.flags = GIT_DIFF_FIND_RENAMES | GIT_DIFF_FIND_FOR_UNTRACKED;
	find.rename_limit = 200;
	if (rc == 0)
		rc = git_commit_lookup(&commit, repo, &base);
	if (rc == 0)
		rc = git_commit_tree(&tree, commit);
	if (rc == 0)
		rc = git_diff_tree_to_workdir_with_index(diff, repo, tree, &options);
	return rc < 0 ? rc : git_diff_find_similar(*diff, &find);
}

static void list_files(struct report *r, git_diff *diff)
{
	r->count = git_diff_num_deltas(diff);
	r->file = calloc(r->count + 1, sizeof *r->file);
	if (!r->file)
		err_out_of_memory();
	for (size_t i = 0; i < r->count; i++)
		r->file[i].delta = git_diff_get_delta(diff, i);
}

/* Adds the files' list; hashes all of them, also those past the limit. */
static void add_files(struct report *r, cJSON *body)
{
	cJSON *files = cJSON_AddArrayToObject(body, "files");
	size_t encoded = 0;

	for (size_t i = 0; i < r->count; i++) {
		const struct file_stat *f = &r->file[i];
		const char *path = f->delta->new_file.path;
		const char *word = status_word(f->delta->status);
		cJSON *j;

		r->added += f->added;
		r->removed += f->removed;
		hash_bytes(r, path, strlen(path) + 1);
		hash_bytes(r, word, strlen(word) + 1);
		hash_bytes(r, &f->delta->new_file.size, sizeof f->delta->new_file.size);
		encoded += encoded_size(path, strlen(path)) + 100;
		if (i >= DIFF_MAX_FILES || encoded > DIFF_FILES_JSON_MAX) {
			r->cut = true;
			continue;
		}
		j = cJSON_CreateObject();
		json_add_text(j, "path", path, strlen(path));
		json_add_str(j, "status", word);
		json_add_int(j, "added", f->added);
		json_add_int(j, "removed", f->removed);
		cJSON_AddBoolToObject(j, "binary", f->binary);
		cJSON_AddItemToArray(files, j);
	}
}

char *workspace_diff(struct workspace *w, uint64_t *fingerprint, struct err *e)
{
	_cleanup_git_(repository) git_repository *repo = NULL;
	_cleanup_git_(diff) git_diff *diff = NULL;
	_cleanup_json_ cJSON *body = cJSON_CreateObject();
	struct report r = {.hash = 0xcbf29ce484222325ULL};
	char *text = NULL;
	int rc;

	if (workspace_repository(w->path, &repo, e) < 0)
		return NULL;
	buf_init(&r.patch, DIFF_PATCH_MAX);
	rc = make_diff(repo, w, &diff);
	if (rc == 0) {
		list_files(&r, diff);
		workspace_filter_read(true);
		rc = git_diff_print(diff, GIT_DIFF_FORMAT_PATCH, on_line, &r);
		workspace_filter_read(false);
	}
	if (rc < 0 && rc != GIT_EUSER) {
		workspace_git_error(e, rc, "compare %s with its base", w->path);
	} else {
		add_files(&r, body);
		json_add_int(body, "added", r.added);
		json_add_int(body, "removed", r.removed);
		json_add_text(body, "patch", r.patch.data ? r.patch.data : "", r.patch.len);
		cJSON_AddBoolToObject(body, "cut", r.cut);
		*fingerprint = r.hash;
		text = json_print(body);
	}
	buf_clear(&r.patch);
	free(r.file);
	return text;
}
