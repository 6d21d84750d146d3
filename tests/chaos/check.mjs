// Reads the whole log, the git server and the double of GitHub, and tells every broken
// promise as a sentence.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { commandOf } from './world.mjs';
import { patience, root, run } from '../support/stack.mjs';
import { git } from '../support/git_server.mjs';

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// The kinds that are on the disk before anybody sees them; others a power cut may take.
const FLUSHED = new Set(Array.from(readFileSync(path.join(root, 'shared/event.h'), 'utf8').matchAll(/X\(\w+, "(\w+)", true/g), (m) => m[1]));

export const mayBeLost = (world, kind) => Boolean(world.disk) && !FLUSHED.has(kind);

// Ids rise by one (where no agent was deleted, with its events), and so does each worker's
// seq, in the same order. After a power cut both may go on later: told is what is missing.
function checkOrder(world, events, deleted, problems) {
  const last = new Map();
  let id = 0;
  for (const e of events) {
    const skipped = world.disk && e.id > id + 1000000;
    if (e.id <= id || (e.id !== id + 1 && !deleted.size && !skipped)) problems.push(`event ${e.id} comes after ${id}`);
    id = e.id;
    if (world.disk && e.kind === 'trouble' && e.body.lost_events) last.set(e.subject, (last.get(e.subject) ?? 0) + e.body.lost_events);
    if (e.stream !== 'agent' || !e.body.seq) continue;
    const want = (last.get(e.subject) ?? 0) + 1;
    if (e.body.seq !== want) problems.push(`agent ${e.subject}: event ${e.id} has seq ${e.body.seq}, not ${want}`);
    last.set(e.subject, e.body.seq);
  }
}

// What somebody has seen is in the store, word for word; within one connection without a gap.
function checkSeen(world, events, seen, deleted, problems) {
  const stored = new Map(events.map((e) => [e.id, e]));
  let before = { id: 0 };
  for (const s of seen) {
    const e = stored.get(s.id);
    if (s.id <= before.id) problems.push(`event ${s.id} was seen after ${before.id}`);
    if (s.connection === before.connection && s.id > before.id + 1) {
      problems.push(`the events ${before.id + 1} to ${s.id - 1} were not published in between`);
    }
    before = s;
    if (!e && !deleted.has(s.topic) && !mayBeLost(world, s.kind)) problems.push(`event ${s.id} (${s.topic} ${s.kind}) was seen, and is not in the store`);
    else if (e && (`${e.stream}/${e.subject}` !== s.topic || e.kind !== s.kind || !same(e.body, JSON.parse(s.body)))) {
      problems.push(`event ${s.id} was seen as ${s.topic} ${s.kind}, the store has another`);
    }
  }
}

// By way of stdin, so that the path is in no command line and killAll leaves it alone.
async function query(world, sql) {
  const code = 'import json,sqlite3,sys;path,sql=json.load(sys.stdin);print(json.dumps(sqlite3.connect(path).execute(sql).fetchall()))';
  const { stdout, stderr } = await run('python3', ['-S', '-c', code], { timeout: 60000 * patience,
    input: JSON.stringify([path.join(world.stack.stateDir, 'tasks.db'), sql]) });
  if (!stdout) throw new Error(`${sql}: ${stderr}`);
  return JSON.parse(stdout);
}

// The turns of one agent in order: { prompt, stop } (stop: undefined while it is open).
function turnsOf(events, agent) {
  const turns = new Map();
  for (const e of events) {
    if (e.stream !== 'agent' || e.subject !== agent || e.kind !== 'turn') continue;
    if (e.body.phase === 'started') turns.set(e.body.turn, { prompt: e.body.prompt });
    else if (turns.has(e.body.turn)) turns.get(e.body.turn).stop = e.body.stop_reason;
  }
  return [...turns.values()];
}

// An agent without a manager gets a message as the prompt of one turn; of another only if
// that one was cut off, and is done again.
function checkPrompted(turns, { agent, text }, done, problems) {
  const at = turns.flatMap((turn, i) => (turn.prompt.split('\n').includes(text) ? [i] : []));
  if (!at.length && done) problems.push(`agent ${agent}: message "${text}" was never the prompt of a turn`);
  for (let i = 1; i < at.length; i++) {
    if (at[i] !== at[i - 1] + 1 || turns[at[i - 1]].stop === 'end_turn') problems.push(`agent ${agent}: message "${text}" was the prompt of a turn again`);
  }
}

// A message to an agent that was accepted is told once, or kept for when the agent goes on.
async function checkMessages(world, rows, events, told, problems) {
  const times = new Map();
  for (const [agent, text] of await query(world, "SELECT agent_id, json_extract(c.body,'$.text') FROM commands c "
    + "JOIN agents a ON a.id = agent_id WHERE c.kind = 'tell' AND n > command_done AND state IN ('done','failed','stopped')")) {
    times.set(`${agent} ${text}`, 1);
  }
  const kept = new Set(times.keys());
  for (const e of events) {
    if (e.kind !== 'message' || e.body.direction !== 'in') continue;
    const key = `${e.subject} ${e.body.text}`;
    times.set(key, (times.get(key) ?? 0) + 1);
  }
  for (const { agent, text } of told) {
    const n = times.get(`${agent} ${text}`) ?? 0;
    if (n !== 1) problems.push(`agent ${agent}: message "${text}" was told ${n} times`);
    const row = rows.find(({ id }) => id === agent);
    if (row && !row.manager && !kept.has(`${agent} ${text}`)) checkPrompted(turnsOf(events, agent), { agent, text }, row.state === 'done', problems);
  }
}

// Each pull request once; one for each agent that is done; the branch as the agent left it.
async function checkEffects(world, rows, problems) {
  const heads = new Map();
  for (const p of world.pulls) heads.set(p.head, (heads.get(p.head) ?? 0) + 1);
  for (const [head, n] of heads) if (n !== 1) problems.push(`${n} pull requests of ${head}`);
  const asked = new Map();
  for (const request of world.shared.github.requests) {
    if (request.operation !== 'pulls/create' || !request.path.startsWith(`/repos/${world.repositoryName}/`)) continue;
    asked.set(request.body.head, (asked.get(request.body.head) ?? 0) + 1);
  }
  for (const [head, n] of asked) if (n !== 1) problems.push(`a pull request of ${head} was asked for ${n} times`);
  for (const row of rows) {
    if (row.state === 'failed' && !row.reason) problems.push(`agent ${row.id} failed without a reason`);
    if (row.state !== 'done' || world.withoutPull.has(row.id)) continue;
    const pull = world.pulls.find((p) => p.head === row.branch);
    if (!pull || !row.pull_request?.endsWith(`/${world.repositoryName}/pull/${pull.number}`)) {
      problems.push(`agent ${row.id} is done (${row.reason}), its pull request: ${row.pull_request}`);
      continue;
    }
    const repository = path.join(world.stack.stateDir, 'workspaces', String(row.id), 'repo');
    const pushed = git(world.bare, 'rev-parse', row.branch);
    const left = git(repository, 'rev-parse', row.branch);
    if (pushed !== left) problems.push(`agent ${row.id}: ${pushed} was pushed, the workspace has ${left}`);
  }
  for (const violation of world.shared.github.violations) problems.push(`GitHub: ${violation}`);
  const fsck = await run('git', ['-C', world.bare, 'fsck', '--no-dangling']);
  if (fsck.code !== 0) problems.push(`git server: ${fsck.stderr}`);
}

// A commit that was told is on the agent's branch for good.
function checkCommits(world, rows, events, problems) {
  for (const { id, branch, state } of rows) {
    const told = events.filter((e) => e.kind === 'commit' && e.subject === id).map((e) => e.body.hash);
    if (!told.length || state !== 'done') continue;
    const there = new Set(git(path.join(world.stack.stateDir, 'workspaces', String(id), 'repo'), 'rev-list', branch).split('\n'));
    for (const hash of told) if (!there.has(hash)) problems.push(`agent ${id}: its commit ${hash} is not on ${branch} any more`);
  }
}

// The problems of the store's file, beside the programs that use it.
export async function checkDatabase(world) {
  const [[answer]] = await query(world, 'PRAGMA integrity_check');
  return answer === 'ok' ? [] : [`integrity_check: ${answer}`];
}

function* files(folder, under = '') {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const name = path.join(under, entry.name);
    if (entry.isDirectory()) yield* files(path.join(folder, entry.name), name);
    else yield name;
  }
}

