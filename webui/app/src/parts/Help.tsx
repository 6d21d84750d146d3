// All keys that mean something here, from the same table that makes them mean it.
import { signal } from '@preact/signals';
import { bindings, singleKeys } from '../keys';
import { Dialog } from './Dialog';

export const helping = signal(false);

const WORDS: Record<string, string> = { Escape: 'Esc', Enter: '↵', ArrowDown: '↓', ArrowUp: '↑', 'ctrl+k': 'Ctrl K', 'ctrl+a': 'Ctrl A', Delete: 'Del', 'shift+j': '⇧ J' };

export function Keys({ keys }: { keys: string }) {
  return (
    <span class="keys">
      {keys.split(' ').map((key, i) => (
        <kbd key={i}>{WORDS[key] ?? (key.length === 1 ? key.toUpperCase() : key)}</kbd>
      ))}
    </span>
  );
}

export function Help() {
  if (!helping.value) return null;
  const groups = new Map<string, { keys: string; label: string }[]>();
  const known = new Set<string>();
  for (const { keys, label, group } of bindings()) {
    if (known.has(`${group} ${keys}`) || !label) continue;
    known.add(`${group} ${keys}`);
    groups.set(group, [...(groups.get(group) ?? []), { keys, label }]);
  }
  const close = (): void => void (helping.value = false);
  return (
    <Dialog title="Keyboard shortcuts" class="help" onClose={close}>
      <div class="dialog-head">
        <h2>Keyboard shortcuts</h2>
        <button type="button" class="button button-small" onClick={close} autoFocus>
          Close
        </button>
      </div>
      <div class="help-groups">
        {[...groups].map(([group, all]) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {all.map(({ keys, label }) => (
                <div key={keys}>
                  <dt>{label}</dt>
                  <dd>
                    <Keys keys={keys} />
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <label class="check-line">
        <input type="checkbox" checked={singleKeys.value} onChange={(event) => (singleKeys.value = event.currentTarget.checked)} />
        Single keys act at once
      </label>
    </Dialog>
  );
}
