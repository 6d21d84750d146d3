// What becomes of agents that have ended: output packed and read as before, also over
// kill -9; what is removed is told.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { deadline, git, makeRepository, patience, run, startStack, support } from '../support/stack.mjs';

const sql = async (stack, text) => {
  const { code, stdout, stderr } = await run('sqlite3', ['-readonly', '-cmd', '.timeout 5000', path.join(stack.stateDir, 'tasks.db'), text]);
  assert.equal(code, 0, stderr);
  return stdout.trim();
};

// A line of the supervisor's log, there already or as it comes.
const logged = (child, pattern, what) => deadline((async () => {
  while (!pattern.test(child.log)) await once(child.stderr, 'data');
})(), 60000 * patience, what);

// All that there is to read of an agent and of everything: over control, over HTTP in both
// directions, and what `100x logs` prints.
async function readings(stack, agent) {
  const all = { one: await stack.events(agent), every: (await stack.events()).filter((e) => e.kind !== 'config'), kinds: await stack.events(0, ['output', 'state']) };
  const headers = { Authorization: `Bearer ${stack.token}` };
  const get = async (target) => {
    const response = await fetch(`http://127.0.0.1:${stack.port}/api/v1${target}`, { headers });
    assert.equal(response.status, 200);
    return await response.json();
  };
  const page = (query) => get(`/agents/${agent}/events?${query}`);
  all.up = [];
  for (let after = 0; ;) {
    const { events, last, more } = await page(`after=${after}&limit=700`);
    all.up.push(...events);
    after = last;
    if (!more) break;
  }
  all.down = [];
  for (let before = 0; ;) {
    const { events, first, more } = await page(`limit=300${before ? `&before=${before}` : ''}`);
    all.down.unshift(...events);
    before = first;
    if (!more) break;
  }
  assert.deepEqual(all.down, all.up);
  all.lines = [await get(`/agents/${agent}/output?line=3000&limit=200`), await get(`/agents/${agent}/output?line=-1&limit=500`)];
  all.found = [await get(`/agents/${agent}/search?q=11990`), await get(`/agents/${agent}/search?q=ns%3D&limit=300&after_line=7000`)];
  all.activity = (await get(`/activity?agent=${agent}`)).events;
  all.logs = (await stack.ctl('logs', String(agent))).stdout;
  return all;
}

test('output of ended agents is packed and read as before, over kill -9 too; removed output is told', async () => {
  const stack = await startStack({ agentCommand: [support('scripted_agent'), '-e', JSON.stringify({ load_session: true, turns: [
    { steps: [{ flood: { lines: 12000, size: 300 } }, { write: { path: 'a.txt', text: 'a\n' } }, { commit: 'One' }] }] })] });
  try {
    await stack.startWebui();
    const repository = await makeRepository(stack.dir);
    const agents = (await stack.ask('task.create', { repository, tasks: [{ title: 'talk' }], agents_per_task: 2, manager: false })).tasks[0].agents;
    for (const agent of agents) await stack.until((e) => e.kind === 'worker' && e.body.phase === 'ended', 'its end', 60000, { agent });
    const before = await readings(stack, agents[0]);
    assert.ok(before.one.length > 100, `${before.one.length} events`);
    const rows = Number(await sql(stack, 'SELECT count(*) FROM events'));

    await stack.ask('config.set', { general: { compress_after_minutes: 0 } });
    for (let kills = 0; kills < 4; kills++) {
      // Some steps further each time.
      await deadline((async () => {
        while (Number(await sql(stack, 'SELECT count(*) FROM segments')) <= kills * 3);
      })(), 60000 * patience, 'segments');
      stack.supervisor.kill('SIGKILL');
      await stack.supervisor.ended;
      await stack.startSupervisor();
    }
    for (const agent of agents) await deadline((async () => {
      while (await sql(stack, `SELECT packed FROM agents WHERE id=${agent}`) !== '1') await once(stack.supervisor.stderr, 'data');
    })(), 60000 * patience, 'all packed');
    assert.ok(Number(await sql(stack, 'SELECT count(*) FROM events')) < rows / 2);
    assert.equal(await sql(stack, "SELECT count(*) FROM events WHERE kind='output'"), '0');
    const now = await readings(stack, agents[0]);
    for (const name of Object.keys(before)) assert.ok(isDeepStrictEqual(now[name], before[name]), `${name} is read as before`);
    assert.equal(await sql(stack, 'PRAGMA integrity_check'), 'ok');

    // It goes on: what comes is behind what was packed, each once.
    await stack.ask('agent.retry', { agent: agents[0] });
    await stack.until((e) => e.kind === 'state' && e.body.state === 'done' && e.id > before.one.at(-1).id, 'done again', 60000, { agent: agents[0] });
    const after = (await stack.events(agents[0])).filter((e) => e.body.seq > 0);
    assert.deepEqual(after.map((e) => e.body.seq), after.map((_, i) => i + 1));
    assert.deepEqual(after.slice(0, before.one.filter((e) => e.body.seq > 0).length), before.one.filter((e) => e.body.seq > 0));

    // A ceiling below what there is: the output goes, the rest stays, and it is told where it was.
    await stack.ask('config.set', { general: { keep_gigabytes: 0.00001 } });
    await logged(stack.supervisor, new RegExp(`agent=${agents[1]} its output was removed, to keep the store below`), 'its removal');
    const left = await stack.events(agents[1]);
    const told = left.filter((e) => e.kind === 'trouble');
    assert.equal(told.length, 1);
    assert.match(told[0].body.reason, /^the log is not whole: \d+ events of output up to .* were removed, to keep the store below 1e-05 GB/);
    assert.ok(left.some((e) => e.kind === 'state' && e.body.state === 'done'));
    assert.match((await stack.ctl('logs', String(agents[1]))).stdout, /not whole/);
    assert.match((await stack.ctl('doctor')).stdout, /store.*of at most/);
    assert.equal((await stack.ask('agent.show', { agent: agents[1] })).state, 'done');
  } finally {
    assert.deepEqual(await stack.stop(), []);
  }
});

