// Whether all is well with the programs themselves: read live, while this is looked at.
import { useEffect, useState } from 'preact/hooks';
import { api, type ApiError } from '../api';
import { plainLine } from '../clean';
import { bytes, count, duration } from '../format';
import { Icon } from '../parts/Icon';
import { Link } from '../router';
import type { Finding, Health, ProcessRow } from '../types';

const EVERY_MS = 5000;
const LEVELS: Record<Finding['level'], string> = { ok: 'fine', warning: 'warning', error: 'error' };

// A share of a core between two readings.
function shares(before: Health | null, now: Health): Map<number, number> {
  const past = new Map(before?.processes.map((row) => [row.pid, row.cpu_ms]));
  const passed = now.uptime_ms - (before?.uptime_ms ?? now.uptime_ms);
  return new Map(
    now.processes.flatMap((row) => {
      const was = past.get(row.pid);
      return was === undefined || passed <= 0 ? [] : [[row.pid, (row.cpu_ms - was) / passed] as const];
    }),
  );
}

function Card({ label, value, note, bad }: { label: string; value: string; note: string; bad?: boolean }) {
  return (
    <div class={bad ? 'panel figure figure-bad' : 'panel figure'}>
      <dt>{label}</dt>
      <dd>{value}</dd>
      <dd class="figure-note">{note}</dd>
    </div>
  );
}

function Findings({ findings }: { findings: readonly Finding[] }) {
  const order = { error: 0, warning: 1, ok: 2 };
  const all = [...findings].sort((a, b) => order[a.level] - order[b.level]);
  const wrong = all.filter(({ level }) => level !== 'ok').length;
  return (
    <section class="panel findings" aria-label="Findings">
      <h2>
        {wrong ? `${wrong} to look at` : 'All is well'} <span class="hint">what 100x doctor finds</span>
      </h2>
      <ul>
        {all.map((finding, i) => (
          <li key={i} class={`finding finding-${finding.level}`}>
            <Icon name={finding.level === 'ok' ? 'check' : 'warn'} />
            <span class="hidden">{LEVELS[finding.level]}: </span>
            <span>
              {plainLine(finding.what)}
              {finding.hint && <span class="hint"> {plainLine(finding.hint)}</span>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Processes({ rows, cpu }: { rows: readonly ProcessRow[]; cpu: Map<number, number> }) {
  const order = (row: ProcessRow): number => (row.what === 'supervisor' ? 0 : row.what === 'webui' ? 1 : 2);
  const all = [...rows].sort((a, b) => order(a) - order(b) || (a.agent ?? 0) - (b.agent ?? 0));
  return (
    <section class="panel cost-table" aria-label="Processes" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Process</th>
            <th scope="col">PID</th>
            <th scope="col">Memory</th>
            <th scope="col">CPU now</th>
            <th scope="col">CPU time</th>
          </tr>
        </thead>
        <tbody>
          {all.map((row) => {
            const share = cpu.get(row.pid);
            return (
              <tr key={row.pid}>
                <th scope="row">
                  {row.what}
                  {row.agent ? (
                    <>
                      {' '}
                      <Link to={`/agents/${row.agent}`}>#{row.agent}</Link>
                    </>
                  ) : null}
                </th>
                <td class="mono">{row.pid}</td>
                <td>{bytes(row.rss_bytes)}</td>
                <td>{share === undefined ? '–' : `${(100 * Math.max(0, share)).toFixed(1)} %`}</td>
                <td>{duration(row.cpu_ms)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

export function HealthView() {
  const [health, setHealth] = useState<Health | null>(null);
  const [cpu, setCpu] = useState<Map<number, number>>(new Map());
  const [error, setError] = useState('');
  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last: Health | null = null;
    const look = async (): Promise<void> => {
      clearTimeout(timer);
      if (!document.hidden) {
        try {
          const next = await api.health();
          if (gone) return;
          setCpu(shares(last, next));
          last = next;
          setHealth(next);
          setError('');
        } catch (cause) {
          if (gone) return;
          setError((cause as ApiError).message);
        }
      }
      timer = setTimeout(() => void look(), EVERY_MS);
    };
    const seen = (): void => void (document.hidden || look());
    void look();
    document.addEventListener('visibilitychange', seen);
    return () => {
      gone = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, []);
  const memory = health?.processes.reduce((all, row) => all + row.rss_bytes, 0) ?? 0;
  const full = Boolean(health?.disk.full);
  return (
    <div class="health">
      <div class="view-head">
        <h1 tabIndex={-1}>Health</h1>
        {health && (
          <p class="view-sum">
            version {plainLine(health.version)} · protocol {plainLine(String(health.protocol))} · up for {duration(health.uptime_ms)}
          </p>
        )}
      </div>
      {error && (
        <div class="notice notice-bad" role="alert">
          {error} It is tried again by itself.
        </div>
      )}
      {!health && !error && <div class="boot" role="status" aria-label="Loading" />}
      {health && (
        <>
          <dl class="cards">
            <Card
              label="Working"
              value={`${health.queue.working} of ${health.queue.max_working}`}
              note={health.queue.queued ? `${count(health.queue.queued)} in the queue` : 'nobody waits in the queue'}
            />
            <Card label="Memory" value={bytes(memory)} note={`${count(health.processes.length)} processes of ours`} />
            <Card
              label="Disk free"
              value={bytes(health.disk.free_bytes)}
              note={typeof health.disk.full === 'string' && health.disk.full ? plainLine(health.disk.full) : `of ${bytes(health.disk.total_bytes)}; ours ${bytes(health.disk.state_bytes)}`}
              bad={full}
            />
            <Card label="Events kept" value={count(health.store.events)} note={`${bytes(health.store.bytes)} in the store`} />
          </dl>
          <Findings findings={health.findings} />
          <Processes rows={health.processes} cpu={cpu} />
        </>
      )}
    </div>
  );
}
