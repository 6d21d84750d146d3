// What an agent runs as: configuration, workspace, processes with what they take, how its
// workers ended, what it asked permission for.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api, ApiError } from '../api';
import { now } from '../clock';
import { plain, plainLine } from '../clean';
import { age, clock, dateTime, dollars, duration, plural } from '../format';
import { list, number, text, type Agent, type Event, type ProcessInfo, type Task } from '../types';
import type { Watch } from '../watch';
import { WorkspaceButton } from './Workspace';

const POLL_MS = 2000;

export const bytes = (value: number): string => {
  if (value < 1024) return `${value} B`;
  const units = ['KB', 'MB', 'GB', 'TB'];
  let size = value;
  let unit = -1;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
};

function Processes({ id, workspace }: { id: number; workspace: (info: ProcessInfo) => void }) {
  const info = useSignal<ProcessInfo | null>(null);
  // Share of a core since the time before, by pid.
  const share = useSignal<ReadonlyMap<number, number>>(new Map());
  const error = useSignal('');
  useEffect(() => {
    let current = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let before: { at: number; cpu: Map<number, number> } | null = null;
    const ask = async (): Promise<void> => {
      clearTimeout(timer);
      if (document.hidden || !current) return;
      try {
        const made = await api.process(id);
        if (!current) return;
        const at = performance.now();
        const cpu = new Map(made.processes.map(({ pid, cpu_ms }) => [pid, cpu_ms]));
        if (before) {
          const { at: then, cpu: was } = before;
          share.value = new Map([...cpu].map(([pid, ms]) => [pid, was.has(pid) ? Math.max(0, (ms - (was.get(pid) ?? 0)) / (at - then)) : 0]));
        }
        before = { at, cpu };
        info.value = made;
        error.value = '';
        workspace(made);
      } catch (cause) {
        if (!current) return;
        if (cause instanceof ApiError && cause.status === 404) {
          error.value = 'This server does not tell about processes.';
          return;
        }
        error.value = cause instanceof ApiError ? cause.message : String(cause);
      }
      timer = setTimeout(() => void ask(), POLL_MS);
    };
    const seen = (): void => void ask();
    void ask();
    document.addEventListener('visibilitychange', seen);
    return () => {
      current = false;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, [id]);
  const made = info.value;
  if (error.value) return <p class="details-none">{error.value}</p>;
  if (!made) return <p class="details-none">Loading…</p>;
  if (!made.processes.length) return <p class="details-none">No process runs for this agent.</p>;
  const sum = made.processes.reduce((all, { rss_bytes }) => all + rss_bytes, 0);
  const cores = [...share.value.values()].reduce((all, one) => all + one, 0);
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Table of processes">
      <table class="table" data-processes>
        <thead>
          <tr>
            <th scope="col">Process</th>
            <th scope="col">PID</th>
            <th scope="col">Memory</th>
            <th scope="col">CPU now</th>
            <th scope="col">CPU time</th>
            <th scope="col">Age</th>
          </tr>
        </thead>
        <tbody>
          {made.processes.map(({ pid, name, rss_bytes, cpu_ms, started_at }) => (
            <tr key={pid}>
              <th scope="row" class="mono">
                {plainLine(name)}
                {pid === made.worker?.pid && <small> worker</small>}
              </th>
              <td>{pid}</td>
              <td>{bytes(rss_bytes)}</td>
              <td>{Math.round(100 * (share.value.get(pid) ?? 0))} %</td>
              <td>{duration(cpu_ms)}</td>
              <td>{started_at ? age(now.value - started_at) : '–'}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{plural(made.processes.length, 'process', 'processes')}</th>
            <td />
            <td>{bytes(sum)}</td>
            <td>{Math.round(100 * cores)} %</td>
            <td />
            <td />
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

// Events of a kind, the newest first, and the news.
function useEvents(watch: Watch, kind: string): readonly Event[] | null {
  const events = useSignal<readonly Event[] | null>(null);
  useEffect(() => {
    let current = true;
    const put = (more: readonly Event[]): void => {
      const all = new Map([...(events.value ?? []), ...more].map((event) => [event.id, event]));
      events.value = [...all.values()].sort((a, b) => b.id - a.id).slice(0, 200);
    };
    const stop = watch.hear((event) => event.kind === kind && put([event]));
    api.events(watch.id, [kind], { limit: 100, bytes: 100_000 }).then(
      (page) => current && put(page.events),
      () => current && put([]),
    );
    return () => {
      current = false;
      stop();
    };
  }, [watch, watch.loaded.value]);
  return events.value;
}

function Exits({ watch }: { watch: Watch }) {
  const events = useEvents(watch, 'worker');
  if (!events) return <p class="details-none">Loading…</p>;
  if (!events.length) return <p class="details-none">Nothing has ended or started yet.</p>;
  return (
    <ul class="details-list">
      {events.map(({ id, body }) => {
        const ended = body['phase'] === 'ended';
        const bad = ended && (number(body['code']) > 0 || body['signal']);
        const how = body['signal'] ? `signal ${plainLine(String(body['signal']))}` : `code ${number(body['code'])}`;
        return (
          <li key={id}>
            <time title={dateTime(number(body['at']))}>{clock(number(body['at']))}</time>
            <span class={bad ? 'details-bad' : ''}>
              {ended ? `ended, ${how}` : 'started'}
              {text(body['reason']) && `: ${plainLine(text(body['reason']))}`}
            </span>
            <small>
              PID {number(body['pid'])}, start {number(body['epoch'])}
            </small>
          </li>
        );
      })}
    </ul>
  );
}

function Asked({ watch }: { watch: Watch }) {
  const events = useEvents(watch, 'permission');
  if (!events) return <p class="details-none">Loading…</p>;
  if (!events.length) return <p class="details-none">It has asked for nothing.</p>;
  // The newest word on each question.
  const last = new Map<string, Event>();
  for (const event of events) if (!last.has(text(event.body['id']))) last.set(text(event.body['id']), event);
  return (
    <ul class="details-list">
      {[...last.values()].map(({ id, body }) => {
        const chosen = list(body['options']).find((option) => option['id'] === body['option']);
        const answer = plainLine(text(chosen?.['name']) || text(body['option']));
        return (
          <li key={id}>
            <time title={dateTime(number(body['at']))}>{clock(number(body['at']))}</time>
            <span>
              <bdi>{plainLine(text(body['title']))}</bdi>
            </span>
            <small>{body['status'] === 'answered' ? `${answer}, by ${body['by'] === 'policy' ? 'the rules' : 'a person'}` : plainLine(text(body['status']))}</small>
          </li>
        );
      })}
    </ul>
  );
}

function Configuration({ task }: { task: Task }) {
  const limits = [
    task.limits?.turns ? plural(task.limits.turns, 'turn') : '',
    task.limits?.minutes ? plural(task.limits.minutes, 'minute') : '',
    task.limits?.dollars ? dollars(task.limits.dollars) : '',
  ].filter(Boolean);
  const rows: [string, string, boolean?][] = [
    ['Repository', plainLine(task.repository), true],
    ['Base branch', plainLine(task.base), true],
    ['Agents', String(task.agents)],
    ['Manager', task.manager ? 'on' : 'off'],
    ['Permissions', task.permission === 'ask' ? 'ask each time' : 'allowed inside the workspace'],
    ['Test command', plainLine(task.test_command) || 'none', Boolean(task.test_command)],
    ['Aider arguments', plainLine(task.aider_arguments) || 'none', Boolean(task.aider_arguments)],
    ['Manager model', plainLine(task.models?.agent ?? '') || 'as in the settings', Boolean(task.models?.agent)],
    ['Aider model', plainLine(task.models?.aider ?? '') || 'as in the settings', Boolean(task.models?.aider)],
    ['Limits', limits.join(', ') || 'as in the settings'],
    ['Pull request', task.pull_request ? 'opened at the end' : 'none'],
    ['Created', dateTime(task.created_at)],
  ];
  return (
    <dl class="details-facts">
      {rows.map(([name, value, mono]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class={mono ? 'mono' : ''}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Details({ watch, agent }: { watch: Watch; agent: Agent }) {
  const info = useSignal<ProcessInfo | null>(null);
  const task = watch.task.value;
  const made = info.value;
  return (
    <div class="details">
      {task && (
        <section class="panel details-part details-wide task-card" aria-labelledby="details-task">
          <h2 id="details-task">{plainLine(task.title)}</h2>
          {task.description && <pre>{plain(task.description)}</pre>}
          <Configuration task={task} />
        </section>
      )}
      <section class="panel details-part details-wide" aria-labelledby="details-processes">
        <h2 id="details-processes">Processes</h2>
        <Processes id={agent.id} workspace={(next) => (info.value = next)} />
      </section>
      <section class="panel details-part details-wide" aria-labelledby="details-workspace">
        <div class="details-head">
          <h2 id="details-workspace">Workspace</h2>
          <WorkspaceButton agent={agent} action="reclaim" />
          <WorkspaceButton agent={agent} action="restore" />
        </div>
        <dl class="details-facts">
          <div>
            <dt>Folder</dt>
            <dd class="mono">{made ? plainLine(made.workspace) : '–'}</dd>
          </div>
          {agent.reclaimed_at && (
            <div>
              <dt>Reclaimed</dt>
              <dd>{dateTime(agent.reclaimed_at)}</dd>
            </div>
          )}
          {agent.saved && (
            <div>
              <dt>Work saved at</dt>
              <dd class="mono">{plainLine(agent.saved)}</dd>
            </div>
          )}
          <div>
            <dt>Branch</dt>
            <dd class="mono">{plainLine(agent.branch)}</dd>
          </div>
          {made?.workspace_bytes !== undefined && (
            <div>
              <dt>Size</dt>
              <dd>{bytes(made.workspace_bytes)}</dd>
            </div>
          )}
          {made?.ends && made.ends.length > 0 && (
            <div>
              <dt>Processes end by</dt>
              <dd title="by which means all that the agent has started is ended">{made.ends.map(plainLine).join(', ')}</dd>
            </div>
          )}
          <div>
            <dt>Spool</dt>
            <dd title="events that the worker keeps until the supervisor has them">{made ? bytes(made.spool_bytes) : '–'}</dd>
          </div>
          <div>
            <dt>Lines of output</dt>
            <dd>{agent.lines === undefined ? '–' : agent.lines.toLocaleString('en')}</dd>
          </div>
        </dl>
      </section>
      <section class="panel details-part" aria-labelledby="details-exits">
        <h2 id="details-exits">Starts and ends</h2>
        <Exits watch={watch} />
      </section>
      <section class="panel details-part" aria-labelledby="details-asked">
        <h2 id="details-asked">Permissions asked</h2>
        <Asked watch={watch} />
      </section>
    </div>
  );
}
