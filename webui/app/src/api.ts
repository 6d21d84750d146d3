// The REST interface (/api/v1/openapi.json). Every failure is an ApiError with words for
// a person; a 401 also tells the page that it is signed out.
import { signal } from '@preact/signals';
import type {
  Agent, CheckedRepository, Config, CostRow, Diff, Event, Health, Hit, Issue, Judgement, KnownRepository, ModelTest, ProcessInfo, Task, TaskPage,
  Turn, Usage,
} from './types';

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly kind: string,
    readonly field: string,
  ) {
    super(message);
  }
}

export type Session = 'unknown' | 'in' | 'out';
export const session = signal<Session>('unknown');

const BASE = '/api/v1';
// Creating tasks reaches out to a repository; the server's own deadline is 60 s.
const DEADLINE_MS = 90000;

interface Options {
  body?: unknown;
  key?: string;
  // Also sent when the page is being left.
  last?: boolean;
}

async function call<T>(method: string, path: string, { body, key, last }: Options = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (method !== 'GET') headers['Content-Type'] = 'application/json';
  if (key) headers['Idempotency-Key'] = key;
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), DEADLINE_MS);
  let response: Response;
  let answer: unknown;
  try {
    response = await fetch(BASE + path, {
      method,
      headers,
      credentials: 'same-origin',
      cache: 'no-store',
      keepalive: last === true,
      signal: giveUp.signal,
      ...(method === 'GET' ? {} : { body: JSON.stringify(body ?? {}) }),
    });
    const raw = await response.text();
    answer = raw ? JSON.parse(raw) : {};
  } catch (cause) {
    const why = giveUp.signal.aborted
      ? 'The server did not answer in time. Try again.'
      : cause instanceof SyntaxError
        ? 'The server sent an answer that is not JSON.'
        : 'The server cannot be reached. Is it running? (100x status)';
    throw new ApiError(why, 0, 'unreachable', '');
  } finally {
    clearTimeout(timer);
  }
  if (response.ok) return answer as T;
  if (response.status === 401 && !path.startsWith('/session')) session.value = 'out';
  const error = (answer as { error?: { kind?: string; message?: string; field?: string } }).error ?? {};
  throw new ApiError(
    error.message || `The server answered ${response.status}.`,
    response.status,
    error.kind ?? 'internal',
    error.field ?? '',
  );
}

// 32 hex digits; crypto.randomUUID is missing where the page is not a secure context.
export function requestKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}

export interface NewTasks {
  repository: string;
  base?: string;
  tasks: { title: string; description?: string }[];
  agents_per_task: number;
  aider_arguments?: string;
  test_command?: string;
  manager: boolean;
  permission?: string;
  limits?: Record<string, number>;
  models?: Record<string, string>;
  pull_request: boolean;
}

export type Control = 'interrupt' | 'pause' | 'resume' | 'stop' | 'finish' | 'retry' | 'reclaim' | 'restore';

export interface EventPage {
  events: Event[];
  more: boolean;
}

export interface EventRange {
  limit: number;
  bytes?: number;
  before?: number | undefined;
  after?: number;
}

const query = (fields: object): string => {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
};

export const api = {
  signIn: (token: string) => call<unknown>('POST', '/session', { body: { token } }),
  signOut: () => call<unknown>('DELETE', '/session'),
  session: () => call<{ signed_in: boolean }>('GET', '/session'),
  agents: (archived = false) => call<{ agents: Agent[] }>('GET', archived ? '/agents?archived=true' : '/agents'),
  agent: (id: number) => call<Agent & { task?: Task }>('GET', `/agents/${id}`),
  turns: (id: number, limit: number, before?: number) =>
    call<{ turns: Turn[] }>('GET', `/agents/${id}/turns${query({ limit, before })}`),
  diff: (id: number) => call<Diff>('GET', `/agents/${id}/diff`),
  // Those after an event, or else the newest (of those before one), ascending.
  events: (id: number, kinds: readonly string[], range: EventRange) =>
    call<EventPage>('GET', `/agents/${id}/events${query({ kinds: kinds.join(','), ...range })}`),
  search: (id: number, q: string, after_line?: number) =>
    call<{ hits: Hit[]; more: boolean; line: number }>('GET', `/agents/${id}/search${query({ q, limit: 100, after_line })}`),
  usage: (id: number) => call<Usage>('GET', `/agents/${id}/usage`),
  process: (id: number) => call<ProcessInfo>('GET', `/agents/${id}/process`),
  archive: (id: number, archived: boolean) =>
    call<unknown>('POST', `/agents/${id}/${archived ? 'archive' : 'unarchive'}`, { key: requestKey() }),
  task: (id: number) => call<TaskPage>('GET', `/tasks/${id}`),
  judge: (id: number) => call<Judgement>('POST', `/tasks/${id}/judge`, { key: requestKey() }),
  pick: (id: number, agent: number) => call<unknown>('POST', `/tasks/${id}/pick`, { body: { agent }, key: requestKey() }),
  unpick: (id: number) => call<unknown>('POST', `/tasks/${id}/unpick`, { key: requestKey() }),
  // What the manager thought before any turn; it has no row of its own.
  opening: (id: number) => call<EventPage>('GET', `/agents/${id}/events?kinds=decision&after=0&limit=1`),
  create: (tasks: NewTasks, key: string) =>
    call<{ tasks: { id: number; agents: number[] }[] }>('POST', '/tasks', { body: tasks, key }),
  tell: (id: number, text: string, key: string) => call<unknown>('POST', `/agents/${id}/tell`, { body: { text }, key }),
  control: (id: number, what: Control) => call<unknown>('POST', `/agents/${id}/${what}`, { key: requestKey() }),
  answer: (id: number, permission: string, option: string) =>
    call<unknown>('POST', `/agents/${id}/permission`, { body: { permission, option }, key: requestKey() }),
  remove: (id: number, last = false) => call<unknown>('DELETE', `/agents/${id}`, { key: requestKey(), last }),
  // Also work that is nowhere else.
  discard: (id: number) => call<unknown>('DELETE', `/agents/${id}?discard=true`, { key: requestKey() }),
  activity: (query: Record<string, string | number>) =>
    call<EventPage>('GET', `/activity?${new URLSearchParams(Object.entries(query).map(([k, v]) => [k, String(v)]))}`),
  costs: (from: number, to: number) => call<{ rows: CostRow[] }>('GET', `/costs?from=${from}&to=${to}`),
  health: () => call<Health>('GET', '/health'),
  keys: () => call<{ keys: { name: string; present: boolean }[] }>('GET', '/keys'),
  repositories: () => call<{ repositories: KnownRepository[] }>('GET', '/repositories'),
  checkRepository: (repository: string, base?: string) =>
    call<CheckedRepository>('POST', '/repositories/check', { body: { repository, ...(base ? { base } : {}) } }),
  issues: (repository: string, page = 1) =>
    call<{ issues: Issue[]; more: boolean }>('POST', '/repositories/issues', { body: { repository, page } }),
  splitGoal: (repository: string, base: string, goal: string, tasks: number) =>
    call<{ tasks: { title: string; description?: string }[]; model?: string; dollars?: number | null }>('POST', '/goals/split', {
      body: { repository, ...(base ? { base } : {}), goal, tasks },
      key: requestKey(),
    }),
  testModel: (model: string) => call<ModelTest>('POST', '/models/test', { body: { model } }),
  config: () => call<Config>('GET', '/config'),
  setConfig: (change: { models?: object; general?: object }) =>
    call<Config>('PATCH', '/config', { body: change, key: requestKey() }),
};
