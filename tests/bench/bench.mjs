// The figures of speed and memory, printed with the floors of this machine and the bars
// beside them. Nothing here gates: it prints what it measured.
//
//   node tests/bench/bench.mjs [floor] [idle] [latency] [memory] [restart] [start] [ingest] [writes]
//                              [pixels] [vitals] [streams] [million] [aider]
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { page } from './page.mjs';
import { restart } from './restart.mjs';
import { store } from './store.mjs';
import { build, makeRepository, root, run, sampleRepository, startPracticeModel, startStack, support } from '../support/stack.mjs';

const wanted = new Set(process.argv.slice(2));
const want = (name) => wanted.size === 0 || wanted.has(name);
const bench = (name) => path.join(build, 'bench', name);

const rows = [];
function report(measure, value, bar, note = '') {
  rows.push({ measure, value, bar, note });
  console.log(`  ${measure.padEnd(58)} ${String(value).padStart(22)}   ${bar}${note ? `   (${note})` : ''}`);
}
function title(text) {
  console.log(`\n${text}`);
}

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
const ms = (x) => `${x < 10 ? x.toFixed(2) : x.toFixed(1)} ms`;

function pssKb(pid) {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
}

// --- floors ---

async function floors() {
  title('Floors of this machine (p50 / p99)');
  const { stdout } = await run(bench('floor'), []);
  for (const line of stdout.trim().split('\n')) {
    const { floor, p50_us: p50, p99_us: p99 } = JSON.parse(line);
    report(floor, `${p50} / ${p99} us`, '');
  }
}

// --- A1: idle time per turn ---

// Each agent stamps when its turn's answer is written and when the next prompt arrives; the
// model answers after a fixed time, which is taken off.
async function idle(agents, turns) {
  const latency = 50;
  const dir = await mkdtemp(path.join(tmpdir(), '100x-bench-'));
  const script = path.join(dir, 'model.json');
  await writeFile(script, JSON.stringify({ rules: [{ latency_ms: latency,
    answer: JSON.stringify({ progress: 'It goes on.', thought: 'More is needed.', action: '/instruct go on', future: 'More.' }) }] }));
  const model = await startPracticeModel({ script });
  const stack = await startStack({ practice: model.port });
  const repository = await makeRepository(stack.dir);
  const wrapper = path.join(dir, 'agent');
  await writeFile(wrapper, `#!/bin/sh\nexec ${support('scripted_agent')} --stamps ${dir}/stamps.$$ -e '${JSON.stringify({
    turns: [{ steps: [{ text: 'a line of output\n' }, { silence_ms: 200 }] }] })}'\n`, { mode: 0o755 });
  await stack.ask('config.set', { general: { max_working: 200, agent_command: [wrapper] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'turns' }], agents_per_task: agents, limits: { turns } });
  const began = Date.now();
  for (const agent of tasks[0].agents) await stack.untilState(agent, 'paused', 300000);
  const took = (Date.now() - began) / 1000;
  const gaps = [];
  for (const file of readdirSync(dir).filter((name) => name.startsWith('stamps.'))) {
    let ready = null;
    for (const line of (await readFile(path.join(dir, file), 'utf8')).trim().split('\n')) {
      const [what, turn, ns] = line.split(' ');
      if (what === 'ready') ready = Number(turn) > 0 ? BigInt(ns) : null;
      else if (ready !== null) gaps.push(Number(BigInt(ns) - ready) / 1e6 - latency);
    }
  }
  const own = (await stack.events(tasks[0].agents[0], ['turn'])).map((e) => e.body.idle_ms).filter((x) => x !== undefined).sort((a, b) => a - b);
  gaps.sort((a, b) => a - b);
  const left = await stack.stop();
  await model.stop();
  await rm(dir, { recursive: true, force: true });
  if (left.length) console.log('  left behind:', left);
  const bar = agents === 100 ? 'p99 <= 25 ms' : 'p50 <= 2 ms, p99 <= 10 ms';
  report(`A1 idle time per turn, ${agents} agents (p50 / p99)`,
    `${ms(quantile(gaps, 0.5))} / ${ms(quantile(gaps, 0.99))}`, bar,
    `${gaps.length} turns in ${took.toFixed(0)} s; by the worker's own clock p50 ${own.length ? ms(quantile(own, 0.5)) : '-'}; upstream 14.1 s at 1, 99 s at 10`);
}

// --- A2: byte to event stream ---

async function latency(agents, clients, rate, seconds) {
  const stack = await startStack();
  const repository = await makeRepository(stack.dir);
  await stack.startWebui();
  const script = { turns: [{ steps: [{ silence_ms: 2000 }, { flood: { lines: rate * (seconds + 4), size: 80, rate } }] }] };
  await stack.ask('config.set', { general: { max_working: 100, agent_command: [support('scripted_agent'), '-e', JSON.stringify(script)] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'flow' }], agents_per_task: agents, manager: false });
  for (const agent of tasks[0].agents) await stack.untilState(agent, 'working', 60000);
  const { stdout, stderr } = await run(bench('sse_probe'), [String(stack.port), stack.token, String(clients), String(seconds)]);
  if (!stdout) throw new Error(stderr);
  const result = JSON.parse(stdout);
  for (const agent of tasks[0].agents) await stack.ask('agent.stop', { agent });
  await stack.stop();
  report(`A2 byte to SSE, ${agents} agents x ${rate} lines/s, ${clients} clients (p50 / p99)`,
    `${ms(result.p50_ms)} / ${ms(result.p99_ms)}`, 'p50 <= 3 ms, p99 <= 20 ms',
    `${result.lines} lines; gathering for at most 33 ms while text flows is by design; upstream about 60 s`);
}

