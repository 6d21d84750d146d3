// What a person chose to see on the board, what is selected, and what it makes of the store.
import { computed, effect, signal } from '@preact/signals';
import { arrange, BYS, keepSame, SORTS, type By, type Section, type Sort } from './arrange';
import { keep, kept } from './kept';
import { agents, loadAgents, withArchived } from './store';

const saved = (kept('board') ?? {}) as Record<string, unknown>;

export const filter = signal('');
export const by = signal<By>(BYS.find(([name]) => name === saved['by'])?.[0] ?? 'state');
export const sort = signal<Sort>(SORTS.find(([name]) => name === saved['sort'])?.[0] ?? 'newest');

export function showArchived(show: boolean): void {
  withArchived.value = show;
  void loadAgents();
}

let before: readonly Section[] = [];
export const sections = computed<readonly Section[]>(() => {
  const now = arrange(agents.value, { filter: filter.value, by: by.value, sort: sort.value, archived: withArchived.value });
  return (before = keepSame(before, now));
});

// Sections that a person folded away.
export const folded = signal<ReadonlySet<string>>(
  new Set(Array.isArray(saved['folded']) ? saved['folded'].filter((key): key is string => typeof key === 'string') : []),
);
effect(() => keep('board', { by: by.value, sort: sort.value, folded: [...folded.value].slice(-50) }));

export function fold(key: string, on: boolean): void {
  const next = new Set(folded.peek());
  if (on) next.add(key);
  else next.delete(key);
  folded.value = next;
}

export const shownIds = computed<readonly number[]>(() =>
  sections.value.flatMap(({ key, ids }) => (folded.value.has(key) ? [] : ids)),
);

const picked = signal<ReadonlySet<number>>(new Set());
// Only what is shown can be selected: nothing unseen is acted upon.
export const selected = computed<ReadonlySet<number>>(() => {
  if (!picked.value.size) return picked.value;
  const shown = new Set(shownIds.value);
  return new Set([...picked.value].filter((id) => shown.has(id)));
});

export function select(ids: Iterable<number>, on: boolean): void {
  const next = new Set(picked.peek());
  for (const id of ids) {
    if (on) next.add(id);
    else next.delete(id);
  }
  picked.value = next;
}

export const clearSelection = (): void => {
  if (picked.peek().size) picked.value = new Set();
};
