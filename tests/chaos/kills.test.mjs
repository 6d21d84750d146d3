// Kills in numbers: 300 of one process each, 200 of the whole machine, and a supervisor that
// dies over twenty agents in the middle of their turns. CHAOS_SEED, CHAOS_KILLS and
// CHAOS_MACHINE_KILLS override; the seed of a run is printed.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { patience } from '../support/stack.mjs';
import { chaos, describe } from './chaos.mjs';
import { check, checkAfterwards } from './check.mjs';
import { World } from './world.mjs';

const ANSWER_MS = 1000;
const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1000000);
const amount = (name, otherwise) => Number(process.env[name] ?? otherwise);

function assertWell(t, result, kills) {
  t.diagnostic(describe(seed, result));
  assert.deepEqual(result.problems, []);
  assert.equal(result.kills, kills);
  assert.deepEqual(Object.keys(result.states), ['done'], result.reasons.join('\n'));
  const late = result.answers.filter((ms) => ms > ANSWER_MS * patience);
  assert.deepEqual(late, [], 'the service answers within a second of each kill');
}

test('random kills of single processes lose, double and leave nothing', async (t) => {
  const kills = amount('CHAOS_KILLS', 300);
  assertWell(t, await chaos({ seed, kills, gapMs: 500 }), kills);
});

test('kills of the whole machine lose, double and leave nothing', async (t) => {
  const kills = amount('CHAOS_MACHINE_KILLS', 200);
  assertWell(t, await chaos({ seed, kills, machine: true, turnMs: 200, gapMs: 450 }), kills);
});

test('twenty agents in the middle of a turn keep it over two deaths of the supervisor', async (t) => {
  const world = await World.start({ maxWorking: 20, webui: false, script: { turns: [{ steps: [
    { text: 'started\n' }, { silence_ms: 6000 * patience }, { write: { path: 'done.txt', text: 'done\n' } }, { commit: 'Done' }] }] } });
  try {
    await world.up();
    const agents = await world.create(20, { test_command: '' });
    const started = new Set();
    await world.stack.until((e) => e.kind === 'output' && e.body.text.includes('started') && started.add(e.subject).size === 20, 'all turns to start', 60000);
    const { worker, coder } = world.processes();
    assert.equal(coder.length, 20);
    for (let death = 0; death < 2; death++) {
      const { supervisor } = world.stack;
      supervisor.kill('SIGKILL');
      await supervisor.ended;
      t.diagnostic(`answers ${(await world.answers()).toFixed(0)} ms after the death`);
      const rows = await world.agents();
      assert.deepEqual(rows.map((row) => row.pid).sort(), [...worker].sort(), 'all are adopted');
      assert.ok(rows.every((row) => row.state === 'working'));
    }
    assert.deepEqual(world.processes().coder, coder);
    const rows = await world.settle(60000);
    assert.deepEqual(rows.map((row) => [row.state, row.turn, row.epoch]), agents.map(() => ['done', 1, 1]));
    const { problems, events } = await check(world);
    assert.equal(events.filter((e) => e.kind === 'turn' && e.body.phase === 'started').length, 20);
    await world.down();
    assert.deepEqual([...problems, ...world.problems, ...checkAfterwards(world)], []);
  } finally {
    await world.close();
  }
});