// --- A3: memory ---

async function memory() {
  const stack = await startStack();
  await stack.startWebui();
  const repository = await makeRepository(stack.dir);
  await new Promise((resolve) => http.get({ port: stack.port, path: '/', headers: { host: `localhost:${stack.port}` } }, (r) => r.resume().on('end', resolve)));
  report('A3 supervisor + webui, no agents (PSS)', `${((pssKb(stack.supervisor.pid) + pssKb(stack.webui.pid)) / 1024).toFixed(1)} MB`, '<= 30 MB', 'upstream 44 to 50 MB, +145 with litellm');
  const script = { turns: [{ match: 'busy', steps: [{ text: 'started\n' }, { flood: { lines: 1e6, size: 80, rate: 1000 } }] }, { steps: [{ text: 'started\n' }, { silence_ms: 3600000 }] }] };
  await stack.ask('config.set', { general: { max_working: 100, agent_command: [support('scripted_agent'), '-e', JSON.stringify(script)] } });
  for (const [kind, count] of [['idle', 10], ['busy', 5]]) {
    const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: kind }], agents_per_task: count, manager: false });
    const { agents } = tasks[0];
    for (const agent of agents) {
      await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the start', 60000, { agent });
    }
    if (kind === 'busy') {
      for (const agent of agents) {
        let lines = 0;
        await stack.until((e) => e.kind === 'output' && (lines += e.body.text.split('\n').length) > 3000, '3,000 lines', 60000, { agent });
      }
    }
    const sizes = [];
    for (const agent of agents) sizes.push(pssKb((await stack.ask('agent.show', { agent })).pid));
    const mean = sizes.reduce((a, b) => a + b, 0) / sizes.length / 1024;
    report(`A3 worker, ${kind} (PSS, mean of ${count})`, `${mean.toFixed(1)} MB`, kind === 'idle' ? '<= 2.5 MB' : '<= 4 MB');
    for (const agent of agents) await stack.ask('agent.stop', { agent });
    for (const agent of agents) await stack.untilState(agent, 'stopped');
  }
  await stack.stop();
}

// --- one real aider ---

async function aider() {
  const python = process.env.HUNDREDX_AIDER_PYTHON ?? path.join(process.env.XDG_DATA_HOME ?? path.join(process.env.HOME, '.local/share'), '100x/aider/bin/python');
  if (!existsSync(python)) {
    report('aider', 'not installed', '');
    return;
  }
  const model = await startPracticeModel();
  const dir = await mkdtemp(path.join(tmpdir(), '100x-bench-'));
  const repository = await sampleRepository(dir);
  const times = [];
  let rss, pss;
  for (let i = 0; i < 3; i++) {
    const began = process.hrtime.bigint();
    const child = spawn(python, [path.join(root, 'worker/aider/acp_aider.py'), '--session-dir', path.join(dir, 'session'),
      '--model', 'openai/practice', '--permission', 'allow', '--'], { cwd: repository, stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: process.env.PATH, HOME: dir, LANG: 'C.UTF-8', OPENAI_API_BASE: `http://127.0.0.1:${model.port}/v1`, OPENAI_API_KEY: 'x' } });
    const lines = createInterface({ input: child.stdout });
    const answers = new Map();
    lines.on('line', (line) => {
      const message = JSON.parse(line);
      answers.get(message.id)?.(message);
    });
    const ask = (id, method, params) => new Promise((resolve) => {
      answers.set(id, resolve);
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    });
    await ask(1, 'initialize', { protocolVersion: 1, clientCapabilities: {} });
    await ask(2, 'session/new', { cwd: repository, mcpServers: [] });
    times.push(Number(process.hrtime.bigint() - began) / 1e6);
    rss = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024;
    pss = pssKb(child.pid) / 1024;
    const gone = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
  await model.stop();
  await rm(dir, { recursive: true, force: true });
  times.sort((a, b) => a - b);
  report('real aider: start to ACP session (median of 3)', ms(times[1]), '<= 150 ms from a warm parent', 'each starts cold here; upstream 5 to 20 s');
  report('real aider: memory when ready (RSS / PSS)', `${rss.toFixed(0)} / ${pss.toFixed(0)} MB`, '<= 60 MB unique');
}

if (want('floor')) await floors();
title('Measured                                                                        value   bar');
if (want('idle')) for (const [agents, turns] of [[1, 100], [10, 60], [100, 15]]) await idle(agents, turns);
if (want('latency')) await latency(10, 10, 100, 10);
if (want('memory')) await memory();
if (want('restart')) await restart({ report, quantile, ms });
await store({ report, ms }, want);
await page({ report, quantile, ms }, want);
if (want('aider')) await aider();
if (process.env.BENCH_JSON) await writeFile(process.env.BENCH_JSON, JSON.stringify(rows, null, 1));
