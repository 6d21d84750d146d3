// Crash points of what becomes of ended agents: packing, removing, reclaiming,
// restoring; and of what a deleted one leaves.
// Killed there once and twice in a row, it is done in the end, and nothing is lost or double.
// Needs the build of `make MODE=chaos programs support`.
import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { deadline, git, makeRepository, mode, patience, root, run, startStack, support } from '../support/stack.mjs';

const points = [...readFileSync(path.join(root, 'shared/crash.h'), 'utf8').matchAll(/X\(\w+,\s+"([\w.-]+)"\)/g)].map((m) => m[1])
  .filter((name) => /^(pack|drop|forget|reclaim|restore)\./.test(name));
// There is no second time.
const UNIQUE = /^(drop\.commit\.after|reclaim\.moved|(reclaim|restore)\.recorded)$/;
const only = process.env.CRASH_POINT ? new RegExp(process.env.CRASH_POINT) : /./;

before(() => assert.match(mode, /^chaos/, 'run it with MODE=chaos in the environment'));

// A supervisor that is there, started again as often as it dies.
async function alive(stack) {
  for (let tries = 0; tries < 5; tries++) {
    const { supervisor } = stack;
    if (supervisor.exitCode === null && supervisor.signalCode === null) return;
    assert.equal(supervisor.signalCode, 'SIGKILL', supervisor.log);
    await stack.startSupervisor().catch((error) => assert.match(error.message, /SIGKILL/));
  }
}

// Asked until it is answered, whoever dies; done already is answered too.
async function insist(stack, method, params, done) {
  const id = randomBytes(16).toString('hex'); // asked again it is done once
  for (let tries = 0; tries < 6; tries++) {
    await alive(stack);
    const { supervisor } = stack;
    const answer = await Promise.race([
      stack.ask(method, params, id).then((result) => ({ result }), (error) => ({ error })),
      supervisor.ended.then(() => ({ died: true }))]);
    if (answer.result) return answer.result;
    if (answer.error && done.test(answer.error.message)) return null;
    if (answer.error && !/signal 9|no answer|connection/.test(answer.error.message)) throw answer.error;
    if (!answer.died) await Promise.race([supervisor.ended, new Promise((resolve) => { globalThis.setTimeout(resolve, 200); })]);
  }
  throw new Error(`${method} was never answered`);
}

const look = async (folder) => [await git(folder, 'status', '--porcelain'), await git(folder, 'log', '--format=%H %s', '-3'), await git(folder, 'diff', 'HEAD')];

for (const times of [1, 2]) for (const point of points.filter((name) => only.test(name))) {
  test(`${point}, ${times === 1 ? 'once' : 'twice'}`, async () => {
    const stack = await startStack({ agentCommand: [support('scripted_agent'), '-e', JSON.stringify({ load_session: true, turns: [
      { steps: [{ flood: { lines: 900, size: 300 } }, { write: { path: 'first.txt', text: 'committed\n' } }, { commit: 'First' }] }] })] });
    try {
      const repository = await makeRepository(stack.dir);
      const [agent] = (await stack.ask('task.create', { repository, tasks: [{ title: 'talk' }], manager: false })).tasks[0].agents;
      await stack.until((e) => e.kind === 'worker' && e.body.phase === 'ended', 'its end', 60000, { agent });
      const repo = path.join(stack.stateDir, 'workspaces', String(agent), 'repo');
      const before = { events: await stack.events(agent), files: await look(repo) };
      const crashes = path.join(stack.dir, 'crashes');
      await mkdir(crashes);
      stack.env = { ...stack.env, HUNDREDX_CRASH: point, HUNDREDX_CRASH_DIR: crashes, HUNDREDX_CRASH_TIMES: String(times) };
      stack.supervisor.kill('SIGKILL');
      await stack.supervisor.ended;
      await stack.startSupervisor();

      await insist(stack, 'agent.reclaim', { agent }, /no workspace/);
      assert.equal(existsSync(repo), false);
      assert.deepEqual(readdirSync(path.dirname(repo)).filter((name) => name.startsWith('repo')), []);
      await insist(stack, 'agent.restore', { agent }, /is there/);
      assert.deepEqual(await look(repo), before.files);

      await insist(stack, 'config.set', { general: { compress_after_minutes: 0 } }, /^$/);
      await deadline((async () => {
        while ((await run('sqlite3', ['-readonly', '-cmd', '.timeout 5000', path.join(stack.stateDir, 'tasks.db'), 'SELECT packed FROM agents'])).stdout.trim() !== '1') await alive(stack);
      })(), 60000 * patience, 'packing');
      let packed = null;
      while (!packed) {
        await alive(stack);
        const { supervisor } = stack;
        packed = await Promise.race([stack.events(agent).catch(() => null), supervisor.ended.then(() => null)]);
      }
      packed = packed.filter((e) => e.kind !== 'workspace');
      assert.deepEqual(packed, before.events);
      await insist(stack, 'config.set', { general: { keep_gigabytes: 0.00001 } }, /^$/);
      await deadline((async () => {
        for (;;) {
          await alive(stack);
          const { supervisor } = stack;
          const left = await Promise.race([stack.events(agent, ['output']).catch(() => null), supervisor.ended.then(() => null)]);
          if (left && left.length === 0) return;
        }
      })(), 60000 * patience, 'removal');
      const told = (await stack.events(agent)).filter((e) => e.kind === 'trouble');
      assert.equal(told.length, 1);
      assert.equal(told[0].body.removed_events, before.events.filter((e) => ['output', 'tool'].includes(e.kind)).length);
      assert.equal((await stack.ask('agent.show', { agent })).state, 'done');

      // A log that is long again, of an agent that is deleted.
      const database = (sql) => run('sqlite3', ['-cmd', '.timeout 5000', path.join(stack.stateDir, 'tasks.db'), sql]);
      await database(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3000)
        INSERT INTO events(stream,subject,seq,kind,at,body) SELECT 'agent',${agent},100000+i,'output',i,'{}' FROM n`);
      await insist(stack, 'agent.delete', { agent, discard: true }, /no agent/);
      await deadline((async () => {
        while ((await database(`SELECT count(*) FROM events WHERE stream='agent' AND subject=${agent}`)).stdout.trim() !== '1') await alive(stack);
      })(), 60000 * patience, 'its log to go');
      assert.deepEqual((await stack.ask('agent.list')).agents, []);
      assert.equal(readdirSync(crashes).length, UNIQUE.test(point) ? 1 : times, `passed ${point}`);
    } finally {
      assert.deepEqual(await stack.stop(), []);
    }
  });
}
