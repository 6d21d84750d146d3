// Under a service manager, played by the test, and under plain `100x up`: what crashes or
// hangs is started again, and the agents do not notice.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { access, chmod, constants, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { build, deadline, freePort, makeRepository, patience, program, root, run, startStack, support } from '../support/stack.mjs';

// The manager's end of NOTIFY_SOCKET: every datagram that came, and a wait for the next.
class Manager {
  constructor(socket) {
    this.socket = socket;
    this.said = [];
    this.child = spawn(support('notify_manager'), [socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout });
  }

  async start() {
    await once(this.lines, 'line');
    this.lines.on('line', (line) => this.said.push(JSON.parse(line)));
    return this;
  }

  // The first datagram from number `from` on that holds this line.
  async until(line, from = 0, ms = 20000) {
    const fits = (d) => (line instanceof RegExp ? line.test(d.text) : d.text.split('\n').includes(line));
    const wait = async () => {
      for (;;) {
        const at = this.said.findIndex((d, i) => i >= from && fits(d));
        if (at >= 0) return this.said[at];
        await once(this.lines, 'line');
      }
    };
    return await deadline(wait(), ms * patience, `${line} after ${JSON.stringify(this.said.slice(-4))}`);
  }

  async stop() {
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

const managed = async (socket, watchdogMs) => ({ manager: await new Manager(socket).start(),
  env: { NOTIFY_SOCKET: socket, ...(watchdogMs ? { WATCHDOG_USEC: String(watchdogMs * 1000) } : {}) } });

// 0: the file is not there (yet, or until it is started again).
const pidOf = async (stack, name) => Number((await readFile(path.join(stack.stateDir, name), 'utf8').catch((error) => {
  if (error.code === 'ENOENT') return '0';
  throw error;
})).split(/\s/)[0]);

async function untilTrue(ask, what, ms = 20000) {
  const end = Date.now() + ms * patience;
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${ms * patience} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function alive(pid) {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

// An agent in the middle of its first turn.
async function busyAgent(stack) {
  const repository = await makeRepository(stack.dir);
  const script = { turns: [{ steps: [{ text: 'started\n' }, { silence_ms: 600000 }] }] };
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(script)] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'go' }], manager: false });
  const agent = tasks[0].agents[0];
  await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the first turn', 30000, { agent });
  return { agent, worker: (await stack.ask('agent.show', { agent })).pid };
}

