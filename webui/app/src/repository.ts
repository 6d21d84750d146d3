// Whether a repository is there, asked for while its address is typed: once a pause came in.
import { useEffect, useState } from 'preact/hooks';
import { api, ApiError } from './api';
import { checkRepository, fieldIn } from './form';
import type { CheckedRepository } from './types';

export type Checked =
  | { state: 'none' }
  | { state: 'checking' }
  | { state: 'good'; answer: CheckedRepository }
  | { state: 'bad'; field: 'repository' | 'base'; message: string };

const PAUSE_MS = 700;
const KEPT_MS = 60000;
const known = new Map<string, { at: number; checked: Checked }>();

async function ask(repository: string, base: string): Promise<Checked> {
  try {
    return { state: 'good', answer: await api.checkRepository(repository, base) };
  } catch (error) {
    // A server that is away says so elsewhere.
    if (!(error instanceof ApiError) || error.status === 0 || error.status === 401) return { state: 'none' };
    const field = error.field || fieldIn(error.message);
    return { state: 'bad', field: field.includes('base') ? 'base' : 'repository', message: error.message };
  }
}

export function useRepository(repository: string, base: string): Checked {
  const [checked, setChecked] = useState<Checked>({ state: 'none' });
  const url = repository.trim();
  const branch = base.trim();
  useEffect(() => {
    const key = `${url}\n${branch}`;
    const past = known.get(key);
    if (checkRepository(url)) {
      setChecked({ state: 'none' });
      return;
    }
    if (past && Date.now() - past.at < KEPT_MS) {
      setChecked(past.checked);
      return;
    }
    let gone = false;
    setChecked({ state: 'none' });
    const timer = setTimeout(async () => {
      setChecked({ state: 'checking' });
      const found = await ask(url, branch);
      if (found.state === 'good') known.set(key, { at: Date.now(), checked: found });
      if (!gone) setChecked(found);
    }, PAUSE_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [url, branch]);
  return checked;
}
