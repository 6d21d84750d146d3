import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePatch } from '../src/patch';

const one = (patch: string) => {
  const files = parsePatch(patch);
  assert.equal(files.length, 1);
  return files[0] as ReturnType<typeof parsePatch>[number];
};

test('a modified file: numbers, signs, counts', () => {
  const file = one(
    'diff --git a/a.c b/a.c\nindex 1..2 100644\n--- a/a.c\n+++ b/a.c\n@@ -3,3 +3,4 @@ int main(void)\n one\n-two\n+TWO\n+more\n three\n',
  );
  assert.equal(file.path, 'a.c');
  assert.deepEqual([file.added, file.removed], [2, 1]);
  assert.deepEqual(
    file.rows.map((row) => [row.kind, row.before, row.after, row.text]),
    [
      ['hunk', null, null, '@@ -3,3 +3,4 @@ int main(void)'],
      ['context', 3, 3, 'one'],
      ['removed', 4, null, 'two'],
      ['added', null, 4, 'TWO'],
      ['added', null, 5, 'more'],
      ['context', 5, 6, 'three'],
    ],
  );
});

test('lines that look like headers are lines inside a hunk', () => {
  const file = one('diff --git a/q b/q\n--- a/q\n+++ b/q\n@@ -1,2 +1,2 @@\n--- a/other\n-diff --git\n+++ b/other\n+x\n');
  assert.deepEqual([file.path, file.added, file.removed], ['q', 2, 2]);
});

test('added, deleted, renamed, binary', () => {
  const files = parsePatch(
    'diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n' +
      'diff --git a/d b/d\ndeleted file mode 100644\n--- a/d\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n' +
      'diff --git a/old name b/new name\nsimilarity index 100%\nrename from old name\nrename to new name\n' +
      'diff --git a/p.png b/p.png\nBinary files a/p.png and b/p.png differ\n',
  );
  assert.deepEqual(
    files.map((file) => [file.path, file.added, file.removed, file.binary]),
    [
      ['n', 1, 0, false],
      ['d', 0, 1, false],
      ['new name', 0, 0, false],
      ['p.png', 0, 0, true],
    ],
  );
  assert.equal(files[0]?.rows.at(-1)?.kind, 'note');
  assert.equal(files[2]?.from, 'old name');
});

test('quoted names', () => {
  const file = one('diff --git "a/\\303\\244 b.txt" "b/\\303\\244 b.txt"\n--- "a/\\303\\244 b.txt"\n+++ "b/\\303\\244 b.txt"\n@@ -1 +1 @@\n-a\n+b\n');
  assert.equal(file.path, 'ä b.txt');
});

test('a plain diff without git headers', () => {
  const files = parsePatch('--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n');
  assert.deepEqual(files.map((file) => file.path), ['x', 'y']);
});

test('a patch that was cut, or is nonsense, is no error', () => {
  assert.equal(one('diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n a\n+b').added, 1);
  assert.deepEqual(parsePatch('@@ -1 +1 @@\n-a\n+b\n'), []);
  assert.deepEqual(parsePatch(''), []);
});
