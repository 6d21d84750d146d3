import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError } from '../api';
import { besideField, fieldIn, placeOf, type Errors } from '../form';
import { AreaField, ChoiceField, SwitchField, TextField } from '../parts/Field';
import { changeOf, check, COMMAND, GIT, INSTRUCTIONS, LIMITS, LOCAL, MODELS, valuesOf, type Setting, type Values } from '../settings';

export function SettingsView() {
  const [before, setBefore] = useState<Values | null>(null);
  const [values, setValues] = useState<Values>({});
  const [errors, setErrors] = useState<Errors>({});
  const [failure, setFailure] = useState('');
  const [said, setSaid] = useState('');
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);

  const load = (): void => {
    setFailure('');
    api.config().then(
      (config) => {
        setBefore(valuesOf(config));
        setValues(valuesOf(config));
      },
      (error: ApiError) => setFailure(error.message),
    );
  };
  useEffect(load, []);

  const set = (field: string, value: string): void => {
    setValues((was) => ({ ...was, [field]: value }));
    setSaid('');
    setFailure('');
    if (errors[field]) setErrors(({ [field]: _, ...rest }) => rest);
  };
  const showErrors = (found: Errors): void => {
    setErrors(found);
    requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
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
        <p class="view-sum">
          Keys and tokens are not kept here: they come from <code>~/.env</code> and the environment.
        </p>
      </div>
      <section class="panel form-part" aria-label="Models">
        <h2>Models</h2>
        <div class="form-stack">
          {MODELS.map(([role, label, hint]) => (
            <TextField
              key={role}
              label={label}
              name={`model_${role}`}
              value={values[`models.${role}`] ?? ''}
              onValue={(value) => set(`models.${role}`, value)}
              hint={hint}
              error={errors[`models.${role}`]}
              class="field-row"
              mono
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
