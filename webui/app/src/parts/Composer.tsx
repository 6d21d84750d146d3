// A message to the agent: it goes into its next turn. Enter sends, Shift+Enter breaks the line.
import { useRef, useState } from 'preact/hooks';
import { api, requestKey, type ApiError } from '../api';
import type { Agent } from '../types';

const TEXT_MAX = 65536;

export function Composer({ agent }: { agent: Agent }) {
  const [text, setText] = useState('');
  const [error, setError] = useState('');
  const [said, setSaid] = useState('');
  const [busy, setBusy] = useState(false);
  const key = useRef('');
  const ended = agent.state === 'done' || agent.state === 'failed' || agent.state === 'stopped';
  const send = async (): Promise<void> => {
    const message = text.trim();
    if (!message || busy) return;
    if (new TextEncoder().encode(message).length > TEXT_MAX) {
      setError('A message may have 64 KiB at most.');
      return;
    }
    setBusy(true);
    setError('');
    key.current ||= requestKey();
    try {
      await api.tell(agent.id, message, key.current);
      key.current = '';
      setText('');
      setSaid('Sent; it goes into the next turn.');
    } catch (cause) {
      if ((cause as ApiError).status !== 0) key.current = '';
      setError((cause as ApiError).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label class="hidden" for="message">
        Message to agent {agent.id}
      </label>
      <textarea
        id="message"
        name="message"
        rows={1}
        value={text}
        disabled={ended}
        placeholder={ended ? 'This agent has ended. Retry it to go on.' : 'Message for the next turn…'}
        onInput={(event) => {
          setText(event.currentTarget.value);
          key.current = '';
          setSaid('');
        }}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          void send();
        }}
      />
      <button type="submit" class="button button-main" disabled={ended || busy || !text.trim()}>
        Send
      </button>
      <p class={error ? 'composer-said error' : 'composer-said'} role="status">
        {error || said}
      </p>
    </form>
  );
}
