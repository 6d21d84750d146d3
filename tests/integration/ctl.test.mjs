// The command line against the real programs: up and down, errors and their exit codes,
// following without gap or double, and no foreign byte that could steer a terminal.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { startGithubDouble } from '../support/github_double.mjs';
import { deadline, freePort, makeRepository, patience, program, root, run, startStack, support } from '../support/stack.mjs';

let stack, repository;

before(async () => {
  stack = await startStack();
  repository = await makeRepository(stack.dir);
});

after(async () => {
  assert.deepEqual(await stack.stop(), []);
});

async function script(turns, options = {}) {
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify({ turns, ...options })] } });
}

async function ok(...args) {
  const result = await stack.ctl(...args);
  assert.equal(result.code, 0, `100x ${args.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

async function refused(code, pattern, ...args) {
  const result = await stack.ctl(...args);
  assert.equal(result.code, code, `100x ${args.join(' ')}: ${result.stdout}${result.stderr}`);
  assert.match(result.stderr, pattern);
}

const write = { write: { path: 'hello.txt', text: 'hello\n' } };

test('up starts both and prints the URL; again it leaves them; down ends both', async () => {
  const other = await startStack({ supervisor: false });
  const port = await freePort();
  const up = JSON.parse((await other.ctl('up', '--json', '--port', String(port))).stdout);
  assert.match(up.url, new RegExp(`^http://localhost:${port}/sign-in\\?token=[0-9a-f]{64}$`));
  const signIn = await fetch(up.url, { redirect: 'manual' });
  assert.ok(signIn.status < 400, `sign-in answers ${signIn.status}`);
  const status = JSON.parse((await other.ctl('status', '--json')).stdout);
  const again = JSON.parse((await other.ctl('up', '--json', '--port', String(port))).stdout);
  assert.equal(again.url, up.url);
  assert.equal(JSON.parse((await other.ctl('status', '--json')).stdout).pid, status.pid);
  assert.equal((await other.ctl('down')).code, 0);
  assert.deepEqual(await other.survivors(), []);
  assert.match((await other.ctl('down')).stdout, /Nothing was up/);
  await other.stop();
});

test('a page port in use: up fails, says so, and leaves nothing running', async () => {
  const other = await startStack({ supervisor: false });
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const result = await other.ctl('up', '--port', String(port));
  assert.equal(result.code, 1);
  assert.match(result.stderr, new RegExp(`${port}.*in use|in use.*${port}`));
  server.close();
  assert.deepEqual(await other.survivors(), [], 'what up had started has ended with it');
  assert.match((await other.ctl('down')).stdout, /Nothing was up/);
  assert.deepEqual(await other.stop(), []);
});

test('after down with the page up, the store is whole in its one file', async () => {
  const other = await startStack({ supervisor: false });
  assert.equal((await other.ctl('up', '--port', String(await freePort()))).code, 0);
  assert.equal((await other.ctl('config', 'set', 'limit_turns=17')).code, 0);
  assert.equal((await other.ctl('down')).code, 0);
  await cp(path.join(other.stateDir, 'tasks.db'), path.join(other.dir, 'copy', 'tasks.db'), { recursive: true });
  other.stateDir = path.join(other.dir, 'copy');
  assert.equal((await other.ctl('up', '--no-webui')).code, 0);
  assert.equal((await other.ctl('config', 'get', 'limit_turns')).stdout.trim(), '17');
  assert.equal((await other.ctl('down')).code, 0);
  assert.deepEqual(await other.stop(), []);
});

test('options every command takes may stand before help and version', async () => {
  const help = await run(program('100x'), ['--state-dir', '/nonexistent', '--json', '--help'], { env: stack.env });
  assert.equal(help.code, 0);
  assert.match(help.stdout, /coding agents on Git repositories/);
  assert.match((await stack.ctl('help', 'list')).stdout, /100x list/);
  assert.match((await stack.ctl('version', '--json')).stdout, /"version"/);
  const nothing = await stack.ctl();
  assert.equal(nothing.code, 2);
  assert.match(nothing.stderr, /100x COMMAND/);
  await refused(2, /no command frob/, 'frob');
  await refused(2, /no command frob/, 'help', 'frob');
});

