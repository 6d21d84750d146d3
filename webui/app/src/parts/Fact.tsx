// One thing that happened, in the log: a tool call, a commit, a test, a message …
import type { ComponentChildren } from 'preact';
import { plain, plainLine } from '../clean';
import { clock, reasonOf, shortDuration } from '../format';
import { list, number, text, type Body, type Event } from '../types';
import { Patch } from './Diff';
import { ExternalLink } from './ExternalLink';
import { Changes } from './Figures';

type Tone = 'plain' | 'good' | 'bad' | 'warn' | 'person' | 'verdict';

function Frame({ label, tone, at, children, more }: { label: string; tone: Tone; at: number; children: ComponentChildren; more?: ComponentChildren }) {
  return (
    <div class={`fact fact-${tone}`}>
      <span class="fact-label">{label}</span>
      <div class="fact-main">{children}</div>
      <time class="fact-time">{at ? clock(at) : ''}</time>
      {more && <div class="fact-more">{more}</div>}
    </div>
  );
}

function Folded({ name, value, open }: { name: string; value: string; open?: boolean }) {
  if (!value) return null;
  return (
    <details open={open}>
      <summary>{name}</summary>
      <pre>{plain(value)}</pre>
    </details>
  );
}

const said = (body: Body, field: string): string => plainLine(text(body[field]));

const SENTENCES = { thought: 'Thought', action: 'Action', future: 'Next' } as const;
const STEPS: Record<string, string> = {
  test: 'Test',
  commit: 'Commit',
  describe: 'Describe',
  push: 'Push',
  pull_request: 'Pull request',
  labels: 'Labels',
  reviewers: 'Reviewers',
};

