// Every named crash point (shared/crash.h), passed once and twice in a row by a process
// that dies there: what it was doing is done in the end, once, and nothing stays behind.
// Needs the build of `make MODE=chaos programs support`. To look into one: CRASH_POINT (an
// expression), CHAOS_ROUNDS (how often), CHAOS_AT_ONCE (worlds side by side).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { mode, root } from '../support/stack.mjs';
import { check, checkAfterwards } from './check.mjs';
import { work, World } from './world.mjs';

const points = [...readFileSync(path.join(root, 'shared/crash.h'), 'utf8').matchAll(/X\(\w+,\s+"([\w.-]+)"\)/g)].map((m) => m[1])
  .filter((name) => !/^(pack|drop|forget|reclaim|restore)\./.test(name)); // keep.test.mjs
const rounds = Number(process.env.CHAOS_ROUNDS ?? 1);
const only = process.env.CRASH_POINT ? new RegExp(process.env.CRASH_POINT) : /./;

// Passed by a supervisor that finds agents at work when it starts.
const AT_RESTART = /^supervisor\.(locked|store-open|adopted|taken-up|ready)$/;
// Only much output leads there.
const AT_FLOOD = /^(spool\.(empty|emptied|compact)|checkpoint)/;
// Passed a thousand times: at the second run not the first time.
const OFTEN = /^(change|ingest|event|next|spool\.(append|acknowledge)|worker\.publish|session\.hot)/;
// Not passed for a worker that ends while nobody is there: it takes one more then.
const MISSED = /^worker\.exited$/;
// There is no second time.
const UNIQUE = /^store\.migrate\.after$/;

const flood = { load_session: true, turns: [{ steps: [{ text: 'started\n' }, { flood: { lines: 3500, size: 4000 } },
  { run: 'date +%s.%N >> work.txt' }, { commit: 'More work' }] }] };

let shared;

before(async () => {
  assert.match(mode, /^chaos/, 'run it with MODE=chaos in the environment');
  shared = await World.openShared();
});
after(() => World.closeShared(shared));

// Done, whatever dies on the way: a request that failed for that is asked again.
async function insist(ask) {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (tries === 5 || !/killed by signal 9/.test(error.message)) throw error;
    }
  }
}

async function play(world, point, times) {
  const crashes = path.join(world.dir, 'crashes');
  const nth = times > 1 && OFTEN.test(point) ? ':3' : '';
  const env = { HUNDREDX_CRASH: point + nth, HUNDREDX_CRASH_DIR: crashes, HUNDREDX_CRASH_TIMES: String(times) };
  await mkdir(crashes);
  await world.up(AT_RESTART.test(point) ? {} : env);
  const [a] = await insist(() => world.create(1, { manager: true }));
  const told = [];
  for (const text of ['a word on the way', 'another']) {
    const ended = await world.stack.ask('agent.tell', { agent: a, text }).then(() => told.push({ agent: a, text }),
      (error) => error.kind === 'conflict');
    assert.ok(ended);
  }
  const [b] = await insist(() => world.create(1));
  if (AT_RESTART.test(point)) {
    await world.stack.until((e) => e.kind === 'turn', 'a turn', 60000, { agent: a });
    world.stack.env = { ...world.stack.env, ...env };
    const { supervisor } = world.stack;
    supervisor.kill('SIGKILL');
    await supervisor.ended;
  }
  const agents = [a, b];
  let rows = await world.settle(60000);
  while (MISSED.test(point) && readdirSync(crashes).length < times && agents.length < 2 + times) {
    agents.push(...(await world.create(1)));
    rows = await world.settle(60000);
  }
  assert.deepEqual(rows.map((r) => [r.id, r.state, r.reason]), agents.map((id) => [id, 'done', '']));
  const { problems } = await check(world, told);
  for (const agent of agents.reverse()) await insist(() => world.stack.ask('agent.delete', { agent })).catch((error) => assert.equal(error.kind, 'not_found'));
  assert.deepEqual(await world.agents(), []);
  assert.deepEqual(readdirSync(path.join(world.stack.stateDir, 'workspaces')), []);
  await world.down();
  problems.push(...world.problems, ...checkAfterwards(world));
  assert.deepEqual(problems, []);
  assert.equal(readdirSync(crashes).length, UNIQUE.test(point) ? 1 : times, `passed ${point}`);
}

