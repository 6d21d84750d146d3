// Numbers, times and names for people.
import { plainLine } from './clean';

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const plainNumber = new Intl.NumberFormat('en');

export function count(value: number): string {
  return value < 10000 ? plainNumber.format(value) : compact.format(value).toLowerCase();
}

export function dollars(value: number): string {
  if (value === 0) return '$0';
  if (value < 0.01) return '<$0.01';
  return `$${value < 100 ? value.toFixed(2) : plainNumber.format(Math.round(value))}`;
}

export function exactDollars(value: number): string {
  return `$${value.toFixed(6).replace(/0{1,4}$/, '')}`;
}

export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${String(seconds % 60).padStart(2, '0')}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}h ${String(minutes % 60).padStart(2, '0')}m`;
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

export function shortDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10000) return `${(ms / 1000).toFixed(1)} s`;
  return duration(ms);
}

// One unit only, for "4m ago".
export function age(ms: number): string {
  return duration(ms).split(' ')[0] ?? '';
}

export function clock(at: number): string {
  return new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
}

export function dateTime(at: number): string {
  return new Date(at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

// Reasons come as "the key was refused".
export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

// A reason as the page tells it: the ids for the command line that follow a question are left
// out, as there are buttons for them.
export const reasonOf = ({ reason }: { reason: string }): string =>
  sentence(plainLine(reason).replace(/^(asks: .*) \(permission [^()]*\)$/, '$1'));

// What is told of an agent that has ended without a word.
export const changedOf = ({ files }: { files: number }): string => (files ? `${plural(files, 'file')} changed` : 'nothing was said');

// "https://github.com/owner/name.git" and "git@host:owner/name" → "owner/name".
export function repositoryName(url: string): string {
  const bare = url.replace(/\/+$/, '').replace(/\.git$/, '');
  const parts = bare.split(/[/:]/).filter(Boolean);
  return /^[a-z+]+:\/\/|@/.test(url) ? parts.slice(-2).join('/') || bare : (parts.at(-1) ?? bare);
}

// Only these become links; anything else ("javascript:", "data:") stays text.
export function httpUrl(url: string | null): string | null {
  if (!url) return null;
  try {
    const parsed = new URL(url);
    return parsed.protocol === 'https:' || parsed.protocol === 'http:' ? parsed.href : null;
  } catch {
    return null;
  }
}

// "https://github.com/owner/name/pull/12" → "#12".
export function pullRequestName(url: string): string {
  const number = /\/(?:pull|pulls|merge_requests)\/(\d+)/.exec(url)?.[1];
  return number ? `Pull request #${number}` : 'Pull request';
}

// "2026-11-24" → "24 Nov".
export function day(iso: string): string {
  const date = new Date(`${iso}T12:00:00`);
  return Number.isNaN(date.getTime()) ? iso : date.toLocaleDateString([], { day: 'numeric', month: 'short' });
}

export function bytes(value: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let rest = value;
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    unit++;
  }
  return `${unit && rest < 100 ? rest.toFixed(1) : Math.round(rest)} ${units[unit]}`;
}
