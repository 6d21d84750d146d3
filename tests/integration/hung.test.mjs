// A coding agent that hangs: each way is noticed, the whole tree under the worker is ended
// (TERM, then KILL), the agent is started again, its session goes on, and what the turn has
// left in the workspace is known before anything is sent again. And what it means to be
// "stopped": nothing below the worker lives when it is said.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { alive, coderOf, naming, outerPid } from '../support/processes.mjs';
import { makeRepository, startStack, support } from '../support/stack.mjs';

let stack, repository, serial = 0, turn = Promise.resolve();

before(async () => {
  stack = await startStack({ env: { HUNDREDX_MINUTE_MS: '3000' } });
  repository = await makeRepository(stack.dir);
  await stack.ask('config.set', { general: { max_working: 20 } });
});

after(async () => {
  assert.deepEqual(await stack.stop(), [], 'processes left behind');
});

const edit = { write: { path: 'hello.txt', text: 'hello\n' } };
const show = (agent) => stack.ask('agent.show', { agent });

// The tests run at once. What is configured is read when a worker says hello, so each
// agent is begun when the one before is at work.
function createScript(turns, general = {}, params = {}) {
  const memory = path.join(stack.dir, `memory.${++serial}`);
  turn = turn.then(async () => {
    await stack.ask('config.set', { general: { turn_minutes: 200, ...general,
      agent_command: [support('scripted_agent'), '-e', JSON.stringify({ turns }), '--memory', memory] } });
    const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'change it' }], manager: false, ...params });
    const [agent] = tasks[0].agents;
    await started(agent);
    return agent;
  });
  return turn;
}

const create = (steps, general, params) =>
  createScript([{ steps: [...steps, { silence_ms: 600000 }] }, { steps: [edit] }], general, params);

function started(agent) {
  return stack.until((e) => e.kind === 'turn' && e.body.phase === 'started' && e.body, `agent ${agent} to be in a turn`, 30000, { agent });
}

// Waits for the file that a daemon of the agent writes.
async function daemonOf(agent, file) {
  await stack.until((e) => e.kind === 'output' && e.body.text.includes('daemon runs'), 'the daemon', 30000, { agent });
  const pid = outerPid((await show(agent)).pid, Number(await readFile(file, 'utf8')));
  assert.ok(alive(pid));
  return pid;
}

// The agent is done in the end; its second turn began after the process of the first was
// dead, in the same session, and was told what the first had left.
async function goesOn(agent, { trouble, left, dead = [] }) {
  const why = await stack.until((e) => e.kind === 'trouble' && trouble.test(e.body.reason) && e.body, 'the trouble', 60000, { agent });
  assert.equal(why.hint, 'it is started again');
  const second = await stack.until((e) => {
    if (e.kind !== 'turn' || e.body.phase !== 'started' || e.body.turn < 2) return false;
    for (const pid of dead) assert.ok(!alive(pid), `process ${pid} is dead before the next turn`);
    return e.body;
  }, 'the second turn', 60000, { agent });
  assert.match(second.prompt, left);
  await stack.untilState(agent, 'done');
  const turns = (await stack.events(agent, ['turn'])).map((e) => `${e.body.turn} ${e.body.phase}`);
  assert.deepEqual(turns, ['1 started', '1 ended', '2 started', '2 ended'], 'the first turn was sent once');
  assert.equal((await show(agent)).epoch, 1, 'by the same worker');
}

const unchanged = /changed nothing in the repository/;

