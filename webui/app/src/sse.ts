// Server-sent events out of a stream of text (https://html.spec.whatwg.org/#parsing-an-event-stream).
// EventSource would hide comments and statuses; both tell whether the server lives.

export interface Message {
  id: string;
  event: string;
  data: string;
}

// No event of ours is larger (a diff of 512 KiB, escaped); a line beyond it is a broken server.
const LINE_MAX = 8 << 20;

export class SseParser {
  private rest = '';
  private data: string[] = [];
  private event = '';
  private id = '';
  retry = 1000;

  constructor(private readonly receive: (message: Message) => void) {}

  push(text: string): void {
    this.rest += text;
    if (this.rest.length > LINE_MAX && !/[\r\n]/.test(this.rest)) throw new Error('the stream sent a line without end');
    // A final CR may be half of a CRLF.
    const end = this.rest.endsWith('\r') ? this.rest.length - 1 : this.rest.length;
    const lines = this.rest.slice(0, end).split(/\r\n|\n|\r/);
    this.rest = (lines.pop() ?? '') + this.rest.slice(end);
    for (const line of lines) this.line(line);
  }

  private line(line: string): void {
    if (line === '') {
      if (this.data.length) this.receive({ id: this.id, event: this.event || 'message', data: this.data.join('\n') });
      this.data = [];
      this.event = '';
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (field === 'data') this.data.push(value);
    else if (field === 'event') this.event = value;
    else if (field === 'id') this.id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
  }
}
