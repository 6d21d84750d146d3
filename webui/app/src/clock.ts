// The time that ages on the page are told by: ticks each second while the page is seen.
import { signal } from '@preact/signals';

export const now = signal(Date.now());

let timer: ReturnType<typeof setInterval> | undefined;

function run(): void {
  clearInterval(timer);
  timer = undefined;
  if (document.hidden) return;
  now.value = Date.now();
  timer = setInterval(() => (now.value = Date.now()), 1000);
}

document.addEventListener('visibilitychange', run);
run();
