// The terminal itself: xterm, made safe for bytes from anywhere and for a strict content
// security policy. A chunk of its own.
import { FitAddon } from '@xterm/addon-fit';
import { Terminal, type ITheme } from '@xterm/xterm';
import css from '@xterm/xterm/css/xterm.css' with { type: 'text' };
import { visible } from './clean';
import { adopt, safeDocument } from './safe-document';
import { Finder } from './terminal-find';

export const SCROLLBACK = 10000;
// What xterm has not yet drawn; it turns sluggish above 500 KB.
const PENDING_MAX = 384 << 10;
// What waits before that. A flood beyond it is not drawn at all: the newest part is loaded.
const WAITING_MAX = 4 << 20;

let adopted = false;

export interface Screen {
  write(text: string): void;
  clear(): void;
  find(text: string, back: boolean): boolean;
  top(): void;
  readable(on: boolean): void;
  theme(theme: ITheme): void;
  focus(): void;
  close(): void;
}

interface Options {
  theme: ITheme;
  readable: boolean;
  onLink: (url: string) => void;
  // More waits than can be drawn: it is thrown away.
  onFlood: () => void;
}

const URLS = /\bhttps?:\/\/[^\s"'<>`{}|\\^\u0000-\u0020]+[^\s"'<>`{}|\\^.,;:!?)\]\u0000-\u0020]/g;

export function openScreen(parent: HTMLElement, options: Options): Screen {
  if (!adopted) {
    adopted = true;
    adopt(css);
  }
  const terminal = new Terminal({
    documentOverride: safeDocument,
    convertEol: true,
    disableStdin: true,
    cursorBlink: false,
    cursorInactiveStyle: 'none',
    cursorStyle: 'bar',
    cursorWidth: 1,
    fontFamily: getComputedStyle(document.documentElement).getPropertyValue('--mono'),
    fontSize: 13,
    lineHeight: 1.25,
    scrollback: SCROLLBACK,
    screenReaderMode: options.readable,
    smoothScrollDuration: 0,
    minimumContrastRatio: matchMedia('(forced-colors: active), (prefers-contrast: more)').matches ? 7 : 4.5,
    theme: options.theme,
    allowProposedApi: false,
    logLevel: 'off',
    windowOptions: {},
  });
  // Titles, links, the clipboard, colours, notifications: nothing outside the screen is an
  // agent's to change or to ask.
  for (const code of [0, 1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 13, 17, 19, 22, 50, 52, 99, 104, 110, 111, 112, 133, 633, 777, 1337]) {
    terminal.parser.registerOscHandler(code, () => true);
  }
  for (const id of [{ final: 'c' }, { prefix: '>', final: 'c' }, { prefix: '=', final: 'c' }, { final: 'n' }, { prefix: '?', final: 'n' }, { final: 't' }, { prefix: '>', final: 'q' }, { intermediates: '$', final: 'p' }, { prefix: '?', intermediates: '$', final: 'p' }]) {
    terminal.parser.registerCsiHandler(id, () => true);
  }
  terminal.parser.registerDcsHandler({ intermediates: '$', final: 'q' }, () => true);
  // Neither the alternate screen nor the mouse: the output would be gone or not scroll.
  const kept = new Set([47, 1047, 1048, 1049, 9, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, 2026]);
  for (const final of ['h', 'l']) {
    terminal.parser.registerCsiHandler({ prefix: '?', final }, (params) => params.some((one) => typeof one === 'number' && kept.has(one)));
  }

  const fit = new FitAddon();
  const finder = new Finder(terminal);
  terminal.loadAddon(fit);
  terminal.registerLinkProvider({
    provideLinks(y, callback) {
      const text = terminal.buffer.active.getLine(y - 1)?.translateToString(true) ?? '';
      const links = [...text.matchAll(URLS)].map(({ 0: url, index = 0 }) => ({
        text: url,
        range: { start: { x: index + 1, y }, end: { x: index + url.length, y } },
        activate: () => options.onLink(url),
      }));
      callback(links.length ? links : undefined);
    },
  });
  terminal.open(parent);
  terminal.attachCustomKeyEventHandler((event) => event.key !== 'Tab' && event.key !== 'Escape');
  const sizes = new ResizeObserver(() => {
    if (parent.clientHeight > 20) fit.fit();
  });
  sizes.observe(parent);
  fit.fit();

  let waiting: string[] = [];
  let waitingBytes = 0;
  let pending = 0;
  let closed = false;
  const pump = (): void => {
    while (!closed && waiting.length && pending < PENDING_MAX) {
      const text = waiting.shift() ?? '';
      waitingBytes -= text.length;
      pending += text.length;
      terminal.write(text, () => {
        pending -= text.length;
        pump();
      });
    }
  };
  return {
    write(text) {
      if (!text || closed) return;
      const shown = visible(text);
      waiting.push(shown);
      waitingBytes += shown.length;
      if (waitingBytes > WAITING_MAX) {
        waiting = [];
        waitingBytes = 0;
        options.onFlood();
        return;
      }
      pump();
    },
    clear() {
      waiting = [];
      waitingBytes = 0;
      terminal.reset();
    },
    find(text, back) {
      if (text) return finder.find(text, back);
      terminal.clearSelection();
      return false;
    },
    top: () => terminal.scrollToTop(),
    readable: (on) => void (terminal.options.screenReaderMode = on),
    theme: (theme) => void (terminal.options.theme = theme),
    focus: () => terminal.focus(),
    close() {
      closed = true;
      sizes.disconnect();
      terminal.dispose();
    },
  };
}
