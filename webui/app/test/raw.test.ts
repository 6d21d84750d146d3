import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lastLines, Writer } from '../src/raw';
import type { Event } from '../src/types';

const output = (text: string, stream = 'agent', cut = false): Event => ({ id: 1, stream: 'agent', subject: 7, kind: 'output', body: { stream, text, cut } });

test('another stream begins a line and a look of its own', () => {
  const writer = new Writer();
  assert.equal(writer.write(output('a')), 'a');
  assert.equal(writer.write(output('b\n', 'thought')), '\r\n\u001b[0m\u001b[3;90mb\n');
  assert.equal(writer.write(output('c', 'thought')), 'c');
  assert.equal(writer.write(output('d\n')), '\r\n\u001b[0md\n');
  assert.equal(writer.write(output('e', 'stderr', true)), '\u001b[0m\u001b[33me\n… (cut)\n');
  assert.equal(writer.write(output('')), '');
});

test('the last lines, wherever the pieces end', () => {
  const last = (pieces: string[], max: number): string => lastLines(pieces, max).join('');
  assert.equal(last(['a\nb\n', 'c', '\nd'], 2), 'b\nc\nd');
  assert.equal(last(['a\nb\n', 'c', '\nd'], 1), 'c\nd');
  assert.equal(last(['a\nb\n', 'c\nd\ne'], 1), 'd\ne');
  assert.deepEqual(lastLines(['\n\n\n'], 5), ['\n\n\n']);
  assert.deepEqual(lastLines([], 5), []);
  assert.equal(lastLines(['x\n'.repeat(5000)], 2000).join('').split('\n').length, 2001);
});
