// How busy an agent was of late: events counted in buckets, drawn as a small line.
import { signal } from '@preact/signals';

export const BUCKETS = 30;
export const BUCKET_MS = 10000;
const WIDTH = 72;
const HEIGHT = 18;

export class Pulse {
  // Rises when the past is filled in; what comes live is drawn with the next second.
  readonly filled = signal(0);
  private readonly counts = new Uint32Array(BUCKETS);
  // The number of the newest bucket.
  private newest = 0;

  private turn(bucket: number): void {
    const steps = Math.min(BUCKETS, bucket - this.newest);
    for (let i = 1; i <= steps; i++) this.counts[(bucket - steps + i) % BUCKETS] = 0;
    this.newest = bucket;
  }

  add(at: number): void {
    const bucket = Math.floor(at / BUCKET_MS);
    if (bucket > this.newest) this.turn(bucket);
    if (bucket <= this.newest - BUCKETS) return;
    const index = bucket % BUCKETS;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
  }

  // Oldest first, up to the bucket of `now`.
  values(now: number): number[] {
    const bucket = Math.floor(now / BUCKET_MS);
    if (bucket > this.newest) this.turn(bucket);
    return Array.from({ length: BUCKETS }, (_, i) => this.counts[(this.newest + 1 + i) % BUCKETS] ?? 0);
  }

  // A path in a box of 72 × 18; "" when there was nothing. Many events are told from few,
  // and few from none: the height is by the root.
  path(now: number): string {
    const values = this.values(now);
    const most = Math.max(...values);
    if (!most) return '';
    const scale = (HEIGHT - 2) / Math.sqrt(Math.max(most, 16));
    return values
      .map((value, i) => {
        const x = ((i * WIDTH) / (BUCKETS - 1)).toFixed(1);
        const y = (HEIGHT - 1 - Math.sqrt(value) * scale).toFixed(1);
        return `${i ? 'L' : 'M'}${x} ${y}`;
      })
      .join('');
  }
}
