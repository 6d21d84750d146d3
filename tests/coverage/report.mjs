// What gcov counted in build/coverage, as a table by area; exit code 1 below the goal.
//
//   node tests/coverage/report.mjs          areas, and each file below the goal
//   node tests/coverage/report.mjs FILE...  the lines of these files that did not run
//
// Left out of the count, here and nowhere else:
//   - lines that call err_out_of_memory(), which ends the program;
//   - lines marked "unreachable" in a comment: ends of switches over all values.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';

const goal = 90;
const left_out = /\berr_out_of_memory\(|\/\* unreachable\b/;
const areas = {
  supervisor: /^supervisor\/[^/]+\.c$/,
  store: /^(supervisor|webui)\/store[^/]*\.c$/,
  spool: /^shared\/spool[a-z_]*\.c$/,
  event: /^shared\/event\.c$/,
  wire: /^(shared\/(bus[^/]*|rpc|event)|worker\/link)\.c$/,
};

/* Files by name: Map of line number to the times it ran. */
function counts() {
  const notes = ['supervisor', 'shared', 'worker', 'webui'].flatMap((folder) =>
    readdirSync(`build/coverage/${folder}`).filter((name) => name.endsWith('.gcno'))
      .map((name) => [`${folder}/${name.replace(/gcno$/, 'c')}`, `build/coverage/${folder}/${name}`]))
    .filter(([source]) => existsSync(source) && Object.values(areas).some((area) => area.test(source)));
  const said = execFileSync('gcov', ['--json-format', '--stdout', ...notes.map(([, note]) => note)],
    { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'ignore'] });
  const found = new Map(notes.map(([source]) => [source, new Map()]));
  for (const report of said.split('\n').filter(Boolean).map((line) => JSON.parse(line)))
    for (const { file, lines } of report.files)
      for (const { line_number, count } of found.has(file) ? lines : [])
        found.get(file).set(line_number, (found.get(file).get(line_number) ?? 0) + count);
  for (const [source, lines] of found) {
    const text = readFileSync(source, 'utf8').split('\n');
    for (const number of lines.keys()) if (left_out.test(text[number - 1])) lines.delete(number);
  }
  return found;
}

const ran = (lines) => [...lines.values()].filter((n) => n > 0).length;
const percent = (part, whole) => (whole ? (100 * part) / whole : 0);
const row = (name, part, whole) =>
  console.log(`${name.padEnd(32)} ${String(part).padStart(6)} of ${String(whole).padStart(6)} ${percent(part, whole).toFixed(1).padStart(6)} %`);

const files = counts();
const wanted = process.argv.slice(2);
if (wanted.length) {
  for (const name of wanted) {
    const text = readFileSync(name, 'utf8').split('\n');
    for (const [number, n] of [...(files.get(name) ?? [])].sort(([a], [b]) => a - b))
      if (!n) console.log(`${name}:${number}: ${text[number - 1]}`);
  }
  process.exit(0);
}

let passed = 0;
console.log('Lines that ran');
for (const [name, area] of Object.entries(areas)) {
  const of_area = [...files].filter(([source]) => area.test(source));
  const part = of_area.reduce((sum, [, lines]) => sum + ran(lines), 0);
  const whole = of_area.reduce((sum, [, lines]) => sum + lines.size, 0);
  row(name, part, whole);
  if (percent(part, whole) >= goal) passed++;
  else console.log(`not ok - ${name}: below ${goal} % of lines`);
}
console.log('\nFiles below');
for (const [source, lines] of [...files].sort(([, a], [, b]) => (b.size - ran(b)) - (a.size - ran(a))))
  if (percent(ran(lines), lines.size) < goal) row(source, ran(lines), lines.size);
console.log(`\n# pass ${passed}\n# fail ${Object.keys(areas).length - passed}`);
process.exit(passed === Object.keys(areas).length ? 0 : 1);
