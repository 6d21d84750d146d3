// All agents as the page knows them: a snapshot, then the events. Signals for each agent, so
// that an event redraws one row, and output only its last line.
import { batch, computed, signal, type Signal } from '@preact/signals';
import { api, ApiError } from './api';
import { plainLine } from './clean';
import { Pulse } from './pulse';
import { isState, list, number, text, type Agent, type Body, type Event } from './types';

export const ids = signal<readonly number[]>([]);
export const loading = signal(true);
export const loadError = signal('');
// Spoken by a screen reader, politely.
export const announcement = signal('');
// Deleted by a person and not gone yet: no longer shown.
export const vanishing = signal<ReadonlySet<number>>(new Set());

export interface Progress {
  what: string;
  done: number;
  total: number;
  text: string;
}

export interface Entry {
  readonly row: Signal<Agent>;
  // The last line of output that is not empty.
  readonly tail: Signal<string>;
  readonly progress: Signal<Progress | null>;
  readonly pulse: Pulse;
}

const entries = new Map<number, Entry & { rest: string }>();

export const entryOf = (id: number): Entry | undefined => {
  void ids.value;
  return entries.get(id);
};

export const agentRow = (id: number): Signal<Agent> | undefined => entryOf(id)?.row;

// Those that are there and not being deleted.
export const agents = computed<readonly Agent[]>(() => {
  const gone = vanishing.value;
  const all: Agent[] = [];
  for (const id of ids.value) {
    const entry = entries.get(id);
    if (entry && !gone.has(id)) all.push(entry.row.value);
  }
  return all;
});

const isWaiting = (agent: Agent): boolean => agent.state === 'waiting' && !agent.archived;
export const waiting = computed(() => agents.value.filter(isWaiting).length);

// The one that has waited longest, after the given one.
export function nextWaiting(after?: number): number | undefined {
  const all = agents.peek().filter(isWaiting).sort((a, b) => enteredAt(a) - enteredAt(b));
  return (all[all.findIndex(({ id }) => id === after) + 1] ?? all[0])?.id;
}

// When an agent came into its present state.
export const enteredAt = (agent: Agent): number =>
  agent.state_at || agent.ended_at || agent.started_at || agent.created_at;

function put(agent: Agent): void {
  const known = entries.get(agent.id);
  if (known) {
    known.row.value = agent;
    if (agent.last_line && !known.tail.peek()) known.tail.value = plainLine(agent.last_line);
    return;
  }
  entries.set(agent.id, {
    row: signal(agent),
    tail: signal(plainLine(agent.last_line ?? '')),
    progress: signal(null),
    pulse: new Pulse(),
    rest: '',
  });
}

function drop(id: number): void {
  if (!entries.delete(id)) return;
  ids.value = [...entries.keys()].sort((a, b) => b - a);
  if (vanishing.value.has(id)) vanishing.value = new Set([...vanishing.value].filter((other) => other !== id));
}

const listAll = (): void => {
  if (ids.value.length !== entries.size) ids.value = [...entries.keys()].sort((a, b) => b - a);
};

// Whether archived agents are asked for, too.
export const withArchived = signal(false);

let loads = 0;
// Events that come while a snapshot is under way are applied after it.
let held: Event[] | null = null;

export async function loadAgents(): Promise<void> {
  const mine = ++loads;
  held = [];
  try {
    const { agents } = await api.agents(withArchived.peek());
    if (mine !== loads) return;
    batch(() => {
      const present = new Set(agents.map((agent) => agent.id));
      for (const id of [...entries.keys()]) if (!present.has(id)) entries.delete(id);
      for (const agent of agents) put(agent);
      ids.value = [...entries.keys()].sort((a, b) => b - a);
      loading.value = false;
      loadError.value = '';
    });
    const late = held ?? [];
    held = null;
    applyAll(late);
  } catch (error) {
    if (mine !== loads) return;
    const late = held ?? [];
    held = null;
    applyAll(late);
    loading.value = false;
    loadError.value = error instanceof ApiError ? error.message : String(error);
  }
}

// What happened of late, so that the small lines of activity do not begin at nothing.
export async function loadPulses(): Promise<void> {
  try {
    const { events } = await api.activity({ kinds: 'state,usage,commit,test', limit: 200 });
    batch(() => {
      for (const { stream, subject, at } of events) {
        const pulse = stream === 'agent' && at ? entries.get(subject)?.pulse : undefined;
        if (!pulse || !at) continue;
        pulse.add(at);
        pulse.filled.value++;
      }
    });
  } catch {
    // then they do
  }
}

