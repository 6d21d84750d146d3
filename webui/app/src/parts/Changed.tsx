// The state of an agent's branch against its base: files, their changes, and a word about
// a line, which becomes an instruction to the agent.
import { signal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, requestKey, type ApiError } from '../api';
import { plain, plainLine } from '../clean';
import { count, plural } from '../format';
import { keep, kept } from '../kept';
import { useKeys } from '../keys';
import { parsePatch, type PatchFile } from '../patch';
import type { Agent } from '../types';
import type { Watch } from '../watch';
import { DiffFile, placeAt, type Look, type Place, type Talk } from './Diff';
import { Changes } from './Figures';

const LETTERS = { added: 'A', modified: 'M', deleted: 'D', renamed: 'R' } as const;
// Folded at first: such a diff is looked at file by file.
const OPEN_ROWS_MAX = 20000;
const CODE_MAX = 400;

const stored = kept('diff') as Partial<Look> | null;
const look = signal<Look>({ columns: stored?.columns === 2 ? 2 : 1, space: stored?.space !== false });
const choose = (change: Partial<Look>): void => {
  look.value = { ...look.value, ...change };
  keep('diff', look.value);
};

const quoted = ({ path, side, line, code }: Place, text: string): string =>
  `${path}:${line}${side === 'old' ? ' (removed line)' : ''}\n> ${code.slice(0, CODE_MAX)}\n\n${text}`;

