import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LINES_MAX, LINES_MAX_READING, Log } from '../src/log';
import type { Body, Event } from '../src/types';

let next = 0;
const event = (kind: string, body: Body): Event => ({ id: ++next, stream: 'agent', subject: 7, kind, body });
const output = (text: string, stream = 'agent', turn = 1): Event => event('output', { turn, stream, text });
const shown = (log: Log): string[] =>
  log.entries.value.map((entry) => (entry.type === 'text' ? `${entry.channel}:${entry.text.value}` : entry.event.value.kind));
const lines = (log: Log): number =>
  log.entries.value.reduce((sum, entry) => sum + (entry.type === 'text' ? entry.text.value.split('\n').length - 1 : 0), 0);

test('pieces of one stream grow one entry, another stream begins another', () => {
  const log = new Log();
  log.append([output('a'), output('b\n'), output('t', 'thought')]);
  log.append([output('c'), output('d', 'agent', 2)]);
  assert.deepEqual(shown(log), ['agent:ab\n', 'thought:t', 'agent:c', 'agent:d']);
});

test('news of one tool call share an entry', () => {
  const log = new Log();
  log.append([event('tool', { turn: 1, id: 'x', status: 'pending' }), output('o')]);
  log.append([event('tool', { turn: 1, id: 'x', status: 'completed' }), event('tool', { turn: 2, id: 'x', status: 'pending' })]);
  assert.deepEqual(shown(log), ['tool', 'agent:o', 'tool']);
  const first = log.entries.value[0];
  assert.equal(first?.type === 'fact' && first.event.value.body['status'], 'completed');
});

test('a state told twice is shown once', () => {
  const log = new Log();
  log.append([event('state', { state: 'starting', reason: '' }), output('x'), event('state', { state: 'starting', reason: '' })]);
  log.append([event('state', { state: 'working', reason: '' }), event('state', { state: 'starting', reason: 'again' })]);
  assert.deepEqual(shown(log), ['state', 'agent:x', 'state', 'state']);
});

test('a finishing step tried again is a new entry', () => {
  const log = new Log();
  for (const status of ['started', 'failed', 'started', 'done']) log.append([event('finish', { step: 'push', status })]);
  assert.deepEqual(
    log.entries.value.map((entry) => entry.type === 'fact' && entry.event.value.body['status']),
    ['failed', 'done'],
  );
});

test('the oldest lines leave, later when a person reads', () => {
  const log = new Log();
  for (let i = 0; i < 200; i++) log.append([output('line\n'.repeat(100), i % 2 ? 'agent' : 'tool')]);
  assert.ok(lines(log) <= LINES_MAX && lines(log) > LINES_MAX - 600, String(lines(log)));
  assert.ok(log.earlier.value);
  log.reading = true;
  for (let i = 0; i < 400; i++) log.append([output('line\n'.repeat(100), i % 2 ? 'agent' : 'tool')]);
  assert.ok(lines(log) <= LINES_MAX_READING && lines(log) > LINES_MAX_READING - 1500, String(lines(log)));
  log.settle();
  assert.ok(lines(log) <= LINES_MAX);
});

test('an earlier part goes in front and doubles nothing', () => {
  const log = new Log();
  const old = [output('old\n'), event('tool', { turn: 1, id: 'x', status: 'pending', title: 'edit' })];
  log.append([event('tool', { turn: 1, id: 'x', status: 'completed', title: 'edit' }), output('new\n')]);
  log.prepend(old);
  assert.deepEqual(shown(log), ['agent:old\n', 'tool', 'agent:new\n']);
});

test('a text without lines is bounded as well', () => {
  const log = new Log();
  for (let i = 0; i < 3000; i++) log.append([output('x'.repeat(8000))]);
  const size = log.entries.value.reduce((sum, entry) => sum + (entry.type === 'text' ? entry.text.value.length : 0), 0);
  assert.ok(size < 8 << 20, String(size));
});

test('entries lie in their turns; a turn that did not change stays the same object', () => {
  const log = new Log();
  log.append([
    event('state', { state: 'starting', reason: '' }),
    event('turn', { turn: 1, phase: 'started' }),
    output('one'),
    event('message', { turn: 0, text: 'x', direction: 'in' }),
    event('turn', { turn: 2, phase: 'started' }),
    event('decision', { turn: 1, action: 'late', progress: '' }),
    output('two', 'agent', 2),
  ]);
  const shape = () => log.groups.value.map(({ turn, entries }) => [turn, entries.length]);
  assert.deepEqual(shape(), [[0, 1], [1, 3], [2, 3]]);
  const [, first] = log.groups.value;
  log.append([output('t', 'tool', 2)]);
  assert.deepEqual(shape(), [[0, 1], [1, 3], [2, 4]]);
  assert.equal(log.groups.value[1], first);
});

test('a window that moves back drops its end, and goes on from there', () => {
  const log = new Log();
  const all: Event[] = [];
  for (let i = 0; i < 600; i++) all.push(output('line\n'.repeat(100), i % 2 ? 'agent' : 'tool'));
  const recent = all.slice(-40);
  log.append(recent);
  log.reading = true;
  for (let at = all.length - 40; at > 0; at -= 40) log.prepend(all.slice(at - 40, at));
  assert.ok(lines(log) <= LINES_MAX_READING, String(lines(log)));
  assert.equal(log.first, all[0]?.id);
  assert.ok(log.later.value);
  const kept = log.last;
  const next = all.filter(({ id }) => id > kept);
  assert.equal(log.entries.value.at(-1)?.first, kept, 'the entry before the place to go on from is the last one');
  log.append(next.slice(0, 10));
  assert.equal(log.last, next[9]?.id);
  assert.ok(log.earlier.value, 'the front has left for the end');
});
