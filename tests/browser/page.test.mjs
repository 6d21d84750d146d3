// The page's pure parts, and what its build must hold.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import path from 'node:path';
import { root, run } from '../support/stack.mjs';

const app = path.join(root, 'webui/app');

test('unit tests of the page', async () => {
  const { code, stdout, stderr } = await run(process.execPath, [path.join(app, 'test/run.mjs')], { env: process.env });
  assert.equal(code, 0, stdout + stderr);
});

test('types and refused constructs', async () => {
  for (const args of [['node_modules/typescript/bin/tsc', '--noEmit'], ['lint.mjs']]) {
    const { code, stdout, stderr } = await run(process.execPath, args, { cwd: app });
    assert.equal(code, 0, stdout + stderr);
  }
});

test('the built page is small, compressed and names no other origin', async () => {
  const dist = path.join(app, 'dist');
  const size = async (name) => (await stat(path.join(dist, `${name}.gz`))).size;
  const names = await readdir(dist);
  let packed = 0;
  for (const name of names.filter((n) => !n.endsWith('.gz'))) {
    const bytes = await readFile(path.join(dist, name));
    assert.deepEqual(gunzipSync(await readFile(path.join(dist, `${name}.gz`))), bytes, name);
    packed += await size(name);
    assert.match(name, /^(index\.html|[A-Za-z]+-[A-Z0-9]{8}\.(js|css))$/);
  }
  assert.ok(packed < 220 * 1024, `${packed} bytes`);
  const html = await readFile(path.join(dist, 'index.html'), 'utf8');
  // What the board needs: the page, its style, its script and what that imports statically.
  const first = new Set(['index.html', ...[...html.matchAll(/"\/([\w-]+\.(?:js|css))"/g)].map(([, name]) => name)]);
  for (const name of first) {
    const text = await readFile(path.join(dist, name), 'utf8');
    for (const [, other] of text.matchAll(/(?:\bfrom|\bimport)\s*"\.\/([\w-]+\.js)"/g)) first.add(other);
  }
  assert.ok(first.size >= 3, [...first].join(' '));
  let begin = 0;
  for (const name of first) begin += await size(name);
  assert.ok(begin < 60 * 1024, `${begin} bytes`);
  assert.doesNotMatch(html, /https?:|<script>|style=|onload/);
});
