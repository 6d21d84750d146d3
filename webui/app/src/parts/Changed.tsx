// The state of an agent's branch against its base.
import { plainLine } from '../clean';
import { count, plural } from '../format';
import type { Diff } from '../types';
import { Patch } from './Diff';
import { Changes } from './Figures';

const LETTERS = { added: 'A', modified: 'M', deleted: 'D', renamed: 'R' } as const;

export function Changed({ diff }: { diff: Diff | null }) {
  if (!diff?.files?.length) return <p class="quiet panel">No changes against the base branch yet.</p>;
  return (
    <div class="changed">
      <div class="panel">
        <p class="changed-sum">
          {plural(diff.files.length, 'file')} <Changes added={diff.added ?? 0} removed={diff.removed ?? 0} />
        </p>
        <ul class="changed-files">
          {diff.files.map((file) => (
            <li key={file.path}>
              <abbr class={`letter letter-${file.status}`} title={file.status}>
                {LETTERS[file.status] ?? '?'}
              </abbr>
              <span class="mono">{plainLine(file.path)}</span>
              {file.binary ? <span class="none">binary</span> : <Changes added={file.added} removed={file.removed} />}
            </li>
          ))}
        </ul>
      </div>
      <Patch patch={diff.patch ?? ''} />
      {diff.cut && (
        <p class="notice">
          The difference is longer than what is shown here ({count(diff.patch?.length ?? 0)} characters). The branch has all of
          it.
        </p>
      )}
    </div>
  );
}
