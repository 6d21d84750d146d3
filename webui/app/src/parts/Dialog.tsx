// A dialog of the browser's own: it keeps the focus inside and Escape closes it.
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ComponentChildren } from 'preact';

interface Props {
  title: string;
  class?: string;
  onClose: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, class: name, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const { current } = dialog;
    const before = document.activeElement;
    current?.showModal();
    return () => {
      if (current?.open) current.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class={`dialog ${name ?? ''}`}
      aria-label={title}
      onClose={onClose}
      onCancel={(event) => {
        // At once: the browser tells of the closing a moment later.
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => {
        // Outside of it: the backdrop counts as the dialog itself.
        if (event.target === event.currentTarget) onClose();
      }}
    >
      <div class="dialog-inside">{children}</div>
    </dialog>
  );
}
