import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SseParser, type Message } from '../src/sse';

const STREAM = 'retry: 1500\n\n: ping\n\nid: 7\nevent: output\ndata: {"a":\ndata: 1}\n\nid: 8\ndata:no space\r\n\r\ndata: keeps the id\r\rid: 9\n\n';
const EXPECTED: Message[] = [
  { id: '7', event: 'output', data: '{"a":\n1}' },
  { id: '8', event: 'message', data: 'no space' },
  { id: '8', event: 'message', data: 'keeps the id' },
];

test('messages, comments, retry; line ends of every kind', () => {
  const got: Message[] = [];
  const parser = new SseParser((message) => got.push(message));
  parser.push(STREAM);
  assert.deepEqual(got, EXPECTED);
  assert.equal(parser.retry, 1500);
});

test('split anywhere', () => {
  for (let i = 0; i <= STREAM.length; i++) {
    const got: Message[] = [];
    const parser = new SseParser((message) => got.push(message));
    parser.push(STREAM.slice(0, i));
    parser.push(STREAM.slice(i));
    assert.deepEqual(got, EXPECTED, `split at ${i}`);
  }
});

test('a line without end is refused', () => {
  const parser = new SseParser(() => {});
  assert.throws(() => {
    for (let i = 0; i < 20; i++) parser.push('x'.repeat(1 << 20));
  }, /without end/);
});
