// Small figures that appear in more than one view.
import { count } from '../format';

export function Changes({ added, removed }: { added: number; removed: number }) {
  if (!added && !removed) return <span class="none">–</span>;
  return (
    <span class="changes" aria-label={`${added} lines added, ${removed} removed`}>
      <span class="added">+{count(added)}</span> <span class="removed">−{count(removed)}</span>
    </span>
  );
}

export function Tests({ result }: { result: 'passed' | 'failed' | null }) {
  if (!result) return <span class="none">–</span>;
  return <span class={`tests tests-${result}`}>{result === 'passed' ? '✓ passed' : '✗ failed'}</span>;
}
