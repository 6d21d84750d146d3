// Mirrors, clones and pushes against real servers: smart HTTP with a token, and ssh.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import nodeHttp from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { git, seedRepository, startGitHttp, startGitSsh } from '../support/git_server.mjs';
import { probe } from '../support/probe.mjs';

const TOKEN = 'ghp_secret_of_the_test';
let http;
let ssh;
let dir;

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), '100x-git-test-'));
  http = await startGitHttp({ token: TOKEN });
  ssh = await startGitSsh();
  seedRepository(http.root, 'octo/sample');
  seedRepository(ssh.root, 'octo/sample');
});
after(async () => {
  await http?.stop();
  await ssh?.stop();
  fs.rmSync(dir, { recursive: true, force: true });
});

const token = { GITHUB_TOKEN: TOKEN, HUNDREDX_TOKEN_HOST: '127.0.0.1' };

// Every file below folder that holds text.
function filesWith(folder, text) {
  return fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((f) => f.isFile())
    .map((f) => path.join(f.path ?? f.parentPath, f.name))
    .filter((f) => fs.readFileSync(f).includes(text));
}

test('http: asks for branches with the token', async () => {
  const [found] = await probe(['check', `${http.url}/octo/sample.git`], token);
  assert.equal(found.ok, true, found.error);
  assert.equal(found.branch, 'main');
  assert.equal(found.head, git(path.join(http.root, 'octo/sample.git'), 'rev-parse', 'main'));
  const [missing] = await probe(['check', `${http.url}/octo/sample.git`, 'nope'], token);
  assert.equal(missing.kind, 'not_found');
  assert.match(missing.error, /it has main/);
});

test('http: clear words without, with a wrong, and with a withheld token', async () => {
  const url = `${http.url}/octo/sample.git`;
  const [without] = await probe(['check', url]);
  assert.equal(without.kind, 'denied');
  assert.match(without.error, /set GITHUB_TOKEN in ~\/\.env/);
  const [wrong] = await probe(['check', url], { ...token, GITHUB_TOKEN: 'ghp_wrong' });
  assert.equal(wrong.kind, 'denied');
  assert.match(wrong.error, /refuses GITHUB_TOKEN/);
  const [withheld] = await probe(['check', url], { GITHUB_TOKEN: TOKEN });
  assert.equal(withheld.kind, 'denied');
  assert.match(withheld.error, /sent to GitHub alone/);
  for (const answer of [without, wrong, withheld]) assert.doesNotMatch(answer.error, /ghp_/);
});

test('http: no such repository, nobody there', async () => {
  const [missing] = await probe(['check', `${http.url}/octo/none.git`], token);
  assert.equal(missing.kind, 'not_found');
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => { server.once('listening', resolve); });
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  const [nobody] = await probe(['check', `http://127.0.0.1:${port}/a/b.git`], token);
  assert.equal(nobody.kind, 'unavailable');
});

test('http: the whole way, and once more after a lost answer', async () => {
  const folder = path.join(dir, 'http');
  const url = `${http.url}/octo/sample.git`;
  const bare = path.join(http.root, 'octo/sample.git');
  const count = path.join(bare, 'pushes');
  fs.writeFileSync(path.join(bare, 'hooks/post-receive'), `#!/bin/sh\necho push >> ${count}\n`,
    { mode: 0o755 });
  const args = ['cycle', folder, url, 'agent-7', 'new.txt', 'hello\n'];
  const [done] = await probe(args, token);
  assert.equal(done.ok, true, done.error);
  assert.ok(done.mirror >= 2 && done.clone >= 1 && done.push >= 2);
  assert.equal(git(bare, 'rev-parse', 'agent-7'), done.hash);
  assert.equal(git(bare, 'show', 'agent-7:new.txt'), 'hello');
  assert.equal(git(bare, 'for-each-ref', '--format=%(refname)'),
    'refs/heads/agent-7\nrefs/heads/main');
  const [again] = await probe(args, token);
  assert.equal(again.ok, true);
  assert.equal(again.hash, '');
  assert.equal(fs.readFileSync(count, 'utf8'), 'push\n');
  assert.deepEqual(filesWith(folder, TOKEN), []);
});