const LOCKS = /^(supervisor\.lock|mirrors\/\w+\.lock|workspaces\/\d+\/lock)$/;
const ACCOUNTS = ['supervisor.lock', 'github.pace']; // in the run directory, for the next one
const TEMPORARY = /(\.new|\.tmp|\.lock|-journal)$|(^|\/)(tmp_|pack_git2_)|\.sock$|\.ipc$/;

// Neither temporary files, locks nor sockets stay behind an orderly end.
function checkFiles(world, problems) {
  for (const name of files(world.stack.stateDir)) {
    if (TEMPORARY.test(name) && !LOCKS.test(name)) problems.push(`left behind: ${name}`);
  }
  for (const name of files(world.stack.env.TMPDIR)) problems.push(`left behind in TMPDIR: ${name}`);
  for (const name of existsSync(world.stack.runDir) ? readdirSync(world.stack.runDir) : []) {
    if (!ACCOUNTS.includes(name)) problems.push(`left behind in the run directory: ${name}`);
  }
}

// What can be checked while it runs: log, effects, database. told: [{agent, text}].
export async function check(world, told = []) {
  const problems = await checkDatabase(world);
  const rows = await world.agents();
  const events = await world.stack.events();
  const deleted = new Set(events.filter((e) => e.kind === 'deleted').map((e) => `agent/${e.subject}`));
  const stored = new Set(events.map((e) => `${e.stream}/${e.subject}`));
  for (const { topic } of deleted.size ? (world.listener?.seen ?? []) : []) { // a task goes with its last agent
    if (topic.startsWith('task/') && !stored.has(topic)) deleted.add(topic);
  }
  checkOrder(world, events, deleted, problems);
  if (world.listener) {
    if (!world.listener.seen.length) problems.push('the listener saw nothing at all');
    checkSeen(world, events, world.listener.seen, deleted, problems);
  }
  await checkMessages(world, rows, events, told.filter(({ agent }) => !deleted.has(`agent/${agent}`)), problems);
  await checkEffects(world, rows, problems);
  checkCommits(world, rows, events, problems);
  return { problems, rows, events, deleted };
}

// What must hold when it has ended in order.
export function checkAfterwards(world) {
  const problems = world.all().map((pid) => `left running: ${pid} ${commandOf(pid)}`);
  checkFiles(world, problems);
  return problems;
}