test('a workspace is reclaimed, restored, and restored by a retry; a deleted agent\'s work comes back', async () => {
  const turns = [
    { match: 'cut off', steps: [{ write: { path: 'third.txt', text: 'third\n' } }, { commit: 'Third' }] },
    { steps: [{ write: { path: 'first.txt', text: 'committed\n' } }, { commit: 'First' }, { write: { path: 'README.md', text: 'changed\n' } },
      { write: { path: 'second.txt', text: 'not committed\n' } }, { write: { path: 'ignored.o', text: 'x' } }, { run: 'git branch side HEAD~1 && git branch other' }, { text: 'started\n' }, { silence_ms: 600000 }] }];
  const stack = await startStack({ agentCommand: [support('scripted_agent'), '-e', JSON.stringify({ load_session: true, turns })] });
  try {
    await stack.startWebui();
    const repository = await makeRepository(stack.dir, { 'README.md': '# sample\n', '.gitignore': '*.o\n' });
    const [agent] = (await stack.ask('task.create', { repository, tasks: [{ title: 'work' }], manager: false })).tasks[0].agents;
    const repo = path.join(stack.stateDir, 'workspaces', String(agent), 'repo');
    const look = async (folder) => ({ status: await git(folder, 'status', '--porcelain'), log: await git(folder, 'log', '--format=%H %s', '-3'),
      head: await git(folder, 'symbolic-ref', 'HEAD'), diff: await git(folder, 'diff', 'HEAD'), refs: await git(folder, 'for-each-ref', '--format=%(refname) %(objectname)', 'refs/heads') });
    await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the turn', 30000, { agent });
    await assert.rejects(stack.ask('agent.reclaim', { agent }), /only the workspace of one that has ended can be reclaimed/);
    await stack.ask('agent.stop', { agent });
    await stack.untilState(agent, 'stopped');
    const idle = () => stack.until((e) => e.kind === 'worker' && e.body.phase === 'ended', 'the worker to end', 30000, { agent });
    await idle();
    const before = await look(repo);
    assert.match(before.status, /README\.md/);
    assert.match(before.status, /second\.txt/);

    const gone = await stack.ctl('reclaim', String(agent));
    assert.equal(gone.code, 0, gone.stderr);
    assert.match(gone.stdout, new RegExp(`Its work is kept as refs/100x/agent-${agent} in `));
    assert.equal(existsSync(repo), false);
    assert.ok(existsSync(path.join(repo, '../session/state.json')));
    const shown = await stack.ask('agent.show', { agent });
    assert.ok(shown.reclaimed_at > 0);
    assert.equal(shown.saved, `refs/100x/agent-${agent}`);
    assert.match((await stack.ctl('show', String(agent))).stdout, /reclaimed/);
    await assert.rejects(stack.ask('agent.reclaim', { agent }), /no workspace/);

    const response = await fetch(`http://127.0.0.1:${stack.port}/api/v1/agents/${agent}/restore`,
      { method: 'POST', headers: { Authorization: `Bearer ${stack.token}`, 'Content-Type': 'application/json' }, body: '{}' });
    assert.equal(response.status, 200, await response.clone().text());
    assert.equal((await response.json()).path, repo);
    assert.deepEqual(await look(repo), before);
    assert.equal(existsSync(path.join(repo, 'ignored.o')), false);
    assert.equal((await stack.ask('agent.show', { agent })).reclaimed_at, null);
    await assert.rejects(stack.ask('agent.restore', { agent }), /is there: /);

    // Reclaimed again, by retention (it ended long ago, as the store says); then a retry.
    stack.supervisor.kill('SIGTERM');
    await stack.supervisor.ended;
    await run('sqlite3', [path.join(stack.stateDir, 'tasks.db'), 'UPDATE agents SET ended_at=ended_at-80*3600000']);
    await stack.startSupervisor();
    await logged(stack.supervisor, new RegExp(`agent=${agent} its workspace is reclaimed`), 'retention');
    assert.equal(existsSync(repo), false);
    assert.deepEqual((await stack.events(agent, ['workspace'])).map((e) => e.body.state), ['reclaimed', 'restored', 'reclaimed']);
    await stack.ask('agent.retry', { agent });
    await stack.until((e) => e.kind === 'state' && e.body.state === 'done', 'done', 60000, { agent });
    const after = await look(repo);
    assert.match(after.log, /Third/);
    assert.match(after.log, /First/);
    assert.match(await git(repo, 'show', 'HEAD:first.txt'), /^committed/);
    assert.equal((await stack.ask('agent.show', { agent })).reclaimed_at, null);
    await stack.untilState(agent, 'done');

    // Deleted: what was saved comes back in a folder, in need of nothing else.
    const { saved, mirror } = await stack.ask('agent.delete', { agent });
    assert.ok(saved);
    await assert.rejects(stack.ask('agent.restore', { agent }), /name a folder/);
    const there = path.join(stack.dir, 'there');
    const back = await stack.ctl('restore', String(agent), '--to', there);
    assert.equal(back.code, 0, back.stderr);
    await rm(mirror, { recursive: true });
    assert.equal(await git(there, 'rev-parse', '--abbrev-ref', 'HEAD'), `agent-${agent}`);
    assert.match(await git(there, 'log', '--format=%s'), /Third[^]*First/);
    assert.equal(await git(there, 'config', 'remote.origin.url'), repository);
    await git(there, 'fsck', '--strict');
    assert.match((await stack.ctl('restore', String(agent), '--to', there)).stderr, /is there already/);
    assert.match((await stack.ctl('restore', '99', '--to', path.join(stack.dir, 'no'))).stderr, /no mirror in .* keeps work as refs\/100x\/agent-99/);
  } finally {
    assert.deepEqual(await stack.stop(), []);
  }
});

