// The store under what others do to it: locked or read for long by the sqlite3 program, its
// log cut off, its files read-only, bytes of it flipped. Each is told, nothing is lost, nothing made anew.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, open, readFile, stat, truncate } from 'node:fs/promises';
import path from 'node:path';
import { deadline, makeRepository, patience, startStack, support } from '../support/stack.mjs';

const agentCommand = [support('scripted_agent'), '-e', JSON.stringify({ turns: [{ steps: [{ text: 'one\n' }, { write: { path: 'a.txt', text: 'a\n' } }, { commit: 'A' }] }] })];

// The sqlite3 program in a transaction; what it resolves to ends both.
async function hold(file, begin) {
  const child = spawn('sqlite3', [file], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.write(`PRAGMA busy_timeout=5000;\n${begin};\nSELECT 'held';\n`);
  let text = '';
  while (!text.includes('held')) text += String((await once(child.stdout, 'data'))[0]);
  const end = async () => {
    child.stdin.end('COMMIT;\n');
    await once(child, 'exit');
  };
  return Object.assign(end, { pid: child.pid });
}
const lock = (file) => hold(file, 'BEGIN IMMEDIATE');
const said = (child, pattern, what) => deadline((async () => {
  while (!pattern.test(child.log)) await once(child.stderr, 'data');
})(), 60000 * patience, what);

test('locked by another program: told, agents go on, nothing is lost', async () => {
  const stack = await startStack({ agentCommand });
  try {
    const file = path.join(stack.stateDir, 'tasks.db');
    const repository = await makeRepository(stack.dir);
    const create = async () => (await stack.ask('task.create', { repository, tasks: [{ title: 'work' }], manager: false })).tasks[0].agents[0];
    const first = await create();
    await stack.untilState(first, 'done');

    const unlock = await lock(file);
    await assert.rejects(stack.ask('config.set', { general: { limit_turns: 7 } }), /locked/);
    assert.equal((await stack.ask('agent.show', { agent: first })).state, 'done'); // reading goes on
    await unlock();
    assert.equal((await stack.ask('config.set', { general: { limit_turns: 7 } })).general.limit_turns, 7);

    // While an agent works: what it says waits in its spool.
    const second = await create();
    const again = await lock(file);
    await said(stack.supervisor, /not taken|not recorded/, 'a word about it');
    assert.match(stack.supervisor.log, /another program holds it locked/);
    await again();
    await stack.untilState(second, 'done');
    const seqs = (await stack.events(second)).map((e) => e.body.seq).filter((seq) => seq > 0);
    assert.deepEqual(seqs, seqs.map((_, i) => i + 1));

    // At a start: refused in words, the file as it was.
    stack.supervisor.kill('SIGTERM');
    await stack.supervisor.ended;
    const held = await lock(file);
    await assert.rejects(stack.startSupervisor(), /locked/);
    await held();
    await stack.startSupervisor();
    assert.equal((await stack.ask('agent.show', { agent: second })).state, 'done');
  } finally {
    assert.deepEqual(await stack.stop(), []);
  }
});

test('read by another program all the time: told, nothing is lost, and its log is shortened by itself', async () => {
  const stack = await startStack({ agentCommand: [support('scripted_agent'), '-e', JSON.stringify({ turns: [{ steps: [{ flood: { lines: 22000, size: 4000 } }, { text: 'end\n' }] }] })] });
  try {
    const file = path.join(stack.stateDir, 'tasks.db');
    const repository = await makeRepository(stack.dir);
    const end = await hold(file, 'BEGIN; SELECT count(*) FROM agents');
    const [agent] = (await stack.ask('task.create', { repository, tasks: [{ title: 'talk' }], manager: false })).tasks[0].agents;
    await stack.untilState(agent, 'done', 120000);
    await said(stack.supervisor, /tasks\.db-wal\) has grown/, 'a word about it');
    assert.match(stack.supervisor.log, new RegExp(`sqlite3 \\(pid ${end.pid}\\) keeps it`));
    assert.ok((await stat(`${file}-wal`)).size > 56e6);
    const { findings, store } = await stack.ask('health');
    assert.equal(findings.find((f) => /tasks\.db-wal/.test(f.what))?.level, 'warning');
    assert.ok(store.log_bytes > 56e6);

    await end();
    await said(stack.supervisor, /log is moved again/, 'the log to be moved');
    assert.ok((await stat(`${file}-wal`)).size < 1e6);
    assert.equal((await stack.ask('health')).findings.find((f) => /tasks\.db-wal/.test(f.what)), undefined);
    const seqs = (await stack.events(agent)).map((e) => e.body.seq).filter((seq) => seq > 0);
    assert.deepEqual(seqs, seqs.map((_, i) => i + 1));
  } finally {
    assert.deepEqual(await stack.stop(), []);
  }
});

test('a log cut off anywhere, a read-only file, flipped bytes', async () => {
  const stack = await startStack({ agentCommand });
  try {
    const file = path.join(stack.stateDir, 'tasks.db');
    const repository = await makeRepository(stack.dir);
    const [agent] = (await stack.ask('task.create', { repository, tasks: [{ title: 'work' }], manager: false })).tasks[0].agents;
    await stack.untilState(agent, 'done');
    await stack.ask('backup.make');

    // Killed, and the log torn as power loss would: what was committed before is there.
    stack.supervisor.kill('SIGKILL');
    await stack.supervisor.ended;
    const wal = await stat(`${file}-wal`);
    assert.ok(wal.size > 0);
    await truncate(`${file}-wal`, wal.size - 700);
    await stack.startSupervisor();
    const { agents } = await stack.ask('agent.list');
    assert.equal(agents.length, 1);
    stack.supervisor.kill('SIGTERM');
    await stack.supervisor.ended;

    if (process.getuid() !== 0) { // nothing is read-only for root
      await chmod(file, 0o400);
      await assert.rejects(stack.startSupervisor(), /check the rights|readonly|read-only/);
      await chmod(file, 0o600);
    }

    const good = `${file}.good`;
    await copyFile(file, good);
    for (const at of [20, 4096 + 3, 12 * 1024]) {
      const handle = await open(file, 'r+');
      await handle.write(Buffer.alloc(600, 0xa5), 0, 600, at);
      await handle.close();
      const before = await readFile(file);
      await assert.rejects(stack.startSupervisor(), /damaged|not a database|malformed|another program/, `at ${at}`);
      assert.match(stack.supervisor.log, /left as it (is|was)/);
      assert.deepEqual(await readFile(file), before);
      await copyFile(good, file);
    }
    await stack.startSupervisor();
    assert.equal((await stack.ask('agent.show', { agent })).id, agent);
  } finally {
    assert.deepEqual(await stack.stop(), []);
  }
});
