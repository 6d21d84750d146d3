// A7: how soon something that was killed runs again, beside the supervisors that Debian
// packages: runit, s6, supervisord (scripts/bench installs them; one that is not there is
// left out).
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { build, makeRepository, run, startStack, support } from '../support/stack.mjs';

const probe = async (parent, pid, name, ...more) => {
  const { code, stdout, stderr } = await run(path.join(build, 'bench', 'restart_probe'), [String(parent), String(pid), name, ...more]);
  if (code !== 0) throw new Error(`restart_probe: ${stderr}`);
  return JSON.parse(stdout);
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function ourWorkers(count) {
  const stack = await startStack();
  const repository = await makeRepository(stack.dir);
  const stamps = path.join(stack.dir, 'stamps');
  await mkdir(stamps);
  const wrapper = path.join(stack.dir, 'agent');
  const script = { turns: [{ steps: [{ text: 'started\n' }, { silence_ms: 3600000 }] }] };
  // Each keeps its conversation in its session's folder, beside the workspace it starts in.
  await writeFile(wrapper, `#!/bin/sh\nexec ${support('scripted_agent')} --stamps ${stamps}/$$ --memory ${stamps}/memory.$(basename "$(dirname "$PWD")") -e '${JSON.stringify(script)}'\n`, { mode: 0o755 });
  await stack.ask('config.set', { general: { max_working: count, agent_command: [wrapper] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'go' }], agents_per_task: count, manager: false });
  const workers = [], gates = [], sessions = [];
  for (const agent of tasks[0].agents) {
    await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the first turn', 60000, { agent });
  }
  for (const agent of tasks[0].agents) {
    const { pid } = await stack.ask('agent.show', { agent });
    const before = new Set(await readdir(stamps));
    const { killed_ns: killed, ns, gate_ns: gate } = await probe(stack.supervisor.pid, pid, '100x-worker', 'gate');
    workers.push(ns / 1e6);
    gates.push(gate / 1e6);
    // Its session is loaded: the first "ready" of the new coding agent.
    for (let i = 0; i < 500; i++) {
      const fresh = (await readdir(stamps)).find((name) => !before.has(name) && !name.startsWith('memory'));
      const line = fresh && (await readFile(path.join(stamps, fresh), 'utf8')).split('\n').find((l) => l.startsWith('ready'));
      if (line) {
        sessions.push((Number(line.split(' ')[2]) - killed) / 1e6);
        break;
      }
      await sleep(20);
    }
  }
  for (const agent of tasks[0].agents) await stack.ask('agent.stop', { agent });
  const left = await stack.stop();
  if (left.length) console.log('  left behind:', left);
  return { workers, gates, sessions };
}

const childrenOf = async (pid) => (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').filter(Boolean).map(Number);
const nameOf = async (pid) => (await readFile(`/proc/${pid}/comm`, 'utf8')).trim();

async function untilChild(parent, name) {
  for (let i = 0; i < 500; i++) {
    for (const pid of await childrenOf(parent)) if ((await nameOf(pid)) === name) return pid;
    await sleep(20);
  }
  throw new Error(`no ${name} under ${parent}`);
}

// The trivial program is sleep, started by a script that does nothing else.
const peers = [
  { name: 'runit', command: 'runsv', start: (dir) => ['runsv', [path.join(dir, 'service')]] },
  { name: 's6', command: 's6-supervise', start: (dir) => ['s6-supervise', [path.join(dir, 'service')]] },
  { name: 'supervisord', command: 'supervisord', start: (dir) => ['supervisord', ['-n', '-c', path.join(dir, 'supervisord.conf')]] },
];

async function peerTimes(peer, count) {
  if ((await run('sh', ['-c', `command -v ${peer.command}`])).code !== 0) return null;
  const dir = await mkdtemp(path.join(tmpdir(), '100x-bench-'));
  await mkdir(path.join(dir, 'service'));
  await writeFile(path.join(dir, 'service', 'run'), '#!/bin/sh\nexec sleep 1000000\n');
  await chmod(path.join(dir, 'service', 'run'), 0o755);
  await writeFile(path.join(dir, 'supervisord.conf'), `[supervisord]\nnodaemon=true\npidfile=${dir}/pid\nlogfile=/dev/null\nlogfile_maxbytes=0\n` +
    '[program:sleep]\ncommand=sleep 1000000\nautorestart=true\n');
  const [command, args] = peer.start(dir);
  const child = spawn(command, args, { stdio: 'ignore', cwd: dir });
  const times = [];
  for (let i = 0; i < count; i++) {
    const pid = await untilChild(child.pid, 'sleep');
    await sleep(1200); // all three wait longer after a run of less than a second
    const { ns } = await probe(child.pid, pid, 'sleep');
    if (ns >= 0) times.push(ns / 1e6);
  }
  const last = await untilChild(child.pid, 'sleep');
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  process.kill(last, 'SIGTERM');
  await ended;
  await rm(dir, { recursive: true, force: true });
  return times;
}

export async function restart({ report, quantile, ms }) {
  const tell = (list) => {
    list.sort((a, b) => a - b);
    return `${ms(quantile(list, 0.5))} / ${ms(quantile(list, 0.99))}`;
  };
  const { workers, gates, sessions } = await ourWorkers(20);
  report('A7 kill -9 of a worker to its successor (p50 / p99)', tell(workers), 'p50 <= 3 ms, p99 <= 15 ms',
    `${workers.length} agents, first death of each; it loads itself, and waits at its gate`);
  report('A7 … until it may work', tell(gates), '', 'what the old one left is gone, epoch and pid are committed');
  report('A7 … to its coding agent with the session loaded', tell(sessions), '', `${sessions.length} of them`);
  for (const peer of peers) {
    const times = await peerTimes(peer, 5);
    if (times) report(`A7 ${peer.name}, kill -9 of sleep to its successor`, tell(times), '', `${times.length} kills, after 1.2 s each`);
    else report(`A7 ${peer.name}`, 'not installed', '', `apt-get install ${peer.name === 'supervisord' ? 'supervisor' : peer.name}`);
  }
}
