// A list of agents of any length: pieces of it that are far from the window are empty boxes
// of their height.
import { signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { entryOf } from '../store';
import { AgentRow } from './AgentRow';
import { pieces } from './focus';

const CHUNK = 10; // drawn in one task
const ROW_PX = 62;
// This far beyond the window pieces are drawn.
const MARGIN_PX = 900;

const watcher =
  typeof IntersectionObserver === 'undefined'
    ? null
    : new IntersectionObserver(
        (seen) => {
          for (const { target, isIntersecting } of seen) {
            const shown = pieces.get(target);
            // The focus is not drawn away from under a person's keys.
            if (shown) shown.value = isIntersecting || target.contains(document.activeElement);
          }
        },
        { rootMargin: `${MARGIN_PX}px 0px` },
      );

function Piece({ ids, at }: { ids: readonly number[]; at: number }) {
  const box = useRef<HTMLUListElement>(null);
  const shown = useMemo(() => signal(at === 0 || !watcher), []);
  const height = useRef(0);
  useLayoutEffect(() => {
    const { current } = box;
    if (!current || !watcher) return;
    pieces.set(current, shown);
    watcher.observe(current);
    return () => watcher.unobserve(current);
  }, []);
  // The height it has when it leaves is kept for the box.
  useEffect(() => {
    if (shown.value && box.current) height.current = box.current.offsetHeight;
  });
  const visible = shown.value;
  return (
    <ul
      ref={box}
      class="rows"
      data-ids={`,${ids.join()},`}
      style={visible ? { height: '' } : { height: `${height.current || ids.length * ROW_PX}px` }}
    >
      {visible &&
        ids.map((id) => {
          const entry = entryOf(id);
          return entry && <AgentRow key={id} entry={entry} />;
        })}
    </ul>
  );
}

export function Rows({ ids }: { ids: readonly number[] }) {
  const parts: (readonly number[])[] = [];
  for (let i = 0; i < ids.length; i += CHUNK) parts.push(ids.slice(i, i + CHUNK));
  return (
    <div class="rows-all panel">
      {parts.map((piece, i) => (
        <Piece key={i} ids={piece} at={i} />
      ))}
    </div>
  );
}
