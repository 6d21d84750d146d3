/* In whose name an agent commits. */
#ifndef WORKER_WORKSPACE_IDENTITY_H
#define WORKER_WORKSPACE_IDENTITY_H

/* name and email (256 bytes each): the configured ones where not "", else those of
 * the user's own git configuration (~/.gitconfig, ~/.config/git/config), else ones
 * made from the branch. Blocks (reads files). */
void workspace_identity(const char *home, const char *configured_name, const char *configured_email,
	const char *branch, char *name, char *email);

#endif
