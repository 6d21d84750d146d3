// Asks before what cannot be undone.
import type { ComponentChildren } from 'preact';
import { Dialog } from './Dialog';

interface Props {
  title: string;
  yes: string;
  onYes: () => void;
  onNo: () => void;
  children: ComponentChildren;
}

export function Confirm({ title, yes, onYes, onNo, children }: Props) {
  return (
    <Dialog title={title} onClose={onNo}>
      <h2>{title}</h2>
      <div class="dialog-body">{children}</div>
      <div class="dialog-buttons">
        <button type="button" class="button" autoFocus onClick={onNo}>
          Cancel
        </button>
        <button type="button" class="button button-danger" onClick={onYes}>
          {yes}
        </button>
      </div>
    </Dialog>
  );
}
