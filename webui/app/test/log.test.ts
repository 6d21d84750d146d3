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
