// Output of agents is bytes from anywhere. What reaches the page is plain text: escape
// sequences gone, other control characters and direction tricks made visible.

// CSI, OSC/DCS/PM/APC/SOS strings (ended by BEL or ST), two-character escapes; the same
// in their one-character C1 form.
const SEQUENCE = new RegExp(
  '(?:\\u001b\\[|\\u009b)[0-?]*[ -/]*[@-~]' +
    '|(?:\\u001b[\\]PX^_]|[\\u009d\\u0090\\u0098\\u009e\\u009f])[^\\u0007\\u001b\\u009c]*(?:\\u0007|\\u001b\\\\|\\u009c)' +
    '|\\u001b[ -/]*[0-Z\\\\^-~]',
  'g',
);
// A sequence that has begun and not ended yet, at the end of a piece.
const UNFINISHED = /(?:\u001b(?:[ -/]*|\[[0-?]*[ -/]*|[\]PX^_][^\u0007\u001b\u009c]*\u001b?)|\u009b[0-?]*[ -/]*|[\u009d\u0090\u0098\u009e\u009f][^\u0007\u001b\u009c]*\u001b?)$/;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

// The longest unfinished sequence that is waited for; a longer one is shown as it is.
const HELD_MAX = 4096;

const codePoint = (c: string): string => `‹U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}›`;
const picture = (c: string): string => {
  const code = c.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '␡' : codePoint(c);
};

// What a carriage return overwrites is not shown: a progress bar leaves its last state.
function overwrite(text: string): string {
  if (!text.includes('\r')) return text;
  return text.replace(/\r+\n/g, '\n').replace(/[^\n\r]*\r+(?=[^\n\r])/g, '').replace(/\r+/g, '\n');
}

export function plain(text: string): string {
  return overwrite(text.replace(SEQUENCE, '')).replace(CONTROL, picture).replace(DIRECTION, codePoint);
}

// For a terminal, which knows the sequences: only what would turn the writing around.
export const visible = (text: string): string => text.replace(DIRECTION, codePoint);

export function plainLine(text: string): string {
  return plain(text).replace(/\s*\n\s*/g, ' ').trim();
}

// The same for a stream whose pieces may end inside a sequence.
export class Cleaner {
  private held = '';

  push(piece: string): string {
    let text = this.held + piece;
    this.held = '';
    const unfinished = UNFINISHED.exec(text);
    if (unfinished && text.length - unfinished.index <= HELD_MAX) {
      this.held = text.slice(unfinished.index);
      text = text.slice(0, unfinished.index);
    } else if (text.endsWith('\r')) {
      this.held = '\r';
      text = text.slice(0, -1);
    }
    return plain(text);
  }
}
