// Runs build/<mode>/unit/worker/remote_probe and gives back the JSON lines it prints.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const PROBE = process.env.REMOTE_PROBE
  ?? path.join(ROOT, 'build', process.env.MODE ?? 'release', 'unit/worker/remote_probe');

export function probe(args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(PROBE, args, {
      env: { PATH: process.env.PATH, HOME: '/nonexistent', LANG: 'C.UTF-8', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let errors = '';
    child.stdout.on('data', (data) => { out += data; });
    child.stderr.on('data', (data) => { errors += data; });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code !== 0) reject(new Error(`remote_probe ended with ${code}: ${errors}`));
      else resolve(out.trim().split('\n').map((line) => JSON.parse(line)));
    });
  });
}
