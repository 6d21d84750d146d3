// Real git servers on loopback for tests: smart HTTP (lighttpd with git's own
// http-backend, Basic authentication with a token as password) and ssh (OpenSSH's
// sshd with a key of its own). Everything lies in one temporary folder.
import { spawn, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const LIGHTTPD = '/usr/sbin/lighttpd';
const SSHD = '/usr/sbin/sshd';
const BACKEND = '/usr/lib/git-core/git-http-backend';
const START_MS = 10000;

const GIT_ENV = {
  PATH: '/usr/local/bin:/usr/bin:/bin', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Seed', GIT_AUTHOR_EMAIL: 'seed@example.com', GIT_COMMITTER_NAME: 'Seed',
  GIT_COMMITTER_EMAIL: 'seed@example.com',
};

// Runs git for a test, quietly; returns its output.
export function git(cwd, ...args) {
  return execFileSync('git', args, {
    cwd, env: { ...GIT_ENV, HOME: cwd }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

// Makes the bare repository <root>/<name>.git with one commit of files on branch.
export function seedRepository(root, name, files = { 'README.md': '# Sample\n' }, branch = 'main') {
  const bare = path.join(root, `${name}.git`);
  const work = fs.mkdtempSync(path.join(os.tmpdir(), '100x-seed-'));
  fs.mkdirSync(path.dirname(bare), { recursive: true });
  git(root, 'init', '-q', '--bare', '-b', branch, bare);
  git(work, 'init', '-q', '-b', branch, '.');
  for (const [file, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(work, file)), { recursive: true });
    fs.writeFileSync(path.join(work, file), text);
  }
  git(work, 'add', '-A');
  git(work, 'commit', '-q', '-m', 'first');
  git(work, 'push', '-q', bare, branch);
  fs.rmSync(work, { recursive: true, force: true });
  return bare;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function connects(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

// Starts a server in the foreground and waits until its port answers.
async function serve(command, args, port) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: GIT_ENV });
  let errors = '';
  child.stderr.on('data', (data) => { errors = (errors + data).slice(-4000); });
  const ended = new Promise((resolve) => { child.once('exit', resolve); });
  const deadline = Date.now() + START_MS;
  while (!(await connects(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`${command} did not start: ${errors}`);
    }
    await Promise.race([ended, new Promise((resolve) => { setTimeout(resolve, 20); })]);
  }
  return {
    child,
    stop: async () => {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 3000);
      await ended;
      clearTimeout(late);
    },
  };
}

async function withFreePort(start) {
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    try {
      return { port, ...(await start(port)) };
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}

// Smart HTTP. Public repositories may be fetched by anyone if anonymousRead is set;
// pushing always needs the token. Returns { url, root, port, token, stop() }.
export async function startGitHttp({ token = 'ghp_double', root, anonymousRead = false } = {}) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), '100x-git-http-'));
  const projects = root ?? path.join(dir, 'repositories');
  fs.mkdirSync(projects, { recursive: true });
  fs.writeFileSync(path.join(dir, 'users'), `x-access-token:${token}\ngit:${token}\n`,
    { mode: 0o600 });
  const auth = 'auth.require = ( "" => ( "method" => "basic", "realm" => "git", '
    + '"require" => "valid-user" ) )';
  const server = await withFreePort((port) => {
    const config = path.join(dir, 'lighttpd.conf');
    fs.writeFileSync(config, `
server.modules = ( "mod_setenv", "mod_auth", "mod_authn_file", "mod_alias", "mod_cgi" )
server.document-root = "${projects}"
server.bind = "127.0.0.1"
server.port = ${port}
server.upload-dirs = ( "${dir}" )
server.errorlog = "${dir}/error.log"
auth.backend = "plain"
auth.backend.plain.userfile = "${dir}/users"
alias.url = ( "" => "${BACKEND}" )
cgi.assign = ( "" => "" )
setenv.add-environment = (
  "GIT_PROJECT_ROOT" => "${projects}", "GIT_HTTP_EXPORT_ALL" => "1", "HOME" => "${dir}",
  "PATH" => "${GIT_ENV.PATH}", "GIT_CONFIG_NOSYSTEM" => "1" )
${anonymousRead ? `$HTTP["querystring"] =~ "service=git-receive-pack" { ${auth} }
else $HTTP["url"] =~ "/git-receive-pack$" { ${auth} }` : auth}
`);
    return serve(LIGHTTPD, ['-D', '-f', config], port);
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port,
    root: projects,
    token,
    stop: async () => {
      await server.stop();
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}

// ssh. home is a folder with .ssh/ (client key, known_hosts) for the side that dials.
// Returns { url(path), root, home, port, stop() }; url("a/b.git") is an ssh:// URL.
export async function startGitSsh({ root } = {}) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), '100x-git-ssh-'));
  const projects = root ?? path.join(dir, 'repositories');
  const home = path.join(dir, 'home');
  fs.mkdirSync(projects, { recursive: true });
  fs.mkdirSync(path.join(home, '.ssh'), { recursive: true, mode: 0o700 });
  const keygen = (file) => execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  keygen(path.join(dir, 'host_key'));
  keygen(path.join(home, '.ssh', 'id_ed25519'));
  fs.copyFileSync(path.join(home, '.ssh', 'id_ed25519.pub'), path.join(dir, 'authorized_keys'));
  if (process.getuid() === 0) fs.mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const server = await withFreePort((port) => {
    const config = path.join(dir, 'sshd_config');
    fs.writeFileSync(config, `
ListenAddress 127.0.0.1
Port ${port}
HostKey ${dir}/host_key
AuthorizedKeysFile ${dir}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
`);
    const hostKey = fs.readFileSync(path.join(dir, 'host_key.pub'), 'utf8');
    fs.writeFileSync(path.join(home, '.ssh', 'known_hosts'), `[127.0.0.1]:${port} ${hostKey}`);
    return serve(SSHD, ['-D', '-e', '-f', config], port);
  });
  const user = os.userInfo().username;
  return {
    url: (name) => `ssh://${user}@127.0.0.1:${server.port}${path.join(projects, name)}`,
    port: server.port,
    root: projects,
    home,
    stop: async () => {
      await server.stop();
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}
