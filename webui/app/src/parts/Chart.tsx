// Tokens and dollars over the turns. A picture of the table below it: a chunk of its own.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import css from 'uplot/dist/uPlot.min.css' with { type: 'text' };
import { colors, onColors } from '../colors';
import { adopt } from '../safe-document';
import type { UsageSums } from '../types';

let adopted = false;

const HEIGHT = 220;

export function Chart({ turns }: { turns: readonly (UsageSums & { turn: number })[] }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { current } = place;
    if (!current) return;
    if (!adopted) {
      adopted = true;
      adopt(css);
    }
    const data: uPlot.AlignedData = [
      turns.map(({ turn }) => turn),
      turns.map(({ tokens_in }) => tokens_in),
      turns.map(({ tokens_out }) => tokens_out),
      turns.map(({ dollars }) => dollars),
    ];
    let chart: uPlot;
    const make = (): void => {
      const read = colors();
      const color = { in: read('busy'), out: read('late'), dollars: read('good'), text: read('text-soft'), line: read('line') };
      const axis = { stroke: color.text, grid: { stroke: color.line, width: 1 }, ticks: { stroke: color.line, width: 1 }, font: '12px system-ui, sans-serif' };
      const bars = uPlot.paths.bars?.({ size: [0.7, 40] });
      chart = new uPlot(
        {
          width: current.clientWidth,
          height: HEIGHT,
          legend: { live: false },
          cursor: { show: false },
          scales: {
            x: { time: false, range: (_, min, max) => [min - 0.7, max + 0.7] },
            tokens: { range: (_, __, max) => [0, Math.max(1, max * 1.05)] },
            dollars: { range: (_, __, max) => [0, Math.max(0.0001, max * 1.05)] },
          },
          axes: [
            { ...axis, grid: { show: false }, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], values: (_, all) => all.map(String) },
            { ...axis, scale: 'tokens', size: 60, values: (_, all) => all.map((one) => (one >= 1000 ? `${one / 1000}k` : String(one))) },
            { ...axis, scale: 'dollars', side: 1, size: 70, grid: { show: false }, values: (_, all) => all.map((one) => `$${Number(one.toFixed(4))}`) },
          ],
          series: [
            { label: 'Turn' },
            { label: 'Tokens in', scale: 'tokens', stroke: color.in, fill: `${color.in}66`, ...(bars ? { paths: bars } : {}), points: { show: false } },
            { label: 'Tokens out', scale: 'tokens', stroke: color.out, fill: color.out, ...(bars ? { paths: bars } : {}), points: { show: false } },
            { label: 'Dollars', scale: 'dollars', stroke: color.dollars, width: 2, dash: [6, 3], points: { show: true, size: 6, fill: color.dollars } },
          ],
        },
        data,
        current,
      );
    };
    make();
    const again = (): void => {
      chart.destroy();
      make();
    };
    const sizes = new ResizeObserver(() => chart.setSize({ width: current.clientWidth, height: HEIGHT }));
    sizes.observe(current);
    const stopColors = onColors(again);
    return () => {
      sizes.disconnect();
      stopColors();
      chart.destroy();
    };
  }, [turns]);
  return <div ref={place} class="chart" role="img" aria-label="Tokens and dollars of each turn; the table below has the numbers" />;
}
