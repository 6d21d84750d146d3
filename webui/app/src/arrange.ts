// Which agents the board shows, in which sections and order. Pure.
import { repositoryName } from './format';
import type { Agent, State } from './types';

export type By = 'state' | 'task' | 'repository';
export type Sort = 'newest' | 'waiting' | 'cost' | 'changes' | 'title';

export const BYS = [['state', 'State'], ['task', 'Task'], ['repository', 'Repository']] as const;
export const SORTS = [
  ['newest', 'Newest first'],
  ['waiting', 'Longest in its state'],
  ['cost', 'Most expensive'],
  ['changes', 'Most changed lines'],
  ['title', 'Title'],
] as const;

export type Place = 'needs' | 'working' | 'paused' | 'queued' | 'review' | 'done' | 'failed' | 'stopped' | 'archived';

// In the order of the board: who waits for a person first.
const PLACES: readonly { place: Place; name: string; hint: string }[] = [
  { place: 'needs', name: 'Needs you', hint: 'the longest wait first' },
  { place: 'working', name: 'Working', hint: '' },
  { place: 'queued', name: 'Queued', hint: 'start when another agent ends' },
  { place: 'paused', name: 'Paused', hint: 'by a person or a limit' },
  { place: 'review', name: 'In review', hint: 'done, with a branch or a pull request to look at' },
  { place: 'failed', name: 'Failed', hint: 'can be retried' },
  { place: 'done', name: 'Done', hint: 'without a change to look at' },
  { place: 'stopped', name: 'Stopped', hint: 'by a person' },
  { place: 'archived', name: 'Archived', hint: '' },
];

const OF_STATE: Record<State, Place> = {
  queued: 'queued',
  starting: 'working',
  working: 'working',
  waiting: 'needs',
  paused: 'paused',
  finishing: 'working',
  done: 'done',
  failed: 'failed',
  stopped: 'stopped',
};

export function placeOf(agent: Agent): Place {
  if (agent.archived) return 'archived';
  if (agent.state === 'done' && (agent.pull_request || agent.files > 0 || agent.added + agent.removed > 0)) return 'review';
  return OF_STATE[agent.state];
}

export interface Section {
  key: string;
  name: string;
  hint: string;
  // Where the section's name leads, if anywhere.
  task?: number;
  ids: readonly number[];
}

const entered = (agent: Agent): number => agent.state_at || agent.ended_at || agent.started_at || agent.created_at;

const ORDERS: Record<Sort, (a: Agent, b: Agent) => number> = {
  newest: (a, b) => b.id - a.id,
  waiting: (a, b) => entered(a) - entered(b) || b.id - a.id,
  cost: (a, b) => b.dollars - a.dollars || b.id - a.id,
  changes: (a, b) => b.added + b.removed - a.added - a.removed || b.id - a.id,
  title: (a, b) => a.title.localeCompare(b.title) || a.id - b.id,
};

// Words that must all be there; "is:failed" asks for a state or a place, "#7" for one agent.
export function matcher(filter: string): (agent: Agent) => boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return () => true;
  return (agent) => {
    const hay = `${agent.title}\n${agent.repository}\n${agent.branch}\n${agent.progress}\n${agent.reason}`.toLowerCase();
    return words.every((word) => {
      if (word.startsWith('is:')) return agent.state.startsWith(word.slice(3)) || placeOf(agent).startsWith(word.slice(3));
      if (/^#\d+$/.test(word)) return word === `#${agent.id}`;
      return hay.includes(word);
    });
  };
}

export interface View {
  filter: string;
  by: By;
  sort: Sort;
  archived: boolean;
}

export function arrange(agents: readonly Agent[], { filter, by, sort, archived }: View): Section[] {
  const wanted = matcher(filter);
  const shown = agents.filter((agent) => (archived || !agent.archived) && wanted(agent));
  const order = ORDERS[sort];
  if (by === 'state') {
    const places = new Map<Place, Agent[]>();
    for (const agent of shown) {
      const place = placeOf(agent);
      const there = places.get(place);
      if (there) there.push(agent);
      else places.set(place, [agent]);
    }
    return PLACES.flatMap(({ place, name, hint }) => {
      const there = places.get(place);
      if (!there) return [];
      const sorted = there.sort(place === 'needs' && sort === 'newest' ? ORDERS.waiting : order);
      return [{ key: place, name, hint, ids: sorted.map(({ id }) => id) }];
    });
  }
  const rank = new Map(PLACES.map(({ place }, i) => [place, i]));
  const rankOf = (agent: Agent): number => rank.get(placeOf(agent)) ?? 0;
  const groups = new Map<string, Agent[]>();
  for (const agent of shown) {
    const key = by === 'task' ? String(agent.task_id) : agent.repository;
    const there = groups.get(key);
    if (there) there.push(agent);
    else groups.set(key, [agent]);
  }
  return [...groups]
    .map(([key, members]) => {
      members.sort((a, b) => rankOf(a) - rankOf(b) || order(a, b));
      const first = members[0] as Agent;
      return { key, first: members.reduce((best, agent) => Math.min(best, rankOf(agent)), PLACES.length), newest: Math.max(...members.map(({ id }) => id)),
        section: {
          key: `${by} ${key}`,
          name: by === 'task' ? first.title || `Task ${key}` : repositoryName(first.repository),
          hint: by === 'task' ? repositoryName(first.repository) : '',
          ...(by === 'task' ? { task: first.task_id } : {}),
          ids: members.map(({ id }) => id),
        } as Section };
    })
    // Where somebody waits first, then the newest.
    .sort((a, b) => Number(b.first === 0) - Number(a.first === 0) || b.newest - a.newest)
    .map(({ section }) => section);
}

// The same sections keep their identity, so that only what moved is drawn again.
export function keepSame(before: readonly Section[], now: readonly Section[]): readonly Section[] {
  let same = before.length === now.length;
  const kept = now.map((section, i) => {
    const was = before.find(({ key }) => key === section.key);
    const equal = was && was.name === section.name && was.hint === section.hint && was.ids.length === section.ids.length &&
      was.ids.every((id, at) => id === section.ids[at]);
    if (!equal || before[i] !== was) same = false;
    return equal ? was : section;
  });
  return same ? before : kept;
}
