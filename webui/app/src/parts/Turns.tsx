// The whole history of turns: what was asked and why, and what it cost.
import { now } from '../clock';
import { plain, plainLine } from '../clean';
import { clock, count, dateTime, dollars, exactDollars, plural, shortDuration } from '../format';
import type { Turn } from '../types';
import type { Sentences } from '../watch';

const SOURCES: Record<string, string> = { task: 'task', manager: 'manager', person: 'you', test: 'tests' };
const STOPS: Record<string, string> = {
  end_turn: 'ended',
  cancelled: 'cancelled',
  max_tokens: 'out of tokens',
  max_turn_requests: 'too many requests',
  refusal: 'refused',
  error: 'error',
};

function Sentence({ name, value }: { name: string; value: string }) {
  if (!value) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd class={name === 'Action' ? 'mono' : ''}>{plain(value)}</dd>
    </>
  );
}

function Said({ said }: { said: Sentences }) {
  return (
    <dl class="turn-said">
      <Sentence name="Progress" value={said.progress} />
      <Sentence name="Thought" value={said.thought} />
      <Sentence name="Action" value={said.action} />
      <Sentence name="Future" value={said.future} />
    </dl>
  );
}

function Card({ turn }: { turn: Turn }) {
  const stop = turn.stop_reason;
  const took = (turn.ended_at ?? now.value) - turn.started_at;
  return (
    <li class="turn panel" data-turn={turn.turn}>
      <div class="turn-head">
        <h3>Turn {turn.turn}</h3>
        <span class={`source source-${turn.source}`}>from {SOURCES[turn.source] ?? plainLine(turn.source)}</span>
        <span class={stop && stop !== 'end_turn' ? 'turn-stop turn-stop-bad' : 'turn-stop'}>
          {stop ? (STOPS[stop] ?? plainLine(stop)) : 'under way'}
        </span>
        <span class="turn-figures">
          <span title={dateTime(turn.started_at)}>{clock(turn.started_at)}</span>
          <span>{shortDuration(took)}</span>
          <span title={`${turn.tokens_in} in, ${turn.tokens_out} out`}>{count(turn.tokens_in + turn.tokens_out)} tokens</span>
          <span title={turn.dollars === null ? 'the price of its model is not known' : exactDollars(turn.dollars)}>
            {turn.dollars === null ? '$ –' : dollars(turn.dollars)}
          </span>
        </span>
      </div>
      <Said said={turn} />
      <details class="turn-prompt">
        <summary>Prompt</summary>
        <pre>{plain(turn.prompt)}</pre>
      </details>
    </li>
  );
}

export function Turns({ turns, opening }: { turns: readonly Turn[]; opening: Sentences | null }) {
  if (!turns.length && !opening) return <p class="quiet panel">No turn has begun yet.</p>;
  return (
    <>
      <p class="turns-sum">{plural(turns.length, 'turn')}, the newest first</p>
      <ol class="turns" reversed>
        {[...turns].reverse().map((turn) => (
          <Card key={turn.turn} turn={turn} />
        ))}
        {opening && (
          <li key="opening" class="turn panel">
            <div class="turn-head">
              <h3>Before the first turn</h3>
              <span>the manager's plan</span>
            </div>
            <Said said={opening} />
          </li>
        )}
      </ol>
    </>
  );
}
