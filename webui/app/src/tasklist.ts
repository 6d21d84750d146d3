// A pasted list as tasks: one a line, its description on the indented lines below. Pure.
import type { TaskDraft } from './form';

const MARK = /^(?:[-*+•]|\d{1,4}[.)]|\[[ xX]?\]|#{1,6})(?:\s+|$)/;
// "- [ ] do this"
const BOX = /^\[[ xX]?\]\s+/;

export interface Listed {
  title: string;
  description: string;
}

export function parseList(pasted: string): Listed[] {
  const lines = pasted.replace(/\r\n?/g, '\n').replace(/\t/g, '    ').split('\n');
  const filled = lines.filter((line) => line.trim());
  const indent = Math.min(...filled.map((line) => line.length - line.trimStart().length));
  // Where anything is marked as an item, what is not marked belongs to the item above.
  const marked = filled.some((line) => MARK.test(line.slice(indent)));
  const found: Listed[] = [];
  for (const line of lines) {
    const bare = line.slice(Number.isFinite(indent) ? indent : 0);
    const last = found.at(-1);
    if (!bare.trim()) {
      if (last?.description) last.description += '\n';
      continue;
    }
    const begins = !/^\s/.test(bare) && (!marked || MARK.test(bare));
    if (begins || !last) {
      found.push({ title: bare.trim().replace(MARK, '').replace(BOX, '').trim(), description: '' });
    } else {
      last.description += `${last.description ? '\n' : ''}${bare.trimEnd().replace(/^ {1,4}/, '')}`;
    }
  }
  return found.map(({ title, description }) => ({ title, description: description.trim() })).filter(({ title }) => title);
}

let key = 0;
export const newTask = (title = '', description = ''): TaskDraft => ({ key: ++key, title, description });

// The tasks with more behind them; those that are still blank give way.
export function addTasks(tasks: readonly TaskDraft[], more: readonly Listed[], max: number): TaskDraft[] {
  const filled = tasks.filter(({ title, description }) => title.trim() || description.trim());
  const known = new Set(filled.map(({ title }) => title.trim()));
  const fresh = more.filter(({ title }) => !known.has(title.trim())).map(({ title, description }) => newTask(title, description));
  return [...filled, ...fresh].slice(0, max);
}
