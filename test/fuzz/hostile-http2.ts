// Bytes as an attacker sends them to who speaks HTTP/2, a listener or who dialled one: frames out of turn, of wrong lengths, in
// floods, and none at all. And bodies as an attacker frames them in gRPC.

import { type Chance, damaged, pick, randomBytes } from './hostile-message.js';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const TYPE = { data: 0, headers: 1, priority: 2, rst: 3, settings: 4, push: 5, ping: 6, goaway: 7, window: 8, more: 9 };
const END_HEADERS = 4;
const END_STREAM = 1;
const ACK = 1;

function frame(type: number, flags: number, stream: number, payload: Uint8Array, length = payload.length): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length & 0xff_ffff, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

/** How who speaks HTTP/2 begins, when there is nothing to say. */
export const NO_SETTINGS = frame(TYPE.settings, 0, 0, Buffer.alloc(0));

// HPACK (RFC 7541) literals without indexing: a name and a value as they are.
function header(name: string, value: string): Buffer {
  const text = (each: string) => Buffer.concat([Buffer.from([each.length & 0x7f]), Buffer.from(each)]);
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

function requestHeaders(path: string, chance: Chance): Buffer {
  const fields = [
    header(':method', pick(chance, ['POST', 'GET', ''])),
    header(':scheme', 'http'),
    header(':path', path),
  ];
  if (chance() < 0.5) fields.push(header('content-type', pick(chance, ['application/grpc', 'text/html', ''])));
  if (chance() < 0.3) fields.push(header('grpc-timeout', pick(chance, ['1n', '99999999H', '-1S', '1x', ''])));
  if (chance() < 0.2) fields.push(header('grpc-encoding', pick(chance, ['gzip', 'snappy', '*'])));
  if (chance() < 0.2) fields.push(header('x-bin', 'not base64'), header('Upper', 'case'), header('te', 'gzip'));
  return Buffer.concat(fields);
}

/** What a connection sends from its first byte on. */
export function hostileConnection(paths: readonly [string, ...string[]], chance: Chance): Buffer {
  if (chance() < 0.1) return Buffer.from(randomBytes(chance, Math.floor(chance() * 200)));
  const parts: Buffer[] = [chance() < 0.95 ? PREFACE : Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')];
  if (chance() < 0.9) parts.push(frame(TYPE.settings, 0, 0, Buffer.alloc(0)));
  const frames = 1 + Math.floor(chance() * 8);
  for (let n = 0; n < frames; n++) parts.push(hostileFrames(pick(chance, paths), chance));
  const all = Buffer.concat(parts);
  return chance() < 0.2 ? Buffer.from(damaged(all, chance)) : all;
}

function responseHeaders(chance: Chance): Buffer {
  const fields = [header(':status', chance() < 0.9 ? '200' : pick(chance, ['404', '000', 'abc', '']))];
  if (chance() < 0.9) fields.push(header('content-type', chance() < 0.9 ? 'application/grpc' : 'text/html'));
  if (chance() < 0.1) fields.push(header('grpc-encoding', pick(chance, ['gzip', 'snappy', '*'])));
  if (chance() < 0.1) fields.push(header('x-bin', 'not base64'), header('Upper', 'case'), header('te', 'gzip'));
  return Buffer.concat(fields);
}

function trailers(chance: Chance): Buffer {
  const fields = [header('grpc-status', pick(chance, ['0', '14', '16', '-1', '99', 'x', '']))];
  if (chance() < 0.5) fields.push(header('grpc-message', pick(chance, ['', '%', '%00%1b[2J', 'x'.repeat(120)])));
  if (chance() < 0.5) {
    const details = Buffer.from(randomBytes(chance, Math.floor(chance() * 60))).toString('base64');
    fields.push(header('grpc-status-details-bin', chance() < 0.8 ? details : '?'));
  }
  return Buffer.concat(fields);
}

/** What a server says to who dialled it, before that one asks for anything. */
export function hostileGreeting(chance: Chance): Buffer {
  switch (pick(chance, ['random', 'other', 'settings', 'frames'])) {
    case 'random':
      return Buffer.from(randomBytes(chance, Math.floor(chance() * 200)));
    case 'other':
      return Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');
    case 'settings':
      return frame(TYPE.settings, 0, 0, settings(chance));
    default:
      return Buffer.concat([NO_SETTINGS, hostileFrames('/', chance)]);
  }
}

/** What it answers the first request with. */
export function hostileAnswer(messages: readonly Uint8Array[], chance: Chance): Buffer {
  const parts: Buffer[] = [frame(TYPE.settings, ACK, 0, Buffer.alloc(0))];
  if (chance() < 0.9) parts.push(frame(TYPE.headers, END_HEADERS, 1, responseHeaders(chance)));
  for (const message of messages) {
    if (chance() < 0.2) parts.push(hostileFrames('/', chance));
    parts.push(frame(TYPE.data, 0, 1, hostileBody(message, chance)));
  }
  if (chance() < 0.3) parts.push(frame(TYPE.headers, END_HEADERS | END_STREAM, 1, trailers(chance)));
  const all = Buffer.concat(parts);
  return chance() < 0.2 ? Buffer.from(damaged(all, chance)) : all;
}

function hostileFrames(path: string, chance: Chance): Buffer {
  const stream = pick(chance, [0, 1, 1, 1, 3, 2, 0x7fff_ffff]);
  switch (pick(chance, ['headers', 'headers', 'open', 'flood', 'any', 'settings', 'window', 'more', 'length'])) {
    case 'headers': {
      const flags = pick(chance, [END_HEADERS, END_HEADERS | 1, 0, 0xff]);
      const body = frame(TYPE.data, pick(chance, [0, 1]), stream, hostileBody(randomBytes(chance, 12), chance));
      return Buffer.concat([frame(TYPE.headers, flags, stream, requestHeaders(path, chance)), body]);
    }
    case 'open':
      // Opened and taken back at once, again and again (CVE-2023-44487).
      return repeated(20 + Math.floor(chance() * 200), (n) => [
        frame(TYPE.headers, END_HEADERS, 2 * n + 1, requestHeaders(path, chance)),
        frame(TYPE.rst, 0, 2 * n + 1, Buffer.from([0, 0, 0, 8])),
      ]);
    case 'flood': {
      const type = pick(chance, [TYPE.ping, TYPE.settings, TYPE.priority]);
      const payload = Buffer.alloc(type === TYPE.ping ? 8 : type === TYPE.priority ? 5 : 0);
      return repeated(500, () => [frame(type, 0, type === TYPE.priority ? 1 : 0, payload)]);
    }
    case 'settings':
      return frame(TYPE.settings, 0, 0, settings(chance));
    case 'window':
      return frame(TYPE.window, 0, stream, Buffer.from([0x7f, 0xff, 0xff, pick(chance, [0, 0xff])]));
    case 'more':
      // Headers without an end (CVE-2024-27316).
      return Buffer.concat([
        frame(TYPE.headers, 0, 1, requestHeaders(path, chance)),
        repeated(100, () => [frame(TYPE.more, 0, 1, Buffer.alloc(200))]),
      ]);
    case 'length':
      return frame(Math.floor(chance() * 10), 0, stream, randomBytes(chance, 10), 0xff_ffff);
    default:
      return frame(Math.floor(chance() * 256), Math.floor(chance() * 256), stream, randomBytes(chance, 20));
  }
}

function settings(chance: Chance): Buffer {
  const one = Buffer.alloc(6);
  one.writeUInt16BE(Math.floor(chance() * 9), 0);
  one.writeUInt32BE(pick(chance, [0, 1, 16_384, 0xff_ffff, 0x7fff_ffff, 0xffff_ffff]), 2);
  return one;
}

function repeated(times: number, frames: (n: number) => readonly Buffer[]): Buffer {
  return Buffer.concat(Array.from({ length: times }, (_, n) => frames(n)).flat());
}

/** A message as gRPC sends it: a flag, its length, its bytes; and in other ways. */
export function hostileBody(message: Uint8Array, chance: Chance): Buffer {
  const length = chance() < 0.7 ? message.length : pick(chance, [0, 1, message.length + 1, 0x10_0000, 0xffff_ffff]);
  const head = Buffer.alloc(5);
  head.writeUInt8(chance() < 0.8 ? 0 : pick(chance, [1, 2, 0xff]), 0);
  head.writeUInt32BE(length >>> 0, 1);
  const whole = Buffer.concat([head, message]);
  const kind = chance();
  if (kind < 0.05) return Buffer.concat([whole, whole]);
  if (kind < 0.1) return whole.subarray(0, Math.floor(chance() * whole.length));
  if (kind < 0.13) return Buffer.alloc(0);
  return whole;
}
