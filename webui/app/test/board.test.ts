import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrange, keepSame, matcher, placeOf, type View } from '../src/arrange';
import { score, search } from '../src/fuzzy';
import { BUCKET_MS, BUCKETS, Pulse } from '../src/pulse';
import type { Agent } from '../src/types';

const agent = (id: number, change: Partial<Agent> = {}): Agent => ({
  id, task_id: id, title: `task ${id}`, repository: 'https://github.com/acme/ledger', base: 'main', branch: `agent-${id}`,
  state: 'working', reason: '', turn: 0, progress: '', thought: '', action: '', future: '', tokens_in: 0, tokens_out: 0,
  dollars: 0, files: 0, added: 0, removed: 0, tests: null, pull_request: null, pid: null, manager: true,
  created_at: 1000, started_at: 2000, ended_at: null, updated_at: 3000, state_at: 2000, ...change,
});
const view = (change: Partial<View> = {}): View => ({ filter: '', by: 'state', sort: 'newest', archived: false, ...change });

test('who needs a person comes first, the longest wait on top', () => {
  const sections = arrange([
    agent(1), agent(2, { state: 'waiting', state_at: 900 }), agent(3, { state: 'waiting', state_at: 500 }),
    agent(4, { state: 'done' }), agent(5, { state: 'done', added: 2 }), agent(6, { state: 'done', pull_request: 'https://x/pull/1' }),
    agent(7, { state: 'failed' }), agent(8, { state: 'queued' }), agent(9, { state: 'finishing' }), agent(10, { state: 'done', archived: true }),
  ], view());
  assert.deepEqual(sections.map(({ key, ids }) => [key, ...ids]), [
    ['needs', 3, 2], ['working', 9, 1], ['queued', 8], ['review', 6, 5], ['failed', 7], ['done', 4],
  ]);
  assert.equal(placeOf(agent(1, { state: 'waiting', archived: true })), 'archived');
  assert.deepEqual(arrange([agent(10, { archived: true })], view({ archived: true })).map(({ key }) => key), ['archived']);
});

test('sections by task and repository; the one with a waiting agent first', () => {
  const all = [
    agent(1, { task_id: 1 }), agent(2, { task_id: 1, state: 'waiting' }), agent(9, { task_id: 2, repository: '/srv/web.git' }),
  ];
  assert.deepEqual(arrange(all, view({ by: 'task' })).map(({ task, ids }) => [task, ...ids]), [[1, 2, 1], [2, 9]]);
  assert.deepEqual(arrange(all, view({ by: 'repository' })).map(({ name, ids }) => [name, ...ids]), [['acme/ledger', 2, 1], ['web', 9]]);
});

test('orders', () => {
  const all = [agent(1, { dollars: 3, title: 'b' }), agent(2, { dollars: 5, title: 'a', state_at: 100 }), agent(3, { added: 9, title: 'c' })];
  const ids = (sort: View['sort']): readonly number[] => arrange(all, view({ sort }))[0]?.ids ?? [];
  assert.deepEqual(ids('newest'), [3, 2, 1]);
  assert.deepEqual(ids('cost'), [2, 1, 3]);
  assert.deepEqual(ids('waiting'), [2, 3, 1]);
  assert.deepEqual(ids('changes'), [3, 2, 1]);
  assert.deepEqual(ids('title'), [2, 1, 3]);
});

test('the filter: words, states, numbers', () => {
  const one = agent(7, { title: 'Parse Dates', progress: 'half way', state: 'done', added: 1 });
  for (const yes of ['', 'dates', 'ledger PARSE', 'half', '#7', 'is:done', 'is:review', 'agent-7']) assert.ok(matcher(yes)(one), yes);
  for (const no of ['nothing', '#8', '#70', 'is:failed', 'dates nothing']) assert.ok(!matcher(no)(one), no);
});

test('what did not change keeps its identity', () => {
  const all = [agent(1), agent(2, { state: 'failed' })];
  const before = arrange(all, view());
  assert.equal(keepSame(before, arrange(all, view())), before);
  const after = keepSame(before, arrange([agent(1), agent(2, { state: 'failed' }), agent(3, { state: 'failed' })], view()));
  assert.notEqual(after, before);
  assert.equal(after[0], before[0]);
});

test('fuzzy: whole words before beginnings before letters; nothing out of order', () => {
  const names = ['new task', 'activity', 'costs', 'parse dates #7 acme/ledger', 'pause all'];
  const found = (query: string): string[] => search(query, names, (name) => name, 9).map(({ item }) => item);
  assert.equal(found('parse')[0], 'parse dates #7 acme/ledger');
  assert.equal(found('pd')[0], 'parse dates #7 acme/ledger');
  assert.equal(found('#7')[0], 'parse dates #7 acme/ledger');
  assert.equal(found('nt')[0], 'new task');
  assert.deepEqual(found('zzz'), []);
  assert.equal(found('').length, names.length);
  assert.ok(score('abc', 'xa bc a') > 0, 'skipping ahead never loses a match');
  assert.equal(score('ba', 'ab'), 0);
});

test('fuzzy: a key press over 1,000 names takes less than a frame', () => {
  const names = Array.from({ length: 1000 }, (_, i) => `task number ${i} with a rather long title that says much acme/repository-${i % 7}`);
  search('warm up', names, (name) => name, 40);
  const began = performance.now();
  for (let i = 0; i < 10; i++) search('tnwrl', names, (name) => name, 40);
  assert.ok((performance.now() - began) / 10 < 16);
});

test('the pulse forgets what is older than its window', () => {
  const pulse = new Pulse();
  const at = 1000 * BUCKET_MS;
  assert.equal(pulse.path(at), '');
  for (let i = 0; i < 5; i++) pulse.add(at);
  pulse.add(at + BUCKET_MS);
  pulse.add(at - 3 * BUCKET_MS);
  const values = pulse.values(at + BUCKET_MS);
  assert.equal(values.length, BUCKETS);
  assert.deepEqual(values.slice(-5), [1, 0, 0, 5, 1]);
  assert.match(pulse.path(at + BUCKET_MS), /^M0\.0 .*L72\.0 /);
  assert.equal(pulse.path(at + 2 * BUCKETS * BUCKET_MS), '');
  pulse.add(at);
  assert.equal(pulse.path(at + 2 * BUCKETS * BUCKET_MS), '', 'an old event changes nothing');
});
