// A unified diff (git's form) as rows to show. Pure.

export type RowKind = 'context' | 'added' | 'removed' | 'hunk' | 'note';

export interface Row {
  kind: RowKind;
  before: number | null;
  after: number | null;
  text: string;
}

export interface PatchFile {
  path: string;
  from: string | null;
  rows: Row[];
  added: number;
  removed: number;
  binary: boolean;
}

// git quotes names with unusual bytes: "a/\303\244.txt".
function unquote(name: string): string {
  if (!name.startsWith('"')) return name;
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (let i = 1; i < name.length && name[i] !== '"'; i++) {
    if (name[i] !== '\\') {
      bytes.push(...encoder.encode(name[i] ?? ''));
      continue;
    }
    const octal = /^[0-7]{3}/.exec(name.slice(i + 1))?.[0];
    if (octal) {
      bytes.push(parseInt(octal, 8));
      i += 3;
    } else {
      i++;
      bytes.push(({ n: 10, t: 9, r: 13 } as Record<string, number>)[name[i] ?? ''] ?? (name.charCodeAt(i) || 63));
    }
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}

function fileName(line: string): string | null {
  const name = unquote(line.replace(/\t.*$/, ''));
  return name === '/dev/null' ? null : name.replace(/^[ab]\//, '');
}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$/;

export function parsePatch(patch: string): PatchFile[] {
  const files: PatchFile[] = [];
  let file: PatchFile | null = null;
  let before = 0;
  let after = 0;
  // Lines left of the open hunk: inside it "--- x" is a removed line, not a file's name.
  let oldLeft = 0;
  let newLeft = 0;
  const begin = (path: string): PatchFile => {
    const made: PatchFile = { path, from: null, rows: [], added: 0, removed: 0, binary: false };
    files.push(made);
    return made;
  };

  const lines = patch.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (const line of lines) {
    if (file && (oldLeft > 0 || newLeft > 0)) {
      const sign = line[0];
      const text = line.slice(1);
      if (sign === '+') {
        file.rows.push({ kind: 'added', before: null, after: after++, text });
        file.added++;
        newLeft--;
        continue;
      }
      if (sign === '-') {
        file.rows.push({ kind: 'removed', before: before++, after: null, text });
        file.removed++;
        oldLeft--;
        continue;
      }
      if (sign === ' ' || line === '') {
        file.rows.push({ kind: 'context', before: before++, after: after++, text });
        oldLeft--;
        newLeft--;
        continue;
      }
    }
    if (line.startsWith('\\') && file) {
      file.rows.push({ kind: 'note', before: null, after: null, text: line.slice(1).trim() });
      continue;
    }
    const hunk = HUNK.exec(line);
    if (hunk && file) {
      before = Number(hunk[1]);
      after = Number(hunk[3]);
      oldLeft = hunk[2] === undefined ? 1 : Number(hunk[2]);
      newLeft = hunk[4] === undefined ? 1 : Number(hunk[4]);
      file.rows.push({ kind: 'hunk', before: null, after: null, text: line });
      continue;
    }
    oldLeft = 0;
    newLeft = 0;
    if (line.startsWith('diff --git ')) {
      // The names follow in "---", "+++" or "rename" lines; until then the last part will do.
      const quoted = / ("b\/.*")$/.exec(line)?.[1];
      file = begin(quoted ? (fileName(quoted) ?? '') : line.slice(line.lastIndexOf(' b/') + 3));
    } else if (line.startsWith('--- ')) {
      if (!file || file.rows.length) file = begin('');
      file.from = fileName(line.slice(4));
      if (file.from && !file.path) file.path = file.from;
    } else if (line.startsWith('+++ ') && file) {
      file.path = fileName(line.slice(4)) ?? file.from ?? file.path;
    } else if (line.startsWith('rename from ') && file) {
      file.from = unquote(line.slice(12));
    } else if (line.startsWith('rename to ') && file) {
      file.path = unquote(line.slice(10));
    } else if (/^Binary files |^GIT binary patch/.test(line) && file) {
      file.binary = true;
    }
  }
  return files;
}
