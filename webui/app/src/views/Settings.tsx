import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError } from '../api';
import { besideField, fieldIn, placeOf, type Errors } from '../form';
import { AreaField, ChoiceField, SwitchField, TextField } from '../parts/Field';
import { Icon } from '../parts/Icon';
import { ModelField } from '../parts/ModelField';
import { changeOf, check, COMMAND, GIT, INSTRUCTIONS, LIMITS, LOCAL, MODELS, RETENTION, valuesOf, type Setting, type Values } from '../settings';

const SETTLE_MS = 600;

// Which keys the server found: their names and whether they are there, never what they are.
function Keys() {
  const [keys, setKeys] = useState<readonly { name: string; present: boolean }[] | null>(null);
  useEffect(() => {
    api.keys().then((answer) => setKeys(answer.keys), () => {});
  }, []);
  return (
    <section class="panel form-part" aria-label="Keys and tokens">
      <h2>Keys and tokens</h2>
      {keys && (
        <ul class="key-list">
          {[...keys].sort((a, b) => Number(b.present) - Number(a.present)).map(({ name, present }) => (
            <li key={name} class={present ? 'key-there' : ''}>
              <Icon name={present ? 'check' : 'close'} size={14} />
              <span class="mono">{name}</span>
              <span class="hint">{present ? 'present' : 'absent'}</span>
            </li>
          ))}
        </ul>
      )}
      <p class="hint key-hint">
        They are never kept or shown here. Put them into <code>~/.env</code> or the environment of <code>100x up</code>, as <code>NAME=value</code>.
      </p>
    </section>
  );
}

export function SettingsView() {
  const [before, setBefore] = useState<Values | null>(null);
  const [values, setValues] = useState<Values>({});
  const [errors, setErrors] = useState<Errors>({});
  const [failure, setFailure] = useState('');
  const [said, setSaid] = useState('');
  const [busy, setBusy] = useState(false);
  // The settings that this server has.
  const [known, setKnown] = useState<ReadonlySet<string>>(new Set());
  const form = useRef<HTMLFormElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);

  const load = (): void => {
    setFailure('');
    api.config().then(
      (config) => {
        setBefore(valuesOf(config));
        setValues(valuesOf(config));
        setKnown(new Set(Object.keys(config.general)));
      },
      (error: ApiError) => setFailure(error.message),
    );
  };
  useEffect(load, []);

  const set = (field: string, value: string): void => {
    const next = { ...values, [field]: value };
    setValues(next);
    setSaid('');
    setFailure('');
    setErrors(({ [field]: _, ...rest }) => rest);
    // Checked as typed, once a pause came in.
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      const wrong = check(next)[field];
      if (wrong) setErrors((was) => ({ ...was, [field]: wrong }));
    }, SETTLE_MS);
  };
  const showErrors = (found: Errors): void => {
    setErrors(found);
    queueMicrotask(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
  };

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (busy || !before) return;
    const found = check(values);
    if (Object.keys(found).length) {
      showErrors(found);
      return;
    }
    const change = changeOf(before, values);
    if (!change.models && !change.general) {
      setSaid('Nothing has changed.');
      return;
    }
    setBusy(true);
    setErrors({});
    try {
      const config = await api.setConfig(change);
      setBefore(valuesOf(config));
      setValues(valuesOf(config));
      setSaid('Saved. Agents that start from now on use it.');
    } catch (cause) {
      const error = cause as ApiError;
      const place = placeOf(error.field || fieldIn(error.message), Object.keys(values));
      if (place) showErrors({ [place]: besideField(error.message) });
      else setFailure(error.message);
    } finally {
      setBusy(false);
    }
  };

  const field = (setting: Setting) => {
    const name = `general.${setting.key}`;
    const common = {
      label: setting.label,
      name: setting.key,
      value: values[name] ?? '',
      onValue: (value: string) => set(name, value),
      hint: setting.hint,
      error: errors[name],
    };
    if (setting.kind === 'choice') return <ChoiceField key={name} {...common} options={setting.options ?? []} />;
    if (setting.kind === 'long' || setting.kind === 'lines') {
      return (
        <AreaField key={name} {...common} placeholder={setting.placeholder ?? ''} rows={setting.kind === 'long' ? 4 : 3} mono={setting.kind === 'lines'} />
      );
    }
    return (
      <TextField
        key={name}
        {...common}
        digits={setting.kind !== 'text'}
        placeholder={setting.placeholder ?? ''}
      />
    );
  };

  if (!before) {
    return failure ? (
      <div class="notice notice-bad" role="alert">
        {failure}{' '}
        <button type="button" class="button" onClick={load}>
          Try again
        </button>
      </div>
    ) : (
      <div class="boot" role="status" aria-label="Loading" />
    );
  }
  return (
    <form ref={form} class="settings" onSubmit={(event) => void submit(event)} noValidate>
      <div class="view-head">
        <h1 tabIndex={-1}>Settings</h1>
        <p class="view-sum">For agents that start from now on.</p>
      </div>
      <section class="panel form-part" aria-label="Models">
        <h2>Models</h2>
        <div class="form-stack">
          {MODELS.map(([role, label, hint]) => (
            <ModelField
              key={role}
              label={label}
              name={`model_${role}`}
              value={values[`models.${role}`] ?? ''}
              onValue={(value) => set(`models.${role}`, value)}
              hint={hint}
              error={errors[`models.${role}`]}
              class="field-row"
            />
          ))}
        </div>
      </section>
      <section class="panel form-part" aria-label="Instructions">
        <h2>Instructions</h2>
        {field(INSTRUCTIONS)}
      </section>
      <section class="panel form-part" aria-label="Limits">
        <h2>Limits</h2>
        <div class="form-grid">{LIMITS.map(field)}</div>
      </section>
      <section class="panel form-part" aria-label="Git">
        <h2>Git</h2>
        <div class="form-grid form-grid-two">{GIT.map(field)}</div>
        <div class="switches">
          <SwitchField
            name={LOCAL.key}
            label={LOCAL.label}
            hint={LOCAL.hint ?? ''}
            checked={values[`general.${LOCAL.key}`] === 'true'}
            onValue={(checked) => set(`general.${LOCAL.key}`, String(checked))}
          />
        </div>
      </section>
      {RETENTION.some(({ key }) => known.has(key)) && (
        <section class="panel form-part" aria-label="Keeping">
          <h2>How long things are kept</h2>
          <div class="form-grid">{RETENTION.filter(({ key }) => known.has(key)).map(field)}</div>
        </section>
      )}
      <Keys />
      <section class="panel form-part" aria-label="Agent program">
        <h2>Agent program</h2>
        {field(COMMAND)}
      </section>
      {failure && (
        <div class="notice notice-bad" role="alert">
          {failure}
        </div>
      )}
      <div class="form-end">
        <button type="submit" class="button button-main" disabled={busy}>
          {busy ? 'Saving…' : 'Save'}
        </button>
        <span class="form-said" role="status">
          {said}
        </span>
      </div>
    </form>
  );
}
