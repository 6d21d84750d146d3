// The scalability protocols over a Unix socket, as docs/subscribe.md allows any stranger to
// speak them: asking (REQ) and listening (SUB). Debian's nngcat does the same, but each of
// its dials may fail for ever: nng 1.5.2 gives a dialer up when the listener dies between
// the connection and the first bytes ("closed" is read as "closed by us").
import net from 'node:net';
import { randomInt } from 'node:crypto';

const REQ = 0x30;
const REP = 0x31;
const PUB = 0x20;
const SUB = 0x21;
const HELLO = 8; // bytes: NUL S P NUL, protocol, two of zero
const HEAD = 9; // bytes before a message: 1, length
const AGAIN_MS = 10; // nobody listens: dialled again

function hello(protocol) {
  return Buffer.from([0, 0x53, 0x50, 0, 0, protocol, 0, 0]);
}

// One connection: `message` for each message of a peer that speaks `theirs`; `closed` once,
// with the error or null. Returns { send(...parts), close() }; close() tells nobody.
function connect(path, ours, theirs, { message, closed }) {
  const socket = net.connect(path);
  let rest = Buffer.alloc(0);
  let greeted = false;
  let over = false;
  const end = (error) => {
    if (over) return;
    over = true;
    socket.destroy();
    closed(error);
  };
  const take = () => {
    if (!greeted) {
      if (rest.length < HELLO) return;
      if (!rest.subarray(0, HELLO).equals(hello(theirs))) {
        end(new Error(`${path}: another protocol answers`));
        return;
      }
      greeted = true;
      rest = rest.subarray(HELLO);
    }
    while (!over && rest.length >= HEAD) {
      const n = Number(rest.readBigUInt64BE(1));
      if (rest.length < HEAD + n) return;
      message(rest.subarray(HEAD, HEAD + n));
      rest = rest.subarray(HEAD + n);
    }
  };
  socket.on('data', (chunk) => {
    rest = rest.length ? Buffer.concat([rest, chunk]) : chunk;
    take();
  });
  socket.once('error', end);
  socket.once('close', () => end(null));
  socket.write(hello(ours));
  return {
    send(...parts) {
      const head = Buffer.alloc(HEAD);
      head[0] = 1;
      head.writeBigUInt64BE(BigInt(parts.reduce((n, part) => n + part.length, 0)), 1);
      socket.write(Buffer.concat([head, ...parts]));
    },
    close() {
      over = true;
      socket.destroy();
    },
  };
}

// Sends the question (text) and resolves with the answer's text. Dials and sends again
// whenever the connection is lost, as REQ does; rejects after timeoutMs or on signal.
export function request(path, question, { timeoutMs = 90000, signal } = {}) {
  return new Promise((resolve, reject) => {
    const id = Buffer.alloc(4);
    id.writeUInt32BE((0x80000000 + randomInt(0x7fffffff)) >>> 0);
    let connection;
    let again;
    let why = 'it was not answered';
    const finish = (settle, value) => {
      clearTimeout(again);
      clearTimeout(late);
      signal?.removeEventListener('abort', abort);
      connection?.close();
      settle(value);
    };
    const abort = () => finish(reject, new Error(`${path}: nobody waits for the answer any more`));
    const dial = () => {
      connection = connect(path, REQ, REP, {
        message(data) {
          if (data.length >= 4 && data.subarray(0, 4).equals(id)) finish(resolve, data.subarray(4).toString('utf8'));
        },
        closed(error) {
          why = error?.message ?? 'the connection was closed';
          again = setTimeout(dial, AGAIN_MS);
        },
      });
      connection.send(id, Buffer.from(question));
    };
    const late = setTimeout(() => finish(reject, new Error(`${path}: no answer within ${timeoutMs} ms: ${why}`)), timeoutMs);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    else dial();
  });
}

// Hears what is published there, and dials again for as long as it is not stopped: `frame`
// for each message, `dialled` for each new connection. Returns { stop() }.
export function subscribe(path, { frame, dialled = () => {} }) {
  let connection;
  let again;
  let stopped = false;
  const dial = () => {
    dialled();
    connection = connect(path, SUB, PUB, {
      message: frame,
      closed() {
        if (!stopped) again = setTimeout(dial, AGAIN_MS);
      },
    });
  };
  dial();
  return {
    stop() {
      stopped = true;
      clearTimeout(again);
      connection.close();
    },
  };
}
