// A message to one agent or many, and the answers to what an agent asks, without leaving
// the board.
import { useEffect, useState } from 'preact/hooks';
import { send, telling } from '../actions';
import { api } from '../api';
import { plainLine } from '../clean';
import { plural, reasonOf } from '../format';
import { agentRow } from '../store';
import { text, type Event } from '../types';
import { Dialog } from './Dialog';
import { Questions } from './Questions';

const TEXT_MAX = 65536;

// What an agent waits for an answer to.
function useQuestions(id: number | undefined): readonly Event[] {
  const [open, setOpen] = useState<readonly Event[]>([]);
  const state = id === undefined ? undefined : agentRow(id)?.value.state;
  useEffect(() => {
    setOpen([]);
    if (id === undefined || state !== 'waiting') return;
    let gone = false;
    api.events(id, ['permission'], { limit: 100, bytes: 64_000 }).then(
      ({ events }) => {
        if (gone) return;
        const asked = new Map<string, Event>();
        for (const event of [...events].sort((a, b) => a.id - b.id)) {
          if (event.body['status'] === 'asked') asked.set(text(event.body['id']), event);
          else asked.delete(text(event.body['id']));
        }
        setOpen([...asked.values()]);
      },
      () => {},
    );
    return () => void (gone = true);
  }, [id, state]);
  return open;
}

function Inside({ ids }: { ids: readonly number[] }) {
  const [message, setMessage] = useState('');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const one = ids.length === 1 ? ids[0] : undefined;
  const agent = one === undefined ? undefined : agentRow(one)?.value;
  const questions = useQuestions(one);
  const close = (): void => void (telling.value = null);
  const submit = async (): Promise<void> => {
    const trimmed = message.trim();
    if (!trimmed || busy) return;
    if (new TextEncoder().encode(trimmed).length > TEXT_MAX) {
      setError('A message may have 64 KiB at most.');
      return;
    }
    setBusy(true);
    const good = await send(ids, trimmed);
    setBusy(false);
    if (good) close();
  };
  const reason = agent ? reasonOf(agent) : '';
  return (
    <Dialog title="Message" class="tell" onClose={close}>
      <h2>{agent ? plainLine(agent.title) || `Agent ${agent.id}` : `Message to ${plural(ids.length, 'agent')}`}</h2>
      {agent && (
        <p class="hint">
          #{agent.id} · {plainLine(agent.branch)}
        </p>
      )}
      {reason && !questions.length && <p class="notice">{reason}</p>}
      {agent && <Questions agent={agent.id} events={questions} />}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <label class="hidden" for="tell">
          Message
        </label>
        <textarea
          id="tell"
          rows={3}
          autoFocus
          value={message}
          placeholder="What should it know or do? It goes into the next turn."
          onInput={(event) => {
            setMessage(event.currentTarget.value);
            setError('');
          }}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            void submit();
          }}
        />
        {error && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        <div class="dialog-buttons">
          <button type="button" class="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="button button-main" disabled={busy || !message.trim()}>
            Send
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function Tell() {
  const ids = telling.value;
  return ids?.length ? <Inside key={ids.join()} ids={ids} /> : null;
}
