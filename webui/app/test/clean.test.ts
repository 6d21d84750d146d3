import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cleaner, plain, plainLine } from '../src/clean';

test('colours and cursor moves leave no trace', () => {
  assert.equal(plain('\u001b[1;32mgreen\u001b[0m \u001b[2K\u001b[?25lrest'), 'green rest');
  assert.equal(plain('\u009b31mred'), 'red');
  assert.equal(plain('\u001b(Btext\u001b7\u001b8\u001b=\u001bM'), 'text');
});

test('titles, links and clipboard writes leave only their visible text', () => {
  assert.equal(plain('\u001b]0;evil title\u0007after'), 'after');
  assert.equal(plain('\u001b]8;;javascript:alert(1)\u001b\\link\u001b]8;;\u001b\\'), 'link');
  assert.equal(plain('\u001b]52;c;ZXZpbA==\u0007x'), 'x');
  assert.equal(plain('\u001bPq#0;2;0\u001b\\sixel'), 'sixel');
});

test('other controls become visible', () => {
  assert.equal(plain('a\u0000b\u0007c\u007fd'), 'a␀b␇c␡d');
  assert.equal(plain('tab\tand\nline'), 'tab\tand\nline');
  assert.equal(plain('\u0085'), '‹U+0085›');
});

test('direction tricks become visible', () => {
  assert.equal(plain('if (admin\u202e) {'), 'if (admin‹U+202E›) {');
  assert.equal(plain('\u2066x\u2069'), '‹U+2066›x‹U+2069›');
});

test('a carriage return overwrites its line', () => {
  assert.equal(plain('10 %\r20 %\r30 %\ndone\r\n'), '30 %\ndone\n');
});

test('markup stays text', () => {
  assert.equal(plain('<img src=x onerror=alert(1)></script>'), '<img src=x onerror=alert(1)></script>');
});

test('one line', () => {
  assert.equal(plainLine('  a\n\n  b\n'), 'a b');
});

test('any split of a stream gives what the whole gives', () => {
  const whole = 'a\u001b[31mred\u001b[0m\r\nb\u001b]0;title\u0007c\u001b]8;;http://x\u001b\\d\n\u001b(Be';
  const expected = plain(whole);
  for (let i = 0; i <= whole.length; i++) {
    for (let j = i; j <= whole.length; j++) {
      const cleaner = new Cleaner();
      const got = [whole.slice(0, i), whole.slice(i, j), whole.slice(j)].map((piece) => cleaner.push(piece)).join('');
      assert.equal(got, expected, JSON.stringify([i, j]));
    }
  }
});

test('a sequence that never ends is not waited for without end', () => {
  const cleaner = new Cleaner();
  let out = '';
  for (let i = 0; i < 20; i++) out += cleaner.push(i === 0 ? `\u001b]0;${'x'.repeat(1000)}` : 'x'.repeat(1000));
  assert.ok(out.length > 10000);
});
