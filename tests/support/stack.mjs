// The real programs in a temporary home: supervisor, workers, webui, the practice
// model, and what a test asks of them. Everything started here is ended by stop().
import { spawn, execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { randomBytes } from 'node:crypto';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { request } from './sp.mjs';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const mode = process.env.MODE ?? 'release';
export const build = path.join(root, 'build', mode);
export const program = (name) => path.join(build, name);
export const support = (name) => path.join(build, 'tests', name);

// A sanitizer makes everything several times slower; deadlines grow with it.
export const patience = mode === 'release' ? 1 : 4;

export async function freePort() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// Resolves with the first truthy answer of `ask`, woken by `wake` (an EventEmitter's
// event) instead of by the clock; fails after `ms` telling `what`.
export function deadline(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Milliseconds that a process was on a processor, all its threads together: what it costs,
// whatever else the machine does meanwhile.
export function spentMs(pid) {
  let ns = 0;
  // One after the other without the loop in between: the page has hundreds of threads.
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  }
  return ns / 1e6;
}

export async function run(command, args, options = {}) {
  return await new Promise((resolve, reject) => {
    const child = execFile(command, args, { maxBuffer: 64 << 20, ...options }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number' && !error.signal) reject(error);
      else resolve({ code: error ? (error.code ?? 1) : 0, signal: error?.signal, stdout, stderr });
    });
    child.stdin.on('error', () => {}); // it may end without reading
    child.stdin.end(options.input ?? '');
  });
}

