// A kill that cannot miss: what outlives a killed worker, and its guard, is found and
// killed, before the agent goes on and before anything says that it has stopped. Without
// PID namespaces, in which nothing outlives them (guard.test.mjs).
import { afterEach, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { alive, coderOf, guardsOf } from '../support/processes.mjs';
import { build, deadline, makeRepository, patience, run, startStack, support } from '../support/stack.mjs';

let stack, repository;

beforeEach(async () => {
  stack = await startStack();
  repository = await makeRepository(stack.dir);
});

afterEach(async () => {
  assert.deepEqual(await stack.stop(), [], 'processes left behind');
});

// A test that skips itself has no afterEach.
async function skip(t, why) {
  assert.deepEqual(await stack.stop(), [], 'processes left behind');
  t.skip(why);
}

async function create(steps, extra = []) {
  const script = { turns: [{ steps: [...steps, { text: 'started\n' }, { silence_ms: 600000 }] },
    { steps: [{ write: { path: 'hello.txt', text: 'hello\n' } }] }] };
  await stack.ask('config.set', { general: { pid_namespace: 'off', agent_command: [support('scripted_agent'), '-e', JSON.stringify(script), ...extra] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'go' }], manager: false });
  const agent = tasks[0].agents[0];
  await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the first turn', 30000, { agent });
  return agent;
}

const show = (agent) => stack.ask('agent.show', { agent });

function kill(...pids) {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
}

async function endSupervisor() {
  kill(stack.supervisor.pid);
  await deadline(stack.supervisor.ended, 10000 * patience, 'the supervisor to die');
}

// Everything at once: nobody is left to clean up. Stopped first, so that none sees another die.
async function endAll(...workers) {
  const all = [stack.supervisor.pid, ...workers, ...workers.flatMap(guardsOf)];
  for (const pid of all) process.kill(pid, 'SIGSTOP');
  kill(...all);
  await deadline(stack.supervisor.ended, 10000 * patience, 'the supervisor to die');
}

async function pidIn(file) {
  const pid = Number(await readFile(file, 'utf8'));
  assert.ok(pid > 1 && alive(pid), 'the daemon runs');
  return pid;
}

const daemonStep = (file) => ({ daemon: { seconds: 600, pid_file: file } });

test('what outlived a supervisor and its worker killed at once is killed before the agent goes on', async () => {
  const file = path.join(stack.dir, 'daemon.pid'), memory = path.join(stack.dir, 'memory');
  const agent = await create([daemonStep(file)], ['--memory', memory]);
  const daemon = await pidIn(file), worker = (await show(agent)).pid, coder = coderOf(worker);
  const before = (await stack.ask('status')).last_event;
  await endAll(worker);
  assert.ok(alive(daemon), 'nobody was left to end the daemon');
  await stack.startSupervisor();
  await stack.until((e) => {
    if (e.kind !== 'turn' || e.body.phase !== 'started') return false;
    assert.ok(!alive(daemon), 'the daemon is dead before the next turn');
    assert.ok(!alive(coder), 'the coding agent is dead before the next turn');
    return true;
  }, 'the next turn', 40000, { agent, after: before });
  await stack.untilState(agent, 'done');
  assert.notEqual((await show(agent)).epoch, 1);
});

test('a worker at its gate touches nothing, and ends when nobody opens it', async () => {
  const state = path.join(stack.dir, 'untouched');
  const { code, stderr } = await run(path.join(build, '100x-worker'),
    ['--agent', '1', '--epoch', '1', '--gate', '--state-dir', state, '--run-dir', path.join(stack.dir, 'nowhere')]);
  assert.equal(code, 0);
  assert.equal(stderr, '');
  assert.ok(!existsSync(state));
});

