// A diff by file, as text nodes: sign, colour and line numbers; one column or two. Long
// files are drawn in pieces as they come into sight, and the rest when there is time.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import { plain, plainLine } from '../clean';
import { ignoreSpace, split, type Pair } from '../pairs';
import { parsePatch, type PatchFile, type Row } from '../patch';
import { Changes } from './Figures';

const CHUNK = 100;
const ROW_PX = 20;
// Drawn before anything is measured.
const FIRST_CHUNKS = 1;
const SIGNS: Record<Row['kind'], string> = { added: '+', removed: '−', context: ' ', hunk: '', note: '' };
const SPOKEN: Partial<Record<Row['kind'], string>> = { added: 'added', removed: 'removed' };

// A line that a person may write about: in a file, on the old or the new side.
export interface Place {
  path: string;
  side: 'old' | 'new';
  line: number;
  code: string;
}

export interface Talk {
  // The line that is written about now, with the form for it.
  at: Place | null;
  form: ComponentChildren;
  open: (place: Place | null) => void;
}

export interface Look {
  columns: 1 | 2;
  space: boolean;
}

const PLAIN: Look = { columns: 1, space: true };

const placeOf = (path: string, row: Row): Place | null =>
  row.after !== null
    ? { path, side: 'new', line: row.after, code: row.text }
    : row.before !== null
      ? { path, side: 'old', line: row.before, code: row.text }
      : null;

export const samePlace = (a: Place | null, b: Place | null): boolean =>
  a !== null && b !== null && a.path === b.path && a.side === b.side && a.line === b.line;

function Unified({ rows, path, talk }: { rows: readonly Row[]; path: string; talk?: Talk | undefined }) {
  return (
    <>
      {rows.map((row, index) => {
        const place = placeOf(path, row);
        const line = (
          <tr key={index} class={`diff-${row.kind}`} data-line={talk && place ? `${place.side}:${place.line}` : undefined}>
            <td class="diff-number">{row.before ?? ''}</td>
            <td class="diff-number">{row.after ?? ''}</td>
            <td class="diff-sign">
              {SPOKEN[row.kind] && <span class="hidden">{SPOKEN[row.kind]}</span>}
              <span aria-hidden="true">{SIGNS[row.kind]}</span>
            </td>
            <td class="diff-text">{plain(row.text)}</td>
          </tr>
        );
        if (!talk || !samePlace(talk.at, place)) return line;
        return [
          line,
          <tr key="form" class="diff-form">
            <td colSpan={4}>{talk.form}</td>
          </tr>,
        ];
      })}
    </>
  );
}

function Half({ row, side }: { row: Row | null; side: 'old' | 'new' }) {
  const kind = row ? (row.kind === 'context' ? 'context' : row.kind) : 'nothing';
  return (
    <>
      <td class={`diff-number diff-half-${kind}`}>{(side === 'old' ? row?.before : row?.after) ?? ''}</td>
      <td class={`diff-text diff-half-${kind}`}>
        {row && SPOKEN[row.kind] && <span class="hidden">{SPOKEN[row.kind]} </span>}
        {row ? plain(row.text) : ''}
      </td>
    </>
  );
}

function Split({ pairs, path, talk }: { pairs: readonly Pair[]; path: string; talk?: Talk | undefined }) {
  return (
    <>
      {pairs.map((pair, index) => {
        if (pair.whole) {
          return (
            <tr key={index} class={`diff-${pair.whole.kind}`}>
              <td colSpan={4} class="diff-text">
                {plain(pair.whole.text)}
              </td>
            </tr>
          );
        }
        const row = pair.right ?? pair.left;
        const place = row && placeOf(path, row);
        const line = (
          <tr key={index} data-line={talk && place ? `${place.side}:${place.line}` : undefined}>
            <Half row={pair.left} side="old" />
            <Half row={pair.right} side="new" />
          </tr>
        );
        if (!talk || !samePlace(talk.at, place)) return line;
        return [
          line,
          <tr key="form" class="diff-form">
            <td colSpan={4}>{talk.form}</td>
          </tr>,
        ];
      })}
    </>
  );
}

