// Workers and supervisors that lose each other: another protocol version on either side,
// a worker that lives but is deaf, a worker that is alone for long.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import path from 'node:path';
import { deadline, makeRepository, patience, program, startPracticeModel, startStack, support } from '../support/stack.mjs';

let stack, servers = [];

afterEach(async () => {
  for (const server of servers) await server.stop();
  servers = [];
  assert.deepEqual(await stack.stop(), [], 'processes left behind');
});

const edit = { write: { path: 'hello.txt', text: 'hello\n' } };
const show = (agent) => stack.ask('agent.show', { agent });
const event = (agent, kind, see, what, ms = 40000, after = 0) =>
  stack.until((e) => e.kind === kind && see(e.body) && e, what, ms, { agent, after });

// The first turn says "started" and takes these steps, then comes the second.
async function create(steps, params = {}, second = [edit]) {
  const repository = await makeRepository(stack.dir);
  const script = { turns: [{ steps: [{ text: 'started\n' }, ...steps] }, { steps: second }] };
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(script), '--memory', path.join(stack.dir, 'memory')] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'go' }], manager: false, ...params });
  const [agent] = tasks[0].agents;
  await event(agent, 'output', (b) => b.text.includes('started'), 'the first turn');
  return agent;
}

const goFile = () => path.join(stack.dir, 'go');
const untilTold = () => ({ run: `until test -e ${goFile()}; do sleep 0.05; done` });

async function killSupervisor() {
  stack.supervisor.kill('SIGKILL');
  await deadline(stack.supervisor.ended, 10000 * patience, 'the supervisor to die');
}

async function restartAs(protocol) {
  await killSupervisor();
  if (protocol) stack.env.HUNDREDX_PROTOCOL = protocol;
  else delete stack.env.HUNDREDX_PROTOCOL;
  await stack.startSupervisor();
}

function alive(pid) {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

// Every event of the worker is there, once and in order.
async function gapless(agent) {
  const seqs = (await stack.events(agent)).map((e) => e.body.seq).filter((seq) => seq > 0);
  assert.deepEqual(seqs, seqs.map((_, i) => i + 1));
}

for (const [what, before, after] of [
  ['newer supervisor, which understands the worker,', undefined, '1-3'],
  ['supervisor that is older, which the worker understands,', '1-3', undefined],
]) {
  test(`a ${what} goes on with it, in the lower version`, async () => {
    stack = await startStack({ env: before ? { HUNDREDX_PROTOCOL: before } : {} });
    const agent = await create([untilTold(), { text: 'said later\n' }, edit]);
    const { pid } = await show(agent);
    await restartAs(after);
    await writeFile(goFile(), '');
    await stack.untilState(agent, 'done');
    const row = await show(agent);
    assert.deepEqual([row.epoch, row.turn], [1, 1], 'the same worker, the same turn');
    assert.ok(pid > 1);
    await gapless(agent);
  });
}

for (const [what, before, after] of [
  ['too old', undefined, '2-2'],
  ['too new', '2-2', undefined],
]) {
  test(`a worker ${what} to talk to ends its turn and is replaced; nothing it said is lost`, async () => {
    stack = await startStack({ env: before ? { HUNDREDX_PROTOCOL: before } : {} });
    // A failing test makes a second turn, which is the new worker's.
    const agent = await create([untilTold(), { text: 'said to nobody\n' }], { test_command: 'test -f hello.txt' });
    const { pid } = await show(agent);
    await restartAs(after);
    await sleep(1000); // it dials in and is told; its turn goes on
    assert.ok(alive(pid), 'not interrupted');
    assert.equal((await show(agent)).state, 'working');
    await writeFile(goFile(), '');
    await stack.untilState(agent, 'done');
    const row = await show(agent), turns = await stack.events(agent, ['turn']);
    assert.equal(row.epoch, 2, 'a second worker');
    assert.ok(!alive(pid));
    assert.deepEqual(turns.map((e) => `${e.body.turn} ${e.body.stop_reason ?? e.body.phase}`), ['1 started', '1 end_turn', '2 started', '2 end_turn']);
    const said = (await stack.events(agent, ['output'])).filter((e) => e.body.text.includes('said to nobody'));
    assert.equal(said.length, 1);
    await gapless(agent);
    assert.ok(!(await stack.events(agent, ['state'])).some((e) => e.body.state === 'failed'));
  });
}

test('a worker newer than the supervisor, started by it, waits until the supervisor is restarted', async () => {
  stack = await startStack({ supervisor: false });
  // As after an upgrade of the package: the installed worker is another one.
  const bin = path.join(stack.dir, 'bin');
  await mkdir(bin);
  await copyFile(program('100x-supervisor'), path.join(bin, '100x-supervisor'));
  await writeFile(path.join(bin, '100x-worker'), `#!/bin/sh\nHUNDREDX_PROTOCOL=2-2 exec ${program('100x-worker')} "$@"\n`);
  await chmod(path.join(bin, '100x-worker'), 0o755);
  const start = stack.spawnProgram;
  stack.spawnProgram = (name, args) => start.call(stack, path.relative(path.dirname(program('x')), path.join(bin, name)), args);
  await stack.startSupervisor();
  const repository = await makeRepository(stack.dir);
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify({ turns: [{ steps: [edit] }] })] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'go' }], manager: false });
  const [agent] = tasks[0].agents;
  const e = await event(agent, 'state', (b) => /restart the supervisor/.test(b.reason), 'the reason');
  assert.equal(e.body.state, 'starting');
  await killSupervisor();
  stack.env.HUNDREDX_PROTOCOL = '2-2';
  await stack.startSupervisor();
  await stack.untilState(agent, 'done');
  assert.ok(!(await stack.events(agent, ['state'])).some((x) => x.body.state === 'failed'));
});