test('a killed worker has one successor, recorded before it works', async () => {
  const agent = await create([]);
  const { pid } = await show(agent);
  const from = (await stack.ask('status')).last_event;
  kill(pid);
  await stack.until((e) => e.kind === 'worker' && e.body.phase === 'started' && e.body.epoch === 2, 'the successor', 30000, { agent });
  const { events } = await stack.ask('events.after', { after: from, agent, limit: 100 });
  const told = events.filter(({ kind }) => kind === 'worker').map(({ body }) => `${body.phase} ${body.epoch}`);
  assert.deepEqual(told.slice(0, 2), ['ended 1', 'started 2']);
  const { pid: next } = await show(agent);
  assert.ok(next !== pid && alive(next));
});

test('what outlived an adopted worker is killed', async () => {
  const file = path.join(stack.dir, 'daemon.pid'), memory = path.join(stack.dir, 'memory');
  const agent = await create([daemonStep(file)], ['--memory', memory]);
  const daemon = await pidIn(file), worker = (await show(agent)).pid;
  await endSupervisor();
  await stack.startSupervisor();
  assert.equal((await show(agent)).pid, worker, 'adopted');
  assert.ok(alive(daemon) && alive(worker));
  kill(...guardsOf(worker), worker);
  await stack.untilState(agent, 'done', 40000);
  assert.ok(!alive(daemon), 'the daemon is dead');
});

test('leftovers of an agent that has ended, or is gone, are killed at the start', async () => {
  const file = path.join(stack.dir, 'daemon.pid');
  const agent = await create([daemonStep(file)]);
  const daemon = await pidIn(file), worker = (await show(agent)).pid;
  await endAll(worker);
  const gone = path.join(stack.dir, 'gone.pid');
  await run('setsid', ['-f', 'sh', '-c', `echo $$ >${gone}; exec sleep 600 </dev/null >/dev/null 2>&1`],
    { env: { PATH: process.env.PATH, HUNDREDX_AGENT: `${stack.stateDir}/4711` } });
  await stack.startSupervisor();
  await stack.ask('agent.stop', { agent });
  await stack.untilState(agent, 'stopped', 40000);
  assert.ok(!alive(daemon), 'stopped is said when all is dead');
  const stranger = Number(await readFile(gone, 'utf8'));
  for (let i = 0; i < 100 && alive(stranger); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(!alive(stranger), 'nor does anything live of an agent that is gone');
});

test('processes of another instance, and those without the mark, are left alone', async () => {
  const pids = [];
  for (const [i, env] of [{ HUNDREDX_AGENT: `${stack.stateDir}2/1` }, { HUNDREDX_AGENTS: `${stack.stateDir}/1` }].entries()) {
    const file = path.join(stack.dir, `other${i}.pid`);
    await run('setsid', ['-f', 'sh', '-c', `echo $$ >${file}; exec sleep 600 </dev/null >/dev/null 2>&1`], { env: { PATH: process.env.PATH, ...env } });
    pids.push(await pidIn(file));
  }
  const agent = await create([]);
  const worker = (await show(agent)).pid;
  await endAll(worker);
  await stack.startSupervisor();
  await stack.untilState(agent, 'starting');
  await stack.ask('agent.stop', { agent });
  await stack.untilState(agent, 'stopped', 40000);
  assert.ok(pids.every(alive), 'both still run');
  kill(...pids);
});

// In the group itself, and in a group inside it (DelegateSubgroup=).
for (const leaf of ['.', 'supervisor']) test(`where control groups are delegated, what has lost its mark is killed too; the supervisor in ${leaf}`, async (t) => {
  const mount = readFileSync('/proc/self/mounts', 'utf8').split('\n').map((l) => l.split(' ')).find((l) => l[2] === 'cgroup2')?.[1];
  const group = mount && path.join(mount, `100x-test-${process.pid}`);
  if (process.getuid() !== 0 || !mount) return skip(t, 'needs root and cgroup v2');
  try {
    await mkdir(group);
  } catch {
    return skip(t, 'control groups cannot be made here');
  }
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))[1];
  const enter = (folder) => writeFileSync(path.join(folder, 'cgroup.procs'), String(process.pid));
  try {
    await mkdir(path.join(group, leaf), { recursive: true });
    const marked = await run('python3', ['-c', 'import os,sys; os.setxattr(sys.argv[1], "trusted.delegate", b"1")', group]);
    if (marked.code !== 0 || !existsSync(path.join(group, 'cgroup.kill'))) return skip(t, 'the kernel has no cgroup.kill');
    stack.supervisor.kill('SIGTERM');
    await stack.supervisor.ended;
    enter(path.join(group, leaf));
    await stack.startSupervisor();
    enter(path.join(mount, own));
    const file = path.join(stack.dir, 'plain.pid');
    const agent = await create([{ run: `env -i setsid -f /bin/sh -c 'trap "" TERM; echo $$ >${file}; exec sleep 600 </dev/null >/dev/null 2>&1'; sleep 0.3` }],
      ['--memory', path.join(stack.dir, 'memory')]);
    const plain = await pidIn(file), worker = (await show(agent)).pid;
    assert.match(readFileSync(`/proc/${plain}/cgroup`, 'utf8'), /100x-[0-9a-f]{16}-\d+\n/);
    await endAll(worker);
    assert.ok(alive(plain));
    enter(path.join(group, leaf));
    await stack.startSupervisor();
    enter(path.join(mount, own));
    await stack.untilState(agent, 'done', 40000);
    assert.ok(!alive(plain), 'it is dead');
    stack.supervisor.kill('SIGTERM');
    await stack.supervisor.ended;
  } finally {
    enter(path.join(mount, own));
    if (leaf !== '.') await rmdir(path.join(group, leaf)).catch(() => {});
    await rmdir(group).catch((error) => assert.fail(`${group}: ${error.message}`));
  }
});

