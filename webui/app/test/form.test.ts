import assert from 'node:assert/strict';
import { test } from 'node:test';
import { besideField, checkDraft, checkRepository, fieldIn, placeOf, type Draft } from '../src/form';
import { dollars, duration, httpUrl, pullRequestName, repositoryName } from '../src/format';
import { changeOf, check, valuesOf } from '../src/settings';

const draft = (change: Partial<Draft> = {}): Draft => ({
  repository: 'https://github.com/a/b',
  base: '',
  tasks: [{ key: 1, title: 'x', description: '' }],
  agents: '1',
  aiderArguments: '',
  testCommand: '',
  manager: true,
  permission: 'allow',
  turns: '',
  minutes: '',
  dollars: '',
  agentModel: '',
  aiderModel: '',
  pullRequest: true,
  ...change,
});

test('a good draft has no error', () => assert.deepEqual(checkDraft(draft()), {}));

test('each bad field is named', () => {
  const bad = draft({
    repository: '',
    agents: '11',
    turns: '0',
    minutes: 'x',
    dollars: '-1',
    tasks: [{ key: 1, title: 'x', description: '' }, { key: 2, title: '  ', description: 'd' }],
  });
  assert.deepEqual(Object.keys(checkDraft(bad)), [
    'repository', 'tasks[1].title', 'agents_per_task', 'limits.turns', 'limits.minutes', 'limits.dollars',
  ]);
  for (const agents of ['0', '11', '', '1.5', '-1', 'two']) assert.ok(checkDraft(draft({ agents }))['agents_per_task'], agents);
});

test('addresses of repositories', () => {
  for (const good of ['https://h/o/n.git', 'ssh://git@h:22/o/n', 'git@h:o/n', '/srv/git/n', 'file:///srv/n']) assert.equal(checkRepository(good), '', good);
  for (const bad of ['', 'owner/name', 'javascript:alert(1)', 'https://', 'https://host', 'a b']) assert.ok(checkRepository(bad), bad);
});

test("the server's field finds ours", () => {
  const known = ['repository', 'tasks[0].title', 'tasks[1].title', 'limits.turns', 'general.max_working', 'models.agent'];
  assert.equal(placeOf('repository', known), 'repository');
  assert.equal(placeOf('tasks[1]', known), 'tasks[1].title');
  assert.equal(placeOf('tasks.1.title', known), 'tasks[1].title');
  assert.equal(placeOf('max_working', known), 'general.max_working');
  assert.equal(placeOf('limits', known), 'limits.turns');
  assert.equal(placeOf('nonsense', known), '');
  assert.equal(fieldIn('repository: cannot be reached'), 'repository');
  assert.equal(fieldIn('Nothing here: at all'), '');
  assert.equal(besideField('tasks[0]: title: must not be blank'), 'Must not be blank');
});

test('settings: only what changed is sent', () => {
  const before = valuesOf({
    models: { orchestrator: 'a/b', agent: 'a/b', aider: 'a/b' },
    general: { max_working: 4, turn_minutes: 20, alone_minutes: 10, model_seconds: 60, limit_turns: 50, limit_minutes: 60, limit_dollars: 5, instructions: '', permission: 'allow', agent_command: ['x', '--y'], local_repositories: true, git_name: '', git_email: '' },
  });
  assert.deepEqual(check(before), {});
  assert.deepEqual(changeOf(before, before), {});
  const after = { ...before, 'models.aider': 'openai/gpt', 'general.max_working': '8', 'general.agent_command': 'p\n a b \n\n', 'general.local_repositories': 'false' };
  assert.deepEqual(changeOf(before, after), {
    models: { aider: 'openai/gpt' },
    general: { max_working: 8, local_repositories: false, agent_command: ['p', 'a b'] },
  });
  assert.deepEqual(Object.keys(check({ ...after, 'models.agent': 'nonsense', 'general.limit_dollars': '-1', 'general.turn_minutes': '0' })), [
    'models.agent', 'general.turn_minutes', 'general.limit_dollars',
  ]);
});

test('only http(s) becomes a link', () => {
  assert.equal(httpUrl('https://github.com/a/b/pull/1'), 'https://github.com/a/b/pull/1');
  for (const bad of ['javascript:alert(1)', 'data:text/html,x', 'ftp://x/y', '//x', '', null]) assert.equal(httpUrl(bad), null, String(bad));
});

test('names and amounts', () => {
  assert.equal(repositoryName('https://github.com/o/n.git'), 'o/n');
  assert.equal(repositoryName('git@github.com:o/n.git'), 'o/n');
  assert.equal(repositoryName('/srv/git/thing'), 'thing');
  assert.equal(pullRequestName('https://github.com/o/n/pull/12'), 'Pull request #12');
  assert.equal(dollars(0), '$0');
  assert.equal(dollars(0.001), '<$0.01');
  assert.equal(dollars(1.234), '$1.23');
  assert.equal(duration(3_725_000), '1h 02m');
});
