// Bundles src/ into dist/: index.html and content-hashed assets, each with a .gz
// beside it. A file is either wholly new or wholly old: dist is replaced at the end.
import { build } from 'esbuild';
import { readFile, writeFile, mkdir, rm, rename, readdir } from 'node:fs/promises';
import { gzipSync, constants } from 'node:zlib';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, 'dist');
const fresh = path.join(here, `.dist-${process.pid}`);

// What the page may weigh, gzipped: the board of ten or a hundred agents starts at once.
const BUDGET = 60 * 1024;

try {
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh);
  const result = await build({
    absWorkingDir: here,
    entryPoints: { app: 'src/main.tsx' },
    outdir: fresh,
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['es2021'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    entryNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    loader: { '.svg': 'file' },
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  const names = Object.keys(result.metafile.outputs).map((name) => path.basename(name));
  const one = (end) => {
    const found = names.filter((name) => name.startsWith('app-') && name.endsWith(end));
    if (found.length !== 1) throw new Error(`expected one app-*${end}, got: ${found.join(', ') || 'none'}`);
    return found[0];
  };
  const html = (await readFile(path.join(here, 'src/index.html'), 'utf8'))
    .replaceAll('{script}', `/${one('.js')}`)
    .replaceAll('{style}', `/${one('.css')}`);
  await writeFile(path.join(fresh, 'index.html'), html);

  let total = 0;
  for (const name of (await readdir(fresh)).sort()) {
    const bytes = await readFile(path.join(fresh, name));
    const packed = gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION });
    await writeFile(path.join(fresh, `${name}.gz`), packed);
    total += packed.length;
    console.log(`${name.padEnd(24)} ${String(bytes.length).padStart(7)} bytes ${String(packed.length).padStart(6)} gzipped`);
  }
  if (total > BUDGET) throw new Error(`the page weighs ${total} bytes gzipped, more than ${BUDGET}`);
  await rm(dist, { recursive: true, force: true });
  await rename(fresh, dist);
} finally {
  await rm(fresh, { recursive: true, force: true });
}
