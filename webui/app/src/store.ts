// All agents as the page knows them: a snapshot, then the events. One signal an agent, so
// that an event redraws one row.
import { batch, computed, signal, type Signal } from '@preact/signals';
import { api, ApiError } from './api';
import { plainLine } from './clean';
import { isState, list, number, text, type Agent, type Event, type State } from './types';

export const ids = signal<readonly number[]>([]);
export const loading = signal(true);
export const loadError = signal('');
// Spoken by a screen reader, politely.
export const announcement = signal('');

const rows = new Map<number, Signal<Agent>>();

export const agentRow = (id: number): Signal<Agent> | undefined => {
  void ids.value;
  return rows.get(id);
};

export interface Group {
  name: string;
  hint: string;
  states: readonly State[];
  ids: readonly number[];
}

// Those that wait for a person first.
const GROUPS: readonly Omit<Group, 'ids'>[] = [
  { name: 'Needs you', hint: '', states: ['waiting'] },
  { name: 'Working', hint: 'starting, working or finishing', states: ['working', 'starting', 'finishing'] },
  { name: 'Paused', hint: 'paused by a person or a limit', states: ['paused'] },
  { name: 'Queued', hint: 'start when another agent ends', states: ['queued'] },
  { name: 'Failed', hint: 'can be retried', states: ['failed'] },
  { name: 'Done', hint: '', states: ['done'] },
  { name: 'Stopped', hint: 'stopped by a person', states: ['stopped'] },
];

let shown: Group[] = [];
export const groups = computed<readonly Group[]>(() => {
  const made = GROUPS.map((group) => ({
    ...group,
    ids: ids.value.filter((id) => group.states.includes(rows.get(id)?.value.state ?? 'queued')),
  })).filter((group) => group.ids.length);
  // The same groups as before keep their identity: a row's change redraws the row alone.
  const key = (all: readonly Group[]): string => all.map((g) => `${g.name}:${g.ids.join()}`).join(';');
  if (key(made) !== key(shown)) shown = made;
  return shown;
});

export const waiting = computed(() => groups.value.find((g) => g.states.includes('waiting'))?.ids.length ?? 0);

export const totals = computed(() => {
  let dollars = 0;
  let tokens = 0;
  for (const id of ids.value) {
    const agent = rows.get(id)?.value;
    dollars += agent?.dollars ?? 0;
    tokens += (agent?.tokens_in ?? 0) + (agent?.tokens_out ?? 0);
  }
  return { dollars, tokens };
});

function put(agent: Agent): void {
  const row = rows.get(agent.id);
  if (row) row.value = agent;
  else {
    rows.set(agent.id, signal(agent));
    ids.value = [...rows.keys()].sort((a, b) => b - a);
  }
}

function drop(id: number): void {
  if (rows.delete(id)) ids.value = [...rows.keys()].sort((a, b) => b - a);
}

let loads = 0;
// Events that come while a snapshot is under way are applied after it.
let held: Event[] | null = null;

export async function loadAgents(): Promise<void> {
  const mine = ++loads;
  held = [];
  try {
    const { agents } = await api.agents();
    if (mine !== loads) return;
    batch(() => {
      const present = new Set(agents.map((agent) => agent.id));
      for (const id of [...rows.keys()]) if (!present.has(id)) rows.delete(id);
      for (const agent of agents) {
        const row = rows.get(agent.id);
        if (row) row.value = agent;
        else rows.set(agent.id, signal(agent));
      }
      ids.value = [...rows.keys()].sort((a, b) => b - a);
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
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) drop(id);
  }
}

function apply({ id, subject, kind, body }: Event): void {
  if (kind === 'deleted') {
    drop(subject);
    return;
  }
  const row = rows.get(subject);
  if (!row) {
    const made = body['agent'] as Agent | undefined;
    if (kind === 'created' && made?.id === subject) put(made);
    else if (kind === 'created' || kind === 'state') void fetchOne(subject);
    return;
  }
  if (id <= (row.value.last_event ?? 0)) return;
  const at = number(body['at']);
  const change = (fields: Partial<Agent>): void => {
    row.value = { ...row.value, ...fields, updated_at: at || row.value.updated_at };
  };
  switch (kind) {
    case 'state': {
      const state = body['state'];
      if (!isState(state)) return;
      const ended = state === 'done' || state === 'failed' || state === 'stopped';
      if (state !== row.value.state) {
        announcement.value = `Agent ${subject} is ${state}. ${plainLine(text(body['reason']))}`;
      }
      change({
        state,
        reason: text(body['reason']),
        ended_at: ended ? at : null,
        started_at: row.value.started_at ?? (state === 'queued' ? null : at),
      });
      break;
    }
    case 'turn':
      if (body['phase'] === 'started') change({ turn: number(body['turn']) });
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
        tokens_in: row.value.tokens_in + number(body['tokens_in']),
        tokens_out: row.value.tokens_out + number(body['tokens_out']),
        dollars: row.value.dollars + number(body['dollars']),
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