test('without its mirror a workspace is neither reclaimed nor deleted, unless its work is discarded', async () => {
  const stack = await startStack({ agentCommand: [support('scripted_agent'), '-e', JSON.stringify({ turns: [{ steps: [{ write: { path: 'a.txt', text: 'a\n' } }] }] })] });
  try {
    const repository = await makeRepository(stack.dir);
    const [agent] = (await stack.ask('task.create', { repository, tasks: [{ title: 'work' }], manager: false })).tasks[0].agents;
    await stack.untilState(agent, 'done');
    await stack.until((e) => e.kind === 'worker' && e.body.phase === 'ended', 'the worker to end', 30000, { agent });
    const mirrors = path.join(stack.stateDir, 'mirrors');
    await rename(mirrors, `${mirrors}.away`);
    await assert.rejects(stack.ask('agent.reclaim', { agent }), /could not be saved, so its workspace stays/);
    assert.ok(existsSync(path.join(stack.stateDir, 'workspaces', String(agent), 'repo/a.txt')));
    await rename(`${mirrors}.away`, mirrors);
    await stack.ask('agent.reclaim', { agent });
    await stack.ask('agent.restore', { agent });
    await rename(mirrors, `${mirrors}.away`);
    await assert.rejects(stack.ask('agent.delete', { agent }), /could not be saved .*discard.*the mirror .* is not there: put it back/);
    assert.ok(existsSync(path.join(stack.stateDir, 'workspaces', String(agent), 'repo/a.txt')));
    assert.equal((await stack.ask('agent.show', { agent })).state, 'done');
    assert.deepEqual(await stack.ask('agent.delete', { agent, discard: true }), {});
    assert.equal(existsSync(path.join(stack.stateDir, 'workspaces', String(agent))), false);
  } finally {
    assert.deepEqual(await stack.stop(), []);
  }
});