test('where control groups count processes, one agent has no more than agent_processes', async (t) => {
  const mount = readFileSync('/proc/self/mounts', 'utf8').split('\n').map((l) => l.split(' ')).find((l) => l[2] === 'cgroup2')?.[1];
  if (process.getuid() !== 0 || !mount) return skip(t, 'needs root and cgroup v2');
  const group = path.join(mount, `100x-test-${process.pid}`), leaf = path.join(group, 'supervisor');
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))[1];
  const enter = (folder) => writeFileSync(path.join(folder, 'cgroup.procs'), String(process.pid));
  try {
    writeFileSync(path.join(mount, 'cgroup.subtree_control'), '+pids');
    await mkdir(group);
    await mkdir(leaf);
    writeFileSync(path.join(group, 'cgroup.subtree_control'), '+pids');
  } catch (error) {
    await rmdir(leaf).catch(() => {});
    await rmdir(group).catch(() => {});
    return skip(t, `no processes are counted here: ${error.message}`);
  }
  try {
    const marked = await run('python3', ['-c', 'import os,sys; os.setxattr(sys.argv[1], "trusted.delegate", b"1")', group]);
    if (marked.code !== 0 || !existsSync(path.join(group, 'cgroup.kill'))) return skip(t, 'the kernel has no cgroup.kill');
    stack.supervisor.kill('SIGTERM');
    await stack.supervisor.ended;
    enter(leaf);
    await stack.startSupervisor();
    enter(path.join(mount, own));
    assert.equal((await stack.ask('status')).process_limits, true);
    await stack.ask('config.set', { general: { agent_processes: 40 } });
    const file = path.join(stack.dir, 'refused');
    const agent = await create([{ run: `for i in $(seq 100); do sleep 600 & done 2>${file}; kill $(jobs -p); true` }]);
    assert.match(await readFile(file, 'utf8'), /fork/i);
    const folder = /^0::(.*)$/m.exec(readFileSync(`/proc/${(await show(agent)).pid}/cgroup`, 'utf8'))[1];
    assert.equal(readFileSync(path.join(mount, folder, 'pids.max'), 'utf8'), '40\n');
    await stack.ask('agent.stop', { agent });
    await stack.untilState(agent, 'stopped', 40000);
    stack.supervisor.kill('SIGTERM');
    await stack.supervisor.ended;
  } finally {
    enter(path.join(mount, own));
    await rmdir(leaf).catch((error) => assert.fail(`${leaf}: ${error.message}`));
    await rmdir(group).catch((error) => assert.fail(`${group}: ${error.message}`));
  }
});
