// Random kills: real processes die by SIGKILL at random moments while ten agents work, and
// the checker proves that nothing was lost, doubled or left behind.
//
//   node tests/chaos/chaos.mjs [--seed N] [--kills N] [--minutes M] [--agents N] [--machine] [--power] [--calm]
//
// --machine: each kill takes everything at once. --power: and of the disk what was not flushed.
// --calm: nobody is killed; agents that have ended are deleted after a while. It shows what
// leaks: memory and descriptors of supervisor and page are told at the end.
//
// The seed decides who dies when (the machine's own timing it cannot decide); it is printed.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { needsNamespace } from '../support/disk.mjs';
import { deadline, patience } from '../support/stack.mjs';
import { Browser, checkBrowser } from './browser.mjs';
import { check, checkAfterwards, checkDatabase, mayBeLost } from './check.mjs';
import { Measure } from './measure.mjs';
import { ENDED, randomFrom, World } from './world.mjs';

const PULLS_MAX = 400; // of a run: GitHub takes 500 an hour of one account, and the workers know
const ENDED_MAX = 50; // kept in a calm run
const PAUSED_MAX = 5;
const POWER_TURN_MS = 100; // short, so that much has just been committed when it goes
const FLUSHED_MS = 200; // at most since files were flushed, when the power goes
const KINDS = ['supervisor', 'supervisor', 'worker', 'worker', 'worker', 'coder', 'coder', 'webui', 'errand'];

// Keeps so many agents at work, half of them with a manager, by the log alone.
async function feed(world, n, random, run) {
  const active = new Set();
  const ended = [];
  let created = 0;
  for (let after = 0; !run.over;) {
    if (active.size < n) {
      const missing = n - active.size;
      created += missing;
      const ids = await world.create(missing, { manager: random.next() < 0.5, pull_request: created <= PULLS_MAX }).catch((error) => {
        if (/errand check was killed/.test(error.message)) return []; // by us
        throw error;
      });
      for (const id of ids) active.add(id);
    }
    const page = await world.stack.ask('events.after', { after, kinds: ['state'], limit: 1000, wait_ms: 1000 }).catch(() => null);
    if (!page) continue;
    for (const e of page.events) {
      const body = typeof e.body === 'string' ? JSON.parse(e.body) : e.body;
      if (ENDED.includes(body.state) && run.calm && active.has(e.subject)) ended.push(e.subject);
      if (ENDED.includes(body.state) || ['waiting', 'paused'].includes(body.state)) active.delete(e.subject);
    }
    after = Math.max(after, page.last);
    run.active = [...active];
    while (ended.length > ENDED_MAX) {
      await world.stack.ask('agent.delete', { agent: ended.shift(), discard: true }).catch((error) => {
        if (!['not_found', 'conflict'].includes(error.kind)) throw error; // it goes on after a message
      });
    }
  }
}

// An errand lives for some ms: one is asked for, and killed as soon as it is there. It may
// have been faster; then nobody died.
async function killErrand(world) {
  let over = false;
  let killed = false;
  const asked = world.create(1, { base: 'nothing-of-this-name' }).catch((error) => error).then((answer) => {
    over = true;
    return answer;
  });
  while (!over && !killed) {
    for (const pid of world.processes().errand) killed = world.kill('errand', pid) || killed;
    await pause(1);
  }
  const answer = await asked;
  if (!/was killed by signal 9|no branch/.test(answer.message)) throw new Error(`an errand was killed: ${answer.message ?? 'it went well'}`);
  return killed;
}

// Beside what follows, one at a time.
async function checkStore(world, run) {
  await run.checking;
  run.checking = checkDatabase(world).then((problems) => run.problems.push(...problems), (error) => run.problems.push(error.message));
}

async function killOne(world, random, run) {
  const found = world.processes();
  const dying = world.stack.supervisor.ended;
  let kind = random.of(KINDS);
  if (!['errand', 'supervisor'].includes(kind) && !found[kind].length) kind = 'worker';
  if (kind === 'worker' && !found.worker.length) kind = 'supervisor';
  if (!(kind === 'errand' ? await killErrand(world) : found[kind].length && world.kill(kind, random.of(found[kind])))) return;
  run.kills++;
  if (kind === 'supervisor') await deadline(dying, 10000 * patience, 'the killed supervisor to die'); // or it would still take the question
  const took = await (kind === 'webui' ? world.webuiAnswers() : world.answers());
  run.answers.push(took);
  if (kind === 'supervisor') await checkStore(world, run);
  if (process.env.TEST_VERBOSE) console.error(`kill ${run.kills}: ${kind}, answers after ${took.toFixed(0)} ms`);
}

// Everything starts again.
async function startsAgain(world, run) {
  run.kills++;
  run.answers.push(await world.answers());
  await checkStore(world, run);
}

async function killMachine(world, run) {
  const dying = world.stack.supervisor.ended;
  world.killAll();
  await deadline(dying, 10000 * patience, 'the killed supervisor to die');
  await startsAgain(world, run);
}

async function cutPower(world, random, run) {
  if (random.next() < 0.7) world.disk.flushSome(random, random.next());
  await run.checking; // it reads the store
  await pause(random.below(FLUSHED_MS));
  await world.cutPower();
  await startsAgain(world, run);
}

