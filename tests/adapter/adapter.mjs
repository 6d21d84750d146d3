// The adapter as its client sees it: the real aider behind it, the practice model behind
// that. Every message it sends is checked against the protocol's published schema.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { EventEmitter, once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import assert from 'node:assert/strict';
import Ajv from 'ajv/dist/2020.js';
import { deadline, git, makeRepository, patience, root, sampleRepository, startServer, support } from '../support/stack.mjs';

const data = process.env.HUNDREDX_DATA_DIR ??
  path.join(process.env.XDG_DATA_HOME ?? path.join(homedir(), '.local/share'), '100x');
export const python = process.env.HUNDREDX_AIDER_PYTHON ?? path.join(data, 'aider/bin/python');
export const script = path.join(root, 'worker/aider/acp_aider.py');
export const TURN_MS = 60000 * patience;

const schema = JSON.parse(readFileSync(createRequire(import.meta.url).resolve('@agentclientprotocol/sdk/schema/schema.json')));
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: false });
ajv.addSchema(schema, 'acp');
const definition = (name) => ajv.getSchema(`acp#/$defs/${name}`);
const results = {
  initialize: 'InitializeResponse', 'session/new': 'NewSessionResponse',
  'session/load': 'LoadSessionResponse', 'session/prompt': 'PromptResponse',
};
// The schema lets unknown fields pass; the adapter has none but those of the schema.
const updateFields = {
  user_message_chunk: 'ContentChunk', agent_message_chunk: 'ContentChunk', agent_thought_chunk: 'ContentChunk',
  tool_call: 'ToolCall', tool_call_update: 'ToolCallUpdate', usage_update: 'UsageUpdate',
  available_commands_update: 'AvailableCommandsUpdate',
};

function check(name, value) {
  const validate = definition(name);
  assert.ok(validate(value), `${name}: ${ajv.errorsText(validate.errors)}: ${JSON.stringify(value).slice(0, 500)}`);
}

function checkMessage(message, methods) {
  assert.equal(message.jsonrpc, '2.0');
  if (message.method === 'session/update') {
    check('SessionNotification', message.params);
    const { update } = message.params;
    const known = new Set(['sessionUpdate', ...Object.keys(schema.$defs[updateFields[update.sessionUpdate]]?.properties ?? {})]);
    for (const field of Object.keys(update)) assert.ok(known.has(field), `${update.sessionUpdate}.${field}`);
  } else if (message.method === 'session/request_permission') check('RequestPermissionRequest', message.params);
  else if (message.method) assert.fail(`the adapter called ${message.method}`);
  else if (message.error) check('Error', message.error);
  else check(results[methods.get(message.id)], message.result);
}

export class Adapter extends EventEmitter {
  constructor(world, options) {
    super();
    this.setMaxListeners(0);
    this.world = world;
    this.updates = [];
    this.permissions = [];
    this.invalid = [];
    this.stderr = '';
    this.methods = new Map();
    this.answers = new Map();
    this.nextId = 1;
    this.permit = options.permit ?? (() => 'yes');
    this.began = process.hrtime.bigint();
    this.child = spawn(options.python ?? python, [script, '--session-dir', path.join(world.dir, 'session'),
      '--model', options.model ?? 'openai/practice', '--permission', options.permission ?? 'allow', '--', ...(options.extra ?? [])], {
      cwd: world.repository, stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: path.join(world.dir, 'home'), LANG: 'C.UTF-8', TMPDIR: tmpdir(),
        OPENAI_API_KEY: world.key, OPENAI_API_BASE: `http://127.0.0.1:${world.model.port}/v1`, ...options.env },
    });
    this.exited = once(this.child, 'exit').then(([code, signal]) => signal ?? code);
    this.child.stdin.on('error', () => {});
    this.child.stderr.on('data', (text) => { this.stderr += text; });
    createInterface({ input: this.child.stdout }).on('line', (line) => this.take(line));
    this.exited.then((code) => {
      for (const { reject } of this.answers.values()) reject(new Error(`the adapter ended with ${code}: ${this.stderr.slice(-2000)}`));
    });
  }

  take(line) {
    let message;
    try {
      message = JSON.parse(line);
      checkMessage(message, this.methods);
    } catch (error) {
      this.invalid.push(error);
      if (!message) return;
    }
    if (message.method === 'session/update') {
      this.updates.push(message.params.update);
      this.emit('update', message.params.update);
    } else if (message.method) {
      this.permissions.push(message.params);
      const optionId = this.permit(message.params);
      this.emit('permission', message.params);
      if (optionId === undefined) return;
      const outcome = optionId === null ? { outcome: 'cancelled' } : { outcome: 'selected', optionId };
      this.write({ id: message.id, result: { outcome } });
    } else this.answers.get(message.id)?.resolve(message);
  }

  write(message) {
    this.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  // The whole answer, with result or error.
  async request(method, params, ms = TURN_MS) {
    const id = this.nextId++;
    this.methods.set(id, method);
    const answer = new Promise((resolve, reject) => this.answers.set(id, { resolve, reject }));
    this.write({ id, method, params });
    return await deadline(answer, ms, method).finally(() => this.answers.delete(id));
  }

  async start(session) {
    const hello = await this.request('initialize', { protocolVersion: 1, clientCapabilities: { fs: { readTextFile: false, writeTextFile: false }, terminal: false } });
    assert.equal(hello.result.protocolVersion, 1);
    const params = { cwd: this.world.repository, mcpServers: [] };
    const answer = session ? await this.request('session/load', { sessionId: session, ...params })
      : await this.request('session/new', params);
    this.readyMs = Number(process.hrtime.bigint() - this.began) / 1e6;
    if (answer.error) throw Object.assign(new Error(answer.error.message), answer.error);
    this.session = session ?? answer.result.sessionId;
    return this;
  }

  // One turn; what it brought forth and how it ended.
  async prompt(text) {
    const from = this.updates.length;
    const answer = await this.request('session/prompt', { sessionId: this.session, prompt: [{ type: 'text', text }] });
    return { ...answer, updates: this.updates.slice(from) };
  }

  cancel() {
    this.write({ method: 'session/cancel', params: { sessionId: this.session } });
  }

  async until(match, what) {
    const found = this.updates.find(match);
    if (found) return found;
    return await deadline(new Promise((resolve) => {
      const look = (update) => {
        if (!match(update)) return;
        this.off('update', look);
        resolve(update);
      };
      this.on('update', look);
    }), TURN_MS, what);
  }

  async stop() {
    this.child.stdin.end();
    const code = await deadline(this.exited, 10000 * patience, 'the adapter to end');
    assert.deepEqual(this.invalid, [], 'every message keeps to the schema');
    return code;
  }
}

