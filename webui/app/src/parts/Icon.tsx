// Small line drawings of the shell; always beside a word or a label.
const PATHS = {
  board: 'M2.5 3.5h11v3h-11zM2.5 9.5h11v3h-11z',
  activity: 'M1.5 8.5h3l2-5 3 9 2-4h3',
  costs: 'M3 13.5v-5M8 13.5v-11M13 13.5v-7',
  health: 'M8 13.5C3 10 1.8 7.4 2.4 5.3 3.1 2.8 6.3 2.3 8 4.8c1.7-2.5 4.9-2 5.6.5.6 2.1-.6 4.7-5.6 8.2z',
  settings: 'M2 5h6M11 5h3M2 11h3M8 11h6M9.5 3.2v3.6M6.5 9.2v3.6',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.4 10.4l3.4 3.4',
  plus: 'M8 3v10M3 8h10',
  more: 'M3 8h.01M8 8h.01M13 8h.01',
  close: 'M4 4l8 8M12 4l-8 8',
  check: 'M3.5 8.5 6.5 11.5 12.5 4.8',
  warn: 'M8 2.5 14.2 13H1.8zM8 6.5v3M8 11.4v.1',
  bell: 'M4 11V7.2a4 4 0 0 1 8 0V11l1.2 1.2H2.8zM6.7 14h2.6',
  branch: 'M4.5 5.5v5M4.5 5.5a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6M4.5 14.1a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6M11.5 5.5a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6M11.5 5.5c0 3-3 3.3-5.6 5',
  pull: 'M4 5.6v4.8M4 5.6A1.8 1.8 0 1 0 4 2a1.8 1.8 0 0 0 0 3.6M4 14a1.8 1.8 0 1 0 0-3.6A1.8 1.8 0 0 0 4 14M12 10.4V6.2c0-1-.7-1.7-1.7-1.7H8M9.8 2.7 8 4.5l1.8 1.8M12 14a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width={size} height={size} aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
