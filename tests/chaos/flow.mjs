// Text for as long as one likes: agents that say as much as they are asked to, one after the
// other, into a small store, under the eyes of a browser. Nobody is killed; who has ended long
// ago is deleted, since each agent there is takes some memory. It shows what grows: the delay
// from an agent to the page, memory, descriptors, the log and the store itself.
//
//   node tests/chaos/flow.mjs [--minutes M] [--rate LINES_A_SECOND] [--agents N]
//
// Ends with 1 if one of the bars below was missed.
import { parseArgs } from 'node:util';
import path from 'node:path';
import { Browser } from './browser.mjs';
import { checkAfterwards, checkDatabase } from './check.mjs';
import { Measure } from './measure.mjs';
import { ENDED, World } from './world.mjs';

const LINE_BYTES = 80;
const TURN_SECONDS = 60; // how long each agent talks
const ENDED_MAX = 60; // enough that the store is full
const KEEP_GIGABYTES = 0.3;
const STORE_MAX_MB = 1000 * KEEP_GIGABYTES * 1.5; // what is being written and packed comes on top
const WAL_MAX_MB = 64;
const RISE_MAX = 0.1; // MB an hour
const FILES_MAX = 2; // that the number of descriptors may differ by
const DELAY_MAX = 2; // the last quarter's median, as a multiple of the first one's
const DELAY_FLOOR_MS = 20; // below which a median grows for no reason of ours

// Keeps nothing but what it needs: that ids rise, and how late the last line of each event is.
class Watcher extends Browser {
  constructor(...args) {
    super(...args);
    this.lines = 0;
    this.problems = [];
    this.quarters = [];
    this.delays = [];
  }

  take(block) {
    const id = Number(/^id: ?(\d+)$/m.exec(block)?.[1] ?? 0);
    if (id && id <= this.last) this.problems.push(`the browser got event ${id} after ${this.last}`);
    this.last = id || this.last;
    const data = /^data: ?(.*)$/m.exec(block)?.[1];
    if (!data?.includes('ns=')) return;
    const stamps = data.match(/ns=\d+/g);
    this.lines += stamps.length;
    this.delays.push(Number(process.hrtime.bigint() - BigInt(stamps.at(-1).slice(3))) / 1e6);
  }

  // Ends a quarter of the time.
  quarter() {
    const all = this.delays.splice(0).sort((a, b) => a - b);
    const at = (q) => all[Math.min(all.length - 1, Math.floor(all.length * q))] ?? NaN;
    this.quarters.push({ p50: at(0.5), p99: at(0.99), most: at(1) });
  }
}

// Always so many agents at work; each ends by itself, and is deleted when many others have.
async function feed(world, n, run) {
  const active = new Set();
  const ended = [];
  for (let after = 0; !run.over;) {
    if (active.size < n) {
      for (const id of await world.create(n - active.size, { test_command: '', pull_request: false })) active.add(id);
    }
    const page = await world.stack.ask('events.after', { after, kinds: ['state'], limit: 1000, wait_ms: 1000 });
    for (const e of page.events) {
      const { state, reason } = typeof e.body === 'string' ? JSON.parse(e.body) : e.body;
      if (!ENDED.includes(state) || !active.delete(e.subject)) continue;
      run.ended++;
      ended.push(e.subject);
      if (state !== 'done') run.problems.push(`agent ${e.subject} ${state}: ${reason}`);
    }
    while (ended.length > ENDED_MAX) {
      const agent = ended.shift();
      const [row] = (await world.stack.ask('agent.list', { after: agent - 1 })).agents;
      if (row.removed_events > 0) run.removed++;
      await world.stack.ask('agent.delete', { agent, discard: true });
    }
    after = Math.max(after, page.last);
  }
}

async function flow({ minutes, rate, agents }) {
  const run = { over: false, ended: 0, removed: 0, problems: [] };
  const each = rate / agents;
  const world = await World.start({ maxWorking: agents, listener: false, script: { turns: [{ steps: [
    { flood: { lines: each * TURN_SECONDS, size: LINE_BYTES, rate: each } }, { commit: 'All is said' }] }] } });
  try {
    Object.assign(world.general, { keep_gigabytes: KEEP_GIGABYTES, compress_after_minutes: 1 });
    await world.up();
    await world.webuiAnswers();
    const watcher = new Watcher(world.port, path.join(world.stack.stateDir, 'webui.token'));
    const measure = new Measure(world);
    const feeding = feed(world, agents, run);
    const start = performance.now();
    for (let quarter = 0; quarter < 4; quarter++) {
      await Promise.race([feeding, new Promise((resolve) => { setTimeout(resolve, minutes * 15000); })]);
      watcher.quarter();
    }
    const seconds = (performance.now() - start) / 1000;
    measure.stop();
    run.over = true;
    await feeding;
    for (const { id, state } of await world.agents()) {
      if (!ENDED.includes(state)) await world.stack.ask('agent.stop', { agent: id }).catch((error) => run.problems.push(error.message));
    }
    await world.settle(60000);
    watcher.stop();
    run.removed += (await world.agents()).filter((row) => row.removed_events > 0).length;
    run.problems.push(...watcher.problems.slice(0, 10), ...await checkDatabase(world));
    await world.down();
    run.problems.push(...world.problems, ...checkAfterwards(world));
    return { ...run, seconds, lines: watcher.lines, streams: watcher.streams, quarters: watcher.quarters, measure };
  } finally {
    run.over = true;
    await world.close();
  }
}

function judge({ quarters, measure, lines, seconds }, rate) {
  const missed = [];
  const bar = (ok, text) => { if (!ok) missed.push(text); };
  const first = quarters[0].p50, last = quarters.at(-1).p50;
  bar(lines / seconds >= 0.95 * rate, `${Math.round(lines / seconds)} lines a second of ${rate} were seen`);
  bar(last <= Math.max(DELAY_FLOOR_MS, first * DELAY_MAX), `the delay grew from ${first.toFixed(1)} to ${last.toFixed(1)} ms`);
  bar(measure.most.wal <= WAL_MAX_MB * 1048576, `the write-ahead log grew beyond ${WAL_MAX_MB} MB`);
  bar(measure.most.store <= STORE_MAX_MB * 1e6, `the store grew beyond ${STORE_MAX_MB} MB`);
  for (const [kind, { rise, files }] of Object.entries(measure.trends())) {
    bar(rise === null || rise <= RISE_MAX, `${kind}: memory rises by ${rise?.toFixed(2)} MB an hour, more than ${RISE_MAX}`);
    bar(files.most - files.first <= FILES_MAX, `${kind}: descriptors rose from ${files.first} to ${files.most}`);
  }
  return missed;
}

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' },
  rate: { type: 'string', default: '20000' }, agents: { type: 'string', default: '4' } } });
const rate = Number(values.rate);
const result = await flow({ minutes: Number(values.minutes), rate, agents: Number(values.agents) });
console.log(`${(result.seconds / 60).toFixed(1)} min, ${result.ended} agents ended, of ${result.removed} the output was removed; `
  + `${result.lines} lines seen in ${result.streams} streams, ${Math.round(result.lines / result.seconds)} a second`);
result.quarters.forEach(({ p50, p99, most }, i) => console.log(
  `  quarter ${i + 1}: from the agent to the browser p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} most ${most.toFixed(0)} ms`));
for (const line of result.measure.lines()) console.log(`  ${line}`);
const problems = [...result.problems, ...judge(result, rate)];
for (const problem of problems.slice(0, 50)) console.log(`PROBLEM ${problem}`);
process.exit(problems.length ? 1 : 0);
