// The focus in the list of agents.

const linkOf = (id: number): HTMLElement | null => document.querySelector<HTMLElement>(`[data-agent="${id}"] .row-link`);

// Who had the focus last: while a row moves to another section, nothing has it.
let last: number | undefined;
addEventListener('focusin', () => (last = focusedRow() ?? last));
export const lastRow = (): number | undefined => (document.activeElement === document.body ? last : undefined);

// Puts the focus on an agent's row, wherever it is in its list.
export function focusRow(id: number, tries = 10): void {
  const link = linkOf(id);
  if (link) {
    link.focus({ preventScroll: true });
    link.closest('.row')?.scrollIntoView({ block: 'nearest' });
    return;
  }
  document.querySelector(`[data-ids*=",${id},"]`)?.scrollIntoView({ block: 'nearest' });
  if (tries) requestAnimationFrame(() => focusRow(id, tries - 1));
}

export function focusedRow(): number | undefined {
  const id = document.activeElement?.closest('[data-agent]')?.getAttribute('data-agent');
  return id ? Number(id) : undefined;
}
