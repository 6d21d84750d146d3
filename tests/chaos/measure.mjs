// What the long-lived programs take while they run: resident memory, descriptors and threads
// of supervisor and page, the store and its write-ahead log. Looked at every few seconds.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

const EVERY_MS = 5000;
const WARM_MS = 60000, WARM_SHARE = 0.25; // of a process' life that count for no slope: the more of both
const HOUR_MS = 3600000;

function look(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return { at: performance.now(), mb: Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024,
      threads: Number(/Threads:\s+(\d+)/.exec(status)[1]), files: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return null; // it has just died
  }
}

const size = (file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

// The samples of one process since it is warm.
function warmOf(samples) {
  const warm = Math.max(WARM_MS, WARM_SHARE * (samples.at(-1).at - samples[0].at));
  return samples.filter((s) => s.at - samples[0].at >= warm);
}

// MB an hour: least squares.
function slope(samples) {
  const late = warmOf(samples);
  if (late.length < 12) return null;
  const mean = (of) => late.reduce((sum, s) => sum + of(s), 0) / late.length;
  const t = mean((s) => s.at), m = mean((s) => s.mb);
  const over = late.reduce((sum, s) => sum + (s.at - t) ** 2, 0);
  return (late.reduce((sum, s) => sum + (s.at - t) * (s.mb - m), 0) / over) * HOUR_MS;
}

const longestOf = (lives) => [...lives.values()].reduce((a, b) => (b.length > (a?.length ?? 0) ? b : a), null);

export class Measure {
  // world: of world.mjs
  constructor(world) {
    this.world = world;
    this.lives = { supervisor: new Map(), webui: new Map() }; // pid → samples
    this.most = { wal: 0, store: 0, processes: 0 };
    this.timer = setInterval(() => this.sample(), EVERY_MS);
    this.timer.unref();
  }

  sample() {
    const found = this.world.processes();
    for (const kind of ['supervisor', 'webui']) {
      for (const pid of found[kind]) {
        const seen = look(pid);
        if (!seen) continue;
        if (!this.lives[kind].has(pid)) this.lives[kind].set(pid, []);
        this.lives[kind].get(pid).push(seen);
      }
    }
    const store = path.join(this.world.stack.stateDir, 'tasks.db');
    this.most.store = Math.max(this.most.store, size(store));
    this.most.wal = Math.max(this.most.wal, size(`${store}-wal`));
    this.most.processes = Math.max(this.most.processes, Object.values(found).flat().length);
  }

  stop() {
    clearInterval(this.timer);
  }

  // Of each kind's longest life, since it was warm: { rise (MB an hour, or null), files: { first, most } }.
  trends() {
    const trends = {};
    for (const [kind, lives] of Object.entries(this.lives)) {
      const longest = longestOf(lives);
      const warm = longest && warmOf(longest);
      if (warm?.length) trends[kind] = { rise: slope(longest), files: { first: warm[0].files, most: Math.max(...warm.map((s) => s.files)) } };
    }
    return trends;
  }

  // One line for each kind: the most, and of the longest life how it went.
  lines() {
    const mb = (bytes) => (bytes / 1048576).toFixed(1);
    const lines = [`store ${mb(this.most.store)} MB, write-ahead log at most ${mb(this.most.wal)} MB, at most ${this.most.processes} processes`];
    for (const [kind, lives] of Object.entries(this.lives)) {
      const all = [...lives.values()];
      if (!all.length) continue;
      const longest = longestOf(lives);
      const last = longest.at(-1), first = warmOf(longest)[0] ?? last;
      const course = [0, 0.25, 0.5, 0.75, 1].map((share) => longest[Math.round(share * (longest.length - 1))].mb.toFixed(1));
      const most = (of) => Math.max(...all.flat().map(of));
      const rise = slope(longest);
      lines.push(`${kind}: at most ${most((s) => s.mb).toFixed(1)} MB, ${most((s) => s.files)} descriptors, ${most((s) => s.threads)} threads; `
        + `longest life ${((last.at - longest[0].at) / 60000).toFixed(1)} min: ${course.join(', ')} MB`
        + `${rise === null ? '' : ` (in the end ${rise.toFixed(2)} MB/h)`}, ${first.files} to ${last.files} descriptors`);
    }
    return lines;
  }
}