// Shown pieces stay; the others come when they are near, or when the page has time.
function usePieces(count: number, box: { current: HTMLElement | null }): number {
  const [shown, setShown] = useState(Math.min(count, FIRST_CHUNKS));
  useEffect(() => {
    if (shown >= count || !box.current) return;
    let idle = 0;
    const more = (): void => setShown((now) => Math.min(count, Math.max(now, shown) + 1));
    const sight = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && more(), { rootMargin: '1200px' });
    const end = box.current.lastElementChild;
    if (end) sight.observe(end);
    const later = window.requestIdleCallback ?? ((call: () => void) => window.setTimeout(call, 50));
    idle = later(more);
    return () => {
      sight.disconnect();
      (window.cancelIdleCallback ?? clearTimeout)(idle);
    };
  }, [shown, count]);
  return Math.min(shown, count);
}

const pieces = <T,>(all: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(all.length / CHUNK) }, (_, index) => all.slice(index * CHUNK, (index + 1) * CHUNK));

function Rows({ file, look, talk }: { file: PatchFile; look: Look; talk?: Talk | undefined }) {
  const box = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => (look.space ? file.rows : ignoreSpace(file.rows)), [file, look.space]);
  const chunks = useMemo<readonly (Row[] | Pair[])[]>(
    () => (look.columns === 2 ? pieces(split(rows)) : pieces(rows)),
    [rows, look.columns],
  );
  const shown = usePieces(chunks.length, box);
  const left = chunks.slice(shown).reduce((sum, chunk) => sum + chunk.length, 0);
  return (
    <div ref={box} class="diff-scroll">
      {chunks.slice(0, shown).map((chunk, index) => (
        <table key={index} class={look.columns === 2 ? 'diff-rows diff-split' : 'diff-rows'}>
          <colgroup>
            <col class="diff-number" />
            <col class={look.columns === 2 ? '' : 'diff-number'} />
            <col class={look.columns === 2 ? 'diff-number' : 'diff-sign'} />
            <col />
          </colgroup>
          <tbody>
            {look.columns === 2 ? (
              <Split pairs={chunk as Pair[]} path={file.path} talk={talk} />
            ) : (
              <Unified rows={chunk as Row[]} path={file.path} talk={talk} />
            )}
          </tbody>
        </table>
      ))}
      {left > 0 && <div class="diff-later" style={{ height: `${left * ROW_PX}px` }} />}
    </div>
  );
}

interface FileProps {
  file: PatchFile;
  open?: boolean;
  look?: Look;
  talk?: Talk | undefined;
  id?: string;
  onToggle?: (open: boolean) => void;
}

export function DiffFile({ file, open = true, look = PLAIN, talk, id, onToggle }: FileProps) {
  const [isOpen, setOpen] = useState(open);
  useEffect(() => setOpen(open), [open]);
  // A click on a line's number, or on the line that the keys are on.
  const click = (event: MouseEvent): void => {
    if (!talk || !(event.target instanceof HTMLElement) || !event.target.closest('.diff-number')) return;
    const place = placeAt(event.target, file);
    if (place) talk.open(samePlace(talk.at, place) ? null : place);
  };
  return (
    <details
      class={talk ? 'diff-file diff-file-talk' : 'diff-file'}
      id={id}
      data-path={file.path}
      open={isOpen}
      onToggle={(event) => {
        setOpen(event.currentTarget.open);
        onToggle?.(event.currentTarget.open);
      }}
    >
      <summary>
        <span class="diff-path">
          {file.from && file.from !== file.path && `${plainLine(file.from)} → `}
          {plainLine(file.path)}
        </span>
        <Changes added={file.added} removed={file.removed} />
      </summary>
      <div onClick={click}>
        {file.binary ? <p class="diff-binary">binary file</p> : isOpen && <Rows file={file} look={look} talk={talk} />}
      </div>
    </details>
  );
}

// The place of a row of the page.
export function placeAt(element: Element, file: PatchFile): Place | null {
  const [side, line] = (element.closest<HTMLElement>('[data-line]')?.dataset['line'] ?? '').split(':');
  const row = file.rows.find((one) => (side === 'new' ? one.after === Number(line) : side === 'old' && one.kind === 'removed' && one.before === Number(line)));
  return row ? placeOf(file.path, row) : null;
}

export function Patch({ patch, open = true }: { patch: string; open?: boolean }) {
  const files = useMemo(() => parsePatch(patch), [patch]);
  return (
    <>
      {files.map((file) => (
        <DiffFile key={file.path} file={file} open={open} />
      ))}
    </>
  );
}
