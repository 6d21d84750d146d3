// A headless Chromium that tells everything a page must not do: errors in its console,
// requests to other origins, refusals of the content security policy.
import { chromium } from 'playwright-core';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

export async function openBrowser() {
  return await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
      '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
    ],
  });
}

// In a page, before its own scripts: collects the web's own measures (web.dev/vitals) in
// `vitals`: ms to the largest paint, how much moved, and the ms of each key or click that
// took longer than 16.
export function watchVitals() {
  window.vitals = { paint: 0, moved: 0, acts: {} };
  const watch = (type, options, take) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true, ...options });
  watch('largest-contentful-paint', {}, (entry) => { window.vitals.paint = entry.startTime; });
  watch('layout-shift', {}, (entry) => { if (!entry.hadRecentInput) window.vitals.moved += entry.value; });
  watch('event', { durationThreshold: 16 }, ({ interactionId, duration }) => {
    if (interactionId) window.vitals.acts[interactionId] = Math.max(duration, window.vitals.acts[interactionId] ?? 0);
  });
}

const NAMED = { Enter: [13, '\r'], Escape: [27], Delete: [46], ArrowDown: [40] };

// Keys in one go, each sent before the one before it was answered for, as quick fingers do:
// "/", "a", "Enter", "Control+k"; a longer text is typed letter by letter.
export async function rattle(page, ...keys) {
  const cdp = await page.context().newCDPSession(page);
  const sent = [];
  for (const key of keys.flatMap((one) => (NAMED[one] || one.startsWith('Control+') ? [one] : [...one]))) {
    const plain = key.replace('Control+', '');
    const [code, text] = NAMED[key] ?? [/\w/.test(plain) ? plain.toUpperCase().charCodeAt(0) : 0, plain];
    const event = { key: plain, windowsVirtualKeyCode: code, modifiers: plain === key ? 0 : 2, ...(text && plain === key ? { text } : {}) };
    sent.push(cdp.send('Input.dispatchKeyEvent', { type: event.text ? 'keyDown' : 'rawKeyDown', ...event }));
    sent.push(cdp.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event, text: undefined }));
  }
  await Promise.all(sent);
  await cdp.detach();
}

// What went wrong in any page of a context, to be empty at the end. Errors that a test
// provokes (a 401 is a line in the console) are named in `expected`.
export function watchContext(context, origin) {
  const wrong = [];
  const expected = [];
  const requests = [];
  context.on('request', (request) => {
    const url = request.url();
    requests.push(url);
    if (!url.startsWith(`${origin}/`) && !url.startsWith('data:')) wrong.push(`request to ${url}`);
  });
  context.on('weberror', (error) => wrong.push(`exception: ${error.error().stack}`));
  context.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    const text = `${message.text()} (${message.location().url})`;
    if (!expected.some((pattern) => pattern.test(text))) wrong.push(`console: ${text}`);
  });
  context.on('dialog', (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  return { wrong, expected, requests };
}
