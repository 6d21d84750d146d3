// One agent: what it is and does, what a person can do with it, and its story, terminal,
// changes, cost and details.
import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { now } from '../clock';
import { plainLine } from '../clean';
import { hasEnded } from '../deeds';
import { age, count, dateTime, dollars, duration, exactDollars, plural, pullRequestName, reasonOf, repositoryName } from '../format';
import { useKeys } from '../keys';
import { Changed } from '../parts/Changed';
import { Composer } from '../parts/Composer';
import { Controls } from '../parts/Controls';
import { Cost } from '../parts/Cost';
import { Details } from '../parts/Details';
import { ExternalLink } from '../parts/ExternalLink';
import { Changes, Tests } from '../parts/Figures';
import { lazy } from '../parts/Lazy';
import { Questions } from '../parts/Questions';
import { StateBadge } from '../parts/State';
import { Reclaimed } from '../parts/Workspace';
import { Story } from '../parts/Story';
import { Link, navigate } from '../router';
import { agentRow } from '../store';
import type { Agent } from '../types';
import { Watch, type Progress } from '../watch';
import { watched } from '../watched';

const TerminalView = lazy(() => import('../parts/Terminal').then((made) => made.TerminalView));

const TABS = [
  ['story', 'Story'],
  ['terminal', 'Terminal'],
  ['changes', 'Changes'],
  ['cost', 'Cost'],
  ['details', 'Details'],
] as const;

const STEPS: Record<string, string> = {
  mirror: 'Fetching the repository',
  clone: 'Making the workspace',
  push: 'Pushing the branch',
  start: 'Starting the agent',
};

function Steps({ progress }: { progress: Progress }) {
  const known = progress.total > 0;
  return (
    <div class="steps" role="status">
      <span>
        {STEPS[progress.what] ?? plainLine(progress.what)}
        {known && ` – ${Math.floor((100 * progress.done) / progress.total)} %`}
        {progress.text && <span class="steps-text"> {plainLine(progress.text)}</span>}
      </span>
      {known ? (
        <progress max={progress.total} value={progress.done} aria-label={STEPS[progress.what] ?? 'Progress'} />
      ) : (
        <progress aria-label={STEPS[progress.what] ?? 'Progress'} />
      )}
    </div>
  );
}

// A figure with what is allowed of it.
function Limited({ name, used, allowed, share, title }: { name: string; used: string; allowed: string; share: number; title?: string }) {
  const near = share >= 0.8;
  return (
    <div class={allowed ? 'agent-figure agent-figure-limited' : 'agent-figure'}>
      <dt>{name}</dt>
      <dd title={title}>
        {used}
        {allowed && <small> / {allowed}</small>}
        {allowed && (
          <progress class={near ? 'limit limit-near' : 'limit'} max={1} value={Math.min(1, share)} aria-label={`${name}: share of the limit used`} />
        )}
      </dd>
    </div>
  );
}

function Minutes({ agent, allowed }: { agent: Agent; allowed: number }) {
  const from = agent.started_at;
  const took = from ? (agent.ended_at ?? now.value) - from : 0;
  return (
    <Limited
      name="Time"
      used={from ? duration(took) : '–'}
      allowed={allowed ? `${allowed}m` : ''}
      share={allowed ? took / (allowed * 60000) : 0}
      title={`created ${dateTime(agent.created_at)}`}
    />
  );
}

function Figures({ agent, watch }: { agent: Agent; watch: Watch }) {
  const limits = watch.task.value?.limits;
  const defaults = watch.defaults.value;
  const turns = limits?.turns || defaults.turns || 0;
  const minutes = limits?.minutes || defaults.minutes || 0;
  const money = limits?.dollars || defaults.dollars || 0;
  return (
    <dl class="agent-figures">
      <Limited name="Turns" used={count(agent.turn)} allowed={turns ? count(turns) : ''} share={turns ? agent.turn / turns : 0} />
      <Minutes agent={agent} allowed={minutes} />
      <Limited
        name="Cost"
        used={dollars(agent.dollars)}
        allowed={money ? dollars(money) : ''}
        share={money ? agent.dollars / money : 0}
        title={exactDollars(agent.dollars)}
      />
      <div class="agent-figure">
        <dt>Tokens</dt>
        <dd title={`${agent.tokens_in} in, ${agent.tokens_out} out`}>
          {count(agent.tokens_in)} <small>in</small> {count(agent.tokens_out)} <small>out</small>
        </dd>
      </div>
      <div class="agent-figure">
        <dt>Changes</dt>
        <dd>
          <Changes added={agent.added} removed={agent.removed} />
          {agent.files > 0 && <small> in {plural(agent.files, 'file')}</small>}
        </dd>
      </div>
      <div class="agent-figure">
        <dt>Tests</dt>
        <dd>
          <Tests result={agent.tests} />
        </dd>
      </div>
    </dl>
  );
}

function StateAge({ at }: { at: number | undefined }) {
  if (!at) return null;
  return (
    <span class="state-age" title={`since ${dateTime(at)}`}>
      for {age(now.value - at)}
    </span>
  );
}

