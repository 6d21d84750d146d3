// Sums over what models cost. Pure.
import type { CostRow } from './types';

export interface Spend {
  key: string;
  calls: number;
  tokens_in: number;
  tokens_out: number;
  tokens_cached: number;
  dollars: number;
  // Calls of models without a known price are in the tokens, not in the dollars.
  unpriced: boolean;
}

export type Dimension = 'day' | 'repository' | 'model' | 'role';

export function sum(rows: readonly CostRow[], key = ''): Spend {
  const all: Spend = { key, calls: 0, tokens_in: 0, tokens_out: 0, tokens_cached: 0, dollars: 0, unpriced: false };
  for (const row of rows) {
    all.calls += row.calls;
    all.tokens_in += row.tokens_in;
    all.tokens_out += row.tokens_out;
    all.tokens_cached += row.tokens_cached ?? 0;
    if (row.dollars === null) all.unpriced ||= row.tokens_in + row.tokens_out > 0;
    else all.dollars += row.dollars;
  }
  return all;
}

// Days in their order, everything else by what it cost.
export function group(rows: readonly CostRow[], by: Dimension): Spend[] {
  const groups = new Map<string, CostRow[]>();
  for (const row of rows) {
    const there = groups.get(row[by]);
    if (there) there.push(row);
    else groups.set(row[by], [row]);
  }
  const all = [...groups].map(([key, members]) => sum(members, key));
  return by === 'day'
    ? all.sort((a, b) => (a.key < b.key ? 1 : -1))
    : all.sort((a, b) => b.dollars - a.dollars || b.tokens_in + b.tokens_out - a.tokens_in - a.tokens_out);
}

export const dayOf = (at: number): string => {
  const date = new Date(at);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`;
};

// All days of a range, also those on which nothing was spent.
export function days(from: number, to: number): string[] {
  const all: string[] = [];
  const date = new Date(from);
  date.setHours(12, 0, 0, 0);
  for (const last = dayOf(to); all.length < 400; date.setDate(date.getDate() + 1)) {
    const day = dayOf(date.getTime());
    if (day > last) break;
    all.push(day);
  }
  return all;
}
