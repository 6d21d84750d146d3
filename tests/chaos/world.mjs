// A whole world to break: real supervisor, workers, webui, scripted agents, a practice
// model, a real smart-HTTP git server and the double of GitHub; somebody who listens to the
// events all the while; and the checker, which reads everything at the end and proves that
// nothing was lost, doubled or left behind.
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Disk } from '../support/disk.mjs';
import { coderOf } from '../support/processes.mjs';
import { subscribe } from '../support/sp.mjs';
import { deadline, freePort, patience, startPracticeModel, startStack, support } from '../support/stack.mjs';
import { seedRepository, startGitHttp } from '../support/git_server.mjs';
import { startGithubDouble } from '../support/github_double.mjs';

const TOKEN = 'ghp_token_of_the_chaos_test';
export const ENDED = ['done', 'failed', 'stopped'];
const AT_REST = [...ENDED, 'waiting', 'paused'];

// A small generator of random numbers: the same seed, the same run of decisions.
export function randomFrom(seed) {
  let a = seed >>> 0;
  const next = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return { next, below: (n) => Math.floor(next() * n), of: (list) => list[Math.floor(next() * list.length)] };
}

// What the scripted agent does in each turn: says something, works for a while, commits.
export const work = (ms) => ({
  load_session: true,
  turns: [{ steps: [{ text: 'started\n' }, { run: 'setsid sleep 900 </dev/null >/dev/null 2>&1 &' }, { silence_ms: ms }, { run: 'date +%s.%N >> work.txt' },
    { usage: { model: 'openai/x', tokens_in: 100, tokens_out: 10, tokens_cached: 1, dollars: 0.001 } },
    { text: 'half\n' }, { silence_ms: ms }, { commit: 'More work' }] }],
});

const decide = (action) => JSON.stringify({ progress: 'Some is done.', thought: 'It goes on.', action, future: 'More of it.' });

// The manager's model: two instructions, sometimes a third, then the end; and descriptions.
const model = {
  rules: [
    { user: 'Describe this change for a pull request', answer: JSON.stringify({ title: 'More work', body: 'As asked.', labels: [], reviewers: [] }) },
    { system: 'You are agent', user_regex: '(/instruct work once more.*){2}', answer: decide('/finish') },
    { system: 'You are agent', answer: decide('/instruct work once more') },
  ],
};

function cmdline(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  } catch {
    return [];
  }
}

// Whose coding agent it is: behind a guard, or two where there is a PID namespace. What
// such a guard has adopted comes behind the one that it has started.
function workerOf(pid) {
  let above = Number(stat(pid)[1]);
  if (coderOf(above) !== pid) return 0;
  while (path.basename(cmdline(above)[0] ?? '') === '100x-guard') above = Number(stat(above)[1]);
  return above;
}

function mentions(pid, text) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text) || readFileSync(`/proc/${pid}/environ`, 'latin1').includes(text);
  } catch {
    return false;
  }
}

export const commandOf = (pid) => cmdline(pid).join(' ').slice(0, 200);

const pids = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);

// Hears the events as a stranger would: what was seen, and in which connection.
class Listener {
  constructor(socket) {
    this.seen = [];
    this.waiting = [];
    this.connection = 0;
    this.subscription = subscribe(socket, { frame: (data) => this.take(data), dialled: () => this.connection++ });
  }

  take(data) {
    const at = data.indexOf(10);
    const [topic, kind, id] = data.subarray(0, at).toString('utf8').split(' ');
    this.seen.push({ connection: this.connection, id: Number(id), topic, kind, body: data.subarray(at + 1).toString('utf8') });
    for (const wake of this.waiting.splice(0)) wake();
  }

  // Resolves once it has heard this event, or a later one.
  async reaches(id) {
    while ((this.seen.at(-1)?.id ?? 0) < id) await new Promise((wake) => this.waiting.push(wake));
  }

  stop() {
    this.subscription.stop();
  }
}

export class World {
  static async start(options = {}) {
    const world = new World();
    await world.open(options);
    return world;
  }

