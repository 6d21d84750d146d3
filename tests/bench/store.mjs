// What the store costs: A8 start with much to recover, A9 lines into SQLite, A10 bytes
// written for each event. BENCH_ROWS (default 1e6) is the size of the large store.
import { readFile, stat } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { makeRepository, run, startStack, support } from '../support/stack.mjs';

const ROWS = Number(process.env.BENCH_ROWS ?? 1e6);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];
const word = (n) => `1e${Math.round(Math.log10(n))}`;

async function sql(stack, text) {
  const { code, stdout, stderr } = await run('sqlite3', [path.join(stack.stateDir, 'tasks.db')], { input: text });
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

// rows lines of output, spread over the agents 1 to agents, as a long life would leave them.
async function fill(stack, rows, agents) {
  await sql(stack, `PRAGMA cache_size=-200000; PRAGMA synchronous=OFF; BEGIN;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    INSERT INTO events(stream, subject, seq, kind, at, body) SELECT 'agent', 1 + i % ${agents}, 1000000 + i, 'output', 1763870000000 + i,
      '{"seq":' || (1000000 + i) || ',"at":' || (1763870000000 + i) || ',"turn":1,"text":"line ' || i || ' of what the agent said, padded to a usual length\\n"}' FROM n;
    UPDATE agents SET committed_seq = coalesce((SELECT max(seq) FROM events WHERE stream = 'agent' AND subject = agents.id), committed_seq) WHERE id <= ${agents};
    COMMIT; PRAGMA wal_checkpoint(TRUNCATE);`);
}

const get = (port, url, headers = {}) => new Promise((resolve, reject) => {
  http.get({ port, path: url, headers: { host: `localhost:${port}`, ...headers } }, (r) => {
    r.resume().on('end', () => (r.statusCode === 200 ? resolve() : reject(new Error(`HTTP ${r.statusCode}`))));
  }).on('error', reject);
});

// --- A8 ---

async function startOnce(stack) {
  const began = process.hrtime.bigint();
  const since = () => Number(process.hrtime.bigint() - began) / 1e6;
  const supervisor = stack.spawnProgram('100x-supervisor', []);
  supervisor.ended.then(({ code }) => code && console.log(supervisor.log));
  await stack.startWebui();
  await get(stack.port, '/');
  const page = since();
  const token = (await readFile(path.join(stack.stateDir, 'webui.token'), 'utf8')).trim();
  for (;;) { // 503 until the supervisor answers
    try {
      await get(stack.port, '/api/v1/status', { authorization: `Bearer ${token}` });
      break;
    } catch {
      await sleep(1);
    }
  }
  const status = since();
  for (const child of [stack.webui, supervisor]) {
    child.kill('SIGKILL'); // what follows has something to recover
    await child.ended;
  }
  return { page, status };
}

async function starts(stack) {
  const page = [], status = [];
  for (let i = 0; i < 5; i++) {
    const one = await startOnce(stack);
    page.push(one.page);
    status.push(one.status);
  }
  return { page: median(page), status: median(status) };
}

async function coldStart({ report, ms }) {
  const empty = await startStack({ supervisor: false });
  let { page, status } = await starts(empty);
  await empty.stop();
  report('A8 exec to first HTTP 200 / to the supervisor’s answer over it', `${ms(page)} / ${ms(status)}`, '<= 50 ms', 'median of 5; both programs started from Node; upstream 0.20 s for flask alone');

  const stack = await startStack();
  const repository = await makeRepository(stack.dir);
  const script = { turns: [{ steps: [{ silence_ms: 3600000 }] }] };
  await stack.ask('config.set', { general: { max_working: 1, agent_command: [support('scripted_agent'), '-e', JSON.stringify(script)] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'go' }], agents_per_task: 100, manager: false });
  await stack.untilState(tasks[0].agents[0], 'working', 60000);
  await stack.ask('agent.stop', { agent: tasks[0].agents[0] });
  stack.supervisor.kill('SIGTERM');
  await stack.supervisor.ended;
  await fill(stack, ROWS, 100);
  const { size } = await stat(path.join(stack.stateDir, 'tasks.db'));
  ({ page, status } = await starts(stack));
  // Its workers are ended by a supervisor that is asked to.
  await stack.startSupervisor();
  await stack.stop();
  report(`A8 … with 100 agents and ${word(ROWS)} rows to recover`, `${ms(page)} / ${ms(status)}`, '<= 500 ms', `${(size / 1e6).toFixed(0)} MB, killed each time`);
}

// --- A9 ---

// Pages that the process has made dirty, log and checkpoints alike, rewritten ones once.
const written = (pid) => Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))[1]);