// As the service's main process.
function upForeground(stack, args, env = {}) {
  const child = spawn(program('100x'), ['up', '--foreground', '--state-dir', stack.stateDir, '--run-dir', stack.runDir, ...args],
    { env: { ...stack.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  child.out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => {
    child.out += chunk;
    if (process.env.TEST_VERBOSE) process.stderr.write(chunk);
  });
  child.ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  return child;
}

const answers = async (port) => {
  try {
    return (await fetch(`http://127.0.0.1:${port}/api/v1/session`, { signal: AbortSignal.timeout(2000) })).status > 0;
  } catch {
    return false;
  }
};

test('the supervisor tells when it answers, how it is, that it lives, and that it ends', async () => {
  const socket = `@100x-test-${process.pid}-supervisor`;
  const { manager, env } = await managed(socket, 400 * patience);
  const stack = await startStack({ supervisor: false, env });
  stack.supervisor = stack.spawnProgram('100x-supervisor', []);
  const ready = await manager.until('READY=1');
  assert.equal(ready.pid, stack.supervisor.pid);
  assert.match(ready.text, /^STATUS=0 working, 0 waiting$/m);
  assert.equal((await stack.ask('status')).pid, ready.pid);
  for (let i = 0, from = 0; i < 3; i++) from = manager.said.indexOf(await manager.until('WATCHDOG=1', from)) + 1;

  const { worker } = await busyAgent(stack);
  await manager.until('STATUS=1 working, 0 waiting');
  const environment = readFileSync(`/proc/${worker}/environ`, 'utf8');
  assert.ok(!environment.includes('NOTIFY_SOCKET') && !environment.includes('WATCHDOG'), 'no worker speaks for it');

  // A loop that hangs falls silent, and nothing else gives the sign of life for it.
  stack.supervisor.kill('SIGSTOP');
  await untilTrue(() => / T /.test(readFileSync(`/proc/${stack.supervisor.pid}/stat`, 'utf8')), 'to stop');
  await new Promise((resolve) => setTimeout(resolve, 100)); // what was under way arrives
  let from = manager.said.length;
  await new Promise((resolve) => setTimeout(resolve, 1200 * patience));
  assert.equal(manager.said.length, from, 'silent');
  stack.supervisor.kill('SIGCONT');
  await manager.until('WATCHDOG=1', from);
  assert.ok(alive(worker));

  stack.supervisor.kill('SIGTERM');
  await manager.until('STOPPING=1', from);
  assert.deepEqual(await stack.stop(), []);
  await manager.stop();
});

test('without a watchdog it tells the rest', async () => {
  const { manager, env } = await managed(`@100x-test-${process.pid}-plain`, 0);
  const stack = await startStack({ env });
  await manager.until('READY=1');
  await stack.ask('supervisor.down', {});
  await manager.until('STOPPING=1');
  assert.equal(manager.said.filter((d) => d.text.includes('WATCHDOG')).length, 0);
  assert.deepEqual(await stack.stop(), []);
  await manager.stop();
});

test('up --foreground as a service: ready when all answers; what crashes or hangs is started again', async () => {
  const stack = await startStack({ supervisor: false });
  const { manager, env } = await managed(path.join(stack.dir, 'notify'), 1000 * patience);
  const port = await freePort();
  const service = upForeground(stack, ['--port', String(port)], { ...env, JOURNAL_STREAM: '1:2' });
  const ready = await manager.until('READY=1');
  assert.equal(ready.pid, service.pid, 'the main process speaks');
  assert.ok(await answers(port), 'the page answers');
  await manager.until('STATUS=0 working, 0 waiting');
  const { agent, worker } = await busyAgent(stack);
  await manager.until('STATUS=1 working, 0 waiting');

  const supervisor = async () => (await stack.ask('status')).pid;
  const replaced = async (old) => {
    await untilTrue(() => !alive(old), 'the old one to be gone');
    const now = await supervisor();
    assert.notEqual(now, old);
    assert.equal((await stack.ask('agent.show', { agent })).pid, worker, 'the same worker');
    return now;
  };
  let pid = await supervisor();
  process.kill(pid, 'SIGKILL');
  pid = await replaced(pid);
  process.kill(pid, 'SIGSTOP');
  pid = await replaced(pid);
  assert.match(service.out, /the supervisor, pid \d+, has given no sign of life for \d+ s/);

  for (const signal of ['SIGKILL', 'SIGSTOP']) {
    const page = await pidOf(stack, 'webui.pid');
    process.kill(page, signal);
    await untilTrue(async () => ![0, page].includes(await pidOf(stack, 'webui.pid')), 'another page');
    assert.ok(await answers(port), `after ${signal}`);
  }
  assert.equal(await supervisor(), pid, 'the supervisor did not notice');
  assert.ok(alive(worker), 'nor did the agent');

  // The main process itself is watched by its manager: stopped, it is silent.
  const from = manager.said.length;
  await manager.until('WATCHDOG=1', from);
  service.kill('SIGTERM');
  await manager.until('STOPPING=1', from);
  assert.deepEqual(await deadline(service.ended, 30000 * patience, 'to end'), { code: 0, signal: null });
  assert.ok(!alive(worker), 'the agents are suspended');
  const token = (await readFile(path.join(stack.stateDir, 'webui.token'), 'utf8')).trim();
  assert.ok(!service.out.includes(token), 'no token in the journal');
  assert.ok(!manager.said.some((d) => d.text.includes(token)), 'nor in what it tells');
  await manager.stop();
  assert.deepEqual(await stack.stop(), []);
});

test('in the background, too; a keeper that was killed is followed by one that takes over', async () => {
  const stack = await startStack({ supervisor: false });
  const port = await freePort();
  const up = async (...args) => {
    const result = await stack.ctl('up', ...args);
    assert.equal(result.code, 0, result.stderr);
    return result.stdout;
  };
  await up('--no-webui');
  const { agent, worker } = await busyAgent(stack);
  const supervisor = (await stack.ask('status')).pid;
  const first = await pidOf(stack, 'keeper.pid');
  await up('--port', String(port)); // now with the page
  assert.ok(await answers(port));
  const second = await pidOf(stack, 'keeper.pid');
  assert.notEqual(second, first);
  await untilTrue(() => !alive(first), 'the first keeper to be gone');
  process.kill(second, 'SIGKILL');
  await untilTrue(() => !alive(second), 'the keeper to be gone');
  assert.match(await up('--port', String(port)), new RegExp(`http://localhost:${port}/sign-in\\?token=`));
  assert.equal((await stack.ask('status')).pid, supervisor, 'the same supervisor all along');
  assert.equal((await stack.ask('agent.show', { agent })).pid, worker);
  process.kill(supervisor, 'SIGKILL'); // not a child of its keeper
  await untilTrue(() => !alive(supervisor), 'the supervisor to be gone');
  await untilTrue(async () => (await stack.ctl('status')).code === 0, 'another supervisor');
  assert.equal((await stack.ask('agent.show', { agent })).pid, worker, 'the same worker');

  // Asked to go down it is not started again; the agents go on, and are taken up again.
  assert.equal((await stack.ctl('down', '--keep-agents')).code, 0);
  assert.equal((await stack.ctl('status')).code, 3);
  assert.ok(alive(worker));
  await up('--port', String(port));
  assert.equal((await stack.ask('agent.show', { agent })).pid, worker, 'the same worker');
  assert.equal((await stack.ctl('down')).code, 0);
  assert.ok(!alive(worker));
  assert.deepEqual(await stack.stop(), []);
});

test('many at once: one comes up, all tell the same', async () => {
  const stack = await startStack({ supervisor: false });
  const port = String(await freePort());
  const all = await Promise.all(Array.from({ length: 5 }, () => stack.ctl('up', '--json', '--port', port)));
  for (const { code, stderr } of all) assert.equal(code, 0, stderr);
  assert.equal(new Set(all.map(({ stdout }) => stdout)).size, 1);
  assert.equal((await stack.ctl('down')).code, 0);
  assert.deepEqual(await stack.stop(), []);
});

test('a supervisor that cannot run is not tried for ever', async () => {
  const stack = await startStack({ supervisor: false });
  await mkdir(stack.stateDir, { recursive: true });
  await writeFile(path.join(stack.stateDir, 'tasks.db'), 'this is no database, and has no copies');
  const result = await stack.ctl('up', '--no-webui');
  assert.equal(result.code, 1);
  assert.match(result.stderr, /tasks\.db/);
  const service = upForeground(stack, ['--no-webui']);
  assert.deepEqual(await deadline(service.ended, 20000 * patience, 'to give up'), { code: 1, signal: null }, 'not for a restart');
  assert.deepEqual(await stack.stop(), []);
});

// --- what make install puts in place: systemd's units, and the set-up of aider ---

let installed;

before(async () => {
  const stack = await startStack({ supervisor: false });
  installed = { stack, prefix: path.join(stack.dir, 'usr') };
  const made = await run('make', ['-C', root, 'install', `MODE=${path.basename(build)}`, `PREFIX=${installed.prefix}`], { env: { ...process.env, MAKEFLAGS: '' } });
  assert.equal(made.code, 0, made.stderr);
  installed.user = path.join(installed.prefix, 'share/systemd/user/100x.service');
  installed.system = path.join(installed.prefix, 'lib/systemd/system/100x@.service');
});

after(async () => {
  assert.deepEqual(await installed.stack.stop(), []);
});

test('without aider, doctor and new name the one command that installs it', async () => {
  const dataDir = path.join(installed.stack.dir, 'no-data');
  const repository = await makeRepository(installed.stack.dir, undefined, 'without-aider');
  for (const [bin, setup] of [[build, path.join(root, 'scripts/setup-aider')],
    [path.join(installed.prefix, 'bin'), path.join(installed.prefix, 'bin/100x-setup-aider')]]) {
    await access(setup, constants.X_OK);
    const stack = await startStack({ bin, env: { HUNDREDX_DATA_DIR: dataDir } });
    const ctl = (...args) => run(path.join(bin, '100x'), ['--state-dir', stack.stateDir, '--run-dir', stack.runDir, ...args], { env: stack.env });
    const doctor = await ctl('doctor', '--json');
    const made = await ctl('new', repository, '--task', 'go');
    assert.deepEqual(await stack.stop(), []);
    assert.equal(JSON.parse(doctor.stdout).findings.find((f) => f.subject === 'aider').mend, `install the pinned one: ${setup}`);
    assert.equal(made.code, 1);
    assert.ok(made.stderr.includes(`aider is not installed (no ${dataDir}/aider/bin/python): run ${setup}\n`), made.stderr);
  }
});

test('the units are sound, and closed as far as agents allow', async (t) => {
  for (const unit of [installed.user, installed.system]) {
    const text = await readFile(unit, 'utf8');
    assert.ok(!text.includes('@bindir@') && !text.includes('@common@'), text);
    for (const line of ['Type=notify', 'WatchdogSec=10', 'KillMode=process', 'Delegate=yes', 'NoNewPrivileges=yes', 'OOMPolicy=continue']) {
      assert.ok(text.split('\n').includes(line), `${line} in ${unit}`);
    }
  }
  if ((await run('systemd-analyze', ['--version']).catch(() => ({ code: 1 }))).code !== 0) return t.skip('systemd-analyze is not there');
  const env = { ...process.env, XDG_RUNTIME_DIR: installed.stack.dir, SYSTEMD_LOG_LEVEL: 'warning' };
  for (const args of [['--user', installed.user], [installed.system.replace('@', '@root')]]) {
    if (args.length === 1) await writeFile(args[0], await readFile(installed.system));
    const { code, stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', ...args], { env });
    assert.equal(`${code} ${stdout}${stderr}`.trim(), '0');
  }
  const { stdout } = await run('systemd-analyze', ['security', '--offline=true', '--no-pager', installed.system], { env });
  const level = Number(/exposure level for .*: ([0-9.]+)/.exec(stdout)?.[1]);
  assert.ok(level > 0 && level <= 4.5, `exposure ${level}`);
});

test('a restart of the service leaves the agents working, a stop suspends them', async () => {
  const { stack } = installed;
  const line = /^ExecStop=\/bin\/sh -c '(.*)'$/m.exec(await readFile(installed.user, 'utf8'))[1].replaceAll('%n', '100x.service');
  const folder = path.join(stack.dir, 'fake');
  await mkdir(folder);
  // What systemctl list-jobs prints for the job that is under way.
  await writeFile(path.join(folder, 'systemctl'), '#!/bin/sh\n[ "$2" = list-jobs ] && echo "417 $4 $JOB running"\n');
  await chmod(path.join(folder, 'systemctl'), 0o755);
  const env = { ...stack.env, PATH: `${folder}:${stack.env.PATH}`, HUNDREDX_STATE_DIR: stack.stateDir, HUNDREDX_RUN_DIR: stack.runDir };
  const port = String(await freePort());
  const start = async () => {
    const { manager, env: notify } = await managed(`@100x-test-${process.pid}-unit`, 10000);
    const service = upForeground(stack, ['--port', port], notify);
    await manager.until('READY=1');
    await manager.stop();
    return service;
  };
  const stopAs = async (service, job) => {
    const { code, stdout, stderr } = await run('/bin/sh', ['-c', line], { env: { ...env, JOB: job } });
    assert.equal(code, 0, stdout + stderr);
    assert.deepEqual(await deadline(service.ended, 10000 * patience, 'the main process to end'), { code: 0, signal: null });
  };
  let service = await start();
  const { agent, worker } = await busyAgent(stack);
  await stopAs(service, 'restart');
  assert.ok(alive(worker));
  service = await start();
  assert.equal((await stack.ask('agent.show', { agent })).pid, worker, 'the same worker');
  await stopAs(service, 'stop');
  assert.ok(!alive(worker));
  service = await start();
  await stack.untilState(agent, 'working');
  await stopAs(service, 'stop');
  assert.ok((await readdir(stack.runDir)).every((name) => !name.endsWith('.ipc')), 'no socket left');
});