  // options: env, turnMs, maxWorking, webui, listener (bools), shared (as of openShared),
  // script (of the scripted agent; null: real aider), files (of the repository), disk (bool: the
  // state lies on one whose power can be cut)
  async open({ env = {}, turnMs = 1200, maxWorking = 10, webui = true, listener = true, shared, script, files, disk = false } = {}) {
    this.problems = [];
    this.kills = {};
    this.withoutPull = new Set(); // agents of which no pull request is wanted
    this.shared = shared ?? (await World.openShared());
    this.owns = !shared;
    this.stack = await startStack({ supervisor: false, practice: this.shared.model.port, env: {
      GITHUB_TOKEN: TOKEN, GITHUB_API_URL: this.shared.github.url, HUNDREDX_TOKEN_HOST: '127.0.0.1', ...env } });
    this.dir = this.stack.dir;
    this.stack.env.TMPDIR = path.join(this.dir, 'tmp'); // so that nothing may stay there
    await mkdir(this.stack.env.TMPDIR);
    this.powered = Promise.resolve();
    if (disk) {
      this.disk = await Disk.make(this.dir);
      this.stack.stateDir = path.join(this.disk.folder, 'state');
    }
    this.script = path.join(this.dir, 'script.json');
    this.repositoryName = `octo/r${this.shared.count++}`;
    this.bare = seedRepository(this.shared.server.root, this.repositoryName, files);
    this.pulls = [];
    this.shared.github.repositories.set(this.repositoryName, {
      name: this.repositoryName, defaultBranch: 'main', branches: null, collaborators: new Set(), pulls: this.pulls });
    await writeFile(this.script, JSON.stringify(script ?? work(turnMs)));
    await mkdir(this.stack.runDir, { recursive: true, mode: 0o700 });
    if (listener) this.listener = new Listener(path.join(this.stack.runDir, 'events.ipc'));
    this.general = { max_working: maxWorking,
      agent_command: script === null ? [] : [support('scripted_agent'), '--script', this.script, '--memory', '../session/memory'] };
    this.stopping = false;
    this.wantsWebui = webui;
    this.port = webui ? await freePort() : 0;
  }

  // A git server, the double of GitHub and a model, for one world or several.
  static async openShared({ scripted = true } = {}) {
    const root = await mkdtemp(path.join(tmpdir(), '100x-chaos-'));
    const file = path.join(root, 'model.json');
    await writeFile(file, JSON.stringify(model));
    const server = await startGitHttp({ token: TOKEN, root: path.join(root, 'repositories') });
    const github = await startGithubDouble({ token: TOKEN, repositories: {} });
    const practice = await startPracticeModel(scripted ? { script: file } : {});
    return { root, server, github, model: practice, count: 1 };
  }

  static async closeShared(shared) {
    await Promise.all([shared.server.stop(), shared.github.stop(), shared.model.stop()]);
    await rm(shared.root, { recursive: true, force: true });
  }

  // --- processes ---

  // Ours by kind: supervisor, worker, errand, webui, coder (of a worker, not what it left).
  // A child between fork and exec still has its parent's command line; it is none of them.
  processes() {
    const found = { supervisor: [], worker: [], errand: [], webui: [], coder: [] };
    const coders = [];
    for (const pid of pids()) {
      const argv = cmdline(pid);
      if (!argv.some((word) => word.includes(this.dir))) continue;
      const name = path.basename(argv[0]);
      if (name === '100x-supervisor') found.supervisor.push(pid);
      else if (name === '100x-webui') found.webui.push(pid);
      else if (name === '100x-worker') found[argv.includes('--errand') ? 'errand' : 'worker'].push(pid);
      else if (name === '100x-guard') continue;
      else if (name === 'scripted_agent' || argv.some((word) => word.endsWith('acp_aider.py'))) coders.push(pid);
    }
    for (const kind of ['supervisor', 'worker', 'webui']) found[kind] = found[kind].filter((pid) => !found[kind].includes(Number(stat(pid)[1])));
    found.coder = coders.filter((pid) => found.worker.includes(workerOf(pid)));
    return found;
  }

  // One agent's worker and coder: { worker, coder }.
  processesOf(agent) {
    const { worker, coder } = this.processes();
    const own = worker.find((pid) => cmdline(pid)[cmdline(pid).indexOf('--agent') + 1] === String(agent));
    return { worker: own, coder: coder.find((pid) => workerOf(pid) === own) };
  }

  // Every process that names our folder in its command line or environment.
  all() {
    return pids().filter((pid) => pid !== process.pid && mentions(pid, this.dir) && stat(pid)[0] !== 'Z');
  }

  kill(kind, pid) {
    if (!signal(pid, 'SIGKILL')) return false;
    this.kills[kind] = (this.kills[kind] ?? 0) + 1;
    return true;
  }

  // Everything at once; nothing is started meanwhile.
  killAll() {
    for (let left = this.all(); left.length; left = this.all()) {
      for (const pid of left) this.kill('all', pid);
    }
  }

  // The power goes: at one moment nobody writes any more, what was not flushed is gone, and so
  // is what lies in memory. Then it comes back, and everything starts again.
  async cutPower() {
    const { supervisor } = this.stack;
    let back;
    this.powered = new Promise((resolve) => { back = resolve; });
    for (let all = [], before = -1; all.length !== before;) {
      before = all.length;
      all = this.all();
      for (const pid of all) signal(pid, 'SIGSTOP');
    }
    await this.disk.cut();
    this.killAll();
    await deadline(supervisor.ended, 10000 * patience, 'the killed supervisor to die');
    await this.disk.unmount();
    for (const folder of [this.stack.runDir, this.stack.env.TMPDIR]) {
      for (const name of readdirSync(folder)) await rm(path.join(folder, name), { recursive: true });
    }
    await this.disk.mount();
    back();
  }

  // Starts what the driver is there to keep running, again whenever it dies.
  async up(env) {
    if (env) this.stack.env = { ...this.stack.env, ...env };
    await this.startSupervisor();
    await this.stack.ask('config.set', { general: this.general,
      models: { orchestrator: 'openai/practice', agent: 'openai/practice', aider: 'openai/practice' } }, undefined, 20);
    if (this.wantsWebui) this.startWebui();
  }

