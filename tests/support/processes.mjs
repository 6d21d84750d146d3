// Processes as the machine sees them, also those that live in a PID namespace and know
// themselves under another number.
import { readFileSync, readdirSync } from 'node:fs';

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

export function alive(pid) {
  const stat = read(pid, 'stat');
  return stat !== '' && !/\) [ZX] /.test(stat);
}

export const nameOf = (pid) => read(pid, 'comm').trim();
const childrenOf = (pid) => read(pid, `task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number);

// Living ones with this text in their command line.
export function naming(text) {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.filter((pid) => alive(pid) && read(pid, 'cmdline').includes(text));
}

// Parents first.
export function descendants(pid) {
  const all = childrenOf(pid);
  for (let i = 0; i < all.length; i++) all.push(...childrenOf(all[i]));
  return all;
}

export const guardsOf = (worker) => descendants(worker).filter((pid) => nameOf(pid) === '100x-guard');
// The coding agent's own process.
export const coderOf = (worker) => descendants(worker).find((pid) => nameOf(pid) !== '100x-guard');

// Which process below a worker calls itself `inner`.
export function outerPid(worker, inner) {
  return descendants(worker).find((pid) => Number(/^NSpid:.*\t(\d+)$/m.exec(read(pid, 'status'))?.[1]) === inner);
}

export async function untilDead(pids, ms = 10000) {
  const until = Date.now() + ms;
  while (pids.some(alive)) {
    if (Date.now() > until) throw new Error(`still alive after ${ms} ms: ${pids.filter(alive).map((pid) => `${pid} ${nameOf(pid)}`)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