// A repository, a model with a script, and adapters on them.
export async function makeWorld(t, { rules, strict, files, key = 'a-key-for-the-adapter-test', server = [] } = {}) {
  const dir = await mkdtemp(path.join(tmpdir(), '100x-adapter-'));
  await mkdir(path.join(dir, 'home'));
  const repository = files ? await makeRepository(dir, files) : await sampleRepository(dir);
  await git(repository, 'config', 'user.name', 'Ada Tester');
  await git(repository, 'config', 'user.email', 'ada@example.org');
  const args = ['--port', '0', '--log', path.join(dir, 'log'), '--latency', '0', ...server];
  if (rules) {
    await writeFile(path.join(dir, 'rules'), JSON.stringify({ rules, strict: strict ?? true }));
    args.push('--script', path.join(dir, 'rules'));
  }
  const model = await startServer(support('practice_model'), args);
  const adapters = [];
  const world = {
    dir, repository, model, key,
    adapter: (options = {}) => {
      const adapter = new Adapter(world, options);
      adapters.push(adapter);
      return adapter;
    },
    asked: async () => (await readFile(path.join(dir, 'log'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line)),
  };
  t.after(async () => {
    for (const adapter of adapters) {
      if (adapter.child.exitCode === null && adapter.child.signalCode === null) {
        adapter.child.kill('SIGKILL');
        await adapter.exited;
      }
    }
    await model.stop();
    await rm(dir, { recursive: true, force: true });
  });
  return world;
}

export const texts = (updates, kind = 'agent_message_chunk') =>
  updates.filter((u) => u.sessionUpdate === kind).map((u) => u.content.text).join('');
export const notices = (updates) =>
  updates.filter((u) => u._meta?.['100x']?.stream === 'log').map((u) => u.content.text).join('');
export const usages = (updates) =>
  updates.filter((u) => u.sessionUpdate === 'usage_update').map((u) => u._meta['100x'].usage);
export const commits = (updates) =>
  updates.filter((u) => u._meta?.['100x']?.commit).map((u) => u._meta['100x'].commit);
export const tools = (updates, kind) => {
  const all = new Map();
  for (const u of updates) {
    if (u.sessionUpdate === 'tool_call') all.set(u.toolCallId, { ...u });
    else if (u.sessionUpdate === 'tool_call_update') Object.assign(all.get(u.toolCallId), u);
  }
  return [...all.values()].filter((call) => call.kind === kind);
};

// aider's answer in its `whole` format.
export const whole = (file, text, words = 'Here it is.') => `${words}\n\n${file}\n\`\`\`\n${text}\`\`\`\n`;
export const commitRule = { system: 'Git commit messages', answer: 'feat: what was asked for', tokens_in: 70, tokens_out: 7 };
