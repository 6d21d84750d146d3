// The n-th call fails: first for every n in the main paths by themselves (paths.c), then for
// a sample of n in the programs at work; FAULT_FULL=1 tries every n there, too.
// A failure names its n; that one alone (TEST_VERBOSE=1 shows what the programs say):
//   FAULT_NTH=13 node --test --test-name-pattern='100x-supervisor, malloc' tests/fault
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { build, deadline, makeRepository, program, run, startStack, support } from '../support/stack.mjs';

const FILES = ['open', 'read', 'write', 'fsync', 'ftruncate', 'rename', 'mkdir', 'mmap', 'malloc'];
const PATHS = {
  spool: FILES,
  session: FILES,
  store: FILES,
  backup: FILES,
  restore: FILES,
  workspace: FILES,
  child: ['open', 'pipe', 'fork', 'malloc'],
};

let dir, repository;
before(async () => {
  dir = await mkdtemp(path.join(tmpdir(), '100x-fault-'));
  repository = await makeRepository(dir);
});
after(() => rm(dir, { recursive: true }));

describe('a path with a failing call', { concurrency: 2 }, () => {
  for (const [name, calls] of Object.entries(PATHS)) {
    for (const call of calls) {
      test(`${name}, ${call}`, async (t) => {
        const env = { ...process.env, LD_PRELOAD: path.join(build, 'fault/libfault.so'), FAULT_REPOSITORY: repository };
        // There are thousands of n where memory is asked for: a part of them for each core.
        const parts = call === 'malloc' ? availableParallelism() : 1;
        await Promise.all(Array.from({ length: parts }, async (_, part) => {
          const { code, stdout, stderr } = await run(path.join(build, 'fault/paths'), [name, call, `${part + 1}`, `${parts}`], { env });
          assert.equal(code, 0, stdout + stderr);
          assert.match(stdout, / 0 wrong$/m);
          t.diagnostic(stdout.trim());
        }));
      });
    }
  }
});

// 1, 2, 3, 4, 6, 9, 14, ...: near one another where most goes wrong, and up to the end.
// FAULT_DENSE=10 goes on by a tenth instead of more than a half, FAULT_FULL=1 by 1.
function* rising() {
  if (process.env.FAULT_NTH) return yield Number(process.env.FAULT_NTH);
  const dense = process.env.FAULT_FULL ? Infinity : Number(process.env.FAULT_DENSE ?? 1.6);
  for (let n = 1; ; n += Math.max(1, Math.floor(n / dense))) yield n;
}

const script = { load_session: true, turns: [{ steps: [{ text: 'working\n' }, { write: { path: 'new.txt', text: 'new\n' } }, { commit: 'New' }] }] };

// The worker is started by a wrapper beside a copy of the supervisor, so that the shim is
// preloaded into the one that is meant and into nothing below it.
async function install(folder, env) {
  await mkdir(folder);
  await copyFile(program('100x-supervisor'), path.join(folder, '100x-supervisor'));
  const words = Object.entries(env).map(([name, value]) => `${name}='${value}'`).join(' ');
  await writeFile(path.join(folder, '100x-worker'), `#!/bin/sh\n${words && `${words} `}exec '${program('100x-worker')}' "$@"\n`);
  await chmod(path.join(folder, '100x-worker'), 0o755);
}

// A supervisor may end for it, with a word and a code; the next one goes on.
async function up(stack) {
  for (;;) {
    try {
      return await stack.startSupervisor();
    } catch (error) {
      if (stack.supervisor.exitCode === null && !stack.supervisor.signalCode) throw error;
      await wellEnded(stack);
    }
  }
}

// Its last word may still be in the pipe when it has ended.
async function wellEnded({ supervisor, env }) {
  const { code, signal } = await deadline(supervisor.closed, 20000, 'the output of the ended supervisor to be closed');
  // Without memory, nng says so and aborts; ours end as err_out_of_memory() does.
  if (signal === 'SIGABRT' && env.FAULT_CALL === 'malloc' && /panic: .*\n.*\n.*nng/.test(supervisor.log)) return;
  assert.equal(signal, null, 'the supervisor crashed');
  assert.ok(code > 0 && /error|out of memory/.test(supervisor.log), `the supervisor ended without a word: ${code}`);
}

