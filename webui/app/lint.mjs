// Text from agents, models and repositories must never become HTML or code: the ways to
// do that are refused in the sources, whatever the types say.
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const REFUSED = [
  [/innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML/, 'writes HTML'],
  [/document\.write|createContextualFragment|DOMParser|srcdoc/, 'writes HTML'],
  [/\beval\s*\(|new Function\b|\bsetTimeout\(\s*['"`]/, 'runs text as code'],
  [/(?:fetch|import|url|src|href|EventSource|WebSocket)\s*[=(]\s*['"`]?(?:https?|wss?):/i, 'asks another origin'],
];

async function* files(dir) {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const full = path.join(dir, entry.name);
    if (entry.isDirectory()) yield* files(full);
    else if (/\.(tsx?|css|html)$/.test(entry.name)) yield full;
  }
}

let bad = 0;
for await (const file of files(path.join(here, 'src'))) {
  const lines = (await readFile(file, 'utf8')).split('\n');
  lines.forEach((line, index) => {
    for (const [pattern, why] of REFUSED) {
      if (!pattern.test(line)) continue;
      console.error(`${path.relative(here, file)}:${index + 1}: ${why}: ${line.trim()}`);
      bad++;
    }
  });
}
process.exitCode = bad ? 1 : 0;
