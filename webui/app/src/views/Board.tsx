// All agents: who needs a person first.
import { useLayoutEffect, useRef } from 'preact/hooks';
import { able, act, tell, toggle } from '../actions';
import { BYS, SORTS, type By, type Section, type Sort } from '../arrange';
import { by, clearSelection, filter, fold, folded, sections, select, selected, showArchived, shownIds, sort } from '../board';
import { plainLine } from '../clean';
import { DEEDS, type Action } from '../deeds';
import { count, dollars, plural } from '../format';
import { addKeys, useKeys, type Binding } from '../keys';
import { Keys } from '../parts/Help';
import { Icon } from '../parts/Icon';
import { focusedRow, focusRow, lastRow } from '../parts/focus';
import { Rows } from '../parts/Rows';
import { Link } from '../router';
import { agents, ids, loadAgents, loadError, loading, waiting, withArchived } from '../store';

const COLUMNS = ['Lines', 'Turns', 'Tokens', 'Cost'];

function Head({ section, first }: { section: Section; first: boolean }) {
  const open = !folded.value.has(section.key);
  const name = plainLine(section.name);
  const all = section.ids.every((id) => selected.value.has(id));
  return (
    <div class="group-head">
      <label class="row-pick">
        <input
          type="checkbox"
          checked={all}
          aria-label={`Select all of ${name}`}
          onChange={(event) => select(section.ids, event.currentTarget.checked)}
        />
      </label>
      <h2>
        <button type="button" class="group-fold" aria-expanded={open} onClick={() => fold(section.key, open)}>
          <span class="group-arrow" aria-hidden="true" />
          {name} <span class="group-count">{section.ids.length}</span>
        </button>
      </h2>
      {section.task && section.ids.length > 1 ? (
        <Link to={`/tasks/${section.task}`} class="group-hint">
          Compare
        </Link>
      ) : (
        section.hint && <span class="group-hint">{section.hint}</span>
      )}
      {first && (
        <span class="group-columns" aria-hidden="true">
          {COLUMNS.map((column) => (
            <span key={column}>{column}</span>
          ))}
        </span>
      )}
    </div>
  );
}

function Group({ section, first }: { section: Section; first: boolean }) {
  return (
    <section class={`group group-${section.key}`} aria-label={plainLine(section.name)}>
      <Head section={section} first={first} />
      {!folded.value.has(section.key) && <Rows ids={section.ids} />}
    </section>
  );
}

function Empty() {
  return (
    <section class="empty panel">
      <h2>No agents yet</h2>
      <p>Give a Git repository and a task. Each agent works on a branch of its own, and you watch and steer it here.</p>
      <ol class="empty-steps">
        <li>
          <b>Describe</b> one task or twenty, or load GitHub issues.
        </li>
        <li>
          <b>Watch</b> them work at once; whoever needs you comes first.
        </li>
        <li>
          <b>Review</b> the branches and pull requests they end in.
        </li>
      </ol>
      <p>
        <Link to="/new" class="button button-main">
          New task
        </Link>{' '}
        <Keys keys="c" />
      </p>
      <p class="hint">
        On the command line: <code>100x new REPOSITORY "what is to be done"</code>. To try it without a key: <code>100x demo</code>
      </p>
    </section>
  );
}

function NoMatch() {
  return (
    <section class="empty panel">
      <h2>Nothing matches</h2>
      <p>
        Words of the title, repository, branch or progress; <code>is:failed</code> for a state; <code>#7</code> for one agent.
      </p>
      <p>
        <button type="button" class="button" onClick={() => (filter.value = '')}>
          Clear the filter
        </button>
      </p>
    </section>
  );
}

function Tools() {
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(
    () =>
      addKeys([
        {
          keys: '/',
          label: 'Filter',
          group: 'Board',
          run: () => {
            input.current?.focus();
            input.current?.select();
          },
        },
      ]),
    [],
  );
  return (
    <div class="tools" role="search" aria-label="Board">
      <div class="filter">
        <Icon name="search" size={14} />
        <input
          ref={input}
          type="text"
          aria-label="Filter"
          placeholder="Filter"
          value={filter}
          autoComplete="off"
          spellcheck={false}
          onInput={(event) => (filter.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Escape') filter.value = '';
            else if (event.key !== 'Enter' && event.key !== 'ArrowDown') return;
            event.preventDefault();
            const [first] = shownIds.peek();
            if (first === undefined) input.current?.blur();
            else focusRow(first);
          }}
        />
        <Keys keys="/" />
      </div>
      <fieldset class="segments">
        <legend class="hidden">Group by</legend>
        {BYS.map(([name, label]) => (
          <label key={name}>
            <input type="radio" name="by" checked={by.value === name} onChange={() => (by.value = name as By)} />
            <span>{label}</span>
          </label>
        ))}
      </fieldset>
      <select class="sort" aria-label="Sort" value={sort.value} onChange={(event) => (sort.value = event.currentTarget.value as Sort)}>
        {SORTS.map(([name, label]) => (
          <option key={name} value={name}>
            {label}
          </option>
        ))}
      </select>
      <label class="check-line">
        <input type="checkbox" checked={withArchived} onChange={(event) => showArchived(event.currentTarget.checked)} />
        Archived
      </label>
    </div>
  );
}

const BULK: readonly Action[] = ['pause', 'resume', 'stop', 'retry', 'archive', 'unarchive', 'reclaim', 'restore', 'delete'];

