// The wall clock is for people: set years ahead or back, in steps while all runs, or over
// the change to winter time, it ends no wait, starts none, and orders nothing. (The
// programs see a shifted CLOCK_REALTIME through a preloaded shim.)
import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deadline, makeRepository, mode, program, root, run, startStack, support } from '../support/stack.mjs';

const HOUR = 3600_000, YEAR = 365.25 * 24 * HOUR;
const steps = { 'an hour ahead': HOUR, 'an hour back': -HOUR, 'ten years ahead': 10 * YEAR, 'ten years back': -10 * YEAR };
const skip = mode !== 'release' && 'a sanitizer wants to be loaded first';

let dir, shim, wall, bin, stack;

before(async () => {
  if (skip) return;
  dir = await mkdtemp(path.join(tmpdir(), '100x-test-'));
  shim = path.join(dir, 'wall_clock.so');
  const made = await run(process.env.CC?.split(' ').at(-1) ?? 'cc', ['-shared', '-fPIC', '-O1', '-Wall', '-Werror', '-o', shim, path.join(root, 'tests/support/preload/wall_clock.c')]);
  assert.equal(made.code, 0, made.stderr);
  wall = path.join(dir, 'wall');
  await writeFile(wall, Buffer.alloc(8));
  // Workers get a chosen environment: theirs is put in by what stands in for them.
  bin = path.join(dir, 'bin');
  await mkdir(bin);
  for (const name of ['100x', '100x-supervisor', '100x-webui']) await copyFile(program(name), path.join(bin, name));
  await writeFile(path.join(bin, '100x-worker'), `#!/bin/sh\nLD_PRELOAD=${shim} exec ${program('100x-worker')} "$@"\n`, { mode: 0o755 });
});

after(async () => {
  if (dir) await rm(dir, { recursive: true, force: true });
});

function setWall(ms) {
  const bytes = Buffer.alloc(8), fd = openSync(wall, 'r+');
  bytes.writeBigInt64LE(BigInt(Math.round(ms)) * 1000000n);
  writeSync(fd, bytes, 0, 8, 0); // one page, mapped by all: seen at once
  closeSync(fd);
}

async function shifted(options = {}) {
  setWall(0);
  stack = await startStack({ bin, env: { LD_PRELOAD: shim, HUNDREDX_TEST_WALL: wall, ...options.env } });
  stack.repository = await makeRepository(stack.dir);
}

afterEach(async () => {
  const left = await stack?.stop();
  stack = undefined;
  assert.deepEqual(left ?? [], [], 'processes left behind');
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function agentWith(stack, turnSteps, extra = {}, args = []) {
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), ...args, '-e', JSON.stringify({ turns: [{ steps: turnSteps }] })] } });
  const { tasks } = await stack.ask('task.create', { repository: stack.repository, tasks: [{ title: 'go' }], manager: false, ...extra });
  return tasks[0].agents[0];
}

// Nothing is in the log that would not be there otherwise.
function quiet(log, allowed = /never/) {
  const loud = log.split('\n').filter((line) => / (warn|error) /.test(line) && !allowed.test(line));
  assert.deepEqual(loud, []);
}

async function inOrder(stack, agent) {
  const events = (await stack.events(agent)).filter((e) => e.stream === 'agent' && e.body.seq > 0);
  events.forEach((e, i) => assert.equal(e.body.seq, i + 1, 'no gap, none twice'));
  return events;
}

test('the shim works: events tell the wall clock they were given', { skip }, async () => {
  await shifted();
  setWall(10 * YEAR);
  const agent = await agentWith(stack, [{ text: 'hello\n' }]);
  await stack.untilState(agent, 'done');
  const ahead = (await stack.events(agent)).map((e) => e.body.at - Date.now());
  assert.ok(Math.min(...ahead) > 9 * YEAR, `at least ${Math.min(...ahead)} ms ahead, the worker's too`);
});

test('steps in the middle of a turn: no time-out, no restart, no lost order', { skip }, async () => {
  await shifted();
  const lines = 100; // longer than all the steps
  const agent = await agentWith(stack, [{ text: 'started\n' }, { flood: { lines, size: 40, rate: 20 } }], { limits: { minutes: 5 } });
  await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the turn', 30000, { agent });
  const { pid } = await stack.ask('agent.show', { agent });
  for (const offset of [...Object.values(steps), 0]) {
    setWall(offset);
    await sleep(400);
    const shown = await stack.ask('agent.show', { agent });
    assert.deepEqual([shown.state, shown.pid], ['working', pid]);
  }
  await stack.untilState(agent, 'done');
  const events = await inOrder(stack, agent);
  const text = events.filter((e) => e.kind === 'output').map((e) => e.body.text).join('');
  assert.equal(text.split('\n').filter(Boolean).length, lines + 1);
  for (const e of events) {
    for (const [name, value] of Object.entries(e.body)) {
      if (name.endsWith('_ms')) assert.ok(value >= 0 && value < 60000, `${e.kind}.${name} ${value}`);
    }
  }
  quiet(stack.supervisor.log);
});

