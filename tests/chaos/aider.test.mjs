// Real aider dies by SIGKILL in the middle of its turns, twenty times in all, by itself or
// with its worker; every agent finishes with green tests all the same.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../support/stack.mjs';
import { check, checkAfterwards } from './check.mjs';
import { randomFrom, World } from './world.mjs';

const KILLS = Number(process.env.CHAOS_AIDER_KILLS ?? 20);
const EACH = 3; // an agent whose aider dies four times within a minute fails, as it should
const AT_ONCE = 3;
const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1000000);

function sampleFiles(folder = path.join(root, 'tests/support/sample'), under = '') {
  const files = {};
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const name = path.join(under, entry.name);
    if (entry.isDirectory()) Object.assign(files, sampleFiles(path.join(folder, entry.name), name));
    else files[name] = readFileSync(path.join(folder, entry.name), 'utf8');
  }
  return files;
}

test(`aider dies ${KILLS} times`, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const random = randomFrom(seed);
  const shared = await World.openShared({ scripted: false });
  const world = await World.start({ shared, webui: false, script: null, maxWorking: AT_ONCE, files: sampleFiles() });
  const [task] = JSON.parse(readFileSync(path.join(root, 'tests/support/sample.json'), 'utf8'));
  try {
    await world.up();
    const agents = await world.create(Math.ceil(KILLS / EACH) + 1, { manager: true, test_command: task.test_command,
      tasks: [{ title: task.title, description: task.description }] });
    const dead = new Map(agents.map((agent) => [agent, 0]));
    let kills = 0;
    await world.stack.until((e) => {
      if (e.kind !== 'turn' || e.body.phase !== 'started' || dead.get(e.subject) >= EACH || kills >= KILLS) return kills >= KILLS;
      const { coder, worker } = world.processesOf(e.subject);
      const [kind, pid] = random.next() < 0.6 ? ['coder', coder] : ['worker', worker];
      if (coder && world.kill(kind, pid)) {
        kills++;
        dead.set(e.subject, dead.get(e.subject) + 1);
      }
      return kills >= KILLS;
    }, `${KILLS} deaths of aider`, 400000);
    t.diagnostic(JSON.stringify(world.kills));
    const rows = await world.settle(300000);
    assert.deepEqual(rows.map((row) => [row.id, row.state, row.reason, row.tests]), agents.map((id) => [id, 'done', '', 'passed']));
    const { problems } = await check(world);
    await world.down();
    assert.deepEqual([...problems, ...world.problems, ...checkAfterwards(world)], []);
  } finally {
    await world.close();
    await World.closeShared(shared);
  }
});