function Bulk() {
  const ids = [...selected.value];
  if (!ids.length) return null;
  const does = (action: Action) => (): void => {
    void act(action, ids);
    clearSelection();
  };
  return (
    <div class="bulk" role="toolbar" aria-label="Selected agents">
      <b>{ids.length} selected</b>
      <button type="button" class="button button-small" onClick={() => tell(ids)}>
        Tell…
      </button>
      {BULK.filter((action) => able(action, ids).length).map((action) => (
        <button
          key={action}
          type="button"
          class={action === 'delete' ? 'button button-small button-danger-quiet' : 'button button-small'}
          title={DEEDS[action].title}
          onClick={does(action)}
        >
          {DEEDS[action].label}
        </button>
      ))}
      <button type="button" class="button-icon" aria-label="Clear the selection" onClick={clearSelection}>
        <Icon name="close" size={14} />
      </button>
    </div>
  );
}

// What is selected, or else the row that has the focus.
function meant(): number[] {
  if (selected.peek().size) return [...selected.peek()];
  const id = focusedRow();
  return id === undefined ? [] : [id];
}

function move(step: number): void {
  const all = shownIds.peek();
  const at = all.indexOf(focusedRow() ?? lastRow() ?? -1);
  const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step;
  const id = all[Math.max(0, Math.min(all.length - 1, next))];
  if (id !== undefined) focusRow(id);
}

function after(action: Action) {
  return (): boolean | void => {
    const all = meant();
    if (!all.length) return false;
    // The row may leave: the focus stays in the list.
    const shown = shownIds.peek();
    const here = focusedRow();
    const next = here === undefined ? undefined : (shown[shown.indexOf(here) + 1] ?? shown[shown.indexOf(here) - 1]);
    void act(action, all);
    clearSelection();
    const leaves = action === 'delete' || (action === 'archive' && !withArchived.peek());
    if (leaves && next !== undefined) focusRow(next);
  };
}

const KEYS: readonly Binding[] = [
  { keys: 'j', label: 'Next', group: 'Board', run: () => move(1) },
  { keys: 'k', label: 'Previous', group: 'Board', run: () => move(-1) },
  { keys: 'ArrowDown', label: '', group: 'Board', run: () => (focusedRow() === undefined ? false : move(1)) },
  { keys: 'ArrowUp', label: '', group: 'Board', run: () => (focusedRow() === undefined ? false : move(-1)) },
  { keys: 'Enter', label: 'Open', group: 'Board', run: () => false },
  {
    keys: 'r',
    label: 'Reply',
    group: 'Board',
    run: () => {
      const all = meant();
      if (!all.length) return false;
      tell(all);
    },
  },
  {
    keys: 'p',
    label: 'Pause or resume',
    group: 'Board',
    run: () => {
      const all = meant();
      if (!all.length) return false;
      toggle(all);
    },
  },
  {
    keys: 'x',
    label: 'Select',
    group: 'Board',
    run: () => {
      const id = focusedRow();
      if (id === undefined) return false;
      select([id], !selected.peek().has(id));
    },
  },
  {
    keys: 'ctrl+a',
    label: 'Select all',
    group: 'Board',
    run: () => {
      if (focusedRow() === undefined) return false;
      select(shownIds.peek(), true);
    },
  },
  { keys: 's', label: 'Stop', group: 'Board', run: after('stop') },
  { keys: 't', label: 'Retry', group: 'Board', run: after('retry') },
  { keys: 'e', label: 'Archive', group: 'Board', run: after('archive') },
  { keys: 'Delete', label: 'Delete', group: 'Board', run: after('delete') },
  { keys: 'Escape', label: 'Clear the selection', group: 'Board', run: () => (selected.peek().size ? clearSelection() : false) },
];

function Sum() {
  let spent = 0;
  let tokens = 0;
  for (const agent of agents.value) {
    spent += agent.dollars;
    tokens += agent.tokens_in + agent.tokens_out;
  }
  return (
    <p class="view-sum">
      {waiting.value > 0 && <span class="sum-wait">{waiting.value === 1 ? '1 needs you' : `${waiting.value} need you`}</span>}
      <span>{plural(agents.value.length, 'agent')}</span>
      <span>{count(tokens)} tokens</span>
      <span>{dollars(spent)}</span>
    </p>
  );
}

function Content() {
  if (loading.value) return <div class="boot" role="status" aria-label="Loading" />;
  if (!ids.value.length) return loadError.value ? null : <Empty />;
  if (!sections.value.length) return filter.value ? <NoMatch /> : <Empty />;
  return (
    <>
      {sections.value.map((section, i) => (
        <Group key={section.key} section={section} first={i === 0} />
      ))}
    </>
  );
}

export function BoardView() {
  useKeys(KEYS);
  return (
    <div class={selected.value.size ? 'board board-picking' : 'board'}>
      <div class="view-head board-head">
        <h1 tabIndex={-1}>Board</h1>
        {ids.value.length > 0 && <Sum />}
        {ids.value.length > 0 && <Tools />}
      </div>
      {loadError.value && (
        <div class="notice notice-bad" role="alert">
          {loadError.value}{' '}
          <button type="button" class="button" onClick={() => void loadAgents()}>
            Try again
          </button>
        </div>
      )}
      <Content />
      <Bulk />
    </div>
  );
}
