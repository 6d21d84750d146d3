// Search in all of an agent's output, done by the server; the hits as a list to walk over.
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { api, ApiError } from '../api';
import { plainLine } from '../clean';
import { count } from '../format';
import { useKeys } from '../keys';
import type { Hit } from '../types';
import type { Watch } from '../watch';

const PAUSE_MS = 120;
const QUERY_MAX = 200;
// Of a line, around what was found.
const SHOWN_MAX = 220;

// The text around the first place where the query is.
function parts(text: string, query: string): [string, string, string] {
  const line = plainLine(text);
  const at = line.toLowerCase().indexOf(query.toLowerCase());
  if (at < 0) return [line.slice(0, SHOWN_MAX), '', ''];
  const from = Math.max(0, at - 60);
  return [(from ? '…' : '') + line.slice(from, at), line.slice(at, at + query.length), line.slice(at + query.length, from + SHOWN_MAX)];
}

// Marks every place of the query in the entry that has the hit, and shows the first whose
// line is the hit's.
export function mark(box: HTMLElement, hit: Hit | null, query: string): void {
  const { highlights } = CSS as unknown as { highlights?: Map<string, unknown> };
  highlights?.delete('found');
  if (!hit) return;
  let entry: HTMLElement | null = null;
  for (const one of box.querySelectorAll<HTMLElement>('[data-first]')) {
    if (Number(one.dataset['first']) > hit.id) break;
    entry = one;
  }
  if (!entry) return;
  for (let at = entry.parentElement; at && at !== box; at = at.parentElement) if (at instanceof HTMLDetailsElement) at.open = true;
  const ranges: Range[] = [];
  const wanted = query.toLowerCase();
  const line = plainLine(hit.text);
  let best: Range | null = null;
  // A long output is several entries: the hit may be a few further down.
  for (let one: Element | null = entry, tries = 0; one && tries < 8 && !best; one = one.nextElementSibling, tries++) {
    const walk = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const text = node.textContent ?? '';
      const lower = text.toLowerCase();
      for (let at = lower.indexOf(wanted); at >= 0 && ranges.length < 2000; at = lower.indexOf(wanted, at + wanted.length)) {
        const range = document.createRange();
        range.setStart(node, at);
        range.setEnd(node, at + wanted.length);
        ranges.push(range);
        if (best || !line) continue;
        const from = text.lastIndexOf('\n', at) + 1;
        const to = text.indexOf('\n', at);
        if (plainLine(text.slice(from, to < 0 ? undefined : to)).includes(line.slice(0, 200))) best = range;
      }
    }
  }
  const shown = best ?? ranges[0];
  const Made = (window as unknown as { Highlight?: new (...ranges: Range[]) => unknown }).Highlight;
  if (highlights && Made && ranges.length) highlights.set('found', new Made(...ranges));
  if (!shown) {
    entry.scrollIntoView({ block: 'center' });
    return;
  }
  const place = shown.getBoundingClientRect();
  const frame = box.getBoundingClientRect();
  box.scrollTop += place.top - frame.top - frame.height / 3;
}

interface Props {
  watch: Watch;
  onShow: (hit: Hit, query: string) => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}

export function Find({ watch, onShow, onClose, children }: Props) {
  const input = useRef<HTMLInputElement>(null);
  const query = useSignal('');
  const hits = useSignal<readonly Hit[]>([]);
  const more = useSignal(false);
  const at = useSignal(-1);
  // What was searched for last; "" while nothing is.
  const answered = useSignal('');
  const error = useSignal('');
  // The line up to which was searched.
  const looked = useRef(-1);

  useEffect(() => {
    const q = query.value.trim();
    at.value = -1;
    if (!q) {
      hits.value = [];
      answered.value = '';
      error.value = '';
      return;
    }
    let current = true;
    const search = async (): Promise<void> => {
      try {
        // A long output is looked through in steps: until something is found.
        for (let after: number | undefined; current; ) {
          const page = await api.search(watch.id, q, after);
          if (!current) return;
          after = Math.max(page.line, page.hits.at(-1)?.line ?? -1);
          looked.current = after;
          hits.value = page.hits;
          more.value = page.more;
          error.value = '';
          if (page.more && !page.hits.length) continue;
          answered.value = q;
          return;
        }
      } catch (cause) {
        if (!current) return;
        hits.value = [];
        error.value = cause instanceof ApiError ? cause.message : String(cause);
      }
    };
    const timer = setTimeout(() => void search(), PAUSE_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [query.value, watch]);

  const loadMore = async (): Promise<void> => {
    const page = await api.search(watch.id, answered.value, looked.current).catch(() => null);
    if (!page) return;
    looked.current = Math.max(page.line, page.hits.at(-1)?.line ?? -1);
    hits.value = [...hits.value, ...page.hits];
    more.value = page.more;
  };
  const go = (index: number): void => {
    const hit = hits.value[index];
    if (!hit) return;
    at.value = index;
    void onShow(hit, answered.value);
    requestAnimationFrame(() => document.getElementById(`hit-${index}`)?.scrollIntoView({ block: 'nearest' }));
  };
  const close = (): void => {
    query.value = '';
    onClose();
    input.current?.blur();
  };
  const keys = useMemo(
    () => [
      {
        keys: '/',
        label: 'Search in the output',
        group: 'Story',
        run: () => {
          input.current?.focus();
          input.current?.select();
        },
      },
      { keys: 'n', label: 'Next hit', group: 'Story', run: () => (hits.value.length ? go(Math.min(at.value + 1, hits.value.length - 1)) : false) },
      { keys: 'shift+n', label: 'Hit before', group: 'Story', run: () => (hits.value.length ? go(Math.max(at.value - 1, 0)) : false) },
    ],
    [watch],
  );
  useKeys(keys);

  const typed = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1, Enter: event.shiftKey ? -1 : 1 }[event.key];
    if (event.key === 'Escape') close();
    else if (step && hits.value.length) go((at.value + step + hits.value.length) % hits.value.length);
    else return;
    event.preventDefault();
  };
  const q = query.value.trim();
  return (
    <>
      <div class="story-bar" role="search">
        <input
          ref={input}
          type="search"
          class="find"
          aria-label="Search in the output"
          placeholder="Search all output  /"
          maxLength={QUERY_MAX}
          autoComplete="off"
          spellcheck={false}
          value={query.value}
          onInput={(event) => (query.value = event.currentTarget.value)}
          onKeyDown={typed}
        />
        <span class="find-count" role="status">
          {error.value || (q && answered.value === q ? (hits.value.length ? `${count(hits.value.length)}${more.value ? '+' : ''} found` : 'nothing found') : '')}
        </span>
        {children}
      </div>
      {q && hits.value.length > 0 && (
        <ol class="hits" aria-label="Found">
          {hits.value.map((hit, index) => {
            const [before, match, behind] = parts(hit.text, answered.value);
            return (
              <li key={`${hit.line}`}>
                <button id={`hit-${index}`} type="button" class="hit" aria-current={at.value === index} onClick={() => go(index)}>
                  <span class="hit-line">{count(hit.line + 1)}</span>
                  <span class="hit-text">
                    {before}
                    <mark>{match}</mark>
                    {behind}
                  </span>
                </button>
              </li>
            );
          })}
          {more.value && (
            <li>
              <button type="button" class="hit hit-more" onClick={() => void loadMore()}>
                More hits
              </button>
            </li>
          )}
        </ol>
      )}
    </>
  );
}
