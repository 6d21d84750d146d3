// One labelled control with its hint and its error, tied together for screen readers.
import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import type { JSX } from 'preact';

interface Common {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
  optional?: boolean;
  class?: string;
}

interface Shared {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': boolean;
}

function Frame({ label, hint, error, optional, class: name, children }: Common & { children: (shared: Shared) => JSX.Element }) {
  const id = useId();
  const about = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  return (
    <div class={`field ${error ? 'field-bad' : ''} ${name ?? ''}`}>
      <label for={id}>
        {label}
        {optional && <span class="optional"> optional</span>}
      </label>
      {children({ id, 'aria-describedby': about, 'aria-invalid': Boolean(error) })}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p class="error" id={`${id}-error`}>
          {error}
        </p>
      )}
    </div>
  );
}

type InputProps = Common & {
  value: string;
  onValue: (value: string) => void;
  secret?: boolean;
  // Digits are checked by us: a number input hides what it does not understand.
  digits?: boolean;
  placeholder?: string;
  mono?: boolean;
  name: string;
  list?: string;
  focus?: boolean;
};

export function TextField({ value, onValue, secret, digits, placeholder, mono, name, list, focus, ...common }: InputProps) {
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (focus) input.current?.focus();
  }, []);
  return (
    <Frame {...common}>
      {(shared) => (
        <input
          ref={input}
          {...shared}
          name={name}
          {...(secret ? { type: 'password' as const } : { type: 'text' as const, list })}
          inputMode={digits ? 'decimal' : undefined}
          value={value}
          placeholder={placeholder}
          class={mono ? 'mono' : ''}
          autoComplete="off"
          spellcheck={false}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      )}
    </Frame>
  );
}

type AreaProps = Common & {
  value: string;
  onValue: (value: string) => void;
  rows?: number;
  placeholder?: string;
  mono?: boolean;
  name: string;
};

export function AreaField({ value, onValue, rows = 4, placeholder, mono, name, ...common }: AreaProps) {
  return (
    <Frame {...common}>
      {(shared) => (
        <textarea
          {...shared}
          name={name}
          rows={rows}
          value={value}
          placeholder={placeholder}
          class={mono ? 'mono' : ''}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      )}
    </Frame>
  );
}

type ChoiceProps = Common & {
  value: string;
  onValue: (value: string) => void;
  name: string;
  options: readonly (readonly [value: string, label: string])[];
};

export function ChoiceField({ value, onValue, name, options, ...common }: ChoiceProps) {
  return (
    <Frame {...common}>
      {(shared) => (
        <select {...shared} name={name} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
          {options.map(([option, label]) => (
            <option key={option} value={option}>
              {label}
            </option>
          ))}
        </select>
      )}
    </Frame>
  );
}

export function SwitchField({
  label,
  hint,
  checked,
  onValue,
  name,
}: {
  label: string;
  hint?: string;
  checked: boolean;
  onValue: (checked: boolean) => void;
  name: string;
}) {
  const id = useId();
  return (
    <div class="switch">
      <input
        id={id}
        name={name}
        type="checkbox"
        checked={checked}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onValue(event.currentTarget.checked)}
      />
      <label for={id}>{label}</label>
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}
