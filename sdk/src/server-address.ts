// How a server is named, and which names may be reached without TLS.
//
// Plaintext never leaves the machine by accident: anything but loopback and unix sockets needs a word of its own.

import { isIPv4 } from 'node:net';

/** A server's address, ready for gRPC. */
export interface ServerAddress {
  /** As gRPC takes it: `host:port` or `unix:PATH`. */
  readonly target: string;
  /** Whether the bytes stay on this machine. */
  readonly local: boolean;
}

/** What became of reading a server's address. */
export type ParsedAddress =
  | { readonly ok: true; readonly value: ServerAddress }
  | { readonly ok: false; readonly problem: string };

const HOST_PORT = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})$/;

const EXPECTED = 'expected one server like 127.0.0.1:7067 or unix:/run/leasehold.sock';

/** Reads `host:port`, `[ipv6]:port` or `unix:PATH`. A list, as agents take it, is not one server. */
export function parseServerAddress(text: string): ParsedAddress {
  if (/^unix:[^,]+$/.test(text)) return { ok: true, value: { target: text, local: true } };
  const match = HOST_PORT.exec(text);
  const [, host = '', port = ''] = match ?? [];
  if (!match || Number(port) < 1 || Number(port) > 65_535) {
    return { ok: false, problem: EXPECTED };
  }
  return { ok: true, value: { target: text, local: isLoopback(host) } };
}

function isLoopback(host: string): boolean {
  // 127.999.0.1 is no address but a name, which may resolve to anything.
  return host === 'localhost' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'));
}
