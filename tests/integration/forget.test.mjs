// An agent with a very long log is deleted: answered soon, nobody waits for it, and what a
// kill -9 leaves of its log is removed by the next supervisor.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { deadline, makeRepository, patience, run, startStack, support } from '../support/stack.mjs';

const ROWS = 100000;

test('a very long log is removed in pieces, over kill -9', async () => {
  const stack = await startStack({ agentCommand: [support('scripted_agent'), '-e', JSON.stringify({ load_session: true, turns: [{ steps: [{ text: 'hello\n' }] }] })] });
  const sql = async (text, ...flags) => {
    const { code, stdout, stderr } = await run('sqlite3', [...flags, '-cmd', '.timeout 20000', path.join(stack.stateDir, 'tasks.db'), text]);
    assert.equal(code, 0, stderr);
    return Number(stdout.trim());
  };
  try {
    const repository = await makeRepository(stack.dir);
    const [one, two] = (await stack.ask('task.create', { repository, tasks: [{ title: 'talk' }], agents_per_task: 2, manager: false })).tasks[0].agents;
    for (const agent of [one, two]) await stack.until((e) => e.kind === 'worker' && e.body.phase === 'ended', 'its end', 60000, { agent });
    const others = await stack.events(two);
    await sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<${ROWS})
      INSERT INTO events(stream,subject,seq,kind,at,body) SELECT 'agent',${one},1000+i,'output',i,'{"stream":"log","text":"'||printf('%0200d',i)||'\\n"}' FROM n`);
    const left = () => sql(`SELECT count(*) FROM events WHERE stream='agent' AND subject=${one} AND kind<>'deleted'`, '-readonly');

    await stack.ask('agent.delete', { agent: one });
    await assert.rejects(stack.ask('agent.show', { agent: one }), { kind: 'not_found' });
    const first = await left();
    assert.ok(first > ROWS / 2, `${first} rows are left: it was one transaction`);
    let slowest = 0;
    await deadline((async () => {
      for (let now = first; now > first - 20000; now = await left()) {
        const began = performance.now();
        await stack.ask('status');
        slowest = Math.max(slowest, performance.now() - began);
      }
    })(), 60000 * patience, 'pieces to go');
    assert.ok(slowest < 500 * patience, `an answer took ${slowest} ms`);
    stack.supervisor.kill('SIGKILL');
    await stack.supervisor.ended;
    assert.ok((await left()) > 0);
    await stack.startSupervisor();
    await deadline((async () => {
      while (await left()) await stack.ask('status');
    })(), 120000 * patience, 'the rest to go');
    assert.deepEqual((await stack.events(one)).map((e) => e.kind), ['deleted']);
    assert.deepEqual(await stack.events(two), others);
  } finally {
    assert.deepEqual(await stack.stop(), []);
  }
});
