// axe-core in a page: run from outside, so that the page's own policy stays as it is.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { root } from '../support/stack.mjs';

const source = await readFile(path.join(root, 'tests/node_modules/axe-core/axe.min.js'), 'utf8');

// What axe finds, as lines for a person; empty when all is well.
export async function axe(page, where) {
  await page.evaluate(source);
  const { violations } = await page.evaluate(async () =>
    await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.slice(0, 3).map(({ html, failureSummary }) => `${where}: ${id}: ${help}\n  ${html.slice(0, 300)}\n  ${failureSummary}`));
}