test('backoff after crashes is as long as ever', { skip }, async () => {
  await shifted();
  const agent = await agentWith(stack, [{ text: 'started\n' }, { silence_ms: 600000 }], {}, ['--memory', path.join(stack.dir, 'memory')]);
  const offsets = [10 * YEAR, -10 * YEAR, HOUR, -HOUR];
  let after = 0;
  for (const [i, offset] of offsets.entries()) {
    after = await stack.until((e) => e.kind === 'turn' && e.body.phase === 'started' && e.id, `turn ${i}`, 30000, { agent, after });
    const { pid } = await stack.ask('agent.show', { agent });
    process.kill(pid, 'SIGKILL');
    setWall(offset);
    const began = performance.now();
    for (;;) {
      const now = await stack.ask('agent.show', { agent });
      if (now.pid && now.pid !== pid) break;
      await sleep(10);
    }
    const took = performance.now() - began, least = [0, 100, 500, 2000][i];
    assert.ok(took > least - 100 && took < least + 8000, `after crash ${i + 1}: ${took.toFixed(0)} ms, at least ${least}`);
  }
  await stack.ask('agent.stop', { agent });
  await stack.untilState(agent, 'stopped');
  await inOrder(stack, agent);
});

test('the change to winter time, and a zone set meanwhile', { skip }, async () => {
  await shifted({ env: { TZ: 'Europe/Berlin' } });
  const change = Date.UTC(2026, 9, 25, 1, 0, 0);
  const agent = await agentWith(stack, [{ text: 'started\n' }, { flood: { lines: 30, size: 40, rate: 20 } }]);
  setWall(change - 1500 - Date.now());
  await stack.untilState(agent, 'done');
  const at = (await inOrder(stack, agent)).map((e) => e.body.at);
  assert.ok(Math.min(...at) < change && Math.max(...at) > change, 'it lay in the middle');
  quiet(stack.supervisor.log);
});

test('a request asked again after the clock was set is still done once', { skip }, async () => {
  await shifted();
  await stack.ask('config.set', { general: { max_working: 1, agent_command: [support('scripted_agent'), '-e', '{"turns":[{"steps":[{"silence_ms":600000}]}]}'] } });
  for (const [i, [what, offset]] of Object.entries(steps).entries()) {
    const id = Buffer.from(what.padEnd(16).slice(0, 16)).toString('hex');
    const question = { repository: stack.repository, tasks: [{ title: what }], manager: false };
    setWall(0);
    const first = await stack.ask('task.create', question, id);
    setWall(offset);
    stack.supervisor.kill('SIGKILL');
    await stack.supervisor.ended;
    await stack.startSupervisor();
    assert.deepEqual(await stack.ask('task.create', question, id), first);
    assert.equal((await stack.ask('agent.list')).agents.length, i + 1, what);
  }
});

test('the page: a sign-in lasts through steps, the stream goes on', { skip }, async () => {
  await shifted();
  await stack.startWebui();
  const base = `http://localhost:${stack.port}`;
  const signIn = await fetch(`${base}/sign-in?token=${stack.token}`, { redirect: 'manual' });
  const cookie = signIn.headers.getSetCookie()[0].split(';')[0];
  const status = async () => (await fetch(`${base}/api/v1/status`, { headers: { cookie } })).status;
  const stop = new AbortController();
  const stream = (await fetch(`${base}/api/v1/events`, { headers: { cookie }, signal: stop.signal })).body.getReader();
  let got = '';
  const until = async (text) => {
    while (!got.includes(text)) got += Buffer.from((await stream.read()).value ?? '').toString();
  };
  assert.equal(await status(), 200);
  for (const [i, offset] of [HOUR, -HOUR, 0, -10 * YEAR, 0].entries()) {
    setWall(offset);
    assert.equal(await status(), 200, `${offset} ms`);
    await stack.ask('config.set', { general: { limit_turns: 100 + i } });
    await deadline(until('limit_turns'), 10000, 'the change in the stream');
    got = '';
  }
  // Far ahead it has run out; that is over when the clock is right again.
  setWall(10 * YEAR);
  assert.equal(await status(), 401);
  setWall(0);
  assert.equal(await status(), 200);
  stop.abort();
  quiet(stack.webui.log, /the page is not served/);
});
