// A goal in a few sentences, split into tasks by the Orchestrator model; they are edited
// before anything starts.
import { useEffect, useState } from 'preact/hooks';
import { api, type ApiError } from '../api';
import { plain, plainLine } from '../clean';
import { exactDollars } from '../format';
import { wholeNumber } from '../form';
import type { Listed } from '../tasklist';
import { toast } from '../toast';
import { Dialog } from './Dialog';
import { AreaField, TextField } from './Field';

interface Props {
  repository: string;
  base: string;
  onPick: (tasks: Listed[]) => void;
  onClose: () => void;
}

export function Split({ repository, base, onPick, onClose }: Props) {
  const [goal, setGoal] = useState('');
  const [most, setMost] = useState('6');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const [open] = useState({ now: true });
  useEffect(() => () => void (open.now = false), []);
  const bad = wholeNumber(most, 1, 20) === null ? 'A whole number from 1 to 20.' : '';
  const split = async (): Promise<void> => {
    if (busy || bad || !goal.trim()) return;
    setBusy(true);
    setError('');
    try {
      const answer = await api.splitGoal(repository, base, goal.trim(), Number(most));
      if (!open.now) return;
      onPick(answer.tasks.map(({ title, description }) => ({ title: plainLine(title), description: plain(description ?? '').trim() })));
      toast(
        `${answer.tasks.length} tasks, split by ${plainLine(answer.model ?? 'the model')}` +
          (typeof answer.dollars === 'number' ? ` for ${exactDollars(answer.dollars)}` : '') +
          '. Look them over before you start.',
      );
    } catch (cause) {
      setError((cause as ApiError).message);
      setBusy(false);
    }
  };
  return (
    <Dialog title="Split a goal" class="paste" onClose={onClose}>
      <div class="dialog-head">
        <h2>Split a goal into tasks</h2>
      </div>
      <form
        class="form-stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void split();
        }}
      >
        <AreaField
          label="Goal"
          name="goal"
          rows={6}
          value={goal}
          onValue={setGoal}
          placeholder="What should be true when all is done? The Orchestrator model sees the files' names and the README."
        />
        <TextField label="At most" name="most" digits value={most} onValue={setMost} hint="tasks, each for an agent of its own" error={bad || undefined} class="field-row" />
        {busy && <progress aria-label="The model splits the goal" />}
        {error && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        <div class="dialog-buttons">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button button-main" disabled={busy || !goal.trim()}>
            {busy ? 'Splitting…' : 'Split'}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
