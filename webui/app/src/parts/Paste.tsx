// A list from anywhere, seen as tasks before it is taken.
import { useMemo, useState } from 'preact/hooks';
import { plural } from '../format';
import { parseList, type Listed } from '../tasklist';
import { Dialog } from './Dialog';

export function Paste({ onPick, onClose }: { onPick: (tasks: Listed[]) => void; onClose: () => void }) {
  const [text, setText] = useState('');
  const found = useMemo(() => parseList(text), [text]);
  return (
    <Dialog title="Paste a list" class="paste" onClose={onClose}>
      <div class="dialog-head">
        <h2>Paste a list</h2>
      </div>
      <label class="hidden" for="pasted">
        List of tasks
      </label>
      <textarea
        id="pasted"
        rows={10}
        autoFocus
        class="mono"
        value={text}
        placeholder={'- Parse dates without a year\n  03-01 should mean this year.\n- Round amounts to cents\n- Export the report as CSV'}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <p class="hint">One task a line, with or without a dash, a number or a box; indented lines describe the task above.</p>
      {found.length > 0 && (
        <ol class="paste-found">
          {found.slice(0, 100).map((task, i) => (
            <li key={i}>
              {task.title}
              {task.description && <span class="none"> + description</span>}
            </li>
          ))}
        </ol>
      )}
      <div class="dialog-buttons">
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="button button-main" disabled={!found.length} onClick={() => onPick(found)}>
          {found.length ? `Add ${plural(found.length, 'task')}` : 'Add tasks'}
        </button>
      </div>
    </Dialog>
  );
}
