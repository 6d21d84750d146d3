// GitHub issues to pick tasks from; asked for by the server with its token.
import { useEffect, useState } from 'preact/hooks';
import { api, type ApiError } from '../api';
import { plain, plainLine } from '../clean';
import { plural, repositoryName } from '../format';
import type { Listed } from '../tasklist';
import type { Issue } from '../types';
import { Dialog } from './Dialog';

// A description may be long, an issue longer.
const BODY_MAX = 16384;

// The issue in words: the task stands for itself, whoever reads it.
const taskOf = (issue: Issue): Listed => ({
  title: plainLine(issue.title).slice(0, 300),
  description: [plain(issue.body ?? '').trim().slice(0, BODY_MAX), `Issue: ${plainLine(issue.url)}`].filter(Boolean).join('\n\n'),
});

interface Props {
  repository: string;
  onPick: (tasks: Listed[]) => void;
  onClose: () => void;
}

export function Issues({ repository, onPick, onClose }: Props) {
  const [issues, setIssues] = useState<readonly Issue[]>([]);
  const [more, setMore] = useState(false);
  const [page, setPage] = useState(1);
  const [busy, setBusy] = useState(true);
  const [error, setError] = useState('');
  const [filter, setFilter] = useState('');
  const [picked, setPicked] = useState<ReadonlySet<number>>(new Set());

  useEffect(() => {
    let gone = false;
    setBusy(true);
    setError('');
    api.issues(repository, page).then(
      (answer) => {
        if (gone) return;
        setIssues((was) => [...was.filter(({ number }) => !answer.issues.some((issue) => issue.number === number)), ...answer.issues]);
        setMore(answer.more);
        setBusy(false);
      },
      (cause: ApiError) => {
        if (gone) return;
        setError(cause.status === 404 && cause.kind !== 'unreachable' ? cause.message || 'Not found.' : cause.message);
        setBusy(false);
      },
    );
    return () => void (gone = true);
  }, [repository, page]);

  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = issues.filter((issue) => {
    const hay = `#${issue.number} ${issue.title} ${issue.labels.join(' ')} ${issue.author}`.toLowerCase();
    return words.every((word) => hay.includes(word));
  });
  const toggle = (number: number, on: boolean): void => {
    const next = new Set(picked);
    if (on) next.add(number);
    else next.delete(number);
    setPicked(next);
  };
  const add = (): void => onPick(issues.filter(({ number }) => picked.has(number)).map(taskOf));
  return (
    <Dialog title="GitHub issues" class="issues" onClose={onClose}>
      <div class="dialog-head">
        <h2>Open issues of {plainLine(repositoryName(repository))}</h2>
      </div>
      <input
        type="text"
        aria-label="Filter issues"
        placeholder="Filter by words, labels, author, #number"
        autoFocus
        value={filter}
        onInput={(event) => setFilter(event.currentTarget.value)}
      />
      <ul class="issue-list">
        {shown.map((issue) => (
          <li key={issue.number}>
            <label>
              <input type="checkbox" checked={picked.has(issue.number)} onChange={(event) => toggle(issue.number, event.currentTarget.checked)} />
              <span class="issue-number">#{issue.number}</span>
              <span class="issue-title">
                {plainLine(issue.title)}
                {issue.labels.map((label) => (
                  <span key={label} class="chip">
                    {plainLine(label)}
                  </span>
                ))}
              </span>
              <span class="issue-author">{plainLine(issue.author)}</span>
            </label>
          </li>
        ))}
      </ul>
      {busy && <progress aria-label="Loading issues" />}
      {error && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
      {!busy && !error && !shown.length && <p class="quiet">{issues.length ? 'No issue matches.' : 'There is no open issue.'}</p>}
      <div class="dialog-buttons">
        {more && (
          <button type="button" class="button" disabled={busy} onClick={() => setPage(page + 1)}>
            Load more
          </button>
        )}
        <span class="grow" />
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="button button-main" disabled={!picked.size} onClick={add}>
          {picked.size ? `Add ${plural(picked.size, 'task')}` : 'Add tasks'}
        </button>
      </div>
    </Dialog>
  );
}
