// What the agent cost: by turn as a chart and a table, by role and model.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api, ApiError } from '../api';
import { plainLine } from '../clean';
import { count, exactDollars } from '../format';
import { number, type Agent, type Usage, type UsageSums } from '../types';
import type { Watch } from '../watch';
import { lazy } from './Lazy';

const Chart = lazy(() => import('./Chart').then((made) => made.Chart));

const ROLES: Record<string, string> = { agent: 'Agent (manager)', aider: 'Aider', orchestrator: 'Orchestrator' };
// Usage comes many times a turn: it is asked for again when it has been quiet.
const PAUSE_MS = 400;

const price = (value: number | null): string => (value === null ? 'not known' : exactDollars(value));

function Sums({ sums }: { sums: UsageSums }) {
  return (
    <>
      <td>{number(sums.calls)}</td>
      <td>{sums.tokens_in.toLocaleString('en')}</td>
      <td>{number(sums.tokens_cached).toLocaleString('en')}</td>
      <td>{sums.tokens_out.toLocaleString('en')}</td>
      <td>{price(sums.dollars)}</td>
    </>
  );
}

const HEADS = ['Calls', 'Tokens in', 'of them cached', 'Tokens out', 'Cost'];

function Table({ caption, first, rows, total }: { caption: string; first: string; rows: readonly (readonly [string, UsageSums])[]; total: UsageSums }) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={caption}>
      <table class="table">
        <caption>{caption}</caption>
        <thead>
          <tr>
            <th scope="col">{first}</th>
            {HEADS.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, sums]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <Sums sums={sums} />
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">All</th>
            <Sums sums={total} />
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

export function Cost({ watch, agent }: { watch: Watch; agent: Agent }) {
  const usage = useSignal<Usage | null>(null);
  const error = useSignal('');
  useEffect(() => {
    let current = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const load = (): void => {
      timer = undefined;
      api.usage(watch.id).then(
        (made) => {
          if (!current) return;
          usage.value = made;
          error.value = '';
        },
        (cause: unknown) => {
          if (current) error.value = cause instanceof ApiError ? cause.message : String(cause);
        },
      );
    };
    load();
    const stop = watch.hear(({ kind }) => {
      if (kind === 'usage') timer ??= setTimeout(load, PAUSE_MS);
    });
    return () => {
      current = false;
      stop();
      clearTimeout(timer);
    };
  }, [watch, watch.loaded.value]);

  const made = usage.value;
  if (error.value) {
    return (
      <p class="notice notice-bad" role="alert">
        {error.value}
      </p>
    );
  }
  if (!made) return <p class="quiet panel">Loading…</p>;
  if (!made.turns.length) {
    return <p class="quiet panel">No model was asked yet. Each call's tokens and price are counted here, by turn and by role.</p>;
  }
  const unknown = made.models.filter(({ dollars }) => dollars === null).map(({ model }) => plainLine(model));
  return (
    <div class="cost">
      <dl class="cost-sum panel">
        <div>
          <dt>Cost</dt>
          <dd>{price(made.total.dollars)}</dd>
        </div>
        <div>
          <dt>A turn</dt>
          <dd>{price(made.total.dollars === null ? null : made.total.dollars / Math.max(1, agent.turn))}</dd>
        </div>
        <div>
          <dt>Tokens in</dt>
          <dd title={String(made.total.tokens_in)}>{count(made.total.tokens_in)}</dd>
        </div>
        <div>
          <dt>of them cached</dt>
          <dd>{made.total.tokens_in ? Math.round((100 * number(made.total.tokens_cached)) / made.total.tokens_in) : 0} %</dd>
        </div>
        <div>
          <dt>Tokens out</dt>
          <dd title={String(made.total.tokens_out)}>{count(made.total.tokens_out)}</dd>
        </div>
      </dl>
      {unknown.length > 0 && (
        <p class="notice">
          The price of {unknown.join(', ')} is not known: its tokens are counted, its dollars are not.
        </p>
      )}
      <div class="panel cost-chart">
        <h2>By turn</h2>
        <Chart turns={made.turns} />
      </div>
      <div class="panel">
        <Table
          caption="By role and model"
          first="Role and model"
          rows={made.models.map((row) => [`${ROLES[row.role] ?? plainLine(row.role)} · ${plainLine(row.model)}`, row])}
          total={made.total}
        />
      </div>
      <div class="panel">
        <Table
          caption="By turn"
          first="Turn"
          rows={made.turns.map((row) => [row.turn ? `Turn ${row.turn}` : 'Before the first turn', row])}
          total={made.total}
        />
      </div>
    </div>
  );
}