// What a person does meanwhile: mostly says something, now and then pauses or stops an agent.
// Of those that are paused some go on, so that they do not become more and more.
async function interfere(world, random, run) {
  if (!run.active.length) return;
  const agent = random.of(run.active);
  const what = random.next();
  try {
    if (what < 0.7) {
      const text = `word ${run.told.length + 1}`;
      await world.stack.ask('agent.tell', { agent, text });
      run.told.push({ agent, text });
    } else if (what < 0.9) {
      await world.stack.ask('agent.pause', { agent });
      run.paused.push(agent);
      if (run.paused.length > PAUSED_MAX) await world.stack.ask('agent.resume', { agent: run.paused.shift() });
    } else {
      await world.stack.ask('agent.stop', { agent });
      run.stopped.push({ agent, at: (await world.stack.ask('status')).last_event });
    }
  } catch (error) {
    if (!['conflict', 'not_found', 'limit'].includes(error.kind)) throw error;
  }
}

// Who was told to stop does so, also over the death of whoever was told: only what was about
// to begin in that moment may still do so.
function checkStopped(stopped, rows, events, problems) {
  for (const { agent, at } of stopped) {
    const later = events.filter((e) => e.id > at && e.subject === agent && e.stream === 'agent');
    const turns = later.filter((e) => e.kind === 'turn' && e.body.phase === 'started').length;
    if (turns > 1) problems.push(`agent ${agent}: ${turns} turns began after it was stopped`);
  }
  for (const row of rows) {
    if (row.state === 'stopped' && !stopped.some(({ agent }) => agent === row.id)) problems.push(`agent ${row.id} is stopped, and nobody asked for it`);
  }
}

// Runs until `kills` have died or `minutes` are over. Answers { problems, … }.
// machine: every kill takes all processes at once. power: and what was not flushed to the disk.
// calm: nobody dies. shared: servers of several worlds (World.openShared).
export async function chaos({ seed, kills = 300, minutes = 10, agents = 10, gapMs = 700, turnMs, machine = false, power = false, calm = false, shared }) {
  const random = randomFrom(seed);
  const run = { calm, over: false, kills: 0, active: [], answers: [], told: [], stopped: [], paused: [], problems: [] };
  const world = await World.start({ maxWorking: agents, turnMs: turnMs ?? (power ? POWER_TURN_MS : undefined), shared, disk: power });
  let browser, measure;
  try {
    await world.up();
    await world.webuiAnswers();
    browser = new Browser(world.port, path.join(world.stack.stateDir, 'webui.token'));
    measure = new Measure(world);
    const feeding = feed(world, agents, randomFrom(seed + 1), run);
    const end = Date.now() + minutes * 60000;
    feeding.catch((error) => { run.failure = error; });
    while (run.kills < kills && Date.now() < end && !run.failure) {
      await pause(random.below(gapMs));
      if (random.next() < 0.4) await interfere(world, random, run);
      if (calm) continue;
      if (power) await cutPower(world, random, run);
      else if (machine) await killMachine(world, run);
      else await killOne(world, random, run);
    }
    run.over = true;
    await feeding;
    if (run.failure) throw run.failure;
    measure.stop();
    await run.checking;
    await world.settle(90000);
    const { problems, rows, events, deleted } = await check(world, run.told);
    checkStopped(run.stopped, rows, events, problems);
    await deadline(browser.reaches(events.at(-1).id), 20000, 'the browser to have everything').catch((error) => problems.push(error.message));
    checkBrowser(browser, events, deleted, problems, (kind) => mayBeLost(world, kind));
    browser.stop();
    await world.down();
    problems.push(...run.problems, ...world.problems, ...checkAfterwards(world));
    const states = {};
    for (const row of rows) states[row.state] = (states[row.state] ?? 0) + 1;
    return { problems, states, events: events.length, seen: world.listener.seen.length, killed: world.kills, measured: measure.lines(),
      kills: run.kills, told: run.told.length, streams: browser.streams, answers: run.answers.sort((a, b) => a - b),
      reasons: rows.filter((r) => !['done', 'stopped'].includes(r.state)).map((r) => `${r.id} ${r.state}: ${r.reason}`) };
  } finally {
    run.over = true; // also for who feeds
    measure?.stop();
    browser?.stop();
    await world.close();
  }
}

export function describe(seed, result) {
  const at = (q) => result.answers[Math.min(result.answers.length - 1, Math.floor(result.answers.length * q))]?.toFixed(0);
  return `seed ${seed}: ${result.kills} kills ${JSON.stringify(result.killed)}, agents ${JSON.stringify(result.states)}, `
    + `${result.events} events (${result.seen} seen live, ${result.streams} streams of the browser), ${result.told} messages, `
    + `answers within p50 ${at(0.5)} p99 ${at(0.99)} most ${at(1)} ms`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { seed: { type: 'string' }, kills: { type: 'string' },
    minutes: { type: 'string' }, agents: { type: 'string' }, machine: { type: 'boolean' },
    power: { type: 'boolean' }, calm: { type: 'boolean' } } });
  if (values.power) needsNamespace();
  const seed = Number(values.seed ?? Date.now() % 1000000);
  console.log(`seed ${seed} (${path.basename(process.argv[1])})`);
  const result = await chaos({ seed, kills: Number(values.kills ?? (values.minutes ? Infinity : 300)),
    minutes: Number(values.minutes ?? 10), agents: Number(values.agents ?? 10), machine: values.machine, power: values.power, calm: values.calm });
  console.log(describe(seed, result));
  for (const line of result.measured) console.log(`  ${line}`);
  for (const reason of result.reasons) console.log(`  agent ${reason}`);
  for (const problem of result.problems.slice(0, 50)) console.log(`PROBLEM ${problem}`);
  process.exit(result.problems.length || result.reasons.length ? 1 : 0);
}
