// What the server sends (docs/protocol.md). Fields are added there, never renamed.

export const STATES = ['queued', 'starting', 'working', 'waiting', 'paused', 'finishing', 'done', 'failed', 'stopped'] as const;
export type State = (typeof STATES)[number];

export interface Limits {
  turns?: number;
  minutes?: number;
  dollars?: number;
}

export interface Task {
  id: number;
  repository: string;
  base: string;
  title: string;
  description: string;
  agents: number;
  aider_arguments: string;
  test_command: string;
  manager: boolean;
  permission: 'allow' | 'ask';
  limits: Limits;
  models: { agent?: string; aider?: string };
  pull_request: boolean;
  created_at: number;
}

export interface Agent {
  id: number;
  task_id: number;
  title: string;
  repository: string;
  base: string;
  branch: string;
  state: State;
  reason: string;
  turn: number;
  progress: string;
  thought: string;
  action: string;
  future: string;
  tokens_in: number;
  tokens_out: number;
  dollars: number;
  files: number;
  added: number;
  removed: number;
  tests: 'passed' | 'failed' | null;
  pull_request: string | null;
  pid: number | null;
  manager: boolean;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  updated_at: number;
  // When the state was entered; the last line of output that is not empty.
  state_at?: number;
  last_line?: string;
  lines?: number;
  archived?: boolean;
  // Since when its workspace is gone, and the ref that keeps its work.
  reclaimed_at?: number | null;
  saved?: string | null;
  // The newest event when the row was read: later ones are not in it.
  last_event?: number;
}

export interface Turn {
  turn: number;
  source: string;
  prompt: string;
  progress: string;
  thought: string;
  action: string;
  future: string;
  stop_reason: string | null;
  started_at: number;
  ended_at: number | null;
  tokens_in: number;
  tokens_out: number;
  // null: the price of its model is not known.
  dollars: number | null;
  last_event?: number;
}

// A line of output in which a text was found.
export interface Hit {
  line: number;
  id: number;
  text: string;
}

export interface UsageSums {
  calls?: number;
  tokens_in: number;
  tokens_out: number;
  tokens_cached?: number;
  // null: the price of no call is known.
  dollars: number | null;
}

export interface Usage {
  total: UsageSums;
  models: readonly (UsageSums & { role: string; model: string })[];
  turns: readonly (UsageSums & { turn: number })[];
}

export interface Process {
  pid: number;
  ppid: number;
  name: string;
  rss_bytes: number;
  cpu_ms: number;
  started_at: number;
}

export interface ProcessInfo {
  worker: { pid: number; epoch: number; started_at: number } | null;
  processes: readonly Process[];
  workspace: string;
  ends?: readonly string[];
  spool_bytes: number;
  workspace_bytes?: number;
}

export interface Judgement {
  // null: none is usable.
  winner: number | null;
  reasons: string;
  scores: readonly { agent: number; score: number; reasons: string }[];
  model: string;
  dollars: number | null;
  at?: number;
}

export interface TaskPage {
  task: Task;
  agents: Agent[];
  winner?: number | null;
  judgement?: Judgement | null;
}

export interface ChangedFile {
  path: string;
  status: 'added' | 'modified' | 'deleted' | 'renamed';
  added: number;
  removed: number;
  binary?: boolean;
}

export interface Diff {
  files: ChangedFile[];
  added?: number;
  removed?: number;
  patch?: string;
  cut?: boolean;
}

export interface Config {
  models: { orchestrator: string; agent: string; aider: string };
  general: Record<string, unknown>;
}

export interface KnownRepository {
  repository: string;
  base: string;
  tasks: number;
  last_at: number;
}

export interface CheckedRepository {
  base: string;
  head: string;
  branches: string[];
  default: string;
}

export interface Issue {
  number: number;
  title: string;
  body: string;
  labels: string[];
  url: string;
  author: string;
  created_at: number | string;
  comments: number;
}

export interface ModelTest {
  ok: boolean;
  model: string;
  provider?: string;
  latency_ms?: number;
  text?: string;
  error?: string;
  hint?: string;
}

export interface CostRow {
  day: string;
  repository: string;
  model: string;
  role: string;
  calls: number;
  tokens_in: number;
  tokens_out: number;
  tokens_cached: number;
  // null: the price of its model is not known.
  dollars: number | null;
}

export interface ProcessRow {
  what: string;
  agent?: number;
  pid: number;
  rss_bytes: number;
  cpu_ms: number;
}

export interface Finding {
  level: 'ok' | 'warning' | 'error';
  what: string;
  hint: string;
}

export interface Health {
  version: string;
  protocol: number | string;
  uptime_ms: number;
  processes: ProcessRow[];
  queue: { queued: number; working: number; max_working: number };
  disk: { free_bytes: number; total_bytes: number; state_bytes: number; full: boolean | string };
  store: { events: number; bytes: number };
  findings: Finding[];
}

// A body is what a worker wrote: each field is looked at before it is used.
export type Body = Record<string, unknown>;

export interface Event {
  id: number;
  stream: string;
  subject: number;
  kind: string;
  body: Body;
  at?: number;
}

export const text = (value: unknown): string => (typeof value === 'string' ? value : '');
export const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
export const list = (value: unknown): Body[] =>
  Array.isArray(value) ? value.filter((item): item is Body => typeof item === 'object' && item !== null) : [];
export const isState = (value: unknown): value is State => STATES.includes(value as State);
