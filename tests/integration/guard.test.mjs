// 100x-guard: a program, and whatever descends from it, ends when it shall, in a PID
// namespace and without one. The daemon here has forked twice, left its session, cleared
// its environment and does not heed TERM.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { alive, coderOf, descendants, guardsOf, outerPid, untilDead } from '../support/processes.mjs';
import { deadline, makeRepository, patience, program, run, startStack, support } from '../support/stack.mjs';

const guard = program('100x-guard');
const daemonise = (file) => `env -i setsid -f /bin/sh -c 'trap "" TERM HUP; echo $$ >${file}; exec sleep 600 </dev/null >/dev/null 2>&1'; until test -s ${file}; do sleep 0.02; done`;
const namespaceOf = (pid) => readlinkSync(`/proc/${pid}/ns/pid`);
const outside = namespaceOf('self');

// An ordinary user: ourselves, or nobody if we are root.
const asUser = process.getuid() === 0 ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--'] : [];

// { ok, reason } of a way, tried.
async function possible(way, prefix = []) {
  const [command, ...args] = [...prefix, guard, '--probe', way];
  const { code, stdout } = await run(command, args);
  return { ok: code === 0, reason: stdout.trim() };
}

let dir;
before(async () => {
  dir = await mkdtemp(path.join(tmpdir(), '100x-guard-'));
  await chmod(dir, 0o777);
});
after(() => rm(dir, { recursive: true, force: true }));

let serial = 0;
const newFile = () => path.join(dir, `daemon.${++serial}`);

// A shell as the parent, the guard below it.
function guarded(way, script, prefix = [], stdio = ['ignore', 'pipe', 'pipe']) {
  const [command, ...args] = [...prefix, '/bin/sh', '-c', '"$0" "$1" $$ /bin/sh -c "$2"; exit $?', guard, way, script];
  const child = spawn(command, args, { stdio });
  child.text = '';
  child.stdout?.on('data', (chunk) => (child.text += chunk));
  child.ended = once(child, 'close').then(([code]) => code);
  return child;
}

async function saying(child, word) {
  while (!child.text.includes(word)) await deadline(once(child.stdout, 'data'), 10000 * patience, `"${word}"`);
}