// How each kind is shown. A kind that is not known is shown by its name: kinds are added.
const KINDS: Record<string, (body: Body, at: number) => ComponentChildren> = {
  turn(body, at) {
    // Its beginning is the head of its turn.
    if (body['phase'] === 'started') return null;
    return (
      <Frame label="turn" tone={body['stop_reason'] === 'cancelled' ? 'warn' : 'bad'} at={at}>
        {said(body, 'stop_reason').replace(/_/g, ' ')}
        {text(body['reason']) && `: ${said(body, 'reason')}`}
      </Frame>
    );
  },
  decision(body, at) {
    if (body['accepted'] === false) {
      return (
        <Frame label="manager" tone="warn" at={at}>
          an answer was refused: {said(body, 'reason')}
        </Frame>
      );
    }
    const sentences = (['thought', 'action', 'future'] as const).filter((name) => text(body[name]));
    return (
      <Frame label="manager" tone="verdict" at={at}>
        {said(body, 'progress')}
        {sentences.length > 0 && (
          <dl class="verdict">
            {sentences.map((name) => (
              <div key={name}>
                <dt>{SENTENCES[name]}</dt>
                <dd class={name === 'action' ? 'mono' : ''}>{said(body, name)}</dd>
              </div>
            ))}
          </dl>
        )}
      </Frame>
    );
  },
  tool(body, at) {
    const status = text(body['status']);
    const diffs = list(body['diffs']);
    const sum = (field: string): number => diffs.reduce((all, diff) => all + number(diff[field]), 0);
    return (
      <Frame
        label={said(body, 'tool_kind') || 'tool'}
        tone={status === 'failed' ? 'bad' : 'plain'}
        at={at}
        more={
          <>
            {diffs.map((diff) => (
              <Patch key={text(diff['path'])} patch={text(diff['patch'])} open={false} />
            ))}
            <Folded name="Output" value={text(body['text'])} />
          </>
        }
      >
        <span class="mono">{said(body, 'title')}</span>{' '}
        {diffs.length > 0 && <Changes added={sum('added')} removed={sum('removed')} />}
        {status !== 'completed' && <span class="fact-status"> {status.replace(/_/g, ' ')}</span>}
      </Frame>
    );
  },
  commit(body, at) {
    return (
      <Frame label="commit" tone="good" at={at}>
        <code class="hash">{said(body, 'hash').slice(0, 8)}</code> {said(body, 'message')}
      </Frame>
    );
  },
  message(body, at) {
    const out = body['direction'] === 'out';
    const who = out ? `to ${said(body, 'to')}` : text(body['from']) === 'person' ? 'You' : said(body, 'from');
    return (
      <Frame label={who} tone="person" at={at}>
        <pre>{plain(text(body['text']))}</pre>
      </Frame>
    );
  },
  permission(body, at) {
    const status = text(body['status']);
    const chosen = list(body['options']).find((option) => option['id'] === body['option']);
    const answer = chosen ? said(chosen, 'name') : said(body, 'option');
    return (
      <Frame label="permission" tone={status === 'asked' ? 'warn' : 'plain'} at={at}>
        {said(body, 'title')}{' '}
        <span class="fact-status">
          {status === 'answered' ? `${answer} (by ${body['by'] === 'policy' ? 'the rules' : 'you'})` : status}
        </span>
      </Frame>
    );
  },
  test(body, at) {
    const passed = body['passed'] === true;
    return (
      <Frame
        label="tests"
        tone={passed ? 'good' : 'bad'}
        at={at}
        more={<Folded name="Output" value={text(body['output'])} open={!passed} />}
      >
        {passed ? '✓ passed' : `✗ failed (exit code ${number(body['exit_code'])})`} <code>{said(body, 'command')}</code>{' '}
        <span class="fact-status">{shortDuration(number(body['duration_ms']))}</span>
      </Frame>
    );
  },
  finish(body, at) {
    const status = text(body['status']);
    const url = text(body['url']);
    return (
      <Frame label="finish" tone={status === 'failed' ? 'bad' : status === 'done' ? 'good' : 'plain'} at={at}>
        {STEPS[text(body['step'])] ?? said(body, 'step')}: {status}
        {text(body['reason']) && ` – ${said(body, 'reason')}`} {url && <ExternalLink url={url}>{plainLine(url)}</ExternalLink>}
      </Frame>
    );
  },
  pull_request(body, at) {
    const url = text(body['url']);
    return (
      <Frame label="pull request" tone="good" at={at}>
        <ExternalLink url={url}>
          #{number(body['number'])} {said(body, 'title')}
        </ExternalLink>
      </Frame>
    );
  },
  trouble(body, at) {
    const retry = number(body['retry_in_ms']);
    return (
      <Frame label="trouble" tone="warn" at={at}>
        {[said(body, 'what'), said(body, 'reason')].filter(Boolean).join(': ')}
        {text(body['hint']) && <p class="fact-hint">{said(body, 'hint')}</p>}
        {retry > 0 && <span class="fact-status"> tried again in {shortDuration(retry)}</span>}
      </Frame>
    );
  },
  workspace(body, at) {
    const reclaimed = body['state'] === 'reclaimed';
    return (
      <Frame label="workspace" tone="plain" at={at}>
        {reclaimed ? 'removed for its room' : 'made again'}
        {reclaimed && text(body['saved']) && (
          <>
            ; its work is saved at <code>{said(body, 'saved')}</code>
          </>
        )}
      </Frame>
    );
  },
  state(body, at) {
    const state = text(body['state']);
    const tone = state === 'done' ? 'good' : state === 'failed' ? 'bad' : state === 'waiting' ? 'warn' : 'plain';
    return (
      <Frame label="state" tone={tone} at={at}>
        {plainLine(state)}
        {text(body['reason']) && ` – ${reasonOf({ reason: text(body['reason']) })}`}
      </Frame>
    );
  },
};

export function Fact({ event }: { event: Event }) {
  const show = KINDS[event.kind];
  const at = number(event.body['at']);
  if (show) return <>{show(event.body, at)}</>;
  return (
    <Frame label={plainLine(event.kind)} tone="plain" at={at}>
      {said(event.body, 'text')}
    </Frame>
  );
}
