// Permission requests that wait for an answer.
import { useState } from 'preact/hooks';
import { api, type ApiError } from '../api';
import { plain, plainLine } from '../clean';
import { list, text, type Event } from '../types';

function Question({ agent, event }: { agent: number; event: Event }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const { body } = event;
  const answer = async (option: string): Promise<void> => {
    setBusy(true);
    setError('');
    try {
      await api.answer(agent, text(body['id']), option);
    } catch (cause) {
      setError((cause as ApiError).message);
    } finally {
      setBusy(false);
    }
  };
  // The least that lets it go on.
  const main = list(body['options']).findIndex((option) => text(option['kind']).startsWith('allow'));
  return (
    <section class="question" aria-label="The agent asks">
      <h2>
        The agent asks: <bdi>{plainLine(text(body['title'])) || 'may it go on?'}</bdi>
      </h2>
      {text(body['text']) && <pre class="question-text">{plain(text(body['text']))}</pre>}
      <div class="question-options">
        {list(body['options']).map((option, i) => {
          return (
            <button
              key={text(option['id'])}
              type="button"
              class={i === main ? 'button button-main' : 'button'}
              disabled={busy}
              onClick={() => void answer(text(option['id']))}
            >
              {plainLine(text(option['name'])) || plainLine(text(option['id']))}
            </button>
          );
        })}
      </div>
      {error && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
    </section>
  );
}

export function Questions({ agent, events }: { agent: number; events: readonly Event[] }) {
  return (
    <>
      {events.map((event) => (
        <Question key={text(event.body['id'])} agent={agent} event={event} />
      ))}
    </>
  );
}
