// Checks of the create form as a person types, the same as the server makes. Pure.

export interface TaskDraft {
  key: number;
  title: string;
  description: string;
}

export interface Draft {
  repository: string;
  base: string;
  tasks: TaskDraft[];
  agents: string;
  aiderArguments: string;
  testCommand: string;
  manager: boolean;
  permission: string;
  turns: string;
  minutes: string;
  dollars: string;
  agentModel: string;
  aiderModel: string;
  pullRequest: boolean;
}

export type Errors = Record<string, string>;

export function wholeNumber(value: string, min: number, max: number): number | null {
  if (!/^\d{1,9}$/.test(value.trim())) return null;
  const n = Number(value);
  return n >= min && n <= max ? n : null;
}

export function checkRepository(value: string): string {
  const url = value.trim();
  if (!url) return 'Give the address of a Git repository.';
  if (/[\u0000-\u001f\s]/.test(url)) return 'A repository address has no spaces.';
  if (/^(https|ssh|http):\/\/[^/]+\/.+/.test(url) || /^[\w.-]+@[\w.-]+:.+/.test(url) || /^(\/|~\/|file:\/\/\/)/.test(url)) return '';
  return 'Use https://host/owner/name, ssh://git@host/owner/name, git@host:owner/name or a path on the server.';
}

export function checkDraft(draft: Draft): Errors {
  const errors: Errors = {};
  const note = (field: string, message: string): void => {
    if (message) errors[field] = message;
  };
  note('repository', checkRepository(draft.repository));
  draft.tasks.forEach((task, index) => {
    if (!task.title.trim()) note(`tasks[${index}].title`, 'Say in a few words what is to be done.');
  });
  if (wholeNumber(draft.agents, 1, 10) === null) note('agents_per_task', 'A whole number from 1 to 10.');
  if (draft.turns && wholeNumber(draft.turns, 1, 100000) === null) note('limits.turns', 'A whole number, 1 or more.');
  if (draft.minutes && wholeNumber(draft.minutes, 1, 100000) === null) note('limits.minutes', 'A whole number, 1 or more.');
  if (draft.dollars && !(Number(draft.dollars) > 0)) note('limits.dollars', 'An amount above 0.');
  return errors;
}

// The server names a field as in the request ("tasks[1].title", "limits.turns",
// "general.max_working"). The best of our fields for it, or "" for the whole form.
// "tasks[0]: title: must not be blank" at the field of that name: "Must not be blank".
export function besideField(message: string): string {
  const bare = message.replace(/^(?:[a-z_]+(?:\[\d+\])?(?:\.[a-z_]+)*: )+/, '');
  return bare.charAt(0).toUpperCase() + bare.slice(1);
}

// The field a message begins with, where the answer does not name one itself.
export const fieldIn = (message: string): string => /^([a-z_]+(?:\[\d+\])?(?:\.[a-z_]+)*): /.exec(message)?.[1] ?? '';

export function placeOf(field: string, known: readonly string[]): string {
  if (!field) return '';
  const normal = field.replace(/^\/|^\$\.?/, '').replace(/\//g, '.').replace(/\.(\d+)(?=\.|$)/g, '[$1]');
  if (known.includes(normal)) return normal;
  const end = known.find((name) => name.endsWith(`.${normal}`) || normal.endsWith(`.${name}`));
  if (end) return end;
  return known.find((name) => name.startsWith(`${normal}.`) || name.startsWith(`${normal}[`)) ?? '';
}
