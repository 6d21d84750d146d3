/* completion: scripts made from the table of commands. */
#include <string.h>

#include "supervisor/ctl/ctl.h"

static void bash(void)
{
	puts("# bash completion for 100x; made by `100x completion bash`\n"
	     "_100x() {\n"
	     "\tlocal word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} options= words=\n"
	     "\tCOMPREPLY=()\n"
	     "\tif ((COMP_CWORD == 1)); then");
	fputs("\t\twords='help version", stdout);
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		printf(" %s", c->name);
	puts("'\n\telse\n\t\tcase $command in");
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		printf("\t\t%s) options='", c->name);
		for (const struct args_option *o = c->options; o->name; o++)
			printf("--%s ", o->name);
		printf("'%s ;;\n", c->agents ? " words=$(100x list --ids 2>/dev/null)" : "");
	}
	puts("\t\thelp) words=$(compgen -W \"$(100x help 2>/dev/null | sed -n 's/^  \\([a-z]*\\)  "
	     "*.*/\\1/p')\") ;;\n"
	     "\t\tesac\n"
	     "\t\toptions+=' --json --state-dir --run-dir --help'\n"
	     "\t\tcase $command in\n"
	     "\t\tconfig) words='get set models' ;;\n"
	     "\t\tcompletion) words='bash zsh fish' ;;\n"
	     "\t\tesac\n"
	     "\tfi\n"
	     "\tif [[ $word == -* ]]; then\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
	     "\telse\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
	     "\tfi\n"
	     "}\n"
	     "complete -o default -F _100x 100x");
}

/* For single quotes in zsh and fish. */
static void quoted(const char *text, const char *unsafe)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (strchr(unsafe, *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

static void zsh(void)
{
	puts("#compdef 100x\n"
	     "# zsh completion for 100x; made by `100x completion zsh`\n"
	     "_100x() {\n"
	     "\tlocal -a commands agents\n"
	     "\tcommands=(");
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		printf("\t\t'%s:", c->name);
		quoted(c->summary, "");
		puts("'");
	}
	puts("\t\t'help:Tell about a command'\n"
	     "\t\t'version:Print the version'\n"
	     "\t)\n"
	     "\tif ((CURRENT == 2)); then\n"
	     "\t\t_describe command commands\n"
	     "\t\treturn\n"
	     "\tfi\n"
	     "\tagents=(${(f)\"$(100x list --ids 2>/dev/null)\"})\n"
	     "\tcase $words[2] in");
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		printf("\t%s) _arguments '--json[print JSON]'", c->name);
		for (const struct args_option *o = c->options; o->name; o++) {
			printf(" '--%s%s[", o->name, o->value ? "=" : "");
			quoted(o->help, "[]:");
			printf("]%s'", o->value ? ":value:_default" : "");
		}
		puts(c->agents				 ? " '*:agent:($agents)' ;;"
			: !strcmp(c->name, "config")	 ? " '1:verb:(get set models)' ;;"
			: !strcmp(c->name, "completion") ? " '1:shell:(bash zsh fish)' ;;"
							 : " '*:file:_files' ;;");
	}
	puts("\tesac\n"
	     "}\n"
	     "if [ \"$funcstack[1]\" = _100x ]; then _100x \"$@\"; else compdef _100x 100x; fi");
}

static void fish(void)
{
	puts("# fish completion for 100x; made by `100x completion fish`\n"
	     "complete -c 100x -f");
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		printf("complete -c 100x -n __fish_use_subcommand -a %s -d '", c->name);
		quoted(c->summary, "");
		puts("'");
		for (const struct args_option *o = c->options; o->name; o++) {
			printf("complete -c 100x -n '__fish_seen_subcommand_from %s' -l %s",
				c->name, o->name);
			if (o->letter)
				printf(" -s %c", o->letter);
			printf("%s -d '", o->value ? " -r" : "");
			quoted(o->help, "");
			puts("'");
		}
		if (c->agents)
			printf("complete -c 100x -n '__fish_seen_subcommand_from %s' -a '(100x "
			       "list "
			       "--ids 2>/dev/null)'\n",
				c->name);
	}
	puts("complete -c 100x -n __fish_use_subcommand -a help -d 'Tell about a command'\n"
	     "complete -c 100x -n __fish_use_subcommand -a version -d 'Print the version'\n"
	     "complete -c 100x -l json -d 'print JSON'\n"
	     "complete -c 100x -n '__fish_seen_subcommand_from config' -a 'get set models'\n"
	     "complete -c 100x -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n"
	     "complete -c 100x -n '__fish_seen_subcommand_from new' -F");
}

int ctl_completion(struct ctl *c, const struct args *a)
{
	static const struct {
		const char *shell;
		void (*print)(void);
	} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

	(void)c;
	for (size_t i = 0; a->word_count == 1 && i < 3; i++) {
		if (strcmp(a->words[0], shells[i].shell) == 0) {
			shells[i].print();
			return CTL_OK;
		}
	}
	return ctl_usage("completion", "completion wants bash, zsh or fish");
}
