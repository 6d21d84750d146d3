// Fuzzy search over short names: the letters of the query in order, better where they begin
// words or follow one another. Pure.

const BOUNDARY = /[\s/_\-.:#]/;
// Longer names are looked at up to here: a key press over thousands of them stays quick.
const LENGTH_MAX = 160;
// At least this much: the query is there as it was typed.
const WHOLE = 1000;

// 0: no match. Both in lower case.
export function score(query: string, name: string): number {
  if (!query) return 1;
  const text = name.length > LENGTH_MAX ? name.slice(0, LENGTH_MAX) : name;
  const whole = text.indexOf(query);
  if (whole >= 0) {
    const starts = whole === 0 || BOUNDARY.test(text[whole - 1] ?? '');
    return WHOLE + 100 + (starts ? 500 : 0) + query.length * 10 - Math.min(whole, 99) - text.length / 100;
  }
  return Math.max(letters(query, text, false), letters(query, text, true));
}

// `ahead`: the begin of a later word is taken before a letter inside the present one.
function letters(query: string, text: string, ahead: boolean): number {
  let total = 0;
  let at = -1;
  for (const letter of query) {
    if (letter === ' ') continue;
    let next = text.indexOf(letter, at + 1);
    if (next < 0) return 0;
    if (ahead && next !== at + 1) {
      for (let look = next; look >= 0; look = text.indexOf(letter, look + 1)) {
        if (look && !BOUNDARY.test(text[look - 1] ?? '')) continue;
        next = look;
        break;
      }
    }
    const starts = next === 0 || BOUNDARY.test(text[next - 1] ?? '');
    total += next === at + 1 ? 12 : starts ? 9 : Math.max(1, 5 - (next - at) / 4);
    at = next;
  }
  return Math.max(0.01, total - text.length / 100);
}

export interface Found<T> {
  item: T;
  score: number;
}

// The best `limit`, the better first; equals keep their order.
export function search<T>(query: string, items: readonly T[], nameOf: (item: T) => string, limit: number): Found<T>[] {
  const wanted = query.trim().toLowerCase();
  const found: Found<T>[] = [];
  for (const item of items) {
    const points = score(wanted, nameOf(item));
    if (points > 0) found.push({ item, score: points });
  }
  found.sort((a, b) => b.score - a.score);
  // Where something is called just that, scattered letters are noise.
  const whole = (found[0]?.score ?? 0) >= WHOLE && wanted.length > 2;
  return (whole ? found.filter(({ score: points }) => points >= WHOLE) : found).slice(0, limit);
}