test('up --foreground stays and takes everything down on SIGTERM', async () => {
  const other = await startStack({ supervisor: false });
  const child = spawn(program('100x'), ['up', '--foreground', '--port', String(await freePort()),
    '--state-dir', other.stateDir, '--run-dir', other.runDir], { env: other.env, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'exit');
  await deadline(once(child.stdout, 'data'), 20000 * patience, 'up to be ready');
  assert.equal((await other.ctl('status')).code, 0);
  child.kill('SIGTERM');
  assert.deepEqual(await deadline(ended, 20000 * patience, 'up to end'), [0, null]);
  assert.deepEqual(await other.stop(), []);
});

test('without a supervisor every command says how to start it', async () => {
  const other = await startStack({ supervisor: false });
  for (const args of [['status'], ['list'], ['show', '1'], ['logs', '1'], ['events'], ['tell', '1', 'x'], ['stop', 'all'],
    ['config'], ['new', repository, '--task', 'x']]) {
    const result = await other.ctl(...args);
    assert.equal(result.code, 3, args.join(' '));
    assert.match(result.stderr, /does not run: start it with `100x up`/);
  }
  await other.stop();
});

test('a wrong command line changes nothing and says what is wrong', async () => {
  const before = (await stack.ask('agent.list')).agents.length;
  await refused(2, /no command nonsense/, 'nonsense');
  await refused(2, /unknown option --nonsense/, 'list', '--nonsense');
  await refused(2, /no task/, 'new', repository);
  await refused(2, /--agents.*from 1 to 1000/, 'new', repository, '--task', 'x', '-n', '0');
  await refused(2, /--dollars/, 'new', repository, '--task', 'x', '--dollars', '-1');
  await refused(2, /wants --yes/, 'delete', 'all');
  await refused(2, /whole number/, 'stop', '7x');
  await refused(1, /no agent 4242/, 'show', '4242');
  await refused(1, /./, 'stop', '4242');
  await refused(1, /repository|not found|no such|does not exist/i, 'new', path.join(stack.dir, 'nowhere'), '--task', 'x');
  await refused(1, /branch/, 'new', repository, '--base', 'nowhere', '--task', 'x');
  assert.equal((await stack.ask('agent.list')).agents.length, before);
});

test('configuration is shown, typed, and set', async () => {
  await ok('config', 'set', 'limit_turns=7', 'instructions=Be brief.', 'models.agent=openai/gpt-4o', 'local_repositories=on');
  assert.equal(await ok('config', 'get', 'limit_turns'), '7\n');
  assert.equal(await ok('config', 'get', 'models.agent'), 'openai/gpt-4o\n');
  assert.match(await ok('config'), /^instructions +Be brief\.$/m);
  assert.equal(JSON.parse(await ok('config', '--json')).general.limit_turns, 7);
  await refused(1, /must be a number/, 'config', 'set', 'limit_turns=many');
  await refused(1, /no configuration key nope/, 'config', 'set', 'nope=1');
  await refused(1, /./, 'config', 'set', 'models.agent=nobody/knows');
  assert.equal(await ok('config', 'get', 'models.agent'), 'openai/gpt-4o\n');
});

test('new --wait follows to the end; list, show and logs tell of it', async () => {
  await script([{ steps: [{ text: 'Writing.\n' }, write, { commit: 'Say hello' }] }]);
  const told = await ok('new', repository, '-n', '2', '--task', 'Greet: write hello', '--no-manager', '--wait');
  const [, first, second] = told.match(/^Task \d+: agents (\d+) (\d+)$/m);
  for (const id of [first, second]) assert.match(told, new RegExp(`agent/${id} +state +done`));
  assert.match(await ok('list'), new RegExp(`^ +${first} .*done.*Greet`, 'm'));
  assert.match(await ok('list', '--ids', '--state', 'done'), new RegExp(`^${first}$`, 'm'));
  assert.match(await ok('show', first), /Branch +agent-/);
  const log = await ok('logs', first);
  assert.match(log, /^Writing\.$/m);
  assert.match(log, /── commit [0-9a-f]{7} Say hello/);
  assert.match(await ok('logs', first, '-n', '1'), /^.*\n$/);
  assert.equal(await ok('logs', first, '-f'), log, 'following an ended agent ends');
  assert.equal((await stack.ctl('wait', first, second)).code, 0);
  await ok('delete', first);
  await refused(1, /no agent|gone/, 'show', first);
});

test('waiting for an agent that does not end well is exit code 4', async () => {
  await script([{ steps: [{ exit: 1 }] }]);
  const result = await stack.ctl('new', repository, '--task', 'x', '--no-manager', '--wait');
  assert.equal(result.code, 4, result.stdout + result.stderr);
});

test('tasks from a file: JSON and lines', async () => {
  await script([{ steps: [write] }]);
  const json = path.join(stack.dir, 'tasks.json'), lines = path.join(stack.dir, 'tasks.txt');
  await writeFile(json, JSON.stringify([{ title: 'one', description: 'first' }, { title: 'two' }]));
  await writeFile(lines, '# two tasks\nthree: third\n\nfour\n');
  const { tasks } = JSON.parse(await ok('new', repository, '--tasks-file', json, '--tasks-file', lines, '--no-manager', '--json'));
  assert.equal(tasks.length, 4);
  const all = JSON.parse(await ok('list', '--tasks', '--json')).tasks.filter((t) => tasks.some((n) => n.id === t.id));
  assert.deepEqual(all.map((t) => t.title).sort(), ['four', 'one', 'three', 'two']);
  await ok('wait', ...tasks.flatMap((t) => t.agents.map(String)));
});

test('following events gives each once and in order, while they come', async () => {
  await script([{ steps: [{ flood: { lines: 3000, size: 80, rate: 100000 } }, write] }]);
  const child = spawn(program('100x'), ['events', '-f', '--json', '--after', '0', '--state-dir', stack.stateDir, '--run-dir', stack.runDir],
    { env: stack.env, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk) => { text += chunk; });
  const { tasks } = JSON.parse(await ok('new', repository, '-n', '2', '--task', 'flood', '--no-manager', '--json'));
  const agents = tasks[0].agents;
  for (const agent of agents) await stack.untilState(agent, 'done');
  const { last_event: last } = await stack.ask('status');
  const seen = () => text.slice(0, text.lastIndexOf('\n') + 1).trim().split('\n').filter(Boolean).map((l) => JSON.parse(l));
  await deadline((async () => {
    while (!seen().some((e) => e.id >= last)) await once(child.stdout, 'data');
  })(), 30000 * patience, 'all events to be printed');
  child.kill();
  await once(child, 'exit');
  const ids = seen().map((e) => e.id).filter((id) => id <= last);
  assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => a - b));
  assert.deepEqual(ids, (await stack.events()).map((e) => e.id).filter((id) => id <= last));
});

