// Rows of a patch as they are shown: without changes of white space alone, or in two
// columns. Pure.
import type { Row } from './patch';

// A block of changed lines above this is compared line by line only where both sides agree
// in order: quadratic work is bounded.
const BLOCK_MAX = 400;

const bare = (text: string): string => text.replace(/\s+/g, '');

// For each removed line the added one that differs in white space alone (longest common
// subsequence of the two sides), or -1.
function matches(removed: readonly string[], added: readonly string[]): number[] {
  const found = removed.map(() => -1);
  if (removed.length * added.length > BLOCK_MAX * BLOCK_MAX) {
    for (let i = 0, j = 0; i < removed.length && j < added.length; i++, j++) if (removed[i] === added[j]) found[i] = j;
    return found;
  }
  const width = added.length + 1;
  const best = new Uint32Array((removed.length + 1) * width);
  for (let i = removed.length - 1; i >= 0; i--) {
    for (let j = added.length - 1; j >= 0; j--) {
      best[i * width + j] =
        removed[i] === added[j]
          ? (best[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(best[(i + 1) * width + j] ?? 0, best[i * width + j + 1] ?? 0);
    }
  }
  for (let i = 0, j = 0; i < removed.length && j < added.length; ) {
    if (removed[i] === added[j]) found[i++] = j++;
    else if ((best[(i + 1) * width + j] ?? 0) >= (best[i * width + j + 1] ?? 0)) i++;
    else j++;
  }
  return found;
}

// Runs of removed and added lines, each with what is around it as it was.
function blocks(rows: readonly Row[], each: (removed: Row[], added: Row[]) => Row[]): Row[] {
  const out: Row[] = [];
  let removed: Row[] = [];
  let added: Row[] = [];
  const flush = (): void => {
    if (removed.length && added.length) out.push(...each(removed, added));
    else out.push(...removed, ...added);
    removed = [];
    added = [];
  };
  for (const row of rows) {
    if (row.kind === 'removed') {
      if (added.length) flush();
      removed.push(row);
    } else if (row.kind === 'added') {
      added.push(row);
    } else {
      flush();
      out.push(row);
    }
  }
  flush();
  return out;
}

// Lines that differ in white space alone become context.
export function ignoreSpace(rows: readonly Row[]): Row[] {
  return blocks(rows, (removed, added) => {
    const found = matches(
      removed.map(({ text }) => bare(text)),
      added.map(({ text }) => bare(text)),
    );
    const out: Row[] = [];
    let next = 0;
    removed.forEach((row, i) => {
      const to = found[i] ?? -1;
      if (to < 0) {
        out.push(row);
        return;
      }
      out.push(...added.slice(next, to));
      out.push({ kind: 'context', before: row.before, after: added[to]?.after ?? null, text: added[to]?.text ?? row.text });
      next = to + 1;
    });
    out.push(...added.slice(next));
    return out;
  });
}

// A line of the two columns; null: nothing on that side.
export interface Pair {
  left: Row | null;
  right: Row | null;
  // A line over both columns.
  whole?: Row;
}

export function split(rows: readonly Row[]): Pair[] {
  const out: Pair[] = [];
  let removed: Row[] = [];
  let added: Row[] = [];
  const flush = (): void => {
    for (let i = 0; i < Math.max(removed.length, added.length); i++) out.push({ left: removed[i] ?? null, right: added[i] ?? null });
    removed = [];
    added = [];
  };
  for (const row of rows) {
    if (row.kind === 'removed') {
      if (added.length) flush();
      removed.push(row);
    } else if (row.kind === 'added') added.push(row);
    else {
      flush();
      out.push(row.kind === 'context' ? { left: row, right: row } : { left: null, right: null, whole: row });
    }
  }
  flush();
  return out;
}
