// What a browser remembers between visits: choices and drafts, never a secret. A browser
// that refuses storage forgets them, and nothing else happens.

const PREFIX = '100x-';
const SIZE_MAX = 256 << 10;

export function kept(name: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name) ?? 'null') as unknown;
  } catch {
    return null;
  }
}

export function keep(name: string, value: unknown): void {
  try {
    const text = JSON.stringify(value);
    if (value === null || text.length > SIZE_MAX) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, text);
  } catch {
    // full or forbidden
  }
}
