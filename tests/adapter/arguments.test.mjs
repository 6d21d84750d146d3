// Extra arguments for aider, and the version the adapter is made for.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root, run } from '../support/stack.mjs';
import { makeWorld, python, script } from './adapter.mjs';

async function check(text, env = {}) {
  const { code, stdout } = await run(python, [script, '--check-arguments', text], { env: { PATH: process.env.PATH, ...env } });
  assert.equal(code, 0);
  return JSON.parse(stdout);
}

for (const [text, words] of [
  ['', []],
  ['--edit-format diff --map-tokens 0', ['--edit-format', 'diff', '--map-tokens', '0']],
  ['--auto-test --test-cmd "pytest -q"', ['--auto-test', '--test-cmd', 'pytest -q']],
  ['--read README.md a.txt', ['--read', 'README.md', 'a.txt']],
  ['--no-check-update --no-pretty --no-stream', ['--no-check-update', '--no-pretty', '--no-stream']],
  ['--weak-model openai/small', ['--weak-model', 'openai/small']],
]) test(`taken: ${text}`, async () => assert.deepEqual(await check(text), { ok: true, arguments: words }));

for (const [text, why] of [
  ['--model x', /--model cannot be used.*Settings/],
  ['--opus', /--opus cannot be used.*Settings/],
  ['--openai-api-key x', /--openai-api-key cannot be used.*~\/\.env/],
  ['--api-key a=b', /~\/\.env/],
  ['--openai-api-base http://x', /~\/\.env/],
  ['--set-env A=b', /~\/\.env/],
  ['--message hi', /--message cannot be used/],
  ['-mhi', /--message cannot be used/],
  ['-f file', /--message-file cannot be used/],
  ['--yes-always', /--yes-always cannot be used.*permission/],
  ['--config x.yml', /--config cannot be used/],
  ['--env-file x', /--env-file cannot be used/],
  ['--load x', /--load cannot be used/],
  ['--gui', /--gui cannot be used/],
  ['--apply x', /--apply cannot be used/],
  ['--exit', /--exit cannot be used/],
  ['--version', /--version cannot be used/],
  ['--help', /--help cannot be used/],
  ['--just-check-update', /cannot be used/],
  ['--upgrade', /pinned/],
  ['--no-git', /--git cannot be used|--no-git cannot be used/],
  ['--dry-run', /cannot be used/],
  ['--pretty', /--pretty cannot be used/],
  ['--chat-history-file x', /cannot be used/],
  ['--edit-format nonsense', /invalid choice/],
  ['--no-such-thing', /does not know.*--no-such-thing/],
  ['--mess hi', /does not know/],
  ['"unclosed', /No closing quotation/],
  ['--map-tokens many', /invalid int value/],
]) test(`refused: ${text}`, async () => {
  const answer = await check(text);
  assert.equal(answer.ok, false);
  assert.match(answer.error, why);
});

test('the environment cannot smuggle arguments in', async () => {
  assert.deepEqual(await check('--stream', { AIDER_MESSAGE: 'hi', AIDER_EXIT: 'true' }), { ok: true, arguments: ['--stream'] });
});

test('the check is quick', async (t) => {
  const began = Date.now();
  await check('--foo');
  t.diagnostic(`${Date.now() - began} ms`);
  assert.ok(Date.now() - began < 1000);
});

test('a session refuses them too', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' } });
  await assert.rejects(world.adapter({ extra: ['--message', 'hi'] }).start(), { code: -32602, message: /--message cannot be used/ });
});

test('every option of aider that is named exists, and the lock has the pinned version', async () => {
  const lock = readFileSync(path.join(root, 'worker/aider/requirements.lock'), 'utf8');
  const pinned = /^PINNED = "(.*)"/m.exec(readFileSync(script, 'utf8'))[1];
  assert.ok(lock.includes(`aider-chat==${pinned} `));
  const names = await run(python, ['-c', [
    'import sys; sys.path.insert(0, sys.argv[1])', 'import arguments', 'dests = {a.dest for a in arguments._parser()._actions}',
    'print(sorted((set(arguments.REFUSED) | set(arguments.REFUSED_VALUES)) - dests))'].join('\n'), path.dirname(script)]);
  assert.equal(names.stdout.trim(), '[]', names.stderr);
});

test('another version of aider is refused with exit code 100 and both versions', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), '100x-adapter-'));
  try {
    const info = path.join(dir, 'aider_chat-9.9.9.dist-info');
    await mkdir(info);
    await writeFile(path.join(info, 'METADATA'), 'Metadata-Version: 2.1\nName: aider-chat\nVersion: 9.9.9\n');
    const env = { PATH: process.env.PATH, PYTHONPATH: dir };
    for (const args of [['--session-dir', dir, '--model', 'x'], ['--check-arguments', '']]) {
      const { code, stderr, stdout } = await run(python, [script, ...args], { env });
      assert.equal(code, 100);
      assert.match(stderr, /9\.9\.9.*0\.86\.2/);
      assert.ok(stderr.trim().endsWith(`run ${path.join(root, 'scripts/setup-aider')}`), stderr);
      assert.equal(stdout, '');
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
