// Search in what a terminal holds: the next place, which is selected and scrolled to.
import type { IBuffer, Terminal } from '@xterm/xterm';

// The cell at which each character of a row begins.
function cellsOf(buffer: IBuffer, row: number, columns: number): number[] {
  const line = buffer.getLine(row);
  const cells: number[] = [];
  for (let x = 0; line && x < columns; x++) {
    const cell = line.getCell(x);
    if (!cell || cell.getWidth() === 0) continue;
    for (let i = 0; i < (cell.getChars().length || 1); i++) cells.push(x);
  }
  return cells;
}

export class Finder {
  private row = -1;
  private at = -1;
  private text = '';

  constructor(private readonly terminal: Terminal) {}

  // From the place before (at first from the end, backwards), once around.
  find(text: string, back: boolean): boolean {
    const { terminal } = this;
    const buffer = terminal.buffer.active;
    const wanted = text.toLowerCase();
    if (wanted !== this.text || this.row >= buffer.length) {
      this.text = wanted;
      this.row = back ? buffer.length - 1 : 0;
      this.at = back ? Infinity : -1;
    }
    const step = back ? -1 : 1;
    for (let tried = 0, row = this.row; tried <= buffer.length; tried++, row = (row + step + buffer.length) % buffer.length) {
      // A line that is wrapped is looked through with what it goes on with.
      const rest = buffer.getLine(row + 1)?.isWrapped ? (buffer.getLine(row + 1)?.translateToString(true) ?? '') : '';
      const own = buffer.getLine(row)?.translateToString(!rest) ?? '';
      const line = (own + rest.slice(0, wanted.length - 1)).toLowerCase();
      const same = tried === 0;
      const at = back
        ? same && this.at <= 0 ? -1 : line.lastIndexOf(wanted, same ? this.at - 1 : Infinity)
        : line.indexOf(wanted, same ? this.at + 1 : 0);
      if (at < 0 || at >= Math.max(1, own.length)) continue;
      this.row = row;
      this.at = at;
      const cells = cellsOf(buffer, row, terminal.cols);
      const from = cells[at] ?? at;
      const to = cells[at + wanted.length] ?? from + wanted.length;
      terminal.select(from, row, Math.max(1, to - from));
      terminal.scrollToLine(Math.max(0, row - Math.floor(terminal.rows / 2)));
      return true;
    }
    terminal.clearSelection();
    return false;
  }
}