test('escape sequences of an agent never reach the terminal', async () => {
  const evil = '\u001b[2J\u001b]0;owned\u0007\u009b31mred \u202edesrever\r\n';
  await script([{ steps: [{ text: evil }, { log: evil }, { tool: { id: '1', title: evil, kind: 'execute', status: 'completed', text: evil } }, write,
    { commit: evil }] }]);
  const out = await ok('new', repository, '--title', evil, '--no-manager', '--wait');
  const id = out.match(/agent (\d+)/)[1];
  for (const text of [out, await ok('logs', id), await ok('show', id), await ok('list'), await ok('events'), await ok('list', '--tasks')]) {
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(text, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  }
});

test('doctor names the missing key and how to mend it', async () => {
  await ok('config', 'set', 'models.agent=openai/gpt-4o', 'models.aider=deepseek/deepseek-chat', 'models.orchestrator=ollama/qwen3');
  const missing = await stack.ctl('doctor', '--json');
  assert.equal(missing.code, 1);
  const { ok: good, findings } = JSON.parse(missing.stdout);
  assert.equal(good, false);
  const agent = findings.find((f) => f.subject === 'agent');
  assert.equal(agent.level, 'missing');
  assert.match(agent.mend, /OPENAI_API_KEY/);
  assert.equal(findings.find((f) => f.subject === 'orchestrator').level, 'good');
  await mkdir(stack.env.HOME, { recursive: true });
  await writeFile(path.join(stack.env.HOME, '.env'), 'OPENAI_API_KEY=sk-a-secret-value\nexport DEEPSEEK_API_KEY="sk-another-secret"\n');
  const there = await stack.ctl('doctor', '--json');
  assert.equal(JSON.parse(there.stdout).findings.find((f) => f.subject === 'agent').level, 'good');
  assert.doesNotMatch(there.stdout + (await stack.ctl('doctor')).stdout, /secret/);
});

test('doctor tries the token of GitHub', async () => {
  const github = await startGithubDouble({ token: 'ghp_the_right_token', scopes: 'repo, read:org' });
  const narrow = await startGithubDouble({ token: 'ghp_the_right_token', scopes: 'gist' });
  const finding = async (token, url) => {
    const { stdout } = await run(program('100x'), ['doctor', '--json', '--state-dir', stack.stateDir, '--run-dir', stack.runDir],
      { env: { ...stack.env, GITHUB_TOKEN: token, GITHUB_API_URL: url } });
    assert.doesNotMatch(stdout, /ghp_/);
    return JSON.parse(stdout).findings.find((f) => f.subject === 'github');
  };
  const good = await finding('ghp_the_right_token', github.url);
  assert.equal(good.level, 'good');
  assert.match(good.text, /octo-agent/);
  assert.equal((await finding('ghp_the_wrong_token', github.url)).level, 'missing');
  const poor = await finding('ghp_the_right_token', narrow.url);
  assert.equal(poor.level, 'missing');
  assert.match(poor.mend, /scope repo/);
  await github.stop();
  assert.equal((await finding('ghp_the_right_token', github.url)).level, 'hint');
  await narrow.stop();
});

// What the page can do, a command can: the REST interface's operations and their commands.
const COMMANDS = {
  status: 'status', listTasks: 'list --tasks', createTasks: 'new', showTask: 'show --task', listAgents: 'list --archived', tellAll: 'tell', showAgent: 'show',
  deleteAgent: 'delete --discard', tell: 'tell', answerPermission: 'permit', listTurns: 'show --turns', showDiff: 'events', listEvents: 'events --agent', showUsage: 'show',
  showConfig: 'config', changeConfig: 'config', interrupt: 'interrupt', pause: 'pause', resume: 'resume', stop: 'stop', finish: 'finish', retry: 'retry', events: 'events --follow',
  archive: 'archive', unarchive: 'unarchive', listRepositories: 'repositories', activity: 'activity', costs: 'costs', output: 'logs --lines', search: 'search',
  checkRepository: 'branches', listIssues: 'issues', testModel: 'models', listKeys: 'keys', splitGoal: 'split', judgeTask: 'judge', pickAgent: 'pick', unpickAgent: 'unpick',
  health: 'health', showProcess: 'processes', reclaim: 'reclaim', restore: 'restore',
  openapi: null, showSession: null, signIn: 'up', signOut: null, // of a browser alone
};

test('every operation of the REST interface has a command', async () => {
  const document = JSON.parse(await readFile(path.join(root, 'webui/openapi.json'), 'utf8'));
  for (const methods of Object.values(document.paths)) {
    for (const [method, { operationId }] of Object.entries(methods)) {
      if (method === 'parameters') continue;
      assert.ok(operationId in COMMANDS, `${operationId} has no command`);
      const [command, option] = COMMANDS[operationId]?.split(' ') ?? [];
      if (command) assert.ok((await ok('help', command)).includes(option ?? command), `${operationId}: 100x ${COMMANDS[operationId]}`);
    }
  }
});

test('archive, pick, activity, costs, search and repositories on the command line', async () => {
  await script([{ steps: [{ text: 'Looking for a needle\nin hay\n' }, { usage: { model: 'openai/x', tokens_in: 10, tokens_out: 2, tokens_cached: 0, dollars: 0.25 } }, write] }]);
  const made = JSON.parse(await ok('new', repository, '--task', 'race: run', '--agents', '2', '--no-manager', '--json', '--no-pull-request')).tasks[0];
  const [first, second] = made.agents.map(String);
  await ok('wait', first, second);
  assert.match(await ok('search', first, 'NEEDLE'), /Looking for a needle/);
  await refused(1, /^$/, 'search', first, 'nowhere');
  await refused(2, /wants an agent and a text/, 'search', first);
  assert.match(await ok('costs', '--days', '1'), /openai\/x[^]*In all \$/);
  assert.match(await ok('repositories'), new RegExp(repository));
  const lines = (await ok('activity', '--task', String(made.id), '-n', '400', '-k', 'state,worker')).split('\n');
  assert.ok(lines.some((l) => /worker +worker pid \d+ ended with code 0/.test(l)), lines.join('\n'));
  await refused(2, /kind/, 'activity', '--kinds', 'nonsense');
  assert.match(await ok('pick', first), /picked; 1 others are archived, 0 are stopped/);
  assert.ok(!(await ok('list', '--ids')).split('\n').includes(second));
  assert.ok((await ok('list', '--ids', '--archived')).split('\n').includes(second));
  assert.match(await ok('unpick', String(made.id)), /1 are back/);
  await ok('archive', first, second);
  await ok('unarchive', first);
  assert.deepEqual(JSON.parse(await ok('list', '--json', '--archived', '--task', String(made.id))).agents.map((a) => a.archived), [false, true]);
  assert.match(await ok('processes', first), /No process runs/);
  assert.match((await stack.ctl('health')).stdout, /Disk .*the state takes[^]*supervisor/);
  assert.match(await ok('branches', repository), /\* main/);
  await refused(1, /not on GitHub/, 'issues', repository);
  assert.match(await ok('keys'), /not set +GROQ_API_KEY/);
  await refused(1, /^$/, 'models', 'test', 'openai/x');
});

test('every script tells what it is for, and refuses what it does not know before it does anything', async () => {
  const copy = path.join(stack.dir, 'source');
  await cp(path.join(root, 'scripts'), path.join(copy, 'scripts'), { recursive: true });
  const scripts = (await readdir(path.join(copy, 'scripts'), { withFileTypes: true })).filter((f) => f.isFile() && !f.name.includes('.'));
  assert.ok(scripts.length >= 10);
  for (const { name } of scripts) {
    const call = (...args) => run(path.join(copy, 'scripts', name), args, { cwd: copy, env: stack.env, timeout: 20000 * patience });
    for (const args of [['--help'], ['-h']]) {
      const { code, stdout, stderr } = await call(...args);
      assert.equal(code, 0, `${name}: ${stderr}`);
      assert.match(stdout, /^[A-Z][^]*\n$/, name);
    }
    const { code, stdout, stderr } = await call('--nonsense');
    assert.equal(code, 1, name);
    assert.match(stderr, new RegExp(`^${name}: unknown .*--nonsense`));
    assert.equal(stdout, '', name);
  }
  assert.deepEqual(await readdir(copy), ['scripts'], 'they made nothing');
});

test('help, man page and completions know every command', async () => {
  const overview = await ok('help');
  const commands = [...overview.matchAll(/^ {2}([a-z]+) +[A-Z]/gm)].map((m) => m[1]);
  assert.ok(commands.length > 35);
  const man = await readFile(path.join(root, 'docs/man/100x.1'), 'utf8');
  const readme = (await readFile(path.join(root, 'README.md'), 'utf8')).match(/^\| command[^]*?\n\n/m)[0];
  const general = ['json', 'state-dir', 'run-dir', 'help'];
  const told = (command) => man.split(/^\.It /m).filter((entry) => new RegExp(`^(Xo\n\\.)?Cm ${command}\\b`).test(entry));
  for (const command of commands) {
    if (['help', 'version'].includes(command)) continue;
    assert.match(readme, new RegExp(`\`(100x )?${command}\\b`), `README: ${command}`);
    for (const [, option] of (await ok('help', command)).matchAll(/^ {2}.{4}--([a-z-]+)/gm))
      assert.ok(general.includes(option) || told(command).some((entry) => new RegExp(` -${option}\\b`).test(entry)), `man page: ${command} --${option}`);
    assert.ok(told(command).length, `man page: ${command}`);
    assert.match(await ok('help', command), new RegExp(`^100x ${command}`));
  }
  const bash = await run('bash', ['-c', `source <("$X" completion bash); COMP_WORDS=(100x ev); COMP_CWORD=1; _100x; echo "\${COMPREPLY[@]}";
    COMP_WORDS=(100x new --no); COMP_CWORD=2; _100x; echo "\${COMPREPLY[@]}"`], { env: { PATH: process.env.PATH, X: program('100x') } });
  assert.equal(bash.stdout, 'events\n--no-manager --no-pull-request\n', bash.stderr);
  for (const shell of ['zsh', 'fish']) for (const command of commands) assert.match(await ok('completion', shell), new RegExp(`\\b${command}\\b`));
});
