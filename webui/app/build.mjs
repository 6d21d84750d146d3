// Bundles src/ into dist/: index.html and content-hashed assets, each with a .gz
// beside it. What is imported with import() becomes a chunk of its own, loaded when it
// is needed. A file is either wholly new or wholly old: dist is replaced at the end.
import { build } from 'esbuild';
import { readFile, writeFile, mkdir, rm, rename, readdir } from 'node:fs/promises';
import { gzipSync, constants } from 'node:zlib';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, 'dist');
const fresh = path.join(here, `.dist-${process.pid}`);

// What may weigh how much, gzipped: what the board needs before it is seen, and all there is.
const FIRST_BUDGET = 60 * 1024;
const BUDGET = 220 * 1024;

// An output and what it imports statically, for that is loaded with it.
function closure(outputs, name, seen = new Set()) {
  if (seen.has(name)) return seen;
  seen.add(name);
  for (const { path: imported, kind } of outputs[name]?.imports ?? []) {
    if (kind === 'import-statement') closure(outputs, imported, seen);
  }
  return seen;
}

// xterm's module sees the document of safe-document.ts in place of the browser's.
const safeXterm = {
  name: 'safe-xterm',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]@xterm[\\/]xterm[\\/]lib[\\/]xterm\.mjs$/ }, async ({ path: file }) => {
      const text = await readFile(file, 'utf8');
      const safe = JSON.stringify(path.join(here, 'src/safe-document.ts'));
      return {
        contents: `import { safeDocument as document } from ${safe};\n${text.replace(/\bwindow\.document\b/g, 'document')}`,
        resolveDir: path.dirname(file),
        loader: 'js',
      };
    });
  },
};

try {
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh);
  const { metafile } = await build({
    absWorkingDir: here,
    entryPoints: { app: 'src/main.tsx' },
    outdir: fresh,
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: ['es2021'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    loader: { '.svg': 'file' },
    plugins: [safeXterm],
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  const { outputs } = metafile;
  const entry = Object.keys(outputs).find((name) => outputs[name].entryPoint === 'src/main.tsx');
  const style = outputs[entry].cssBundle;
  const loadedFirst = [...closure(outputs, entry)].map((name) => path.basename(name));
  // Fetched beside the entry, not after it.
  const preload = loadedFirst.filter((name) => name.endsWith('.js') && name !== path.basename(entry));
  const html = (await readFile(path.join(here, 'src/index.html'), 'utf8'))
    .replaceAll('{script}', `/${path.basename(entry)}`)
    .replaceAll('{style}', `/${path.basename(style)}`)
    .replaceAll('{preload}', preload.map((name) => `<link rel="modulepreload" href="/${name}">`).join('\n'));
  await writeFile(path.join(fresh, 'index.html'), html);

  const first = new Set(['index.html', path.basename(style), ...loadedFirst]);
  let total = 0;
  let begin = 0;
  for (const name of (await readdir(fresh)).sort()) {
    const bytes = await readFile(path.join(fresh, name));
    const packed = gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION });
    await writeFile(path.join(fresh, `${name}.gz`), packed);
    total += packed.length;
    if (first.has(name)) begin += packed.length;
    console.log(`${first.has(name) ? '*' : ' '} ${name.padEnd(24)} ${String(bytes.length).padStart(7)} bytes ${String(packed.length).padStart(6)} gzipped`);
  }
  console.log(`first ${begin}, all ${total} bytes gzipped`);
  if (begin > FIRST_BUDGET) throw new Error(`what the board needs (*) weighs ${begin} bytes gzipped, more than ${FIRST_BUDGET}`);
  if (total > BUDGET) throw new Error(`the page weighs ${total} bytes gzipped, more than ${BUDGET}`);
  await rm(dist, { recursive: true, force: true });
  await rename(fresh, dist);
} finally {
  await rm(fresh, { recursive: true, force: true });
}
