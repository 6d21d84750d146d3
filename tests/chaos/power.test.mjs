// The power goes, again and again: on a file system of its own, whose device takes nothing more
// from one moment on. What was flushed is all that the next start finds.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { root, run } from '../support/stack.mjs';

const SEEDS = [201, 202];
const CUTS = 30;
const AGENTS = 8;

// Where it cannot be tried: the kernel's word.
async function refused() {
  const tried = await run('unshare', ['--mount', 'sh', '-c', 'test -w /dev/loop-control || { echo "no loop devices" >&2; false; }']);
  return tried.code === 0 ? false : tried.stderr.trim();
}

const skip = await refused();

describe('power cuts', { skip, concurrency: true }, () => {
  for (const seed of SEEDS) test(`${CUTS}, seed ${seed}: states, effects and commits stay, nothing is doubled, nobody is stuck`, async (t) => {
    const { code, stdout, stderr } = await run(process.execPath, [path.join(root, 'tests/chaos/chaos.mjs'),
      '--power', '--seed', String(seed), '--kills', String(CUTS), '--agents', String(AGENTS)]);
    for (const line of stdout.trim().split('\n')) t.diagnostic(line);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, new RegExp(`: ${CUTS} kills `));
  });
});