const cpuSeconds = (pid) => {
  const f = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(f[11]) + Number(f[12])) / 100;
};

async function ingest({ report }) {
  const agents = 4, lines = 250000;
  const stack = await startStack();
  const repository = await makeRepository(stack.dir);
  const script = { turns: [{ steps: [{ flood: { lines, size: 80, rate: 0 } }] }] };
  await stack.ask('config.set', { general: { max_working: agents, agent_command: [support('scripted_agent'), '-e', JSON.stringify(script)] } });
  const before = cpuSeconds(stack.supervisor.pid), writtenBefore = written(stack.supervisor.pid);
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'flood' }], agents_per_task: agents, manager: false });
  let first = 0, last = 0, seen = 0;
  for (;;) {
    const { last_event: now } = await stack.ask('status');
    const at = performance.now();
    if (now !== seen) last = at;
    if (now > 100 && !first) first = at;
    seen = now;
    const all = (await stack.ask('agent.list')).agents;
    if (all.every(({ state }) => ['done', 'failed'].includes(state))) break;
    await sleep(50);
  }
  const cpu = cpuSeconds(stack.supervisor.pid) - before;
  const stored = Number(await sql(stack, "SELECT sum(length(body) - length(replace(body, '\\n', 'n'))) FROM events WHERE kind = 'output';"));
  const [events, size] = (await sql(stack, "SELECT count(*), sum(length(CAST(body AS BLOB))) FROM events WHERE kind = 'output';")).split('|').map(Number);
  const bytes = written(stack.supervisor.pid) - writtenBefore;
  await stack.stop();
  const seconds = (last - first) / 1000;
  report('A9 lines from agents into SQLite', `${Math.round(stored / seconds / 1000)} k lines/s`, '>= 100 k lines/s',
    `${stored} lines of 80 bytes in ${events} events, ${agents} agents, workers and agents on the same cores; supervisor ${(cpu / seconds).toFixed(2)} of a core; floor 404 k`);
  report('A10 bytes written for an event while text flows', `${Math.round(bytes / events)}`, '<= 4 x event', `store, by /proc/PID/io; events of ${Math.round(size / events)} bytes: ${(bytes / size).toFixed(1)} x`);
}

// --- A10 ---

// Agents that say a line each 100 ms, for some seconds, over a store of so many rows.
async function bytesPerEvent(rows) {
  const agents = 10, seconds = 15;
  const stack = await startStack();
  const repository = await makeRepository(stack.dir);
  const script = { turns: [{ steps: [{ text: 'started\n' }, { flood: { lines: 1e6, size: 120, rate: 10 } }] }] };
  await stack.ask('config.set', { general: { max_working: agents, agent_command: [support('scripted_agent'), '-e', JSON.stringify(script)] } });
  // Rows first, then agents: other numbers than those of the agents that now write.
  await fill(stack, rows, 100);
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'pace' }], agents_per_task: agents, manager: false });
  for (const agent of tasks[0].agents) await stack.untilState(agent, 'working', 60000);
  await sleep(3000);
  const pids = [];
  for (const agent of tasks[0].agents) pids.push((await stack.ask('agent.show', { agent })).pid);
  const measure = async () => ({ id: (await stack.ask('status')).last_event, store: written(stack.supervisor.pid), spools: pids.reduce((sum, pid) => sum + written(pid), 0) });
  const from = await measure();
  await sleep(seconds * 1000);
  const to = await measure();
  const [count, size] = (await sql(stack, `SELECT count(*), sum(length(CAST(body AS BLOB))) FROM events WHERE id > ${from.id} AND id <= ${to.id};`)).split('|').map(Number);
  for (const agent of tasks[0].agents) await stack.ask('agent.stop', { agent });
  await stack.stop();
  return { count, size: size / count, store: (to.store - from.store) / count, spools: (to.spools - from.spools) / count };
}

async function writes({ report }) {
  const one = await bytesPerEvent(1e3), many = await bytesPerEvent(ROWS);
  for (const [rows, r] of [[1e3, one], [ROWS, many]]) {
    report(`A10 bytes written for an event, ${word(rows)} rows stored`, `${r.store.toFixed(0)} + ${r.spools.toFixed(0)}`, '<= 4 x event',
      `store + spools, by /proc/PID/io; ${r.count} events of ${r.size.toFixed(0)} bytes: ${((r.store + r.spools) / r.size).toFixed(1)} x`);
  }
  report('A10 … ratio of the two', (many.store / one.store).toFixed(2), '<= 1.2', 'store');
}

export async function store(tools, want) {
  if (want('start')) await coldStart(tools);
  if (want('ingest')) await ingest(tools);
  if (want('writes')) await writes(tools);
}
