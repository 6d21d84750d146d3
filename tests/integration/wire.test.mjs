// Spool, publish, commit, acknowledge: what was seen is never lost or doubled, whoever dies.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { open, readFile, truncate } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { untilDead } from '../support/processes.mjs';
import { makeRepository, run, startStack, support, deadline, patience } from '../support/stack.mjs';

let stack;

afterEach(async () => {
  if (stack) assert.deepEqual(await stack.stop(), [], 'processes left behind');
  stack = null;
});

const lines = 400;
const counting = (rate = 400) => ({
  load_session: true,
  turns: [{ steps: [{ text: 'started\n' }, { flood: { lines, size: 40, rate } }] }],
});

async function createCounting(agents, script = counting()) {
  const repository = await makeRepository(stack.dir);
  await stack.ask('config.set', { general: { max_working: 50, agent_command: [support('scripted_agent'), '-e', JSON.stringify(script)] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'count' }], agents_per_task: agents, manager: false });
  return tasks[0].agents;
}

// Per agent: seq 1, 2, 3 … without gap or double, in the order of the store's ids.
async function assertGapless(agents) {
  for (const agent of agents) {
    const seqs = (await stack.events(agent)).filter((e) => e.body.seq > 0).map((e) => e.body.seq);
    assert.ok(seqs.length > 0);
    assert.deepEqual(seqs, seqs.map((_, i) => i + 1), `agent ${agent}`);
  }
}

function turnStarted(agent) {
  return stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), `agent ${agent} to start`, 30000, { agent });
}

test('a killed supervisor loses nothing; workers go on and are adopted', async () => {
  stack = await startStack();
  const agents = await createCounting(4);
  for (const agent of agents) await turnStarted(agent);
  const pids = (await stack.ask('agent.list')).agents.map((a) => a.pid);
  stack.supervisor.kill('SIGKILL');
  await stack.supervisor.ended;
  await stack.startSupervisor();
  for (const agent of agents) await stack.untilState(agent, 'done', 60000);
  await assertGapless(agents);
  for (const agent of agents) {
    const turns = await stack.events(agent, ['turn']);
    assert.equal(turns.filter((e) => e.body.phase === 'started').length, 1, 'the turn went on');
  }
  const states = await stack.events(null, ['state']);
  assert.ok(pids.every(Boolean) && !states.some((e) => /crash/i.test(e.body.reason)), 'no worker died');
});

test('down --keep-agents and up: the agents go on', async () => {
  stack = await startStack();
  const agents = await createCounting(2);
  for (const agent of agents) await turnStarted(agent);
  await stack.ask('supervisor.down', { keep_agents: true });
  assert.equal((await stack.supervisor.ended).code, 0);
  await stack.startSupervisor();
  for (const agent of agents) await stack.untilState(agent, 'done', 60000);
  await assertGapless(agents);
});

test('a plain restart of everything resumes all agents', async () => {
  stack = await startStack();
  const agents = await createCounting(2, { load_session: true, turns: [
    { steps: [{ text: 'started\n' }, { silence_ms: 600000 }] },
  ] });
  for (const agent of agents) await turnStarted(agent);
  const { last_event: after } = await stack.ask('status');
  await stack.ask('supervisor.down', {});
  assert.equal((await stack.supervisor.ended).code, 0);
  assert.deepEqual(await stack.survivors(), [], 'nothing is left running');
  await stack.startSupervisor();
  for (const agent of agents) {
    await stack.until((e) => e.kind === 'turn' && e.body.phase === 'started', `agent ${agent} to go on`, 60000, { agent, after });
  }
  await assertGapless(agents);
  for (const agent of agents) await stack.ask('agent.stop', { agent });
  for (const agent of agents) await stack.untilState(agent, 'stopped');
});

test('a killed worker is replaced and its agent goes on', async () => {
  stack = await startStack();
  const [agent] = await createCounting(1, { load_session: true, turns: [
    { steps: [{ text: 'started\n' }, { silence_ms: 600000 }] },
  ] });
  await turnStarted(agent);
  const { pid } = await stack.ask('agent.show', { agent });
  process.kill(pid, 'SIGKILL');
  await stack.until((e) => e.kind === 'output' && e.body.turn >= 2, 'the next turn', 60000, { agent });
  const row = await stack.ask('agent.show', { agent });
  assert.notEqual(row.pid, pid);
  assert.equal(row.epoch, 2);
  await assertGapless([agent]);
  await stack.ask('agent.stop', { agent });
  await stack.untilState(agent, 'stopped');
});

