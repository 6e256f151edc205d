// How a server is named, and which names may be reached without TLS.
//
// Plaintext never leaves the machine by accident: anything but loopback and unix sockets needs a word of its own.
// The server and the agent read addresses the same way (test/conformance/option-values.test.ts).

import { isIPv4, isIPv6 } from 'node:net';

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

const EXPECTED = 'expected one server like 127.0.0.1:7067 or unix:/run/leasehold.sock';

/** Reads `host:port`, `[ipv6]:port` or `unix:PATH`. A list, as agents take it, is not one server. */
export function parseServerAddress(text: string): ParsedAddress {
  const bad = { ok: false, problem: EXPECTED } as const;
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    // sun_path holds 108 bytes with its final NUL (unix(7)); a longer path is cut by the kernel or refused.
    const fits = path !== '' && !path.includes(',') && Buffer.byteLength(path) <= 107;
    return fits ? { ok: true, value: { target: text, local: true } } : bad;
  }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text);
  const [, ipv6, host = ipv6 ?? '', port = ''] = match ?? [];
  if (!match || Number(port) < 1 || Number(port) > 65_535) return bad;
  const valid = ipv6 !== undefined ? isIPv6(ipv6) && !ipv6.includes('%') : isIPv4(host) || isHostName(host);
  return valid ? { ok: true, value: { target: text, local: isLoopback(host) } } : bad;
}

function isHostName(host: string): boolean {
  // RFC 1123 §2.1. An all-numeric last label would be an address, and a mistyped one: 10.0.0.999 is no name.
  const labels = host.split('.');
  if (host.length > 253 || /^[0-9]+$/.test(labels.at(-1) ?? '')) return false;
  return labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(label));
}

function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  if (isIPv4(host)) return host.startsWith('127.');
  // Every spelling of ::1, and nothing else: 0:0:0:0:0:0:0:1, ::0:1 …
  return isIPv6(host) && new URL(`http://[${host}]`).hostname === '[::1]';
}
