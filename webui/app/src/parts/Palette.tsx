// Ctrl-K: every view, agent and action by a few letters of its name.
import { signal } from '@preact/signals';
import { useMemo, useRef, useState } from 'preact/hooks';
import { act, able, tell } from '../actions';
import { by, clearSelection, selected, showArchived, sort } from '../board';
import { BYS, SORTS } from '../arrange';
import { plainLine } from '../clean';
import { DEEDS, hasEnded, type Action } from '../deeds';
import { repositoryName } from '../format';
import { search } from '../fuzzy';
import { canNotify, notifying, notifyMe } from '../notify';
import { navigate, route } from '../router';
import { agents, nextWaiting, withArchived } from '../store';
import { theme, THEMES } from '../theme';
import { Dialog } from './Dialog';
import { helping, Keys } from './Help';
import { STATE_WORDS, StateIcon } from './State';
import type { State } from '../types';

export const asking = signal(false);

interface Item {
  key: string;
  name: string;
  lower: string;
  note: string;
  keys?: string;
  state?: State;
  run: () => void;
}

const SHOWN_MAX = 40;

const item = (key: string, name: string, note: string, run: () => void, more: Partial<Item> = {}): Item => ({
  key, name, note, run, lower: `${name} ${note}`.toLowerCase(), ...more,
});

function views(): Item[] {
  const go = (path: string) => () => navigate(path);
  return [
    item('board', 'Board', 'view', go('/'), { keys: 'g b' }),
    item('new', 'New task', 'view', go('/new'), { keys: 'c' }),
    item('activity', 'Activity', 'view', go('/activity'), { keys: 'g a' }),
    item('costs', 'Costs', 'view', go('/costs'), { keys: 'g c' }),
    item('health', 'Health', 'view', go('/health'), { keys: 'g h' }),
    item('settings', 'Settings', 'view', go('/settings'), { keys: 'g s' }),
  ];
}

// Actions on what is selected, or on the agent that is looked at.
function deeds(): Item[] {
  const at = route.value;
  const ids = selected.value.size ? [...selected.value] : at.name === 'agent' ? [at.id] : [];
  if (!ids.length) return [];
  const whom = ids.length === 1 ? `#${ids[0]}` : `${ids.length} selected agents`;
  const made = (Object.keys(DEEDS) as Action[])
    .filter((action) => able(action, ids).length)
    .map((action) =>
      item(`do ${action}`, `${DEEDS[action].label} ${whom}`, 'action', () => {
        void act(action, ids);
        clearSelection();
      }),
    );
  return [item('do tell', `Tell ${whom}…`, 'action', () => tell(ids)), ...made];
}

function switches(): Item[] {
  const wait = nextWaiting();
  return [
    ...(wait === undefined ? [] : [item('next', 'Go to the agent that waits longest', 'action', () => navigate(`/agents/${wait}`), { keys: 'g w' })]),
    item('help', 'Keyboard shortcuts', 'help', () => (helping.value = true), { keys: '?' }),
    ...THEMES.map(([name, label]) => item(`theme ${name}`, `Theme: ${label}`, 'look', () => (theme.value = name))),
    ...BYS.map(([name, label]) => item(`by ${name}`, `Group the board by ${label.toLowerCase()}`, 'board', () => ((by.value = name), navigate('/')))),
    ...SORTS.map(([name, label]) => item(`sort ${name}`, `Sort the board: ${label.toLowerCase()}`, 'board', () => ((sort.value = name), navigate('/')))),
    item('archived', withArchived.value ? 'Hide archived agents' : 'Show archived agents', 'board', () => showArchived(!withArchived.peek())),
    item('tell all', 'Tell every agent that has not ended…', 'action', () => tell(agents.peek().filter((agent) => !hasEnded(agent)).map(({ id }) => id))),
    ...(canNotify() ? [item('notify', notifying.value ? 'Notifications off' : 'Notifications on', 'look', () => void notifyMe(!notifying.peek()))] : []),
  ];
}

function Inside() {
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const box = useRef<HTMLUListElement>(null);
  const close = (): void => void (asking.value = false);
  // The agents as they are when it opens: what is read does not move.
  const all = useMemo<Item[]>(
    () => [
      ...deeds(),
      ...views(),
      ...[...agents.peek()]
        .sort((a, b) => Number(b.state === 'waiting') - Number(a.state === 'waiting'))
        .map((agent) =>
          item(
            `agent ${agent.id}`,
            plainLine(agent.title) || `Agent ${agent.id}`,
            `#${agent.id} ${repositoryName(agent.repository)} ${STATE_WORDS[agent.state].toLowerCase()}`,
            () => navigate(`/agents/${agent.id}`),
            { state: agent.state },
          ),
        ),
      ...switches(),
    ],
    [],
  );
  const find = (text: string): Item[] => search(text, all, ({ lower }) => lower, SHOWN_MAX).map(({ item: one }) => one);
  const found = useMemo(() => find(query), [query, all]);
  const move = (to: number): void => {
    const next = Math.max(0, Math.min(found.length - 1, to));
    setAt(next);
    box.current?.children[next]?.scrollIntoView({ block: 'nearest' });
  };
  const run = (one: Item | undefined): void => {
    if (!one) return;
    close();
    // After the dialog gave the focus back.
    queueMicrotask(one.run);
  };
  const keys = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step) move(at + step);
    else if (event.key === 'Enter' && !event.isComposing) {
      // Typed quicker than it is drawn: what stands in the field counts.
      const text = (event.currentTarget as HTMLInputElement).value;
      run(text === query ? found[at] : find(text)[0]);
    }
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Command palette" class="palette" onClose={close}>
      <input
        type="text"
        class="palette-input"
        role="combobox"
        aria-label="Search agents, views and actions"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[at] ? `palette-${at}` : undefined}
        aria-autocomplete="list"
        placeholder="Search agents, views and actions…"
        value={query}
        autoFocus
        autoComplete="off"
        spellcheck={false}
        onInput={(event) => {
          setQuery(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={keys}
      />
      <ul id="palette-list" class="palette-list" role="listbox" aria-label="Found" ref={box}>
        {found.map((one, i) => (
          <li
            key={one.key}
            id={`palette-${i}`}
            role="option"
            aria-selected={i === at}
            onMouseMove={() => i !== at && setAt(i)}
            onClick={() => run(one)}
          >
            {one.state ? <StateIcon state={one.state} /> : <span class="palette-mark" aria-hidden="true" />}
            <span class="palette-name">{one.name}</span>
            <span class="palette-note">{one.note}</span>
            {one.keys && <Keys keys={one.keys} />}
          </li>
        ))}
      </ul>
      {!found.length && <p class="palette-none" role="status">Nothing is called that.</p>}
    </Dialog>
  );
}

export function Palette() {
  return asking.value ? <Inside /> : null;
}