// While nobody takes the events: a record's text, another's length, and the word of the end.
test('what is damaged in the spool of a running worker is told, and the agent goes on', async () => {
  stack = await startStack();
  const [agent] = await createCounting(1, counting(200));
  await turnStarted(agent);
  stack.supervisor.kill('SIGKILL');
  await stack.supervisor.ended;
  const file = path.join(stack.stateDir, 'workspaces', String(agent), 'spool/events');
  let spool;
  while (!(spool = await readFile(file)).includes('"state":"done"')) await sleep(50);
  const flip = async (at) => {
    const f = await open(file, 'r+');
    await f.write(Buffer.from([spool[at] ^ 0x55]), 0, 1, at);
    await f.close();
  };
  const records = [...spool.toString('latin1').matchAll(/agent\/\d+ output (\d+) v1\n/g)].slice(-6);
  await flip(records[1].index + 60);
  await flip(records[4].index - 8);
  await flip(spool.indexOf('"state":"done"') + 2);
  await stack.startSupervisor();
  await stack.untilState(agent, 'done', 60000);
  await assertGapless([agent]);
  const events = await stack.events(agent);
  const broken = events.filter((e) => e.body.broken).map((e) => e.body.seq);
  assert.equal(broken.length, 3);
  assert.deepEqual(broken.slice(0, 2), [Number(records[1][1]), Number(records[4][1])]);
  const [trouble] = events.filter((e) => e.body.what === 'events lost');
  assert.equal(trouble.body.lost_events, 3);
  assert.match(trouble.body.reason, new RegExp(`3 events \\(number ${broken[0]} to ${broken[2]}\\) .*damaged on disk`));
  await stack.until((e) => e.kind === 'worker' && e.body.phase === 'ended', 'the worker to end', 60000, { agent });
  assert.ok(!(await stack.events(null, ['state'])).some((e) => /crash/i.test(e.body.reason)));
});

// The session's last save waits for the disk, the spool does not.
test('an end that a power cut took out of the spool is told again', async () => {
  stack = await startStack();
  const [agent] = await createCounting(1, counting(200));
  await turnStarted(agent);
  const { pid } = await stack.ask('agent.show', { agent });
  stack.supervisor.kill('SIGKILL');
  await stack.supervisor.ended;
  const folder = path.join(stack.stateDir, 'workspaces', String(agent));
  while (!JSON.parse(await readFile(path.join(folder, 'session/state.json'), 'utf8')).ended_seq) await sleep(50);
  process.kill(pid, 'SIGKILL');
  await untilDead([pid]);
  await truncate(path.join(folder, 'spool/events'), 0);
  await stack.startSupervisor();
  await stack.untilState(agent, 'done', 60000);
  await assertGapless([agent]);
  assert.ok(!(await stack.events(null, ['state'])).some((e) => /crash/i.test(e.body.reason)));
});

test('an outside subscriber works with nngcat alone', async () => {
  stack = await startStack();
  const feed = spawn('nngcat', ['--sub0', '--dial', stack.url('events.ipc'), '--subscribe', 'agent/', '--quoted'],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  const seen = [];
  const reader = createInterface({ input: feed.stdout });
  const finished = new Promise((resolve) => reader.on('line', (line) => {
    const [header, body] = JSON.parse(line.replace(/\\x([0-9a-f]{2})/gi, '\\u00$1')).split('\n');
    seen.push({ header, body: JSON.parse(body) });
    if (/ state /.test(header) && JSON.parse(body).state === 'done') resolve();
  }));
  await deadline(new Promise((resolve) => setImmediate(resolve)), 1000, 'start');
  const [agent] = await createCounting(1);
  await deadline(finished, 60000 * patience, 'the done state on the wire');
  feed.kill();
  await once(feed, 'exit');
  for (const { header } of seen) assert.match(header, /^agent\/\d+ [a-z_]+ \d+ v1$/);
  const ids = seen.map(({ header }) => Number(header.split(' ')[2]));
  assert.deepEqual(ids, [...ids].sort((a, b) => a - b), 'ids rise');
  const stored = await stack.events(agent);
  const byId = new Map(stored.map((e) => [e.id, e.body]));
  for (const { header, body } of seen) assert.deepEqual(byId.get(Number(header.split(' ')[2])), body);
});

test('a frame that is no event costs nothing', async () => {
  stack = await startStack();
  for (const data of ['', 'x', 'agent/1 output 1 v1', 'agent/1 output 1 v1\n', 'agent/1 output 1 v1\n{', 'agent/99 output 1 v1\n{}',
    'agent/-1 state 1 v1\n{}', `agent/1 ${'k'.repeat(100)} 1 v1\n{}`, 'agent/1 output 99999999999999999999 v1\n{}']) {
    await run('nngcat', ['--pub0', '--dial', stack.url('ingest.ipc'), '--delay', '1', '--data', data]);
  }
  assert.deepEqual((await stack.events()).filter((e) => e.stream === 'agent'), []);
});
