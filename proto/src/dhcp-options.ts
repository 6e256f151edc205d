// The DHCP options that a subnet or reservation may set by number, each with its type.
//
// An allow-list: an option that a field of its own sets, or that the protocol itself needs, cannot be set here, or one
// setting could quietly undo another (a lease time, and with it the reuse of addresses). Bytes are made from the parsed
// value only, so that no text can smuggle in a second option.

import { formatIpv4, type Parsed, parseIpv4, quote } from './values.js';

/** A DHCP option that was parsed. */
export interface ParsedDhcpOption {
  /** Option code (RFC 2132 and its registry). */
  readonly code: number;
  /** The value as canonical text. */
  readonly value: string;
  /** The value on the wire, 1 to 255 bytes, without code and length. */
  readonly bytes: Uint8Array;
}

type OptionValue = Pick<ParsedDhcpOption, 'value' | 'bytes'>;

interface OptionType {
  readonly name: string;
  readonly parse: (text: string) => Parsed<OptionValue>;
}

const MAX_BYTES = 255;

const ALLOWED: Readonly<Record<number, OptionType>> = {
  7: { name: 'log servers', parse: addresses },
  17: { name: 'root path', parse: printable },
  44: { name: 'NetBIOS name servers', parse: addresses },
  46: { name: 'NetBIOS node type', parse: nodeType },
  66: { name: 'TFTP server name', parse: printable },
  67: { name: 'boot file name', parse: printable },
  100: { name: 'POSIX time zone', parse: printable }, // RFC 4833
  101: { name: 'time zone of the tz database', parse: printable }, // RFC 4833
  114: { name: 'captive portal API', parse: portalUri }, // RFC 8910
  150: { name: 'TFTP server addresses', parse: addresses }, // RFC 5859
  209: { name: 'PXELINUX configuration file', parse: printable }, // RFC 5071
  210: { name: 'PXELINUX path prefix', parse: printable }, // RFC 5071
  252: { name: 'web proxy auto-discovery URL', parse: printable },
};

const SET_BY_FIELD: Readonly<Record<number, string>> = {
  1: 'cidr',
  3: 'gateway',
  6: 'dns_servers',
  12: 'hostname of the reservation',
  15: 'domain_name',
  26: 'mtu',
  28: 'cidr',
  33: 'routes',
  42: 'ntp_servers',
  51: 'lease_time',
  58: 'lease_time',
  59: 'lease_time',
  119: 'domain_search',
  121: 'routes',
  249: 'routes',
};

// Each means something to the exchange itself; a wrong one breaks it or lets a guest keep an address for too long.
const OWN_TO_THE_PROTOCOL = new Set([0, 50, 52, 53, 54, 55, 56, 57, 60, 61, 82, 255]);

/** The codes that may be set by number, ascending. */
export const ALLOWED_OPTION_CODES: readonly number[] = Object.keys(ALLOWED).map(Number);

/** Parses an option by number. A refusal names the field that sets it, if there is one. */
export function parseDhcpOption(code: number, value: string): Parsed<ParsedDhcpOption> {
  const type = ALLOWED[code];
  if (!type) return bad(refusal(code));
  const parsed = type.parse(value);
  if (!parsed.ok) return bad(`Option ${code} (${type.name}): ${parsed.problem}`);
  if (parsed.value.bytes.length > MAX_BYTES) {
    return bad(`Option ${code} (${type.name}) has ${parsed.value.bytes.length} bytes, at most ${MAX_BYTES} fit`);
  }
  return { ok: true, value: { code, ...parsed.value } };
}

function refusal(code: number): string {
  const field = SET_BY_FIELD[code];
  if (field) return `Option ${code} cannot be set by number, use the field ${field}`;
  if (OWN_TO_THE_PROTOCOL.has(code)) return `Option ${code} belongs to the DHCP exchange itself and cannot be set`;
  return `Option ${code} is not supported, these are: ${ALLOWED_OPTION_CODES.join(', ')}`;
}

function addresses(text: string): Parsed<OptionValue> {
  const canonical: string[] = [];
  const bytes: number[] = [];
  for (const item of text.split(',')) {
    const address = parseIpv4(withoutBlanks(item));
    if (!address.ok) return address;
    canonical.push(formatIpv4(address.value));
    bytes.push(address.value >>> 24, (address.value >>> 16) & 255, (address.value >>> 8) & 255, address.value & 255);
  }
  return { ok: true, value: { value: canonical.join(','), bytes: Uint8Array.from(bytes) } };
}

// Blanks only: trim() would take line ends and the spaces of Unicode, too. No pattern: ` +$` is quadratic.
function withoutBlanks(text: string): string {
  let [from, to] = [0, text.length];
  while (text[from] === ' ') from++;
  while (to > from && text[to - 1] === ' ') to--;
  return text.slice(from, to);
}

function printable(text: string): Parsed<OptionValue> {
  if (text === '') return bad('value is empty');
  if (!/^[\x20-\x7e]+$/.test(text)) return bad(`${quote(text)} is not plain printable ASCII`);
  return { ok: true, value: { value: text, bytes: Uint8Array.from(text, (c) => c.charCodeAt(0)) } };
}

// RFC 2132 §8.7: a bit of its own for each type.
function nodeType(text: string): Parsed<OptionValue> {
  if (!/^[1248]$/.test(text)) return bad(`${quote(text)} is not a node type: 1 (B), 2 (P), 4 (M) or 8 (H)`);
  return { ok: true, value: { value: text, bytes: Uint8Array.of(Number(text)) } };
}

// RFC 8910 §2: an https URI, or the URN which says that there is no portal.
function portalUri(text: string): Parsed<OptionValue> {
  if (text !== 'urn:ietf:params:capport:unrestricted' && !/^https:\/\/[^\s]+$/.test(text)) {
    return bad(`${quote(text)} is neither an https URI nor urn:ietf:params:capport:unrestricted`);
  }
  return printable(text);
}

function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
