// DHCP messages on the wire (RFC 2131 §2; option overload, RFC 2132 §9.3; long options, RFC 3396).
//
//   C1. decode() never throws, whatever the bytes are, and takes time linear in their number.
//   C2. encode() never exceeds the size it was given; it leaves whole options out and says which.
//   C3. decode(encode(m)) is m, less the options that were left out.

import { formatMac, type Ipv4, type Mac } from '@leasehold/proto/values';
import { OPTION } from './codes.js';

/** A DHCP message of an Ethernet client. */
export interface DhcpMessage {
  readonly op: 'request' | 'reply';
  readonly xid: number;
  /** Bit 15: the client asks for broadcast replies. */
  readonly flags: number;
  /** The client's address, when it has one and uses it. */
  readonly ciaddr: Ipv4;
  /** The address a server gives. */
  readonly yiaddr: Ipv4;
  readonly siaddr: Ipv4;
  /** The relay's address; 0 without one. */
  readonly giaddr: Ipv4;
  /** chaddr. */
  readonly mac: Mac;
  /** By code, without padding, end and overload. The order is that of the wire, earlier ones matter more. */
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** Why bytes are no DHCP message. */
export type Malformed = 'too-short' | 'too-long' | 'bad-op' | 'not-ethernet' | 'no-cookie' | 'bad-options';

/** A message, or why there is none. */
export type Decoded =
  | { readonly ok: true; readonly message: DhcpMessage }
  | { readonly ok: false; readonly reason: Malformed };

/** Bytes to send, and the codes of the options that did not fit. */
export interface Encoded {
  readonly bytes: Buffer;
  readonly leftOut: readonly number[];
}

/** Every client must accept this many bytes of UDP payload: 576 less the IP and UDP headers (RFC 2131 §2). */
export const MIN_MAX_BYTES = 548;

// Jumbo frames aside no client sends more.
const MAX_RECEIVED_BYTES = 4_096;

// BOOTP's size. Relays and old clients drop anything shorter.
const MIN_SENT_BYTES = 300;

const AT = { chaddr: 28, sname: 44, file: 108, cookie: 236, options: 240 } as const;
const COOKIE = 0x63825363;
const ETHERNET = 1;
const PAD = 0;
const END = 255;
const OVERLOADS_FILE = 1;
const OVERLOADS_SNAME = 2;

/** Reads a message from anyone. */
export function decode(bytes: Uint8Array): Decoded {
  const wire = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (wire.length < AT.options) return { ok: false, reason: 'too-short' };
  if (wire.length > MAX_RECEIVED_BYTES) return { ok: false, reason: 'too-long' };
  const op = wire[0];
  if (op !== 1 && op !== 2) return { ok: false, reason: 'bad-op' };
  if (wire[1] !== ETHERNET || wire[2] !== 6) return { ok: false, reason: 'not-ethernet' };
  if (wire.readUInt32BE(AT.cookie) !== COOKIE) return { ok: false, reason: 'no-cookie' };
  const options = decodeOptions(wire);
  if (!options) return { ok: false, reason: 'bad-options' };
  return {
    ok: true,
    message: {
      op: op === 1 ? 'request' : 'reply',
      xid: wire.readUInt32BE(4),
      flags: wire.readUInt16BE(10),
      ciaddr: wire.readUInt32BE(12) as Ipv4,
      yiaddr: wire.readUInt32BE(16) as Ipv4,
      siaddr: wire.readUInt32BE(20) as Ipv4,
      giaddr: wire.readUInt32BE(24) as Ipv4,
      mac: formatMac(wire.subarray(AT.chaddr, AT.chaddr + 6)),
      options,
    },
  };
}

// RFC 3396 §5: options, then file, then sname, read as one.
function decodeOptions(wire: Buffer): Map<number, Uint8Array> | undefined {
  const parts: Parts = new Map();
  if (!readArea(wire.subarray(AT.options), parts)) return undefined;
  const overload = parts.get(OPTION.overload);
  if (overload) {
    const fields = overload.length === 1 && overload[0]?.length === 1 ? (overload[0][0] ?? 0) : 0;
    if (fields < 1 || fields > 3) return undefined;
    if (fields & OVERLOADS_FILE && !readArea(wire.subarray(AT.file, AT.cookie), parts)) return undefined;
    if (fields & OVERLOADS_SNAME && !readArea(wire.subarray(AT.sname, AT.file), parts)) return undefined;
    parts.delete(OPTION.overload);
  }
  const options = new Map<number, Uint8Array>();
  // Joined once, at the end: part by part, a message of parts of one byte would be copied a thousand times.
  for (const [code, [first, ...more]] of parts)
    options.set(code, more.length ? Buffer.concat([first, ...more]) : first);
  return options;
}

/** By code, the values of its options as they come. */
type Parts = Map<number, [Buffer, ...Buffer[]]>;

// A missing end is forgiven, as everybody does; an option that runs over the end is not.
function readArea(area: Buffer, into: Parts): boolean {
  let at = 0;
  while (at < area.length) {
    const code = area[at++];
    if (code === PAD) continue;
    if (code === undefined || code === END) return true;
    const length = area[at++];
    if (length === undefined || at + length > area.length) return false;
    const part = area.subarray(at, at + length);
    const before = into.get(code);
    if (before) before.push(part);
    else into.set(code, [part]);
    at += length;
  }
  return true;
}

/** Writes a message of at most `maxBytes` (not less than MIN_MAX_BYTES). */
export function encode(message: DhcpMessage, maxBytes: number): Encoded {
  const wire = Buffer.alloc(Math.max(maxBytes, MIN_MAX_BYTES));
  wire[0] = message.op === 'request' ? 1 : 2;
  wire[1] = ETHERNET;
  wire[2] = 6;
  wire.writeUInt32BE(message.xid, 4);
  wire.writeUInt16BE(message.flags, 10);
  wire.writeUInt32BE(message.ciaddr, 12);
  wire.writeUInt32BE(message.yiaddr, 16);
  wire.writeUInt32BE(message.siaddr, 20);
  wire.writeUInt32BE(message.giaddr, 24);
  wire.write(message.mac.replaceAll(':', ''), AT.chaddr, 'hex');
  wire.writeUInt32BE(COOKIE, AT.cookie);
  const { end, leftOut } = writeOptions(wire, message.options);
  return { bytes: wire.subarray(0, Math.max(end, MIN_SENT_BYTES)), leftOut };
}

function writeOptions(wire: Buffer, options: ReadonlyMap<number, Uint8Array>): { end: number; leftOut: number[] } {
  const main = new Area(wire, AT.options, wire.length);
  let total = 0;
  for (const value of options.values()) total += sizeOnWire(value);
  if (total <= main.room) {
    for (const [code, value] of options) main.write(code, value);
    return { end: main.end(), leftOut: [] };
  }
  main.write(OPTION.overload, Uint8Array.of(OVERLOADS_FILE | OVERLOADS_SNAME));
  const areas = [main, new Area(wire, AT.file, AT.cookie), new Area(wire, AT.sname, AT.file)];
  const leftOut: number[] = [];
  for (const [code, value] of options) {
    const area = areas.find(({ room }) => sizeOnWire(value) <= room);
    if (area) area.write(code, value);
    else leftOut.push(code);
  }
  const [end = 0] = areas.map((area) => area.end());
  return { end, leftOut };
}

// A value over 255 bytes takes several options of the same code (RFC 3396); an empty one takes one.
function sizeOnWire(value: Uint8Array): number {
  return value.length + 2 * Math.max(1, Math.ceil(value.length / 255));
}

// A place for options. Room is always kept for its end.
class Area {
  readonly #wire: Buffer;
  readonly #last: number;
  #at: number;

  constructor(wire: Buffer, from: number, to: number) {
    this.#wire = wire;
    this.#at = from;
    this.#last = to - 1;
  }

  get room(): number {
    return this.#last - this.#at;
  }

  write(code: number, value: Uint8Array): void {
    let from = 0;
    do {
      const part = value.subarray(from, from + 255);
      this.#wire[this.#at++] = code;
      this.#wire[this.#at++] = part.length;
      this.#wire.set(part, this.#at);
      this.#at += part.length;
      from += 255;
    } while (from < value.length);
  }

  end(): number {
    this.#wire[this.#at++] = END;
    return this.#at;
  }
}