test('http: ten at once share one mirror', async () => {
  const folder = path.join(dir, 'many');
  fs.mkdirSync(folder);
  const all = await Promise.all(Array.from({ length: 10 }, (_, i) => {
    const own = path.join(folder, String(i));
    fs.mkdirSync(own);
    fs.symlinkSync('../mirrors', path.join(own, 'mirrors'));
    if (i === 0) fs.mkdirSync(path.join(folder, 'mirrors'));
    return probe(['cycle', own, `${http.url}/octo/sample.git`, `many-${i}`, 'f', `${i}\n`], token);
  }));
  for (const [result] of all) assert.equal(result.ok, true, result.error);
  assert.equal(fs.readdirSync(path.join(folder, 'mirrors')).filter((f) => f.endsWith('.git')).length,
    1);
});

test('http: a push that is behind is refused, not forced', async () => {
  const url = `${http.url}/octo/sample.git`;
  const bare = path.join(http.root, 'octo/sample.git');
  await probe(['cycle', path.join(dir, 'one'), url, 'race', 'a', '1\n'], token);
  const tip = git(bare, 'rev-parse', 'race');
  const [second] = await probe(['cycle', path.join(dir, 'two'), url, 'race', 'b', '2\n'], token);
  assert.equal(second.kind, 'conflict', second.error);
  assert.equal(git(bare, 'rev-parse', 'race'), tip);
});

test('http: a hook of the remote that says no is told', async () => {
  const bare = seedRepository(http.root, 'octo/closed');
  fs.writeFileSync(path.join(bare, 'hooks/update'), '#!/bin/sh\necho no pushes today >&2\nexit 1\n',
    { mode: 0o755 });
  const [refused] = await probe(['cycle', path.join(dir, 'closed'), `${http.url}/octo/closed.git`,
    'agent-1', 'a', '1\n'], token);
  assert.equal(refused.ok, false);
  assert.equal(refused.kind, 'denied');
  assert.match(refused.error, /hook declined/);
});

test('ssh: the whole way with a key', async () => {
  const bare = path.join(ssh.root, 'octo/sample.git');
  const [done] = await probe(
    ['cycle', path.join(dir, 'ssh'), ssh.url('octo/sample.git'), 'agent-7', 'new.txt', 'hello\n'],
    { HOME: ssh.home });
  assert.equal(done.ok, true, done.error);
  assert.equal(git(bare, 'rev-parse', 'agent-7'), done.hash);
});

test('ssh: unknown host, refused key, missing repository in plain words', async () => {
  const home = path.join(dir, 'home');
  fs.mkdirSync(path.join(home, '.ssh'), { recursive: true, mode: 0o700 });
  const [unknown] = await probe(['check', ssh.url('octo/sample.git')], { HOME: home });
  assert.equal(unknown.kind, 'denied');
  assert.match(unknown.error, /is not known to ssh/);
  fs.copyFileSync(path.join(ssh.home, '.ssh/known_hosts'), path.join(home, '.ssh/known_hosts'));
  const [refused] = await probe(['check', ssh.url('octo/sample.git')], { HOME: home });
  assert.equal(refused.kind, 'denied');
  assert.match(refused.error, /refuses our ssh key/);
  const [missing] = await probe(['check', ssh.url('octo/none.git')], { HOME: ssh.home });
  assert.equal(missing.kind, 'not_found');
});

test('ssh: a path in quotes stays a path', async () => {
  seedRepository(ssh.root, "it's; touch $HOME");
  const canary = path.join(ssh.root, 'canary');
  const odd = `x';touch\${IFS}${canary};'`;
  const [answer] = await probe(['check', ssh.url(odd)], { HOME: ssh.home });
  assert.equal(answer.ok, false);
  assert.equal(fs.existsSync(canary), false);
});