export function applyAll(events: readonly Event[]): void {
  if (held) {
    held.push(...events);
    return;
  }
  batch(() => {
    for (const event of events) if (event.stream === 'agent') apply(event);
  });
}

async function fetchOne(id: number): Promise<void> {
  try {
    put(await api.agent(id));
    listAll();
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) drop(id);
  }
}

// What is not whole yet of a line is kept up to here.
const REST_MAX = 2048;
const TAIL_MAX = 240;

function said(entry: Entry & { rest: string }, piece: string): void {
  const all = (entry.rest + piece).slice(-REST_MAX);
  const end = all.lastIndexOf('\n');
  entry.rest = end < 0 ? all : all.slice(end + 1);
  const lines = all.split('\n');
  for (let i = lines.length - 1; i >= 0; i--) {
    const line = plainLine(lines[i] ?? '');
    if (!line) continue;
    entry.tail.value = line.length > TAIL_MAX ? `${line.slice(0, TAIL_MAX)}…` : line;
    return;
  }
}

function step(entry: Entry, body: Body): void {
  const next = { what: text(body['what']), done: number(body['done']), total: number(body['total']), text: text(body['text']) };
  entry.progress.value = next.total > 0 && next.done >= next.total ? null : next;
}

// What an event about its workspace says of an agent.
export const workspaceOf = (body: Body): Partial<Agent> =>
  body['state'] === 'reclaimed' ? { reclaimed_at: number(body['at']), saved: text(body['saved']) || null } : { reclaimed_at: null };

function apply({ id, subject, kind, body }: Event): void {
  if (kind === 'deleted') {
    drop(subject);
    return;
  }
  const entry = entries.get(subject);
  if (!entry) {
    const made = body['agent'] as Agent | undefined;
    if (kind === 'created' && made?.id === subject) {
      put(made);
      listAll();
    } else if (kind === 'created' || kind === 'state' || (kind === 'archive' && body['archived'] === false)) void fetchOne(subject);
    return;
  }
  const { row } = entry;
  const at = number(body['at']);
  entry.pulse.add(at || Date.now());
  if (id <= (row.peek().last_event ?? 0)) return;
  if (kind === 'output') {
    said(entry, text(body['text']));
    return;
  }
  if (kind === 'progress') {
    step(entry, body);
    return;
  }
  const was = row.peek();
  const change = (fields: Partial<Agent>): void => {
    row.value = { ...was, ...fields, updated_at: at || was.updated_at };
  };
  switch (kind) {
    case 'state': {
      const state = body['state'];
      if (!isState(state)) return;
      const ended = state === 'done' || state === 'failed' || state === 'stopped';
      if (state !== was.state) {
        announcement.value = `Agent ${subject} is ${state}. ${plainLine(text(body['reason']))}`;
        for (const listen of stateListeners) listen(was, { ...was, state, reason: text(body['reason']) });
      }
      if (state !== 'starting' && state !== 'finishing') entry.progress.value = null;
      change({
        state,
        reason: text(body['reason']),
        state_at: state === was.state && was.state_at ? was.state_at : at,
        ended_at: ended ? at : null,
        started_at: was.started_at ?? (state === 'queued' ? null : at),
      });
      break;
    }
    case 'archive':
      change({ archived: body['archived'] === true });
      break;
    case 'workspace':
      change(workspaceOf(body));
      break;
    case 'turn':
      if (body['phase'] === 'started') {
        entry.progress.value = null;
        change({ turn: number(body['turn']) });
      }
      break;
    case 'decision':
      if (body['accepted'] !== false) {
        change({
          progress: text(body['progress']),
          thought: text(body['thought']),
          action: text(body['action']),
          future: text(body['future']),
        });
      }
      break;
    case 'usage':
      change({
        tokens_in: was.tokens_in + number(body['tokens_in']),
        tokens_out: was.tokens_out + number(body['tokens_out']),
        dollars: was.dollars + number(body['dollars']),
      });
      break;
    case 'diff':
      change({ files: list(body['files']).length, added: number(body['added']), removed: number(body['removed']) });
      break;
    case 'test':
      change({ tests: body['passed'] === true ? 'passed' : 'failed' });
      break;
    case 'pull_request':
      change({ pull_request: text(body['url']) || null });
      break;
  }
}

// Told of each change of a state that is seen live: before and after.
type StateListener = (was: Agent, is: Agent) => void;
const stateListeners: StateListener[] = [];
export const onState = (listen: StateListener): void => void stateListeners.push(listen);
