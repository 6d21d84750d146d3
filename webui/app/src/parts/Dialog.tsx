// A dialog of the browser's own: it keeps the focus inside and Escape closes it.
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import { openDialog } from '../keys';

interface Props {
  title: string;
  class?: string;
  onClose: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, class: name, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const latest = useRef(onClose);
  latest.current = onClose;
  // The browser tells of a closing a moment later: by then another may be open in its place.
  const gone = useRef(false);
  const close = (): void => {
    if (!gone.current) latest.current();
  };
  useLayoutEffect(() => {
    const { current } = dialog;
    const before = document.activeElement;
    current?.showModal();
    const shut = openDialog(close);
    return () => {
      gone.current = true;
      shut();
      if (current?.open) current.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class={`dialog ${name ?? ''}`}
      aria-label={title}
      onClose={close}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onMouseDown={(event) => {
        // Outside of it: the backdrop counts as the dialog itself.
        if (event.target === event.currentTarget) close();
      }}
    >
      <div class="dialog-inside">{children}</div>
    </dialog>
  );
}