async function insist(stack, ask) {
  const id = randomBytes(16).toString('hex');
  for (let tries = 1; ; tries++) {
    try {
      return await ask(id);
    } catch (error) {
      const { exitCode, signalCode } = stack.supervisor;
      if (exitCode !== null || signalCode) {
        await wellEnded(stack);
        await up(stack);
      } else if (tries === 3) {
        throw error;
      }
    }
  }
}

// For a person who looks into it: in what the call failed, and all that was said.
async function diagnosis(stack, mark) {
  const workers = await run('bash', ['-c', 'tail -n 50 "$1"/workspaces/*/worker.log', '-', stack.stateDir]);
  return ['--- who asked', await readFile(mark, 'utf8').catch(() => 'nothing has failed'),
    ...stack.children.flatMap((child) => [`--- ${path.basename(child.spawnfile)}[${child.pid}] ${child.signalCode ?? child.exitCode ?? 'runs'}`, child.log]),
    '--- workers', workers.stdout].join('\n');
}

// One agent from its making to its end, with the n-th call failing in `name`. Answers
// whether it did fail.
async function play(name, call, nth) {
  const stack = await startStack({ supervisor: false });
  const mark = path.join(stack.dir, 'failed');
  const fault = { LD_PRELOAD: path.join(build, 'fault/libfault.so'), FAULT_PROGRAM: `/${name}`, FAULT_CALL: call, FAULT_NTH: String(nth), FAULT_MARK: mark };
  let problem, failed;
  try {
    await agentsLife(stack, name, fault);
  } catch (error) {
    problem = error;
  }
  // The folder goes with the stack; what it tells is read before.
  failed = existsSync(mark);
  const said = await diagnosis(stack, mark);
  try {
    const left = await stack.stop();
    if (!problem) assert.deepEqual(left, []);
  } catch (error) {
    problem ??= error;
  }
  if (!problem) return failed;
  problem.message = `${name}, ${call} ${nth}: ${problem.message}\n${said}`;
  throw problem;
}

async function agentsLife(stack, name, fault) {
  const scripted = path.join(stack.dir, 'script.json');
  await writeFile(scripted, JSON.stringify(script));
  await install(path.join(stack.dir, 'bin'), name === '100x-worker' ? fault : {});
  stack.bin = path.join(stack.dir, 'bin');
  if (name === '100x-supervisor') Object.assign(stack.env, fault);
  await up(stack);
  const set = { general: { agent_command: [support('scripted_agent'), '--script', scripted] } };
  await insist(stack, () => stack.ask('config.set', set));
  const { tasks: [task] } = await insist(stack, (id) => stack.ask('task.create', { repository, tasks: [{ title: 'x' }], manager: false }, id));
  const end = await insist(stack, () => stack.untilState(task.agents[0], ['done', 'failed', 'waiting', 'paused'], 60000));
  assert.ok(end.state === 'done' || end.reason, `${end.state} without a reason`);
  for (const { body } of await insist(stack, () => stack.events(task.agents[0], ['worker'])))
    assert.ok(!body.signal, `the worker died of signal ${body.signal}`);
  const { code, stdout, stderr } = await run('sqlite3', [path.join(stack.stateDir, 'tasks.db'), 'PRAGMA integrity_check']);
  assert.equal(`${code} ${stdout.trim()}`, '0 ok', stderr);
}

describe('a program with a failing call', { concurrency: 3 }, () => {
  for (const name of ['100x-supervisor', '100x-worker']) {
    for (const call of ['open', 'write', 'fsync', 'rename', 'mkdir', 'mmap', 'fork', 'socket', 'thread', 'malloc']) {
      test(`${name}, ${call}`, async (t) => {
        let failures = 0;
        for (const nth of rising()) {
          if (!(await play(name, call, nth))) break;
          failures++;
        }
        t.diagnostic(`failed ${failures} times`);
      });
    }
  }
});
