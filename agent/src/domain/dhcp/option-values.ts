// The values of options on the wire, made from parsed values only, and what is read of those of others.

import { type Cidr, type Ipv4, netmask } from '@leasehold/proto/values';

/** A number of one byte. */
export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

/** A number of two bytes. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 255);
}

/** A number of four bytes; an address is one. */
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

/** ASCII text. */
export function ascii(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** Addresses in order. */
export function addresses(list: readonly Ipv4[]): Uint8Array {
  const bytes = Buffer.alloc(list.length * 4);
  for (const [i, address] of list.entries()) bytes.writeUInt32BE(address, i * 4);
  return bytes;
}

/** The address that a value is; undefined: it is none. */
export function readAddress(value: Uint8Array | undefined): Ipv4 | undefined {
  if (value?.length !== 4) return undefined;
  return Buffer.from(value.buffer, value.byteOffset, 4).readUInt32BE(0) as Ipv4;
}

/** Routes: prefix length, the bytes of the destination that matter, the router (RFC 3442). */
export function classlessRoutes(routes: readonly { destination: Cidr; nextHop: Ipv4 }[]): Uint8Array {
  const parts = routes.flatMap(({ destination: { base, prefixLength }, nextHop }) => [
    u8(prefixLength),
    u32((base & netmask(prefixLength)) >>> 0).subarray(0, Math.ceil(prefixLength / 8)),
    u32(nextHop),
  ]);
  return Buffer.concat(parts);
}

// RFC 1035 §4.1.4: the top two bits make a pointer, 14 bits are its offset.
const POINTER = 0xc000;
const MAX_OFFSET = 0x3fff;

/** Domains to search, with the compression of DNS (RFC 3397): without it a few of them fill a message. */
export function domainSearch(domains: readonly string[]): Uint8Array {
  const bytes: number[] = [];
  const written = new Map<string, number>();
  for (const domain of domains) writeDomain(domain.split('.'), bytes, written);
  return Uint8Array.from(bytes);
}

function writeDomain(labels: readonly string[], bytes: number[], written: Map<string, number>): void {
  for (let i = 0; i < labels.length; i++) {
    const suffix = labels.slice(i).join('.');
    const offset = written.get(suffix);
    if (offset !== undefined) {
      bytes.push(...u16(POINTER | offset));
      return;
    }
    if (bytes.length <= MAX_OFFSET) written.set(suffix, bytes.length);
    const label = labels[i] ?? '';
    bytes.push(label.length, ...ascii(label));
  }
  bytes.push(0);
}
