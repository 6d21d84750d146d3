import { useState } from 'preact/hooks';
import { api, ApiError, session } from '../api';
import { TextField } from '../parts/Field';

// A pasted address works as well as the bare token.
function tokenOf(pasted: string): string {
  const trimmed = pasted.trim();
  return /[?&]token=([^&#\s]+)/.exec(trimmed)?.[1] ?? trimmed;
}

export function SignInView() {
  const [token, setToken] = useState('');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (!tokenOf(token)) {
      setError('Paste the token or the whole address.');
      return;
    }
    setBusy(true);
    try {
      await api.signIn(tokenOf(token));
      setToken('');
      session.value = 'in';
    } catch (cause) {
      const refused = cause instanceof ApiError && (cause.status === 401 || cause.status === 403);
      setError(refused ? 'This token is not the right one. Look for the newest address.' : (cause as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <div class="panel sign-in-panel">
        <span class="brand-mark" aria-hidden="true">
          100<i>×</i>
        </span>
        <h1 tabIndex={-1}>Sign in</h1>
        <p>
          The web server printed an address with a token when it started. Open that address, or paste it here. This shows it
          again, and starts nothing twice:
        </p>
        <pre class="command">100x up</pre>
        <form onSubmit={(event) => void submit(event)} noValidate>
          <TextField
            label="Address or token"
            name="token"
            secret
            value={token}
            onValue={(value) => {
              setToken(value);
              setError('');
            }}
            error={error}
            mono
            focus
          />
          <button type="submit" class="button button-main button-wide" disabled={busy}>
            {busy ? 'Signing in…' : 'Sign in'}
          </button>
        </form>
      </div>
    </main>
  );
}
