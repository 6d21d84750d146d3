// Deleting an agent deletes no work: what was only in its workspace is kept in the mirror.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { git, makeRepository, startStack, support } from '../support/stack.mjs';

test('a deleted agent\'s work is kept in the mirror, and told where', async () => {
  const stack = await startStack({ agentCommand: [support('scripted_agent'), '-e', JSON.stringify({ turns: [{ steps: [
    { write: { path: 'first.txt', text: 'committed\n' } }, { commit: 'First' },
    { write: { path: 'second.txt', text: 'not committed\n' } }, { text: 'started\n' }, { silence_ms: 600000 }] }] })] });
  try {
    const repository = await makeRepository(stack.dir);
    const create = async () => {
      const agent = (await stack.ask('task.create', { repository, tasks: [{ title: 'work' }], manager: false })).tasks[0].agents[0];
      await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the turn', 30000, { agent });
      return agent;
    };
    const workspace = (agent) => path.join(stack.stateDir, 'workspaces', String(agent));

    const agent = await create();
    const { saved, mirror } = await stack.ask('agent.delete', { agent });
    assert.equal(saved, `refs/100x/agent-${agent}`);
    assert.equal(existsSync(workspace(agent)), false);
    assert.equal(await git(mirror, 'show', `${saved}:second.txt`), 'not committed');
    assert.equal(await git(mirror, 'show', `${saved}~1:first.txt`), 'committed');
    assert.equal(await git(mirror, 'log', '-1', '--format=%s', `${saved}~1`), 'First');

    // Another agent on the same mirror: the ref stays. Without its repository nothing can
    // be saved, so nothing is removed, unless that is wanted.
    const broken = await create();
    assert.equal(await git(mirror, 'show', `${saved}:second.txt`), 'not committed');
    await rm(path.join(workspace(broken), 'repo/.git/HEAD'));
    await assert.rejects(stack.ask('agent.delete', { agent: broken }), /could not be saved.*discard/);
    assert.ok(existsSync(path.join(workspace(broken), 'repo/second.txt')));
    assert.deepEqual(await stack.ask('agent.delete', { agent: broken, discard: true }), {});
    assert.equal(existsSync(workspace(broken)), false);

    const cli = await create();
    const { code, stdout, stderr } = await stack.ctl('delete', String(cli));
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`kept as refs/100x/agent-${cli} in .*mirrors`));
    const unwanted = await create();
    assert.doesNotMatch((await stack.ctl('delete', '--discard', String(unwanted))).stdout, /kept/);
    await assert.rejects(git(mirror, 'rev-parse', '--verify', '-q', `refs/100x/agent-${unwanted}`));
  } finally {
    assert.deepEqual(await stack.stop(), []);
  }
});
