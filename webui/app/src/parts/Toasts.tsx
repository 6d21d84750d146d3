import { dismiss, hold, release, toasts, undo } from '../toast';
import { Icon } from './Icon';

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div
          key={toast.key}
          class={`toast${toast.bad ? ' toast-bad' : ''}${toast.other ? ' toast-other' : ''}`}
          onMouseEnter={() => hold(toast.key)}
          onMouseLeave={() => release(toast.key)}
          onFocusIn={() => hold(toast.key)}
          onFocusOut={() => release(toast.key)}
        >
          <Icon name={toast.bad ? 'warn' : 'check'} />
          <span class="toast-text">{toast.text}</span>
          {toast.undo && (
            <button type="button" class="button button-small" onClick={() => undo(toast)}>
              Undo
            </button>
          )}
          {toast.other && (
            <button
              type="button"
              class="button button-small"
              onClick={() => {
                dismiss(toast.key);
                toast.other?.run();
              }}
            >
              {toast.other.label}
            </button>
          )}
          <button type="button" class="button-icon" aria-label="Dismiss" onClick={() => dismiss(toast.key)}>
            <Icon name="close" size={14} />
          </button>
        </div>
      ))}
    </div>
  );
}