export async function git(cwd, ...args) {
  const result = await run('git', ['-C', cwd, '-c', 'user.name=Test', '-c', 'user.email=test@example.org', ...args],
    { env: { PATH: process.env.PATH, HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' } });
  if (result.code !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`);
  return result.stdout.trim();
}

// A repository with the given files on branch main; returns its path.
export async function makeRepository(parent, files = { 'README.md': '# sample\n' }, name = 'origin') {
  const repository = path.join(parent, name);
  await mkdir(repository, { recursive: true });
  await git(parent, 'init', '-q', '-b', 'main', repository);
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(repository, file)), { recursive: true });
    await writeFile(path.join(repository, file), text);
  }
  await git(repository, 'add', '-A');
  await git(repository, 'commit', '-q', '-m', 'first');
  return repository;
}

// The sample project the demonstration uses, as a repository.
export async function sampleRepository(parent) {
  const repository = path.join(parent, 'sample');
  await cp(path.join(root, 'tests/support/sample'), repository, { recursive: true });
  await git(parent, 'init', '-q', '-b', 'main', repository);
  await git(repository, 'add', '-A');
  await git(repository, 'commit', '-q', '-m', 'sample');
  return repository;
}

// Starts a program that tells its port as a JSON line on stdout.
export async function startServer(command, args, env = process.env) {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const first = await deadline(Promise.race([once(lines, 'line'), once(child, 'exit').then(([code]) => {
    throw new Error(`${command} ended with ${code}`);
  })]), 20000 * patience, `${command} to tell its port`);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  };
  return { child, stop, ...JSON.parse(first[0]) };
}

export async function startPracticeModel(options = {}) {
  const args = ['--port', '0'];
  if (options.script) args.push('--script', options.script);
  if (options.log) args.push('--log', options.log);
  return await startServer(support('practice_model'), args);
}

class Stack {
  constructor(dir, env) {
    this.dir = dir;
    this.env = env;
    this.stateDir = path.join(dir, 'state');
    this.runDir = path.join(dir, 'run');
    this.children = [];
    this.feeds = [];
    this.stopped = new AbortController();
  }

  url(name) {
    return `ipc://${path.join(this.runDir, name)}`;
  }

  spawnProgram(name, args) {
    const child = spawn(this.bin ? path.join(this.bin, name) : program(name), ['--state-dir', this.stateDir, '--run-dir', this.runDir, ...args],
      { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.log = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => {
      child.log = (child.log + chunk).slice(-65536);
      if (process.env.TEST_VERBOSE) process.stderr.write(chunk);
    });
    child.ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
    child.closed = once(child, 'close').then(([code, signal]) => ({ code, signal })); // all it said is in its log
    this.children.push(child);
    return child;
  }

  async startSupervisor(args = []) {
    this.supervisor = this.spawnProgram('100x-supervisor', args);
    await deadline(Promise.race([this.ask('status'), this.supervisor.ended.then(({ code, signal }) => {
      throw new Error(`supervisor ended (${code ?? signal}): ${this.supervisor.log}`);
    })]), 15000 * patience, 'the supervisor to answer');
  }

  // One control request. The same id is the same question: what changes something does it once.
  async ask(method, params, id = randomBytes(16).toString('hex'), timeoutSeconds = 90) {
    const question = JSON.stringify({ jsonrpc: '2.0', id, method, ...(params ? { params } : {}) });
    const answer = JSON.parse(await request(path.join(this.runDir, 'control.ipc'), question,
      { timeoutMs: timeoutSeconds * 1000, signal: this.stopped.signal }).catch((error) => {
      throw new Error(`${method}: ${error.message}`);
    }));
    if (answer.error) {
      const error = new Error(answer.error.message);
      error.code = answer.error.code;
      error.kind = answer.error.data?.kind;
      throw error;
    }
    return answer.result;
  }

  // All events of the store from the beginning, then as they come: calls `see` for each
  // until it returns something truthy, which is the result.
  async until(see, what, ms = 60000, params = {}) {
    const deadlineAt = Date.now() + ms * patience;
    let after = params.after ?? 0;
    for (;;) {
      const left = deadlineAt - Date.now();
      if (left <= 0) throw new Error(`${what}: not within ${ms * patience} ms`);
      const { events, last } = await this.ask('events.after',
        { ...params, after, limit: 500, wait_ms: Math.min(15000, Math.max(1, left)) });
      for (const event of events) {
        if (typeof event.body === 'string') event.body = JSON.parse(event.body);
        const result = see(event);
        if (result) return result;
      }
      after = Math.max(after, last ?? 0);
    }
  }

  untilState(agent, states, ms) {
    const wanted = [states].flat();
    return this.until((e) => e.stream === 'agent' && e.subject === agent && e.kind === 'state' &&
      wanted.includes(e.body.state) && e.body, `agent ${agent} to be ${wanted.join(' or ')}`, ms, { agent });
  }

  async events(agent, kinds) {
    const all = [];
    for (let after = 0; ;) {
      const { events, last } = await this.ask('events.after',
        { after, limit: 1000, ...(agent ? { agent } : {}), ...(kinds ? { kinds } : {}) });
      if (!events.length) return all;
      for (const event of events) all.push({ ...event, body: typeof event.body === 'string' ? JSON.parse(event.body) : event.body });
      after = last;
    }
  }

  ctl(...args) {
    return run(program('100x'), ['--state-dir', this.stateDir, '--run-dir', this.runDir, ...args], { env: this.env });
  }

  async startWebui(options = {}) {
    this.port = options.port ?? (await freePort());
    this.webui = this.spawnProgram('100x-webui', ['--port', String(this.port), ...(options.args ?? [])]);
    await deadline(Promise.race([this.httpReady(), this.webui.ended.then(({ code, signal }) => {
      throw new Error(`webui ended (${code ?? signal}): ${this.webui.log}`);
    })]), 15000 * patience, 'the webui to answer');
    const token = path.join(this.stateDir, 'webui.token');
    if (existsSync(token)) this.token = (await readFile(token, 'utf8')).trim();
  }

  // The sign-in URL is printed once the port is open: that line is the event.
  async httpReady() {
    while (!this.webui.log.includes('/sign-in?token=')) await once(this.webui.stdout, 'data');
  }

  // Ends everything, then tells which of our processes are left (should be none).
  async stop() {
    for (const child of this.children.reverse()) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await deadline(child.ended, 20000 * patience, `${child.spawnfile} to end`).catch((error) => {
          child.kill('SIGKILL');
          throw error;
        });
      }
    }
    this.stopped.abort(); // questions that nobody waits for any more
    const left = await this.survivors();
    if (!process.env.KEEP_STACK) await rm(this.dir, { recursive: true, force: true });
    return left;
  }

  // Processes that name our folder in their command line or environment.
  async survivors() {
    const { stdout } = await run('bash', ['-c',
      'for p in /proc/[0-9]*; do if tr "\\0" "\\n" <"$p/cmdline" 2>/dev/null | grep -qF "$DIR" && ' +
      '[ "${p#/proc/}" != $$ ]; then echo "${p#/proc/} $(tr "\\0" " " <"$p/cmdline")"; fi; done; true'],
    { env: { PATH: process.env.PATH, DIR: this.dir } });
    return stdout.split('\n').filter((line) => line && !line.includes('bash -c'));
  }
}

// options: env (added), bin (a folder to take the programs from), practice (port of a practice model), agentCommand (array),
// supervisor: false to start none yet.
export async function startStack(options = {}) {
  const dir = await mkdtemp(path.join(tmpdir(), '100x-test-'));
  const home = path.join(dir, 'home');
  await mkdir(home);
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    LANG: 'C.UTF-8',
    HUNDREDX_DATA_DIR: process.env.HUNDREDX_DATA_DIR ??
      path.join(process.env.XDG_DATA_HOME ?? path.join(homedir(), '.local/share'), '100x'),
    ...(process.env.ASAN_OPTIONS ? { ASAN_OPTIONS: process.env.ASAN_OPTIONS } : {}),
    ...options.env,
  };
  if (options.practice) {
    env.OPENAI_API_BASE = `http://127.0.0.1:${options.practice}/v1`;
    env.OPENAI_API_KEY = 'practice-key-of-the-test';
  }
  const stack = new Stack(dir, env);
  stack.bin = options.bin;
  if (options.supervisor !== false) {
    await stack.startSupervisor();
    if (options.practice) {
      await stack.ask('config.set', { models: { orchestrator: 'openai/practice', agent: 'openai/practice', aider: 'openai/practice' } });
    }
    if (options.agentCommand) await stack.ask('config.set', { general: { agent_command: options.agentCommand } });
  }
  return stack;
}
