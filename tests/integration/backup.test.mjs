// A damaged store is kept, the last good copy offered, and put in place only when asked.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { open, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { makeRepository, startStack, support } from '../support/stack.mjs';

const edit = { write: { path: 'hello.txt', text: 'hello\n' } };

test('damage is told, the file kept; the copy goes on with living workers and new agents', async () => {
  const stack = await startStack({ agentCommand: [support('scripted_agent'), '-e', JSON.stringify({ load_session: true,
    turns: [{ match: 'quick', steps: [edit] }, { steps: [{ text: 'started\n' }, { silence_ms: 3000 }, edit] }] })] });
  try {
    const repository = await makeRepository(stack.dir);
    const create = async (title) => (await stack.ask('task.create', { repository, tasks: [{ title }], manager: false })).tasks[0].agents[0];
    const slow = await create('slow');
    await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the turn', 30000, { agent: slow });
    const copy = await stack.ask('backup.make');
    const after = await create('quick one');
    await stack.untilState(after, 'done');
    await stack.ask('supervisor.down', { keep_agents: true });
    await stack.supervisor.ended;

    const db = path.join(stack.stateDir, 'tasks.db');
    const file = await open(db, 'r+');
    await file.write(Buffer.alloc(16384, 'x'), 0, 16384, 1024);
    await file.close();
    const damaged = await readFile(db);
    await assert.rejects(stack.startSupervisor(), (error) => {
      assert.match(error.message, /damaged/);
      assert.ok(error.message.includes(copy.path), error.message);
      assert.match(error.message, /--restore-backup/);
      return true;
    });
    assert.deepEqual(await readFile(db), damaged, 'the file is as it was');

    await stack.startSupervisor(['--restore-backup']);
    const [kept] = (await readdir(stack.stateDir)).filter((name) => /^tasks\.db\.damaged-\d+$/.test(name));
    assert.deepEqual(await readFile(path.join(stack.stateDir, kept)), damaged);
    await stack.untilState(slow, 'done', 60000);
    assert.notEqual(await create('quick two'), after, 'a number is not given twice');
  } finally {
    assert.deepEqual(await stack.stop(), []);
  }
});
