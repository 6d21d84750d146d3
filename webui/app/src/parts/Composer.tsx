// A message to the agent: it goes into its next turn. Enter sends, Shift+Enter breaks the
// line. What was not sent is kept, for each agent.
import { useState, useRef } from 'preact/hooks';
import { api, requestKey, type ApiError } from '../api';
import { keep, kept } from '../kept';
import type { Agent } from '../types';

const TEXT_MAX = 65536;

const draftOf = (agent: number): string => {
  const draft = kept(`draft-${agent}`);
  return typeof draft === 'string' ? draft : '';
};

export function Composer({ agent, asked }: { agent: Agent; asked: boolean }) {
  const [text, setText] = useState(() => draftOf(agent.id));
  const [error, setError] = useState('');
  const [said, setSaid] = useState('');
  const [busy, setBusy] = useState(false);
  const key = useRef('');
  const ended = agent.state === 'done' || agent.state === 'failed' || agent.state === 'stopped';
  const write = (value: string): void => {
    setText(value);
    keep(`draft-${agent.id}`, value || null);
  };
  const send = async (): Promise<void> => {
    const message = text.trim();
    if (!message || busy || ended) return;
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
      write('');
      setSaid('Sent; it goes into the next turn.');
    } catch (cause) {
      if ((cause as ApiError).status !== 0) key.current = '';
      setError((cause as ApiError).message);
    } finally {
      setBusy(false);
    }
  };
  const placeholder = ended
    ? 'This agent has ended. Retry it to go on.'
    : asked
      ? 'Answer the question above, or write what to do instead…'
      : agent.state === 'waiting'
        ? 'The agent waits for your answer…'
        : 'Message for the next turn…';
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
        placeholder={placeholder}
        aria-describedby="message-said"
        onInput={(event) => {
          write(event.currentTarget.value);
          key.current = '';
          setSaid('');
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') event.currentTarget.blur();
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          void send();
        }}
      />
      <button type="submit" class="button button-main" disabled={ended || busy || !text.trim()}>
        Send
      </button>
      <p id="message-said" class={error ? 'composer-said error' : 'composer-said'} role="status">
        {error || said || (text && !ended ? 'Enter sends, Shift+Enter begins a line' : '')}
      </p>
    </form>
  );
}
