// What a supervisor may find at its start: arguments that are wrong, places that are taken,
// rows that no longer hold. It says what is amiss and changes nothing, or goes on.
import { afterEach, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { deadline, makeRepository, patience, program, run, startStack, support } from '../support/stack.mjs';

let stack;

beforeEach(async () => {
  stack = await startStack({ supervisor: false });
});

afterEach(async () => {
  assert.deepEqual(await stack.stop(), [], 'processes left behind');
});

const supervisor = (...args) => run(program('100x-supervisor'), args, { env: stack.env });
const start = () => supervisor('--state-dir', stack.stateDir, '--run-dir', stack.runDir);

async function sql(text) {
  const { code, stderr } = await run('sqlite3', ['-cmd', '.timeout 5000', path.join(stack.stateDir, 'tasks.db'), text]);
  assert.equal(code, 0, stderr);
}

function alive(pid) {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('arguments: help and version, and what is wrong with others', async () => {
  const help = await supervisor('--help');
  assert.equal(help.code, 0);
  assert.match(help.stdout, /^usage: 100x-supervisor/i);
  assert.match((await supervisor('--version')).stdout, /^100x-supervisor \d+\.\d+\.\d+\n$/);
  const unknown = await supervisor('--no-such');
  assert.equal(unknown.code, 100);
  assert.match(unknown.stderr, /no-such[^]*usage/i);
  const extra = await supervisor('extra');
  assert.equal(extra.code, 100);
  assert.match(extra.stderr, /unexpected argument extra\n[^]*usage/i);
  assert.ok(!existsSync(stack.stateDir));
});

test('what lies in its way is named, and left alone', async () => {
  for (const [folder, name, code] of [['state', 'supervisor.lock', 111], ['run', 'supervisor.lock', 111], ['state', 'tasks.db', 111],
    ['run', 'events.ipc', 100], ['run', 'ingest.ipc', 100], ['run', 'control.ipc', 100]]) {
    const place = path.join(stack.dir, folder, name);
    await mkdir(path.join(place, 'inside'), { recursive: true });
    const { code: got, stderr } = await start();
    assert.equal(got, code, `${place}: ${stderr}`);
    assert.ok(stderr.includes(place), `${place} is named: ${stderr}`);
    assert.deepEqual(await readdir(place), ['inside']);
    await rm(place, { recursive: true });
  }
  // Out of the way: it starts, with what it had made so far.
  await stack.startSupervisor();
  assert.equal((await stack.ask('status')).working, 0);
});

test('a number that another process has by now is no worker: left alone, the agent goes on', async () => {
  const script = { load_session: true, turns: [{ steps: [{ text: 'started\n' }, { silence_ms: 600000 }] }, { steps: [{ write: { path: 'a.txt', text: 'a\n' } }] }] };
  await stack.startSupervisor();
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '--memory', path.join(stack.dir, 'memory'), '-e', JSON.stringify(script)] } });
  const repository = await makeRepository(stack.dir);
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'go' }], agents_per_task: 2, manager: false });
  const [taken, free] = tasks[0].agents;
  for (const agent of [taken, free]) await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the first turn', 30000, { agent });
  const workers = [];
  for (const agent of [taken, free]) workers.push((await stack.ask('agent.show', { agent })).pid);
  const stranger = spawn('sleep', ['600'], { stdio: 'ignore', detached: true });
  const gone = spawn('true');
  await once(gone, 'exit');
  const all = [stack.supervisor.pid, ...workers];
  for (const pid of all) process.kill(pid, 'SIGSTOP');
  for (const pid of all) process.kill(pid, 'SIGKILL');
  await deadline(stack.supervisor.ended, 10000 * patience, 'the supervisor to die');
  try {
    await sql(`UPDATE agents SET pid=${stranger.pid} WHERE id=${taken}; UPDATE agents SET pid=${gone.pid} WHERE id=${free};` +
      // One of a program that is not ours, or of a later version.
      ` INSERT INTO agents(task_id, branch, state, created_at, updated_at) VALUES(1, 'agent-9', 'asleep', 1, 1);`);
    await stack.startSupervisor();
    for (const agent of [taken, free]) await stack.untilState(agent, 'done');
    assert.ok(alive(stranger.pid), 'the stranger lives');
    assert.equal((await stack.ask('status')).agents.failed, 1);
    await stack.ask('agent.retry', { agent: 3 });
    await stack.untilState(3, 'working');
    await stack.ask('agent.stop', { agent: 3 });
    await stack.untilState(3, 'stopped');
  } finally {
    stranger.kill('SIGKILL');
  }
});

test('a worker that cannot be started: the agent says why, and the others go on', async () => {
  await stack.startSupervisor();
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', '{"turns":[{"steps":[{"text":"x\\n"}]}]}'] } });
  const repository = await makeRepository(stack.dir);
  await mkdir(path.join(stack.stateDir, 'workspaces'), { recursive: true });
  await writeFile(path.join(stack.stateDir, 'workspaces', '1'), 'in the way');
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'go' }], agents_per_task: 2, manager: false });
  await stack.untilState(tasks[0].agents[1], 'done');
  assert.match(stack.supervisor.log, /agent=1 worker not started: .*workspaces\/1/);
  const { state } = await stack.ask('agent.show', { agent: 1 });
  assert.equal(state, 'starting');
  await rm(path.join(stack.stateDir, 'workspaces', '1'));
  await stack.untilState(1, 'done');
});