test('a worker that lives but is deaf is noticed, ended, and replaced', async () => {
  stack = await startStack({ env: { HUNDREDX_SILENT_MS: '3000' } });
  const agent = await create([{ silence_ms: 600000 }]);
  const { pid } = await show(agent);
  process.kill(pid, 'SIGSTOP');
  const deaf = await event(agent, 'state', (b) => /not heard of/.test(b.reason), 'the state to say so');
  assert.equal(deaf.body.state, 'starting');
  await stack.untilState(agent, 'done', 60000);
  const row = await show(agent);
  assert.deepEqual([row.epoch, row.turn], [2, 2], 'the conversation goes on');
  assert.ok(!alive(pid));
  await gapless(agent);
});

test('everything stopped for longer than the heartbeat and going on again kills nobody', async () => {
  stack = await startStack({ env: { HUNDREDX_SILENT_MS: '3000' } });
  const agent = await create([untilTold(), edit]);
  const { pid } = await show(agent);
  for (const signal of ['SIGSTOP', 'SIGCONT']) {
    for (const p of [stack.supervisor.pid, pid]) process.kill(p, signal);
    await sleep(6000);
  }
  await writeFile(goFile(), '');
  await stack.untilState(agent, 'done');
  assert.equal((await show(agent)).epoch, 1, 'the same worker');
});

test('a worker without a supervisor for long pauses, spends nothing, and goes on when one is back', async () => {
  stack = await startStack({ env: { HUNDREDX_MINUTE_MS: '300', HUNDREDX_SILENT_MS: '3000' } });
  const log = path.join(stack.dir, 'model.log'), script = path.join(stack.dir, 'model.json');
  const answer = JSON.stringify({ progress: 'Some.', thought: 'On.', action: '/instruct Go on.', future: 'More.' });
  await writeFile(script, JSON.stringify({ rules: [{ system: 'You are the manager of a coding agent', answers: [answer] }] }));
  const model = await startPracticeModel({ script, log });
  servers.push(model);
  await writeFile(path.join(stack.env.HOME, '.env'), `OPENAI_API_BASE=http://127.0.0.1:${model.port}/v1\nOPENAI_API_KEY=key-of-the-test\n`, { mode: 0o600 });
  await stack.ask('config.set', { models: { agent: 'openai/practice', aider: 'openai/practice', orchestrator: 'openai/practice' },
    general: { alone_minutes: 10, turn_minutes: 1440, limit_minutes: 100000, limit_turns: 100000 } });
  // Turn after turn, as fast as the model answers, if nobody holds it.
  const agent = await create([], { manager: true }, [{ text: 'more\n' }]);
  const { pid } = await show(agent);
  const questions = () => readFileSync(log, 'utf8').split('\n').length;
  await killSupervisor();
  // Its log tells what it does while nobody else can be told.
  const workerLog = () => readFileSync(path.join(stack.stateDir, 'workspaces', String(agent), 'worker.log'), 'utf8');
  for (let i = 0; i < 400 * patience && !/paused: no supervisor/.test(workerLog()); i++) await sleep(50);
  assert.match(workerLog(), /paused: no supervisor/);
  const asked = questions();
  assert.ok(asked > 2, 'it worked on for a while');
  await sleep(1500);
  // The one that was on its way is called off, and may be in the model's log all the same.
  assert.ok(questions() <= asked + 1, `no model was asked: ${asked}, then ${questions()}`);
  assert.ok(alive(pid));
  await stack.startSupervisor();
  const paused = await event(agent, 'state', (b) => b.state === 'paused', 'what happened meanwhile');
  assert.match(paused.body.reason, /no supervisor/);
  await event(agent, 'turn', (b) => b.phase === 'started', 'to go on', 40000, paused.id);
  assert.equal((await show(agent)).epoch, 1, 'the same worker');
  await stack.ask('agent.stop', { agent });
  await stack.untilState(agent, 'stopped');
  await gapless(agent);
});
