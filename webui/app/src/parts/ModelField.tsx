// A model's name, and whether it answers: one tiny request by the server.
import { useEffect, useState } from 'preact/hooks';
import { api, type ApiError } from '../api';
import { plainLine } from '../clean';
import { shortDuration } from '../format';
import type { ModelTest } from '../types';
import { TextField } from './Field';
import { Icon } from './Icon';

interface Props {
  label: string;
  name: string;
  value: string;
  onValue: (value: string) => void;
  hint?: string | undefined;
  error?: string | undefined;
  placeholder?: string;
  optional?: boolean;
  class?: string;
  // Tested where the field is empty.
  fallback?: string;
}

export function ModelField({ fallback = '', ...field }: Props) {
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<ModelTest | null>(null);
  const model = field.value.trim() || fallback;
  useEffect(() => setResult(null), [model]);
  const test = async (): Promise<void> => {
    setBusy(true);
    setResult(null);
    try {
      setResult(await api.testModel(model));
    } catch (cause) {
      setResult({ ok: false, model, error: (cause as ApiError).message });
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="model-field">
      <TextField {...field} mono />
      <button type="button" class="button model-test" disabled={busy || !/\S\/\S/.test(model)} onClick={() => void test()} aria-label={`Test ${field.label}`}>
        {busy ? 'Asking…' : 'Test'}
      </button>
      <p class={`model-result ${result ? (result.ok ? 'model-good' : 'error') : ''}`} role="status">
        {result && <Icon name={result.ok ? 'check' : 'warn'} size={14} />}
        {result?.ok && `Answers in ${shortDuration(result.latency_ms ?? 0)}`}
        {result && !result.ok && [plainLine(result.error ?? 'no answer'), plainLine(result.hint ?? '')].filter(Boolean).join('. ')}
      </p>
    </div>
  );
}
