// Kills in numbers: 300 of one process each, 200 of the whole machine, and a supervisor that
// dies over twenty agents in the middle of their turns, the second time for a newer one.
// Several worlds are broken side by side. The seeds are fixed, so that a run is like the one
// before; CHAOS_SEED is another beginning, CHAOS_KILLS and CHAOS_MACHINE_KILLS other numbers.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { program, root } from '../support/stack.mjs';
import { chaos, describe } from './chaos.mjs';
import { check, checkAfterwards } from './check.mjs';
import { World } from './world.mjs';

const ANSWER_MS = 1000;
const MACHINE_MS = 5000; // everything starts again at once, in two worlds

const WORLDS = 2;
const first = Number(process.env.CHAOS_SEED ?? 1);
const amount = (name, otherwise) => Number(process.env[name] ?? otherwise);

let shared;

before(async () => { shared = await World.openShared(); });
after(() => World.closeShared(shared));

function assertWell(t, result, kills, kinds, answerMs) {
  t.diagnostic(describe(result.seed, result));
  assert.deepEqual(result.problems, [], `seed ${result.seed}`);
  assert.equal(result.kills, kills);
  assert.deepEqual(Object.keys(result.killed).sort(), kinds);
  assert.deepEqual(result.reasons, [], `seed ${result.seed}`);
  const late = result.answers.filter((ms) => ms > answerMs);
  assert.deepEqual(late, [], `seed ${result.seed}: the service answers within ${answerMs} ms of each kill`);
}

async function worlds(t, offset, kills, kinds, options) {
  const each = Math.ceil(kills / WORLDS);
  const seeds = Array.from({ length: WORLDS }, (_, i) => first + offset + i);
  t.diagnostic(`seeds ${seeds}`);
  const results = await Promise.allSettled(seeds.map(async (seed) => ({ seed, ...(await chaos({ ...options, seed, kills: each, shared })) })));
  for (const [i, { reason }] of results.entries()) if (reason) throw new Error(`seed ${seeds[i]}: ${reason.message}`, { cause: reason });
  for (const { value } of results) assertWell(t, value, each, kinds, options.machine ? MACHINE_MS : ANSWER_MS);
}

test('random kills of single processes lose, double and leave nothing', async (t) => {
  await worlds(t, 0, amount('CHAOS_KILLS', 300), ['coder', 'errand', 'supervisor', 'webui', 'worker'], { gapMs: 500 });
});

test('kills of the whole machine lose, double and leave nothing', async (t) => {
  await worlds(t, 100, amount('CHAOS_MACHINE_KILLS', 200), ['all'], { machine: true, turnMs: 250, gapMs: 400 });
});

// The programs of a later version, in another folder.
function laterPrograms(folder) {
  const version = readFileSync(path.join(root, 'VERSION'), 'utf8').trim();
  const later = version.replace(/\d$/, (digit) => String((Number(digit) + 1) % 10));
  mkdirSync(folder);
  for (const name of ['100x-supervisor', '100x-worker', '100x-webui', '100x-guard']) {
    cpSync(program(name), path.join(folder, name));
    const bytes = readFileSync(path.join(folder, name), 'latin1').replaceAll(`${version}\0`, `${later}\0`);
    writeFileSync(path.join(folder, name), bytes, 'latin1');
  }
  return { version, later };
}

test('twenty agents in the middle of a turn keep it over the death and an upgrade of the supervisor', async (t) => {
  const LINES = 250;
  const world = await World.start({ shared, maxWorking: 20, webui: false, script: { turns: [{ steps: [
    { text: 'started\n' }, { flood: { lines: LINES, size: 60, rate: 50 } }, { write: { path: 'done.txt', text: 'done\n' } }, { commit: 'Done' }] }] } });
  try {
    await world.up();
    const agents = await world.create(20, { test_command: '' });
    const started = new Set();
    await world.stack.until((e) => e.kind === 'output' && e.body.text.includes('started') && started.add(e.subject).size === 20, 'all turns to start', 60000);
    const { worker, coder } = world.processes();
    assert.equal(coder.length, 20);
    const folder = path.join(world.dir, 'later');
    const { version, later } = laterPrograms(folder);
    for (const upgrade of [false, true]) {
      const { supervisor } = world.stack;
      if (upgrade) world.stack.bin = folder;
      supervisor.kill('SIGKILL');
      await supervisor.ended;
      const took = await world.answers();
      t.diagnostic(`${upgrade ? 'a newer one' : 'the same'} answers ${took.toFixed(0)} ms after the death`);
      assert.ok(took <= ANSWER_MS, `answers after ${took} ms`);
      assert.equal((await world.stack.ask('status')).version, upgrade ? later : version);
      const rows = await world.agents();
      assert.deepEqual(rows.map((row) => row.pid).sort(), [...worker].sort(), 'all are adopted');
      assert.ok(rows.every((row) => row.state === 'working'), 'in the middle of their turns');
    }
    assert.deepEqual(world.processes().coder, coder);
    const rows = await world.settle(60000);
    assert.deepEqual(rows.map((row) => [row.state, row.turn, row.epoch]), agents.map(() => ['done', 1, 1]));
    const { problems, events } = await check(world);
    assert.equal(events.filter((e) => e.kind === 'turn' && e.body.phase === 'started').length, 20);
    for (const agent of agents) {
      const said = events.filter((e) => e.subject === agent && e.kind === 'output').map((e) => e.body.text).join('');
      assert.deepEqual([...said.matchAll(/(\d+) ns=/g)].map((m) => Number(m[1])), Array.from({ length: LINES }, (_, i) => i), `each line of agent ${agent} once, in order`);
    }
    await world.down();
    assert.deepEqual([...problems, ...world.problems, ...checkAfterwards(world)], []);
  } finally {
    await world.close();
  }
});
