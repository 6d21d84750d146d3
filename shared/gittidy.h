/* A killed git leaves its lock files behind (index.lock, HEAD.lock, refs/…/main.lock), and
 * every git after it refuses to write; and half-written objects and packs, which stay for
 * ever, since nothing here collects garbage. */
#ifndef SHARED_GITTIDY_H
#define SHARED_GITTIDY_H

/* Removes them from a git folder (<path>/.git, or a bare repository), for when whoever made
 * them is known to be dead. Never fails: what stays is found by the next git. No link is
 * followed out of it. entries_max: how many entries of folders are looked at, for who must not
 * be held up by a folder whose maker means us no good. */
void gittidy(const char *git_dir, int entries_max);

#endif