test('https: only with a certificate that is trusted', async () => {
  const key = path.join(dir, 'key.pem');
  const certificate = path.join(dir, 'certificate.pem');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
    '-nodes', '-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
  const server = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) },
    (req, res) => {
      const inner = nodeHttp.request({ host: '127.0.0.1', port: http.port, method: req.method,
        path: req.url, headers: req.headers }, (answer) => {
        res.writeHead(answer.statusCode, answer.headers);
        answer.pipe(res);
      });
      inner.once('error', () => res.destroy());
      req.pipe(inner);
    }).listen(0, '127.0.0.1');
  await new Promise((resolve) => { server.once('listening', resolve); });
  const url = `https://localhost:${server.address().port}/octo/sample.git`;
  const local = { GITHUB_TOKEN: TOKEN, HUNDREDX_TOKEN_HOST: 'localhost' };
  const [distrusted] = await probe(['check', url], local);
  assert.equal(distrusted.kind, 'denied', distrusted.error);
  assert.match(distrusted.error, /certificate/i);
  const [done] = await probe(['cycle', path.join(dir, 'https'), url, 'agent-https', 'f', 'x\n'],
    { ...local, SSL_CERT_FILE: certificate });
  assert.equal(done.ok, true, done.error);
  server.closeAllConnections();
  await new Promise((resolve) => { server.close(resolve); });
});

test('a server that answers nonsense, or closes at once, is told as such', async () => {
  for (const reply of ['SSH-2.0-x\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc', '']) {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.resume();
      socket.end(reply);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => { server.once('listening', resolve); });
    const [answer] = await probe(['check', `http://127.0.0.1:${server.address().port}/a/b.git`]);
    assert.equal(answer.ok, false);
    await new Promise((resolve) => { server.close(resolve); });
  }
});

// A server that does `talk` with each connection, and what is said of it.
const mute = [
  ['accepts and is silent', () => {}, /silent for 1 s/],
  ['is silent after its header', (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\ncontent-length: 999\r\n\r\n001e# service=git-upload-pack\n'), /silent for 1 s/],
  ['sends a byte at a time', (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\n\r\n');
    socket.timer = setInterval(() => socket.write('0'), 100);
  }, /next to nothing|bad packet|garbage|unable to parse|invalid/i],
  ['cuts it off', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\ncontent-length: 999\r\n\r\n001e# serv'), /EOF|early|unexpected|connection/i],
  ['resets it', (socket) => socket.resetAndDestroy(), /reset|EOF/i],
  ['is busy', (socket) => socket.end('HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n'), /503/],
  ['limits the rate', (socket) => socket.end('HTTP/1.1 429 Slow\r\nretry-after: 9\r\ncontent-length: 0\r\n\r\n'), /429/],
];
test('a server that is away, mute or slow is given up in time, and may be asked again', async (t) => {
  for (const [name, talk, words] of mute) {
    await t.test(name, async () => {
      const sockets = new Set();
      const server = net.createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.once('close', () => clearInterval(socket.timer));
        socket.once('data', () => talk(socket));
      }).listen(0, '127.0.0.1');
      await new Promise((resolve) => { server.once('listening', resolve); });
      const began = Date.now();
      const [answer] = await probe(['check', `http://127.0.0.1:${server.address().port}/a/b.git`], { HUNDREDX_GIT_SECONDS: '1' });
      assert.equal(answer.kind, 'unavailable', answer.error);
      assert.match(answer.error, words);
      assert.ok(Date.now() - began < 20000);
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => { server.close(resolve); });
    });
  }
});

test('ssh: a server that is mute is given up in time', async () => {
  const server = net.createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await new Promise((resolve) => { server.once('listening', resolve); });
  const [answer] = await probe(['check', `ssh://git@127.0.0.1:${server.address().port}/a/b.git`], { HUNDREDX_GIT_SECONDS: '1', HOME: ssh.home });
  assert.equal(answer.kind, 'unavailable', answer.error);
  assert.match(answer.error, /silent for 1 s/);
  await new Promise((resolve) => { server.close(resolve); });
});