for (const times of [1, 2]) {
  describe(times === 1 ? 'once' : 'twice in a row', { concurrency: Number(process.env.CHAOS_AT_ONCE ?? 6) }, () => {
    for (const point of points.flatMap((p) => Array(rounds).fill(p))) {
      if (!only.test(point)) continue;
      test(point, async () => {
        const world = await World.start({ shared, webui: false, turnMs: 30, script: AT_FLOOD.test(point) ? flood : work(30) });
        try {
          await play(world, point, times);
        } finally {
          await world.close();
        }
      });
    }
  });
}

// The last of them is the one beside the news that the agent is done: nobody is started for
// it any more who could clean up.
describe('each of an agent\'s whole saves', { concurrency: Number(process.env.CHAOS_AT_ONCE ?? 6) }, () => {
  if (!only.test('session.cold.written')) return;
  for (let nth = 1; nth <= 24; nth++) {
    test(`number ${nth}`, async (t) => {
      const world = await World.start({ shared, webui: false, turnMs: 30 });
      const crashes = path.join(world.dir, 'crashes');
      try {
        await mkdir(crashes);
        await world.up({ HUNDREDX_CRASH: `session.cold.written:${nth}`, HUNDREDX_CRASH_DIR: crashes });
        await world.create(1);
        const rows = await world.settle(60000);
        const { problems } = await check(world);
        await world.down();
        problems.push(...world.problems, ...checkAfterwards(world));
        t.diagnostic(`${readdirSync(crashes).length} deaths`);
        assert.deepEqual(problems, []);
        assert.deepEqual(rows.map((r) => r.state), ['done']);
      } finally {
        await world.close();
      }
    });
  }
});

// Supervisor and worker are dead when it was told; the next supervisor dies whenever it is to
// answer the next worker's question for commands: all that worker knows it has from hello.
for (const [command, end] of [['pause', 'paused'], ['stop', 'stopped']]) {
  test(`told to ${command}: the next worker begins nothing, though nobody answers it`, async () => {
    const world = await World.start({ shared, webui: false, turnMs: 600000 });
    const crashes = path.join(world.dir, 'crashes');
    try {
      await mkdir(crashes);
      await world.up();
      const [agent] = await world.create(1);
      await world.stack.until((e) => e.kind === 'output' && /started/.test(e.body.text), 'a turn', 60000, { agent });
      const { worker } = world.processesOf(agent);
      process.kill(worker, 'SIGSTOP');
      await world.stack.ask(`agent.${command}`, { agent });
      const at = (await world.stack.ask('status')).last_event;
      world.stack.env = { ...world.stack.env, HUNDREDX_CRASH: 'next.reply.before', HUNDREDX_CRASH_DIR: crashes, HUNDREDX_CRASH_TIMES: '3' };
      const { supervisor } = world.stack;
      process.kill(supervisor.pid, 'SIGSTOP');
      world.kill('worker', worker);
      world.kill('supervisor', supervisor.pid);
      await supervisor.ended;
      await world.stack.until((e) => e.kind === 'state' && e.body.state === end, end, 60000, { agent, after: at });
      const later = await world.stack.ask('events.after', { after: at, agent, kinds: ['turn'], limit: 100 });
      assert.deepEqual(later.events.filter((e) => e.body.phase === 'started'), []);
      await world.answers();
      if (end === 'paused') await world.stack.ask('agent.stop', { agent });
      await world.settle(60000);
      await world.down();
      assert.deepEqual([...world.problems, ...checkAfterwards(world)], []);
    } finally {
      await world.close();
    }
  });
}

test('what a worker was killed at goes also when it is not started again', async () => {
  const world = await World.start({ shared, webui: false, turnMs: 30 });
  const crashes = path.join(world.dir, 'crashes');
  try {
    await mkdir(crashes);
    await world.up({ HUNDREDX_CRASH: 'session.cold.written', HUNDREDX_CRASH_DIR: crashes, HUNDREDX_CRASH_TIMES: '5' });
    const [agent] = await world.create(1);
    const { reason } = await world.stack.untilState(agent, 'failed', 60000);
    assert.match(reason, /crashed 5 times/);
    await world.down();
    assert.deepEqual([...world.problems, ...checkAfterwards(world)], []);
  } finally {
    await world.close();
  }
});

test('there are at least 40 points', () => assert.ok(points.length >= 40, String(points.length)));
