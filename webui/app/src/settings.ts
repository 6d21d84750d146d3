// The settings as fields of a form: which there are, how each is read and checked. Pure.
import type { Errors } from './form';
import { wholeNumber } from './form';
import type { Config } from './types';

export type SettingKind = 'whole' | 'amount' | 'text' | 'switch' | 'lines' | 'choice' | 'long';

export interface Setting {
  key: string;
  label: string;
  kind: SettingKind;
  hint?: string;
  placeholder?: string;
  min?: number;
  // A server may not have it; then it is neither shown nor sent.
  newer?: boolean;
  options?: readonly (readonly [string, string])[];
}

export const MODELS = [
  ['orchestrator', 'Orchestrator', 'splits goals and judges rivals'],
  ['agent', 'Agent', 'the manager: reads what aider did, decides what is next'],
  ['aider', 'Aider', 'writes the code'],
] as const;

export const INSTRUCTIONS: Setting = {
  key: 'instructions',
  label: 'Extra instructions',
  kind: 'long',
  hint: "added to the manager's prompt of every agent",
  placeholder: 'Keep changes small. Write a test for each bug.',
};

export const LIMITS: readonly Setting[] = [
  { key: 'max_working', label: 'Agents working at once', kind: 'whole', min: 1, hint: 'the others wait in the queue' },
  { key: 'turn_minutes', label: 'Minutes per turn', kind: 'whole', min: 1, hint: 'a longer turn is cancelled' },
  { key: 'model_seconds', label: 'Seconds per answer', kind: 'whole', min: 1, hint: 'for one answer of the Agent model; then it is asked again' },
  { key: 'alone_minutes', label: 'Minutes without a supervisor', kind: 'whole', min: 1, hint: 'an agent alone for longer pauses and spends nothing' },
  { key: 'limit_turns', label: 'Turns per agent', kind: 'whole', min: 1, hint: "a task's default" },
  { key: 'limit_minutes', label: 'Minutes per agent', kind: 'whole', min: 1, hint: "a task's default" },
  { key: 'limit_dollars', label: 'Dollars per agent', kind: 'amount', min: 0.01, hint: "a task's default" },
  {
    key: 'permission',
    label: 'Permissions',
    kind: 'choice',
    hint: "a task's default",
    options: [
      ['allow', 'Allow inside the workspace'],
      ['ask', 'Ask me each time'],
    ],
  },
  {
    key: 'pid_namespace',
    label: 'PID namespace of agents',
    kind: 'choice',
    hint: 'the kernel then ends all that an agent started; Health tells whether it is in force',
    options: [
      ['auto', 'Where the privilege is there'],
      ['user', 'Always, by a user namespace'],
      ['off', 'Never'],
    ],
  },
  { key: 'agent_processes', label: 'Processes per agent', kind: 'whole', min: 0, newer: true, hint: 'at once, where control groups allow it; 0: any number' },
];

export const GIT: readonly Setting[] = [
  { key: 'git_name', label: "Commit author's name", kind: 'text', placeholder: 'from your git configuration' },
  { key: 'git_email', label: "Commit author's e-mail", kind: 'text', placeholder: 'from your git configuration' },
];

export const LOCAL: Setting = {
  key: 'local_repositories',
  label: 'Repositories on this machine',
  kind: 'switch',
  hint: 'paths and file:// addresses may be used, beside https and ssh',
};

export const COMMAND: Setting = {
  key: 'agent_command',
  label: 'Agent command',
  kind: 'lines',
  hint: "another agent that speaks ACP in aider's place: the program, then one argument a line; empty for aider",
  placeholder: 'aider',
};

export const RETENTION: readonly Setting[] = [
  { key: 'compress_after_minutes', label: 'Pack output after (minutes)', kind: 'whole', min: 0, newer: true, hint: 'since the agent ended; nothing is lost' },
  { key: 'keep_days', label: 'Keep output for (days)', kind: 'whole', min: 0, newer: true, hint: 'of agents that have ended; 0: for ever' },
  { key: 'keep_gigabytes', label: 'Keep at most (GB)', kind: 'amount', min: 0, newer: true, hint: 'the oldest output goes first; 0: no ceiling' },
  { key: 'reclaim_after_hours', label: 'Reclaim workspaces after (hours)', kind: 'whole', min: 0, newer: true, hint: 'of agents that have ended; their work is saved first, and restored on request; 0: never' },
];

export const SETTINGS: readonly Setting[] = [INSTRUCTIONS, ...LIMITS, ...GIT, LOCAL, COMMAND, ...RETENTION];

export type Values = Record<string, string>;

export function valuesOf(config: Config): Values {
  const values: Values = {};
  for (const [role] of MODELS) values[`models.${role}`] = config.models[role] ?? '';
  for (const { key, kind } of SETTINGS) {
    const value = config.general[key];
    values[`general.${key}`] =
      kind === 'lines'
        ? (Array.isArray(value) ? value : []).join('\n')
        : kind === 'switch'
          ? String(value === true)
          : value === undefined || value === null
            ? ''
            : String(value);
  }
  return values;
}

export function check(values: Values): Errors {
  const errors: Errors = {};
  for (const [role] of MODELS) {
    if (!/^\S+\/\S+$/.test((values[`models.${role}`] ?? '').trim())) {
      errors[`models.${role}`] = 'Give provider/model, for instance openrouter/google/gemini-flash-1.5.';
    }
  }
  for (const { key, kind, min = 0, newer } of SETTINGS) {
    const value = values[`general.${key}`] ?? '';
    if (newer && value === '') continue;
    if (kind === 'whole' && wholeNumber(value, min, 999999999) === null) {
      errors[`general.${key}`] = `A whole number, ${min} or more.`;
    }
    if (kind === 'amount' && !(value.trim() !== '' && Number(value) >= min)) {
      errors[`general.${key}`] = `An amount, ${min} or more.`;
    }
  }
  return errors;
}

// Only what differs is sent: two people on this page do not undo each other.
export function changeOf(before: Values, values: Values): { models?: Record<string, string>; general?: Record<string, unknown> } {
  const models: Record<string, string> = {};
  const general: Record<string, unknown> = {};
  for (const [role] of MODELS) {
    const value = (values[`models.${role}`] ?? '').trim();
    if (value !== before[`models.${role}`]) models[role] = value;
  }
  for (const { key, kind } of SETTINGS) {
    const value = values[`general.${key}`] ?? '';
    if (value === before[`general.${key}`]) continue;
    if (kind === 'whole' || kind === 'amount') general[key] = Number(value);
    else if (kind === 'switch') general[key] = value === 'true';
    else if (kind === 'lines') general[key] = value.split('\n').map((line) => line.trim()).filter(Boolean);
    else general[key] = kind === 'text' ? value.trim() : value;
  }
  return {
    ...(Object.keys(models).length ? { models } : {}),
    ...(Object.keys(general).length ? { general } : {}),
  };
}