  spawn(name, args, again) {
    const child = this.stack.spawnProgram(name, args);
    child.ended.then(async ({ code, signal }) => {
      this.stack.children.splice(this.stack.children.indexOf(child), 1);
      if (this.stopping || (this.ending && signal !== 'SIGKILL')) return;
      if (signal !== 'SIGKILL') this.problems.push(`${name} ended by itself (${code ?? signal}): ${child.log.slice(-2000)}`);
      await this.powered;
      again(child);
    });
    return child;
  }

  async startSupervisor() {
    this.keepSupervisor();
    await this.answers(15000 * patience);
  }

  keepSupervisor() {
    this.stack.supervisor = this.spawn('100x-supervisor', [], () => this.keepSupervisor());
  }

  // withoutWebui: it stays dead until somebody starts it.
  startWebui() {
    this.withoutWebui = false;
    this.stack.webui = this.spawn('100x-webui', ['--port', String(this.port)], () => this.withoutWebui || this.startWebui());
  }

  // How long the supervisor takes to answer, ms.
  async answers(limit = 10000) {
    const start = performance.now();
    await this.stack.ask('status', undefined, undefined, limit / 1000);
    return performance.now() - start;
  }

  webuiAnswers(limit = 10000) {
    const start = performance.now();
    return new Promise((resolve, reject) => {
      const attempt = () => {
        const request = http.get({ host: '127.0.0.1', port: this.port, path: '/', agent: false }, (answer) => {
          answer.resume();
          resolve(performance.now() - start);
        });
        // One that listens and never answers would be waited for for ever.
        request.setTimeout(limit, () => request.destroy(new Error(`the page does not answer within ${limit} ms`)));
        request.on('error', (error) => {
          if (performance.now() - start >= limit) reject(error);
          else setTimeout(attempt, 10);
        });
      };
      attempt();
    });
  }

  // --- agents ---

  async create(n, params = {}) {
    const { tasks } = await this.stack.ask('task.create', { repository: `${this.shared.server.url}/${this.repositoryName}.git`,
      tasks: [{ title: 'More work', description: 'Work until there is enough.' }], agents_per_task: n,
      test_command: 'test $(git rev-list --count HEAD) -ge 3', manager: false, ...params });
    const agents = tasks.flatMap((task) => task.agents);
    if (params.pull_request === false) for (const agent of agents) this.withoutPull.add(agent);
    return agents;
  }

  async agents() {
    const rows = [];
    for (let after = 0, more = true; more;) {
      const page = await this.stack.ask('agent.list', { after });
      rows.push(...page.agents);
      more = page.more;
      after = rows.at(-1)?.id ?? 0;
    }
    return rows;
  }

  // Waits until no agent moves any more; those that failed get one more try each.
  async settle(ms) {
    const until = Date.now() + ms * patience;
    const retried = new Set();
    for (let after = 0; ;) {
      const rows = await this.agents();
      const moving = rows.filter((row) => !AT_REST.includes(row.state));
      const stuck = rows.filter((row) => AT_REST.includes(row.state) && !['done', 'stopped'].includes(row.state) && !retried.has(row.id));
      for (const { id, state } of stuck) {
        retried.add(id);
        await this.stack.ask(state === 'failed' ? 'agent.retry' : 'agent.resume', { agent: id }).catch(() => {});
      }
      if (!moving.length && !stuck.length) return rows;
      if (Date.now() > until) {
        throw new Error(`agents that do not end: ${moving.map((r) => `${r.id} ${r.state} ${r.reason}`).join('; ')}`);
      }
      ({ last: after } = await this.stack.ask('events.after', { after: Math.max(after, (await this.stack.ask('status')).last_event),
        kinds: ['state'], wait_ms: 2000 }));
    }
  }

  // --- the end ---

  // In order; a supervisor that dies on the way is started and asked again.
  async down() {
    for (;;) {
      const { supervisor } = this.stack;
      supervisor.kill('SIGTERM');
      this.ending = true;
      const { signal } = await deadline(supervisor.ended, 20000 * patience, 'the supervisor to end');
      if (signal !== 'SIGKILL') break;
      await this.answers(); // before, SIGTERM would just end it
    }
    this.stopping = true;
    const rest = [...this.stack.children];
    for (const child of rest) child.kill('SIGTERM');
    await deadline(Promise.all(rest.map((child) => child.ended)), 20000 * patience, 'the programs to end');
  }

  async close() {
    this.listener?.stop();
    this.stack.stopped.abort();
    this.stopping = true;
    this.killAll();
    await Promise.all(this.stack.children.map((child) => child.ended));
    if (!process.env.KEEP_STACK) {
      await this.disk?.remove();
      await rm(this.dir, { recursive: true, force: true });
    }
    if (this.owns) await World.closeShared(this.shared);
  }
}

// False: it had ended by itself.
function signal(pid, name) {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}

// State and parent, as in /proc/PID/stat behind the name.
function stat(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return ['Z', '0'];
  }
}
