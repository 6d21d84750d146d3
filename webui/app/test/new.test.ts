import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addTasks, newTask, parseList } from '../src/tasklist';
import { days, group, sum } from '../src/spend';
import { check, SETTINGS, valuesOf } from '../src/settings';
import type { CostRow } from '../src/types';

test('a pasted list: lines, dashes, numbers, boxes, indented descriptions', () => {
  assert.deepEqual(parseList('one\ntwo\n\n three'), [
    { title: 'one', description: '' }, { title: 'two', description: 'three' },
  ]);
  assert.deepEqual(parseList('- a\n  more of a\n\n  and more\n* [ ] b\n3) c\n'), [
    { title: 'a', description: 'more of a\n\nand more' }, { title: 'b', description: '' }, { title: 'c', description: '' },
  ]);
  assert.deepEqual(parseList('  - a\n  - [x] b'), [{ title: 'a', description: '' }, { title: 'b', description: '' }]);
  assert.deepEqual(parseList('- a\nbelongs to a\r\n- b').map(({ title, description }) => [title, description]), [['a', 'belongs to a'], ['b', '']]);
  for (const nothing of ['', '   \n\t\n', '- \n']) assert.deepEqual(parseList(nothing), []);
});

test('added tasks take the place of blank ones, and come once', () => {
  const added = addTasks([newTask(), newTask('a')], [{ title: 'a', description: 'x' }, { title: 'b', description: '' }, { title: 'c', description: '' }], 3);
  assert.deepEqual(added.map(({ title }) => title), ['a', 'b', 'c']);
  assert.equal(new Set(added.map(({ key }) => key)).size, 3);
  assert.equal(addTasks([], [{ title: 'a', description: '' }, { title: 'b', description: '' }], 1).length, 1);
});

const row = (change: Partial<CostRow>): CostRow => ({
  day: '2026-11-24', repository: 'r', model: 'm', role: 'aider', calls: 1, tokens_in: 10, tokens_out: 1, tokens_cached: 0, dollars: 0.5, ...change,
});

test('sums of costs; an unknown price is told, not counted', () => {
  const rows = [row({}), row({ model: 'n', dollars: null }), row({ model: 'n', day: '2026-11-25', dollars: 2 })];
  assert.equal(sum(rows).dollars, 2.5);
  assert.equal(sum(rows).unpriced, true);
  assert.equal(sum(rows).calls, 3);
  assert.deepEqual(group(rows, 'model').map(({ key, dollars }) => [key, dollars]), [['n', 2], ['m', 0.5]]);
  assert.deepEqual(group(rows, 'day').map(({ key }) => key), ['2026-11-25', '2026-11-24']);
});

test('all days of a range, also over the change of the clocks', () => {
  const from = new Date(2026, 9, 24, 0, 0).getTime();
  const all = days(from, new Date(2026, 10, 2, 23, 0).getTime());
  assert.equal(all.length, 10);
  assert.equal(all[0], '2026-10-24');
  assert.equal(all.at(-1), '2026-11-02');
});

test('settings that a server does not have are not checked', () => {
  const models = { orchestrator: 'a/b', agent: 'a/b', aider: 'a/b' };
  const general = Object.fromEntries(SETTINGS.filter(({ newer }) => !newer).map(({ key, kind }) => [key, kind === 'whole' || kind === 'amount' ? 1 : '']));
  assert.deepEqual(check(valuesOf({ models, general })), {});
  assert.deepEqual(Object.keys(check(valuesOf({ models, general: { ...general, keep_days: 'x' } }))), ['general.keep_days']);
});
