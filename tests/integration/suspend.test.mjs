// A machine that is suspended: everything stands still for longer than anybody would wait
// for a sign of life, and goes on at the same moment. Nobody is taken for dead. (The control
// group's freezer does it, under which the monotonic clock even runs on.)
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { coderOf } from '../support/processes.mjs';
import { deadline, freePort, makeRepository, patience, program, startStack, support } from '../support/stack.mjs';

const SILENT_MS = 3000; // after which a worker counts as deaf
const SUSPENDED_MS = 13000; // more than that, the keeper's 10 s, and those of a stopped coding agent
const LINES = 400, RATE = 20; // longer than all that

// Null, and the test is skipped, where there is no freezer.
async function freezer(t) {
  const mount = readFileSync('/proc/self/mounts', 'utf8').split('\n').map((l) => l.split(' ')).find((l) => l[2] === 'cgroup2')?.[1];
  const group = mount && path.join(mount, `100x-test-${process.pid}`);
  try {
    await mkdir(group);
  } catch (error) {
    t.skip(`control groups cannot be made here: ${mount ? error.message : 'no cgroup v2'}`);
    return null;
  }
  if (!existsSync(path.join(group, 'cgroup.freeze'))) {
    await rmdir(group);
    t.skip('the kernel has no cgroup.freeze');
    return null;
  }
  return group;
}

async function freeze(group, on) {
  writeFileSync(path.join(group, 'cgroup.freeze'), on ? '1' : '0');
  for (const until = Date.now() + 5000; !readFileSync(path.join(group, 'cgroup.events'), 'utf8').includes(`frozen ${on ? 1 : 0}`);) {
    assert.ok(Date.now() < until, 'the kernel freezes it');
    await pause(5);
  }
}

test('everything stands still for longer than any deadline, and goes on', async (t) => {
  const group = await freezer(t);
  if (!group) return;
  const stack = await startStack({ supervisor: false, env: { HUNDREDX_SILENT_MS: String(SILENT_MS * patience) } });
  const port = await freePort();
  const up = spawn('/bin/sh', ['-c', 'echo $$ >"$0/cgroup.procs"; exec "$@"', group, program('100x'), 'up', '--foreground',
    '--state-dir', stack.stateDir, '--run-dir', stack.runDir, '--port', String(port)], { env: stack.env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(up, 'exit');
  for (const stream of [up.stdout, up.stderr]) stream.resume();
  try {
    await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e',
      JSON.stringify({ turns: [{ steps: [{ text: 'started\n' }, { flood: { lines: LINES, size: 40, rate: RATE } }, { write: { path: 'a.txt', text: 'a\n' } }] }] })] } });
    const { tasks } = await stack.ask('task.create', { repository: await makeRepository(stack.dir), tasks: [{ title: 'go' }], manager: false });
    const [agent] = tasks[0].agents;
    await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the turn', 30000, { agent });
    const who = async () => {
      const { pid: worker, state } = await stack.ask('agent.show', { agent });
      const status = await stack.ask('status');
      return { state, supervisor: status.pid, webui: status.webui?.pid, worker, coder: coderOf(worker) };
    };
    while (!(await who()).webui) await pause(20); // it says hello a moment later
    const before = await who();
    await freeze(group, true);
    await pause(SUSPENDED_MS * patience);
    await freeze(group, false);
    assert.deepEqual(await who(), before);
    await stack.untilState(agent, 'done');
    const events = await stack.events(agent);
    assert.deepEqual(events.map((e) => e.body.seq).filter(Boolean), Array.from({ length: events.filter((e) => e.body.seq).length }, (_, i) => i + 1));
    assert.equal(events.filter((e) => e.kind === 'output').map((e) => e.body.text).join('').split('\n').filter((l) => l.includes('ns=')).length, LINES);
    assert.deepEqual(events.filter((e) => e.kind === 'trouble').map((e) => e.body.reason), []);
    assert.equal(events.filter((e) => e.kind === 'worker' && e.body.phase === 'started').length, 1);
    const logs = path.join(stack.stateDir, 'logs');
    for (const name of await readdir(logs)) {
      const loud = (await readFile(path.join(logs, name), 'utf8')).split('\n').filter((line) => / (warn|error) /.test(line) && !/never|cgroup|control group/.test(line));
      assert.deepEqual(loud, [], name);
    }
  } finally {
    up.kill('SIGTERM');
    await deadline(ended, 30000 * patience, '100x up to end');
    assert.deepEqual(await stack.stop(), []);
    await rmdir(group);
  }
});
