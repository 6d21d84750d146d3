// What a person does with agents, one or many: only what their states allow, with a word of
// what happened and the way back where there is one.
import { signal } from '@preact/signals';
import { api, ApiError, requestKey } from './api';
import { plainLine } from './clean';
import { DEEDS, type Action } from './deeds';
import { plural } from './format';
import { agentRow, agents, vanishing } from './store';
import { toast, TOAST_MS, type Toast } from './toast';
import type { Agent } from './types';

const agentOf = (id: number): Agent | undefined => agentRow(id)?.peek();

export const able = (action: Action, ids: Iterable<number>): number[] =>
  [...ids].filter((id) => {
    const agent = agentOf(id);
    return agent && DEEDS[action].when(agent);
  });

const nameOf = (ids: readonly number[]): string => (ids.length === 1 ? `#${ids[0]}` : plural(ids.length, 'agent'));

const ask = (action: Exclude<Action, 'delete'>, id: number): Promise<unknown> =>
  action === 'archive' || action === 'unarchive' ? api.archive(id, action === 'archive') : api.control(id, action);

const reasonOf = (error: unknown): string => (error instanceof ApiError ? error.message : String(error));

function tellFailures(what: string, failures: readonly [number, unknown][], other?: Toast['other']): void {
  const [first] = failures;
  if (!first) return;
  const more = failures.length > 1 ? `, and ${failures.length - 1} more` : '';
  toast(`#${first[0]} was not ${what}${more}: ${plainLine(reasonOf(first[1]))}`, { bad: true, ...(other ? { other } : {}) });
}

async function each(ids: readonly number[], what: (id: number) => Promise<unknown>): Promise<{ good: number[]; bad: [number, unknown][] }> {
  const good: number[] = [];
  const bad: [number, unknown][] = [];
  await Promise.all(ids.map((id) => what(id).then(() => good.push(id), (error: unknown) => bad.push([id, error]))));
  return { good, bad };
}

// False: there was nothing it could be done to. `isBack`: takes another action back, also for
// agents that are not shown any more.
export async function act(action: Action, ids: Iterable<number>, isBack = false): Promise<boolean> {
  const able_ = isBack ? [...ids] : able(action, ids);
  if (!able_.length) {
    if (!isBack) toast(`Nothing here can be ${DEEDS[action].done}.`);
    return false;
  }
  if (action === 'delete') {
    removeLater(able_);
    return true;
  }
  const { good, bad } = await each(able_, (id) => ask(action, id));
  const { back, done } = DEEDS[action];
  if (good.length && !isBack) {
    toast(`${nameOf(good)} ${done}`, back ? { undo: () => void act(back, good, true) } : {});
  }
  tellFailures(done, bad);
  return good.length > 0;
}

// Deleting cannot be taken back, so it waits a moment in which it can.
const leaving = new Map<number, ReturnType<typeof setTimeout>>();

function show(ids: readonly number[]): void {
  const next = new Set(vanishing.peek());
  for (const id of ids) next.delete(id);
  vanishing.value = next;
}

async function remove(ids: readonly number[], last: boolean): Promise<void> {
  for (const id of ids) leaving.delete(id);
  const { bad } = await each(ids, (id) => api.remove(id, last));
  show(bad.map(([id]) => id));
  // The supervisor says so where it kept one only because its work could not be saved.
  const unsaved = bad.filter(([, error]) => reasonOf(error).includes('discard')).map(([id]) => id);
  tellFailures('deleted', bad, unsaved.length ? { label: 'Delete without saving', run: () => void discard(unsaved) } : undefined);
}

async function discard(ids: readonly number[]): Promise<void> {
  tellFailures('deleted', (await each(ids, api.discard)).bad);
}

function removeLater(ids: readonly number[]): void {
  vanishing.value = new Set([...vanishing.peek(), ...ids]);
  const timer = setTimeout(() => void remove(ids, false), TOAST_MS);
  for (const id of ids) leaving.set(id, timer);
  toast(`${nameOf(ids)} deleted`, {
    undo: () => {
      clearTimeout(timer);
      for (const id of ids) leaving.delete(id);
      show(ids);
    },
  });
}

window.addEventListener('pagehide', () => {
  if (!leaving.size) return;
  for (const timer of leaving.values()) clearTimeout(timer);
  void remove([...leaving.keys()], true);
});

// The agents that a message is being written to; null: none.
export const telling = signal<readonly number[] | null>(null);
export const tell = (ids: readonly number[]): void => {
  if (ids.length) telling.value = ids;
};

export async function send(ids: readonly number[], text: string): Promise<boolean> {
  const { good, bad } = await each(ids, (id) => api.tell(id, text, requestKey()));
  if (good.length) toast(`Told ${nameOf(good)}; it goes into the next turn.`);
  tellFailures('told', bad);
  return bad.length === 0;
}

// Pause or resume, whichever it can be.
export function toggle(ids: readonly number[]): void {
  const paused = able('resume', ids);
  void act(paused.length && paused.length === ids.length ? 'resume' : 'pause', ids);
}

export const allIds = (): number[] => agents.peek().map(({ id }) => id);