const ways = [['off', []], ['auto', []], ['off', asUser], ['user', asUser]];
for (const [way, prefix] of ways) {
  describe(`${way}${prefix.length ? ', as nobody' : ''}`, () => {
    let trial;
    before(async () => (trial = await possible(way, prefix)));
    const check = (name, body) => test(name, async (t) => (way !== 'off' && !trial.ok ? t.skip(`refused here: ${trial.reason}`) : body(t)));

    async function withDaemon(rest) {
      const file = newFile();
      const child = guarded(way, `${daemonise(file)}; echo ready; ${rest}`, prefix, ['pipe', 'pipe', 'pipe']);
      await saying(child, 'ready');
      const daemon = outerPid(child.pid, Number(await readFile(file, 'utf8')));
      assert.ok(alive(daemon), 'the daemon runs');
      assert.equal(namespaceOf(daemon) === outside, way === 'off');
      return { child, daemon };
    }

    check('ends as its program ends', async () => {
      for (const [script, code] of [['exit 0', 0], ['exit 7', 7], ['kill -TERM $$', 143], ['kill -KILL $$', 137], ['kill -SEGV $$', 139]])
        assert.equal(await guarded(way, script, prefix).ended, code, script);
    });

    check('a program that cannot be started is told', async () => {
      const { code, stderr } = await run('/bin/sh', ['-c', '"$0" "$1" $$ /no/such/program; exit $?', guard, way]);
      assert.equal(code, 127);
      assert.match(stderr, /start \/no\/such\/program: No such file/);
    });

    check('the daemon ends with the program', async () => {
      const { child, daemon } = await withDaemon('read line; exit 3');
      child.stdin.end('\n');
      assert.equal(await child.ended, 3);
      assert.ok(!alive(daemon), 'dead when the guard has ended');
    });

    check('all ends with the parent, which nobody looks after', async () => {
      const { child, daemon } = await withDaemon('exec sleep 600');
      const all = descendants(child.pid);
      assert.ok(all.includes(daemon));
      child.kill('SIGKILL');
      await untilDead(all, 10000 * patience);
    });

    // Without a namespace that is the worker's part.
    if (way !== 'off') check('all ends when the guard is killed', async () => {
      const { child, daemon } = await withDaemon('exec sleep 600');
      process.kill(descendants(child.pid)[0], 'SIGKILL');
      assert.equal(await child.ended, 137);
      await untilDead([daemon], 10000 * patience);
    });

    check('TERM reaches the program and its group', async () => {
      const child = guarded(way, 'trap "echo caught; exit 5" TERM; sh -c "trap \\"echo too; exit\\" TERM; echo ready; while :; do sleep 0.05; done" & while :; do sleep 0.05; done', prefix);
      await saying(child, 'ready');
      process.kill(descendants(child.pid)[0], 'SIGTERM');
      assert.equal(await child.ended, 5);
      assert.match(child.text, /caught/);
    });

    check('what the program closes is closed', async () => {
      const child = guarded(way, 'exec >&- 2>&-; exec sleep 600', prefix, ['pipe', 'pipe', 'ignore']);
      // The shell between holds the output too: it is closed there by hand.
      const guardPid = await new Promise((resolve) => {
        const look = () => {
          const [pid] = guardsOf(child.pid);
          if (pid && coderOf(pid)) resolve(pid);
          else setTimeout(look, 10);
        };
        look();
      });
      for (const pid of guardsOf(child.pid)) {
        const until = Date.now() + 10000 * patience;
        while (readlinkSync(`/proc/${pid}/fd/1`) !== '/dev/null') {
          assert.ok(Date.now() < until, 'the guard holds no output');
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }
      process.kill(guardPid, 'SIGKILL');
      await child.ended;
    });

    check('inside, nobody else is seen', async () => {
      const child = guarded(way, 'ls /proc | grep -c "^[0-9]"; echo pid $$ of $PPID; id -u', prefix);
      assert.equal(await child.ended, 0);
      const [processes, own, uid] = child.text.trim().split('\n');
      assert.equal(Number(uid), prefix.length ? 65534 : process.getuid());
      if (way === 'off') return;
      assert.ok(Number(processes) < 10, child.text);
      assert.equal(own, 'pid 2 of 1');
    });
  });
}

test('a parent that is dead already starts nothing', async () => {
  const { code, stdout } = await run(guard, ['off', '1', '/bin/echo', 'started']);
  assert.deepEqual([code, stdout], [111, '']);
});

test('what it is not meant to be called with', async () => {
  for (const args of [[], ['maybe', '1', '/bin/true'], ['off', 'x', '/bin/true'], ['off', '1']]) assert.equal((await run(guard, args)).code, 100, args.join(' '));
});

// The same with the whole house.
for (const way of ['auto', 'off']) {
  describe(`an agent, pid_namespace ${way}`, () => {
    let stack, repository, trial;
    before(async () => {
      trial = await possible(way);
      stack = await startStack();
      repository = await makeRepository(stack.dir);
    });
    after(async () => assert.deepEqual(await stack.stop(), [], 'processes left behind'));

    const check = (name, body) => test(name, async (t) => (way === 'auto' && !trial.ok ? t.skip(`refused here: ${trial.reason}`) : body(t)));

    async function agentWithDaemon() {
      const file = path.join(stack.dir, `daemon.${++serial}`);
      const script = { turns: [{ steps: [{ run: daemonise(file) }, { text: 'daemon runs\n' }, { silence_ms: 600000 }] },
        { steps: [{ write: { path: 'hello.txt', text: 'hello\n' } }] }] };
      await stack.ask('config.set', { general: { max_working: 20, pid_namespace: way,
        agent_command: [support('scripted_agent'), '-e', JSON.stringify(script), '--memory', `${file}.memory`] } });
      const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'go' }], manager: false });
      const [agent] = tasks[0].agents;
      await stack.until((e) => e.kind === 'output' && e.body.text.includes('daemon runs'), 'the daemon', 60000, { agent });
      const { pid: worker } = await stack.ask('agent.show', { agent });
      const daemon = outerPid(worker, Number(await readFile(file, 'utf8')));
      assert.ok(alive(daemon), 'the daemon runs');
      assert.equal(namespaceOf(daemon) === outside, way === 'off');
      return { agent, worker, daemon, all: descendants(worker) };
    }

    check('its processes are told as the machine sees them', async () => {
      const { agent, daemon, all } = await agentWithDaemon();
      const { processes, ends } = await stack.ask('agent.process', { agent });
      assert.ok(processes.some(({ pid, rss_bytes: bytes }) => pid === daemon && bytes > 0));
      assert.deepEqual(new Set(processes.map(({ pid }) => pid).slice(1)), new Set(all));
      assert.equal(ends.includes('namespace'), way === 'auto');
      assert.ok(ends.includes('sweep'));
      await stack.ask('agent.stop', { agent });
      await stack.untilState(agent, 'stopped');
    });

    check('stopped: all is dead', async () => {
      const { agent, all } = await agentWithDaemon();
      await stack.ask('agent.stop', { agent });
      await stack.until((e) => {
        if (e.kind !== 'state' || e.body.state !== 'stopped') return false;
        assert.deepEqual(all.filter(alive), []);
        return true;
      }, 'stopped', 60000, { agent });
    });

    check('deleted: all is dead', async () => {
      const { agent, all } = await agentWithDaemon();
      await stack.ask('agent.delete', { agent, discard: true });
      assert.deepEqual(all.filter(alive), []);
    });

    check('a crash of the coding agent: all is dead before the next turn', async () => {
      const { agent, worker, all } = await agentWithDaemon();
      process.kill(coderOf(worker), 'SIGKILL');
      await stack.until((e) => {
        if (e.kind !== 'turn' || e.body.phase !== 'started' || e.body.turn < 2) return false;
        assert.deepEqual(all.filter(alive), []);
        return true;
      }, 'the second turn', 60000, { agent });
      await stack.untilState(agent, 'done');
    });

    check('a worker killed without a supervisor: all dies by itself', async () => {
      const { agent, worker, all } = await agentWithDaemon();
      stack.supervisor.kill('SIGKILL');
      await deadline(stack.supervisor.ended, 10000 * patience, 'the supervisor to die');
      assert.ok(all.every(alive), 'everything goes on without a supervisor');
      process.kill(worker, 'SIGKILL');
      await untilDead(all, 10000 * patience);
      await stack.startSupervisor();
      await stack.untilState(agent, 'done', 60000);
    });

    check('shut down: all is dead', async () => {
      const { all } = await agentWithDaemon();
      await stack.ask('supervisor.down', {});
      await deadline(stack.supervisor.ended, 30000 * patience, 'the supervisor to end');
      assert.deepEqual(all.filter(alive), []);
    });
  });
}
