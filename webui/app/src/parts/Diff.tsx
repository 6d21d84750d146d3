// A unified diff by file, as text nodes: sign, colour and line numbers.
import { useMemo, useState } from 'preact/hooks';
import { plain, plainLine } from '../clean';
import { parsePatch, type PatchFile, type Row } from '../patch';
import { Changes } from './Figures';

// Rows drawn at first; the rest on request.
const ROWS_SHOWN = 500;
const SIGNS: Record<Row['kind'], string> = { added: '+', removed: '−', context: ' ', hunk: '', note: '' };
const SPOKEN: Partial<Record<Row['kind'], string>> = { added: 'added', removed: 'removed' };

function Rows({ rows }: { rows: readonly Row[] }) {
  return (
    <table class="diff-rows">
      <tbody>
        {rows.map((row, index) => (
          <tr key={index} class={`diff-${row.kind}`}>
            <td class="diff-number">{row.before ?? ''}</td>
            <td class="diff-number">{row.after ?? ''}</td>
            <td class="diff-sign" aria-label={SPOKEN[row.kind]}>
              {SIGNS[row.kind]}
            </td>
            <td class="diff-text">{plain(row.text)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function DiffFile({ file, open = true }: { file: PatchFile; open?: boolean }) {
  const [all, setAll] = useState(false);
  const rows = all ? file.rows : file.rows.slice(0, ROWS_SHOWN);
  const more = file.rows.length - rows.length;
  return (
    <details class="diff-file" open={open}>
      <summary>
        <span class="diff-path">
          {file.from && file.from !== file.path && `${plainLine(file.from)} → `}
          {plainLine(file.path)}
        </span>
        <Changes added={file.added} removed={file.removed} />
      </summary>
      {file.binary ? <p class="diff-binary">binary file</p> : <Rows rows={rows} />}
      {more > 0 && (
        <button type="button" class="button diff-more" onClick={() => setAll(true)}>
          Show {more} more lines
        </button>
      )}
    </details>
  );
}

export function Patch({ patch, open = true }: { patch: string; open?: boolean }) {
  const files = useMemo(() => parsePatch(patch), [patch]);
  return (
    <>
      {files.map((file) => (
        <DiffFile key={file.path} file={file} open={open} />
      ))}
    </>
  );
}