function Head({ agent, watch }: { agent: Agent; watch: Watch }) {
  const reason = reasonOf(agent);
  const progress = watch.progress.value;
  const said = plainLine(agent.progress);
  return (
    <header class="agent-head">
      <div class="agent-top">
        <div class="agent-name">
          <p class="crumbs">
            <Link to="/">Agents</Link> <span aria-hidden="true">/</span> <Link to={`/tasks/${agent.task_id}`}>Task {agent.task_id}</Link>{' '}
            <span aria-hidden="true">/</span> #{agent.id}
          </p>
          <div class="agent-title">
            <h1 tabIndex={-1}>{plainLine(agent.title) || `Agent ${agent.id}`}</h1>
            <span class="agent-state">
              <StateBadge state={agent.state} />
              <StateAge at={agent.state_at} />
              {agent.archived && <span class="archived">archived</span>}
            </span>
          </div>
          <p class="agent-where">
            <span>{plainLine(repositoryName(agent.repository))}</span>
            <span class="mono">
              {plainLine(agent.base)} → {plainLine(agent.branch)}
            </span>
            {agent.pull_request && (
              <ExternalLink class="agent-pr" url={agent.pull_request}>
                {pullRequestName(agent.pull_request)}
              </ExternalLink>
            )}
          </p>
        </div>
        <Controls agent={agent} />
      </div>
      {reason && agent.state !== 'working' && watch.questions.value.length === 0 && (
        <p class={`notice notice-${agent.state === 'failed' ? 'bad' : agent.state === 'waiting' ? 'warn' : 'plain'}`}>{reason}</p>
      )}
      <Reclaimed agent={agent} />
      {said && said !== reason && <p class="agent-said">{said}</p>}
      {progress && agent.state !== 'working' && !hasEnded(agent) && <Steps progress={progress} />}
      <Figures agent={agent} watch={watch} />
    </header>
  );
}

const addressOf = (id: number, name: string): string => `/agents/${id}${name === 'story' ? '' : `?tab=${name}`}`;

function Tabs({ id, tab, watch, agent }: { id: number; tab: string; watch: Watch; agent: Agent }) {
  const counts: Record<string, number> = { story: watch.turns.value.at(-1)?.turn ?? 0, changes: agent.files };
  const go = (name: string): void => navigate(addressOf(id, name), true);
  const arrows = (event: KeyboardEvent): void => {
    const at = TABS.findIndex(([name]) => name === tab);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = TABS[(to + TABS.length) % TABS.length]?.[0] ?? 'story';
    go(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Views of the agent" onKeyDown={arrows}>
      {TABS.map(([name, label], index) => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          role="tab"
          title={`${label}  (${index + 1})`}
          aria-selected={tab === name}
          aria-controls="tab-panel"
          tabIndex={tab === name ? 0 : -1}
          onClick={() => go(name)}
        >
          {label}
          {counts[name] ? <span class="tab-count">{counts[name]}</span> : null}
        </button>
      ))}
    </div>
  );
}

export function AgentView({ id, tab: wanted }: { id: number; tab: string }) {
  const made = useSignal<Watch | null>(null);
  // Also while it is being loaded.
  const keys = useMemo(
    () => TABS.map(([name, label], index) => ({ keys: String(index + 1), label, group: 'Agent', run: () => navigate(addressOf(id, name), true) })),
    [id],
  );
  useKeys(keys);
  useEffect(() => {
    const watch = new Watch(id);
    made.value = watch;
    watched.value = watch;
    return () => {
      watch.close();
      if (watched.value === watch) watched.value = null;
    };
  }, [id]);

  const watch = made.value;
  const failed = watch?.failed.value;
  // The board's row is always as new as the newest event.
  const agent = useComputed(() => agentRow(id)?.value ?? made.value?.agent.value).value;
  if (failed?.status === 404) {
    return (
      <section class="empty">
        <h1 tabIndex={-1}>No agent {id}</h1>
        <p>{failed.message}</p>
        <p>
          <Link to="/">All agents</Link>
        </p>
      </section>
    );
  }
  const notice = failed && (
    <div class="notice notice-bad" role="alert">
      {failed.message}{' '}
      <button type="button" class="button" onClick={() => void watch?.load()}>
        Try again
      </button>
    </div>
  );
  if (!watch || !agent || watch.loading.value) return notice || <div class="boot" role="status" aria-label="Loading" />;
  const tab = TABS.find(([name]) => name === wanted)?.[0] ?? 'story';
  return (
    <article class={`agent agent-${tab}`}>
      <Head agent={agent} watch={watch} />
      {notice}
      <Questions agent={id} events={watch.questions.value} />
      <Tabs id={id} tab={tab} watch={watch} agent={agent} />
      <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`} class="tab-panel">
        {tab === 'story' && <Story watch={watch} />}
        {tab === 'terminal' && <TerminalView watch={watch} />}
        {tab === 'changes' && <Changed watch={watch} agent={agent} />}
        {tab === 'cost' && <Cost watch={watch} agent={agent} />}
        {tab === 'details' && <Details watch={watch} agent={agent} />}
      </div>
      <Composer key={id} agent={agent} asked={watch.questions.value.length > 0} />
    </article>
  );
}