describe('hung', { concurrency: true }, () => {
  test('stopped by a signal', async () => {
    const agent = await create([{ signal: 19 }]);
    await goesOn(agent, { trouble: /process is stopped/, left: unchanged });
  });

  test('closed its output, but lives, and ignores TERM; a daemon of it goes with it', async () => {
    const file = path.join(stack.dir, 'closed.pid');
    // It does not hold the output open, as a proper daemon.
    const daemonise = `setsid -f sh -c 'trap "" TERM; echo $$ >${file}; exec sleep 600' >/dev/null 2>&1 </dev/null; until test -s ${file}; do sleep 0.05; done`;
    const agent = await create([{ run: daemonise }, { text: 'daemon runs\n' }, edit, { ignore: 15 }, { close: 1 }, { deaf_ms: 600000 }]);
    const daemon = await daemonOf(agent, file);
    await goesOn(agent, { trouble: /closed its output, but its process goes on/, left: /half edited/, dead: [daemon] });
  });

  test('deaf to the end of its turn, and to TERM', async () => {
    const agent = await create([{ commit: 'half of it' }, { ignore: 15 }, { hang: true }], { turn_minutes: 1 });
    await goesOn(agent, { trouble: /did not stop its turn/, left: /the branch moved from commit/ });
    const [first] = (await stack.events(agent, ['turn'])).filter((e) => e.body.phase === 'ended');
    assert.match(first.body.reason, /took too long/);
  });

  test('three turns in a row that do not end wait for a person', async () => {
    const agent = await createScript([{ steps: [{ deaf_ms: 600000 }] }], { turn_minutes: 1 });
    const { reason } = await stack.untilState(agent, 'waiting', 90000);
    assert.match(reason, /3 turns in a row did not end in time/);
    await stack.ask('agent.stop', { agent });
    await stack.untilState(agent, 'stopped');
  });

  test('a turn past its deadline is cancelled; who obeys is not killed', async () => {
    const agent = await create([{ text: 'slow\n' }], { turn_minutes: 1 });
    const { reason } = await stack.untilState(agent, 'waiting');
    assert.match(reason, /longer than 1 minutes and was ended/);
    await stack.ask('agent.resume', { agent });
    await stack.untilState(agent, 'done');
    assert.equal((await stack.events(agent, ['trouble'])).filter((e) => /started again/.test(e.body.hint)).length, 0);
  });

  test('the limit of minutes pauses in the middle of a turn; resuming grants as much again', async () => {
    const agent = await create([{ text: 'slow\n' }], {}, { limits: { minutes: 1 } });
    const { reason } = await stack.untilState(agent, 'paused');
    assert.match(reason, /^time limit of \d minutes reached$/); // minutes are short here
    const { id, body } = await stack.until((e) => e.kind === 'turn' && e.body.phase === 'ended' && e, 'the end of the turn', 30000, { agent });
    assert.equal(body.stop_reason, 'cancelled');
    await stack.ask('agent.resume', { agent });
    await stack.until((e) => e.kind === 'state' && e.body.state === 'done', 'done', 30000, { agent, after: id });
  });

  // At the moment the word is seen nothing of the agent lives, however it clings to life.
  for (const [word, end] of [
    ['stopped', (agent) => stack.ask('agent.stop', { agent })],
    ['done', (agent) => stack.ask('agent.finish', { agent }).then(() => stack.ask('agent.interrupt', { agent }))],
  ]) {
    test(`"${word}" is said when everything below the worker is dead`, async () => {
      const file = path.join(stack.dir, `${word}.pid`);
      const agent = await create([{ daemon: { seconds: 600, pid_file: file } }, edit, { ignore: 15 }, { text: 'daemon runs\n' }]);
      const daemon = await daemonOf(agent, file);
      const worker = (await show(agent)).pid;
      const coder = coderOf(worker);
      assert.ok(alive(coder));
      await end(agent);
      await stack.until((e) => {
        if (e.kind !== 'state' || e.body.state !== word) return false;
        assert.deepEqual([alive(daemon), alive(coder)], [false, false], 'daemon and coding agent are dead');
        return true;
      }, word, 60000, { agent });
    });
  }

  test('"failed" is said, and a delete is answered, when everything is dead', async () => {
    const file = path.join(stack.dir, 'failed.pid');
    const agent = await create([{ daemon: { seconds: 600, pid_file: file } }, { text: 'daemon runs\n' }]);
    const daemon = await daemonOf(agent, file);
    await stack.ask('agent.delete', { agent, discard: true });
    assert.ok(!alive(daemon), 'the daemon is dead when the delete is answered');
    assert.ok(!existsSync(path.join(stack.stateDir, 'workspaces', String(agent))));
    const other = path.join(stack.dir, 'failed2.pid');
    const bad = await createScript([{ steps: [{ daemon: { seconds: 600, pid_file: other } }, { exit: 3 }] }]);
    await stack.until((e) => {
      if (e.kind !== 'state' || e.body.state !== 'failed') return false;
      assert.deepEqual(naming(other), [], 'dead');
      return true;
    }, 'failed', 60000, { agent: bad });
  });
});
