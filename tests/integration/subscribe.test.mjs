// The documented examples for strangers, as docs/subscribe.md gives them.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { deadline, patience, root, run, startStack } from '../support/stack.mjs';

const example = (name) => path.join(root, 'docs/examples', name);
let stack;

before(async () => {
  stack = await startStack();
  stack.env.HUNDREDX_RUN_DIR = stack.runDir;
});

after(async () => {
  assert.deepEqual(await stack.stop(), []);
});

// Runs a listener and makes events until it has printed one: a subscriber has no way to
// tell that it is connected, other than by receiving.
async function hears(command, args) {
  const child = spawn(command, args, { env: stack.env, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '', errors = '';
  child.stdout.on('data', (chunk) => { text += chunk; });
  child.stderr.on('data', (chunk) => { errors += chunk; });
  let heard = false;
  const first = Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => { throw new Error(`it ended: ${errors}`); })])
    .finally(() => { heard = true; });
  const noise = (async () => {
    for (let n = 1; !heard; n++) await stack.ask('config.set', { general: { limit_turns: 10 + (n % 50) } });
  })();
  await deadline(first, 20000 * patience, `${command} to hear something`);
  await noise;
  child.kill();
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return text;
}

const frame = /^system\/0 config \d+ v1\n\{.*"changed":\["limit_turns"\].*\}/m;

test('the shell listens with nngcat alone', async () => {
  assert.match(await hears(example('subscribe.sh'), []), frame);
});

test('the shell asks', async () => {
  const { stdout } = await run(example('ask.sh'), ['status'], { env: stack.env });
  assert.equal(JSON.parse(stdout).result.state_dir, stack.stateDir);
  const missing = await run(example('ask.sh'), ['agent.show', '{"agent":7}'], { env: stack.env });
  assert.equal(JSON.parse(missing.stdout).error.data.kind, 'not_found');
});

test('C listens', async () => {
  const binary = path.join(stack.dir, 'subscribe');
  const built = await run('cc', ['-Wall', '-Wextra', '-Werror', '-o', binary, example('subscribe.c'), '-lnng'], { env: process.env });
  assert.equal(built.code, 0, built.stderr);
  assert.match(await hears(binary, [stack.runDir]), frame);
  assert.match(await hears(binary, [stack.runDir, 'system/']), frame);
});

// pynng is no Debian package, so its sockets are played by nngcat underneath: what is
// tested is the example's own logic, against the real supervisor.
test('Python sees each event once and in order, over a gap too', async () => {
  await stack.ask('config.set', { general: { limit_turns: 3 } });
  const { last_event: last } = await stack.ask('status');
  const { code, stdout, stderr } = await run('python3', ['-c', `
import importlib.util, json, subprocess, sys, types
fake = types.ModuleType("pynng")
class Req0:
    def __init__(self, **options): pass
    def __enter__(self): return self
    def __exit__(self, *error): pass
    def dial(self, url, block): self.url = url
    def send(self, data): self.data = data
    def recv(self):
        return subprocess.run(["nngcat", "--req0", "--raw", "--recv-maxsz", "1572864", "--recv-timeout", "30", "--dial", self.url,
            "--data", self.data.decode()], check=True, stdout=subprocess.PIPE).stdout
# Publishes numbers with holes and doubles; the store has the truth.
class Sub0(Req0):
    frames = [int(n) for n in sys.argv[3].split(",")]
    def recv(self):
        return b'system/0 config %d v1\\n{"live":true}' % self.frames.pop(0)
fake.Sub0, fake.Req0 = Sub0, Req0
sys.modules["pynng"] = fake
spec = importlib.util.spec_from_file_location("example", sys.argv[1])
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)
got = []
for event in example.events(sys.argv[2]):
    got.append(event[0])
    if event[0] >= int(sys.argv[4]):
        break
print(json.dumps(got))
`, example('subscribe.py'), stack.runDir, [last - 1, last, last + 1, last + 1, last + 2].join(','), String(last + 2)], { env: stack.env });
  assert.equal(code, 0, stderr);
  const got = JSON.parse(stdout);
  assert.deepEqual(got, Array.from({ length: last + 2 }, (_, i) => i + 1));
});
