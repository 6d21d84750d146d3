// A full disk, on a small file system of its own: agents pause and say why, nothing is
// lost or damaged, and they go on by themselves when there is room.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, rmdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeRepository, patience, run, startStack, support } from '../support/stack.mjs';

const edit = { write: { path: 'hello.txt', text: 'hello\n' } };
// The first turn talks until it is cancelled; what comes after it ends at once.
const flood = { load_session: true, turns: [
  { steps: [{ text: 'started\n' }, { flood: { lines: 1e7, size: 400, rate: 500 } }] },
  { steps: [{ text: 'again\n' }, edit] }] };

async function mountSmall(t) {
  if (process.getuid() !== 0) return t.skip('mounting a small file system needs root'), null;
  const folder = await mkdtemp(path.join(tmpdir(), '100x-small-'));
  const { code, stderr } = await run('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', folder]);
  if (code === 0) {
    t.after(() => unmount(folder)); // also when the test fails
    return folder;
  }
  await rmdir(folder);
  t.skip(`a small file system cannot be mounted here: ${stderr.trim()}`);
  return null;
}

async function unmount(folder) {
  const { code, stderr } = await run('umount', [folder]);
  assert.equal(code, 0, stderr);
  await rmdir(folder);
}

// Takes all but 2 MiB, at once: a second try would take the reserve too.
async function fill(folder) {
  const { stdout } = await run('stat', ['-f', '-c', '%a %S', folder]);
  const [blocks, size] = stdout.split(' ').map(Number);
  const { code, stderr } = await run('fallocate', ['-l', String(blocks * size - (2 << 20)), path.join(folder, 'filler')]);
  assert.equal(code, 0, stderr);
}

// Every byte, and until the worker's spool, which grew 500 times a second, has stood still.
async function fillWholly(folder, spool) {
  const { stderr } = await run('dd', ['if=/dev/zero', `of=${path.join(folder, 'filler')}`, 'bs=4096', 'status=none']);
  assert.match(stderr, /No space left/);
  for (let size = -1, next; (next = (await stat(spool)).size) !== size; size = next) await sleep(200 * patience);
}

async function checkWhole(stack, agents) {
  for (const agent of agents) {
    const seqs = (await stack.events(agent)).map((e) => e.body.seq).filter((seq) => seq > 0);
    assert.deepEqual(seqs, seqs.map((_, i) => i + 1), `agent ${agent}: every event once, in order`);
  }
  const check = await run('python3', ['-c',
    'import sqlite3,sys;print(sqlite3.connect(sys.argv[1]).execute("PRAGMA integrity_check").fetchone()[0])',
    path.join(stack.stateDir, 'tasks.db')]);
  assert.equal(check.stdout.trim(), 'ok', check.stderr);
}

async function startSmall(folder) {
  const stack = await startStack({ supervisor: false });
  stack.stateDir = path.join(folder, 'state');
  await stack.startSupervisor().catch(async (error) => {
    await stack.stop();
    throw error;
  });
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(flood)], max_working: 3 } });
  return stack;
}

const create = async (stack, repository, agents) => (await stack.ask('task.create',
  { repository, tasks: [{ title: 'talk' }], agents_per_task: agents, manager: false })).tasks[0].agents;
const state = (stack, agent, after, want, what, ms) => stack.until((e) =>
  e.kind === 'state' && want(e.body) && e.body, what, ms, { agent, after });

test('agents that flood pause with the reason, keep every event, and go on', async (t) => {
  const folder = await mountSmall(t);
  if (!folder) return;
  const stack = await startSmall(folder), filler = path.join(folder, 'filler');
  try {
    const repository = await makeRepository(stack.dir);
    const reserve = path.join(stack.stateDir, 'reserve');
    assert.ok(existsSync(reserve));
    const agents = await create(stack, repository, 3);
    for (const agent of agents) {
      await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the turn', 30000, { agent });
    }
    let { last_event: after } = await stack.ask('status');

    await fill(folder);
    const filled = Date.now();
    for (const agent of agents) {
      const { reason } = await state(stack, agent, after, (b) => b.state === 'paused', `agent ${agent} to pause`, 5000);
      assert.match(reason, /^disk full: /);
    }
    t.diagnostic(`paused after ${Date.now() - filled} ms`);
    // The workers may have seen it first; the supervisor looks four times a second.
    let full = '';
    for (let i = 0; i < 20 * patience && !full; i++) full = (await stack.ask('status')).disk_full || (await sleep(50), '');
    assert.match(full, /^disk full: /);
    assert.equal(existsSync(reserve), false, 'the reserve was given up');
    for (const agent of agents) assert.match((await stack.ask('agent.show', { agent })).reason, /^disk full: /);
    // A person's wish waits for room too, and so does a new agent.
    await stack.ask('agent.resume', { agent: agents[0] });
    const [late] = await create(stack, repository, 1);
    assert.equal((await stack.ask('agent.show', { agent: late })).state, 'queued');

    after = (await stack.ask('status')).last_event;
    await rm(filler);
    const freed = Date.now();
    for (const agent of agents) await state(stack, agent, after, (b) => b.state === 'working', `agent ${agent} to go on`, 5000);
    t.diagnostic(`went on after ${Date.now() - freed} ms`);
    for (const agent of agents) await stack.untilState(agent, 'done');
    await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the late one', 30000, { agent: late });
    await stack.ask('agent.stop', { agent: late });
    await stack.untilState(late, 'stopped');
    assert.ok(existsSync(reserve), 'the reserve is made again');
    assert.equal((await stack.ask('status')).disk_full, '');
    await checkWhole(stack, [...agents, late]);
  } finally {
    assert.deepEqual(await stack.stop(), []);
  }
});

test('a supervisor killed on a full disk refuses to start with the reason; with room all goes on', async (t) => {
  const folder = await mountSmall(t);
  if (!folder) return;
  const stack = await startSmall(folder), filler = path.join(folder, 'filler');
  try {
    const repository = await makeRepository(stack.dir);
    const [agent] = await create(stack, repository, 1);
    await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the turn', 30000, { agent });
    const { last_event: after } = await stack.ask('status');
    stack.supervisor.kill('SIGKILL');
    await stack.supervisor.ended;
    await rm(path.join(stack.stateDir, 'reserve'));
    await fillWholly(folder, path.join(stack.stateDir, 'workspaces', String(agent), 'spool/events'));
    await assert.rejects(stack.startSupervisor(), (error) => {
      assert.match(error.message, /disk of .* is full: .* make room and start again/);
      return true;
    });
    await rm(filler);
    await stack.startSupervisor();
    await stack.untilState(agent, 'done', 60000 * patience);
    await checkWhole(stack, [agent]);
    const paused = (await stack.events(agent, ['state'])).filter((e) => e.id > after && e.body.state === 'paused');
    assert.match(paused[0].body.reason, /^disk full: /, 'the worker alone paused too');
  } finally {
    assert.deepEqual(await stack.stop(), []);
  }
});