function CommentForm({ agent, place, onDone }: { agent: Agent; place: Place; onDone: (text: string) => void }) {
  const [text, setText] = useState('');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const key = useRef('');
  const ended = agent.state === 'done' || agent.state === 'failed' || agent.state === 'stopped';
  useEffect(() => field.current?.focus({ preventScroll: true }), []);
  const send = async (): Promise<void> => {
    if (!text.trim() || busy || ended) return;
    setBusy(true);
    setError('');
    key.current ||= requestKey();
    try {
      await api.tell(agent.id, quoted(place, text.trim()), key.current);
      onDone(text.trim());
    } catch (cause) {
      setError((cause as ApiError).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="comment"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label class="comment-place" for="comment">
        To agent {agent.id} about{' '}
        <span class="mono">
          {plainLine(place.path)}:{place.line}
        </span>
      </label>
      <textarea
        id="comment"
        ref={field}
        rows={2}
        value={text}
        disabled={ended}
        placeholder={ended ? 'This agent has ended: retry it first, then it can be told.' : 'What should be different here?'}
        onInput={(event) => {
          setText(event.currentTarget.value);
          key.current = '';
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onDone('');
          else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) void send();
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      <div class="comment-end">
        <button type="submit" class="button button-main button-small" disabled={ended || busy || !text.trim()}>
          Send as instruction
        </button>
        <button type="button" class="button button-quiet button-small" onClick={() => onDone('')}>
          Cancel
        </button>
        {error && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
      </div>
    </form>
  );
}

const anchor = (index: number): string => `file-${index}`;

export function Changed({ watch, agent }: { watch: Watch; agent: Agent }) {
  const box = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState<Place | null>(null);
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const diff = watch.diff.value;
  useEffect(() => {
    if (watch.diff.peek() === undefined) void watch.loadDiff();
  }, [watch]);
  const files = useMemo<readonly PatchFile[]>(() => parsePatch(diff?.patch ?? ''), [diff]);
  const rows = files.reduce((sum, file) => sum + file.rows.length, 0);
  useEffect(() => {
    if (rows > OPEN_ROWS_MAX) setFolded(new Set(files.slice(1).map(({ path }) => path)));
  }, [files]);

  // Rows and files that the keys go over; the row they are on is marked.
  const move = (selector: string, by: number): boolean => {
    const all = [...(box.current?.querySelectorAll<HTMLElement>(selector) ?? [])];
    if (!all.length) return false;
    const on = box.current?.querySelector<HTMLElement>('.diff-at');
    const top = 130;
    let index: number;
    if (on && all.includes(on)) index = all.indexOf(on) + by;
    else {
      const from = on?.getBoundingClientRect().top ?? top;
      const next = all.findIndex((one) => one.getBoundingClientRect().top > from + (by > 0 ? 1 : -1));
      index = by > 0 ? (next < 0 ? all.length - 1 : next) : (next < 0 ? all.length : next) - 1;
    }
    const next = all[Math.max(0, Math.min(all.length - 1, index))];
    on?.classList.remove('diff-at');
    next?.classList.add('diff-at');
    next?.scrollIntoView({ block: selector === '[data-line]' ? 'nearest' : 'center' });
    return true;
  };
  const comment = (): boolean => {
    const on = box.current?.querySelector('.diff-at');
    const row = on?.matches('[data-line]') ? on : (on?.nextElementSibling ?? on?.querySelector('[data-line]'));
    const file = files.find(({ path }) => path === row?.closest<HTMLElement>('[data-path]')?.dataset['path']);
    const place = row && file ? placeAt(row, file) : null;
    if (place) setAt(place);
    return place !== null;
  };
  const keys = useMemo(
    () => [
      { keys: 'j', label: 'Next change', group: 'Changes', run: () => move('.diff-hunk', 1) },
      { keys: 'k', label: 'Change before', group: 'Changes', run: () => move('.diff-hunk', -1) },
      { keys: 'ArrowDown', label: 'Next line', group: 'Changes', run: () => box.current?.querySelector('.diff-at') !== null && move('[data-line]', 1) },
      { keys: 'ArrowUp', label: 'Line before', group: 'Changes', run: () => box.current?.querySelector('.diff-at') !== null && move('[data-line]', -1) },
      { keys: ']', label: 'Next file', group: 'Changes', run: () => move('.diff-file', 1) },
      { keys: '[', label: 'File before', group: 'Changes', run: () => move('.diff-file', -1) },
      { keys: 'c', label: 'Comment on the line', group: 'Changes', run: comment },
      { keys: 's', label: 'One column or two', group: 'Changes', run: () => choose({ columns: look.value.columns === 1 ? 2 : 1 }) },
      { keys: 'w', label: 'White space', group: 'Changes', run: () => choose({ space: !look.value.space }) },
    ],
    [files],
  );
  useKeys(keys);

  if (!diff?.files?.length) {
    return (
      <p class="quiet panel">
        {diff === undefined || (diff === null && agent.files > 0)
          ? 'Loading…'
          : 'No changes against the base branch yet. Each turn that changes something is shown here when it ends; its edits are in the story at once.'}
      </p>
    );
  }
  const talk: Talk = {
    at,
    open: setAt,
    form: at && (
      <CommentForm
        key={`${at.path}:${at.side}:${at.line}`}
        agent={agent}
        place={at}
        onDone={(text) => {
          if (text) watch.comments.value = [...watch.comments.value, { place: `${at.path}:${at.line}`, text }];
          setAt(null);
        }}
      />
    ),
  };
  const { columns, space } = look.value;
  const toggle = (path: string, open: boolean): void => {
    if (open !== folded.has(path)) return;
    const next = new Set(folded);
    if (open) next.delete(path);
    else next.add(path);
    setFolded(next);
  };
  const goTo = (index: number): void => {
    const file = files[index];
    if (!file) return;
    toggle(file.path, true);
    requestAnimationFrame(() => document.getElementById(anchor(index))?.scrollIntoView({ block: 'start' }));
  };
  return (
    <div class="changed" ref={box}>
      <div class="panel changed-head">
        <div class="changed-bar">
          <p class="changed-sum">
            {plural(diff.files.length, 'file')} <Changes added={diff.added ?? 0} removed={diff.removed ?? 0} />
          </p>
          <div class="changed-look" role="group" aria-label="How it is shown">
            <button type="button" class="button button-small" aria-pressed={columns === 2} onClick={() => choose({ columns: columns === 2 ? 1 : 2 })}>
              Split
            </button>
            <button type="button" class="button button-small" aria-pressed={!space} onClick={() => choose({ space: !space })}>
              Ignore white space
            </button>
            <button
              type="button"
              class="button button-small"
              onClick={() => setFolded(folded.size ? new Set() : new Set(files.map(({ path }) => path)))}
            >
              {folded.size ? 'Open all' : 'Fold all'}
            </button>
          </div>
        </div>
        <ul class="changed-files">
          {diff.files.map((file) => {
            const index = files.findIndex(({ path }) => path === file.path);
            return (
              <li key={file.path}>
                <abbr class={`letter letter-${file.status}`} title={file.status}>
                  {LETTERS[file.status] ?? '?'}
                </abbr>
                {index >= 0 ? (
                  <button type="button" class="changed-file mono" onClick={() => goTo(index)}>
                    {plainLine(file.path)}
                  </button>
                ) : (
                  <span class="mono">{plainLine(file.path)}</span>
                )}
                {file.binary ? <span class="none">binary</span> : <Changes added={file.added} removed={file.removed} />}
              </li>
            );
          })}
        </ul>
      </div>
      {watch.comments.value.length > 0 && (
        <ul class="panel comments" aria-label="Sent as instructions">
          {watch.comments.value.map(({ place, text }, index) => (
            <li key={index}>
              <span class="mono">{plainLine(place)}</span> <span>{plain(text)}</span> <span class="comment-sent">sent</span>
            </li>
          ))}
        </ul>
      )}
      {files.map((file, index) => (
        <DiffFile
          key={file.path}
          id={anchor(index)}
          file={file}
          open={!folded.has(file.path)}
          look={look.value}
          talk={talk}
          onToggle={(open) => toggle(file.path, open)}
        />
      ))}
      {diff.cut && (
        <p class="notice">
          The difference is longer than what is shown here ({count(diff.patch?.length ?? 0)} characters). The branch has all of
          it.
        </p>
      )}
      <p class="hint changed-hint">Click a line's number, or move with j and k and press c, to tell the agent something about it.</p>
    </div>
  );
}
