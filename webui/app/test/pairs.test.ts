import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ignoreSpace, split } from '../src/pairs';
import { parsePatch } from '../src/patch';

const rows = (patch: string) => parsePatch(`--- a/f\n+++ b/f\n${patch}`)[0]?.rows ?? [];
const short = (patch: string): string[] => ignoreSpace(rows(patch)).map((row) => `${row.kind[0]}${row.before ?? '-'}:${row.after ?? '-'} ${row.text}`);

test('lines that differ in white space alone become context, with both numbers', () => {
  assert.deepEqual(short('@@ -1,3 +1,4 @@\n-if (x)\n-  go();\n-gone\n+if (y)\n+\tgo( );\n+new\n+more\n'), [
    'h-:- @@ -1,3 +1,4 @@',
    'r1:- if (x)',
    'a-:1 if (y)',
    'c2:2 \tgo( );',
    'r3:- gone',
    'a-:3 new',
    'a-:4 more',
  ]);
});

test('what was only added or removed stays', () => {
  assert.deepEqual(short('@@ -1,2 +1,2 @@\n a\n+ \n-b\n'), ['h-:- @@ -1,2 +1,2 @@', 'c1:1 a', 'a-:2  ', 'r2:- b']);
});

test('a block too large for the whole comparison is still paired in order', () => {
  const old = Array.from({ length: 900 }, (_, i) => `-line ${i}`).join('\n');
  const made = Array.from({ length: 900 }, (_, i) => `+line  ${i}`).join('\n');
  const kinds = new Set(ignoreSpace(rows(`@@ -1,900 +1,900 @@\n${old}\n${made}\n`)).map(({ kind }) => kind));
  assert.deepEqual([...kinds], ['hunk', 'context']);
});

test('two columns: changes face each other, context is on both sides', () => {
  const pairs = split(rows('@@ -1,4 +1,3 @@\n a\n-b\n-c\n+B\n d\n')).map(({ left, right, whole }) => whole?.kind ?? `${left?.text ?? ''}|${right?.text ?? ''}`);
  assert.deepEqual(pairs, ['hunk', 'a|a', 'b|B', 'c|', 'd|d']);
});
