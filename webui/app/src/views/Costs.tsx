// What was spent: by day, repository, model and role.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { api, type ApiError } from '../api';
import { plainLine } from '../clean';
import { count, day as dayWords, dollars, exactDollars, plural, repositoryName } from '../format';
import { Link, navigate, query } from '../router';
import { days, group, sum, type Dimension, type Spend } from '../spend';
import type { CostRow } from '../types';

const RANGES = [
  ['1', 'Today'],
  ['7', '7 days'],
  ['30', '30 days'],
  ['90', '90 days'],
] as const;
// Two columns of tables.
const TABLES: readonly (readonly (readonly [Dimension, string])[])[] = [
  [['repository', 'Repository'], ['model', 'Model'], ['role', 'Role']],
  [['day', 'Day']],
];
const ROLES: Record<string, string> = { agent: 'Agent (the manager)', aider: 'Aider', orchestrator: 'Orchestrator' };

const nameOf = (by: Dimension, key: string): string => {
  if (by === 'day') return dayWords(key);
  if (by === 'role') return ROLES[key] ?? plainLine(key);
  return by === 'repository' ? plainLine(repositoryName(key)) : plainLine(key);
};

const price = (spend: Spend): string => (spend.unpriced && !spend.dollars ? 'unknown' : `${dollars(spend.dollars)}${spend.unpriced ? ' +' : ''}`);

function Bars({ rows, from, to }: { rows: readonly CostRow[]; from: number; to: number }) {
  const all = days(from, to);
  const spent = new Map(group(rows, 'day').map((spend) => [spend.key, spend]));
  const most = Math.max(0.01, ...[...spent.values()].map((spend) => spend.dollars));
  const width = 100 / all.length;
  const spending = [...spent.values()].filter((spend) => spend.dollars > 0).length;
  return (
    <figure class="bars">
      <svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label={`Dollars by day; the most was ${dollars(most)}; spent on ${plural(spending, 'day')}`}>
        {all.map((day, i) => {
          const spend = spent.get(day);
          const height = spend ? Math.max(0.4, (spend.dollars / most) * 38) : 0;
          return (
            <g key={day}>
              <rect class="bar-space" x={i * width} y="0" width={width} height="40">
                <title>{`${dayWords(day)}: ${spend ? `${dollars(spend.dollars)}, ${plural(spend.calls, 'call')}` : 'nothing'}`}</title>
              </rect>
              {spend && <rect class="bar" x={i * width + width * 0.14} y={40 - height} width={width * 0.72} height={height} />}
            </g>
          );
        })}
      </svg>
      <figcaption>
        <span>{dayWords(all[0] ?? '')}</span>
        <span>most on a day: {dollars(spent.size ? most : 0)}</span>
        <span>{dayWords(all.at(-1) ?? '')}</span>
      </figcaption>
    </figure>
  );
}

function Table({ rows, by, label }: { rows: readonly CostRow[]; by: Dimension; label: string }) {
  const groups = group(rows, by);
  const most = Math.max(1e-9, ...groups.map((spend) => spend.dollars));
  return (
    <section class="panel cost-table" aria-label={`By ${label.toLowerCase()}`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{label}</th>
            <th scope="col" class="share">
              <span class="hidden">Share</span>
            </th>
            <th scope="col">Calls</th>
            <th scope="col">In</th>
            <th scope="col">Cached</th>
            <th scope="col">Out</th>
            <th scope="col">Cost</th>
          </tr>
        </thead>
        <tbody>
          {groups.map((spend) => (
            <tr key={spend.key}>
              <th scope="row" title={plainLine(spend.key)}>
                {nameOf(by, spend.key)}
              </th>
              <td class="share" aria-hidden="true">
                <svg viewBox="0 0 100 6" preserveAspectRatio="none">
                  <rect class="bar" width={(100 * spend.dollars) / most} height="6" rx="1" />
                </svg>
              </td>
              <td>{count(spend.calls)}</td>
              <td>{count(spend.tokens_in)}</td>
              <td>{count(spend.tokens_cached)}</td>
              <td>{count(spend.tokens_out)}</td>
              <td title={exactDollars(spend.dollars)}>{price(spend)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function CostsView() {
  const range = RANGES.find(([name]) => name === query.value.get('days'))?.[0] ?? '30';
  const [rows, setRows] = useState<readonly CostRow[] | null>(null);
  const [error, setError] = useState('');
  const [tries, setTries] = useState(0);
  const { from, to } = useMemo(() => {
    const begin = new Date();
    begin.setHours(0, 0, 0, 0);
    begin.setDate(begin.getDate() - (Number(range) - 1));
    return { from: begin.getTime(), to: Date.now() };
  }, [range, tries]);
  useEffect(() => {
    let gone = false;
    setError('');
    api.costs(from, to + 1).then(
      (answer) => !gone && setRows(answer.rows),
      (cause: ApiError) => !gone && setError(cause.message),
    );
    return () => void (gone = true);
  }, [from, to]);
  const all = rows ? sum(rows) : null;
  return (
    <div class="costs">
      <div class="view-head">
        <h1 tabIndex={-1}>Costs</h1>
        {all && all.calls > 0 && (
          <p class="view-sum">
            {price(all)} · {plural(all.calls, 'call')} · {count(all.tokens_in)} tokens in, {count(all.tokens_out)} out
          </p>
        )}
        <div class="tools">
          <fieldset class="segments">
            <legend class="hidden">Range</legend>
            {RANGES.map(([name, label]) => (
              <label key={name}>
                <input type="radio" name="days" checked={range === name} onChange={() => navigate(`/costs?days=${name}`, true)} />
                <span>{label}</span>
              </label>
            ))}
          </fieldset>
          <button type="button" class="button" onClick={() => setTries(tries + 1)}>
            Refresh
          </button>
        </div>
      </div>
      {error && (
        <div class="notice notice-bad" role="alert">
          {error}{' '}
          <button type="button" class="button" onClick={() => setTries(tries + 1)}>
            Try again
          </button>
        </div>
      )}
      {!rows && !error && <div class="boot" role="status" aria-label="Loading" />}
      {rows && !rows.length && (
        <section class="empty panel">
          <h2>Nothing was spent in this time</h2>
          <p>
            Every call of a model is counted here, with its tokens and price. Limits in dollars are set for a task or in{' '}
            <Link to="/settings">Settings</Link>.
          </p>
        </section>
      )}
      {rows && rows.length > 0 && (
        <>
          <section class="panel" aria-label="Dollars a day">
            <Bars rows={rows} from={from} to={to} />
          </section>
          <div class="cost-tables">
            {TABLES.map((column, i) => (
              <div key={i}>
                {column.map(([by, label]) => (
                  <Table key={by} rows={rows} by={by} label={label} />
                ))}
              </div>
            ))}
          </div>
          {all?.unpriced && <p class="hint cost-note">A “+” marks sums in which calls of models without a known price are left out.</p>}
        </>
      )}
    </div>
  );
}
