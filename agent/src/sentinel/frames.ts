// What the sentinel hears on an interface: ARP packets, and what DHCP servers and clients say, from Ethernet frames.
//
//   F1. Whatever the bytes are, nothing throws: what is not understood is not heard.

import { formatMac, type Ipv4, type Mac, parseMac } from '@leasehold/proto/values';
import { type DhcpMessage, decode } from '../domain/dhcp/message.js';

/** Something heard. */
export type Heard =
  /** Whoever sent it uses this address. */
  | { readonly kind: 'arp'; readonly sourceMac: Mac; readonly address: Ipv4 }
  | { readonly kind: 'dhcp'; readonly sourceMac: Mac; readonly message: DhcpMessage };

const AT = { source: 6, type: 12, payload: 14 } as const;
const ARP = 0x0806;
const IPV4 = 0x0800;
const ARP_LENGTH = 28;
// Ethernet, IPv4, six and four bytes: of the first eight bytes of an ARP packet those before the operation.
const ARP_OF_IPV4 = Buffer.from('000108000604', 'hex');
const UDP = 17;
const UDP_HEADER = 8;

/** Reads a frame, from its Ethernet header on; undefined: nothing that matters here. */
export function parseFrame(frame: Uint8Array): Heard | undefined {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (bytes.length < AT.payload) return undefined;
  const source = parseMac(formatMac(bytes.subarray(AT.source, AT.source + 6)));
  if (!source.ok) return undefined;
  const payload = bytes.subarray(AT.payload);
  const type = bytes.readUInt16BE(AT.type);
  if (type === ARP) return readArp(payload, source.value);
  return type === IPV4 ? readDhcp(payload, source.value) : undefined;
}

// The sender of the packet, and not that of the frame, claims the address; one without an address only asks (RFC 5227).
function readArp(packet: Buffer, frameMac: Mac): Heard | undefined {
  if (packet.length < ARP_LENGTH || !packet.subarray(0, ARP_OF_IPV4.length).equals(ARP_OF_IPV4)) return undefined;
  const sender = parseMac(formatMac(packet.subarray(8, 14)));
  const address = packet.readUInt32BE(14) as Ipv4;
  // A bridge that answers for others has its own MAC in the frame: who is told to have the address is what counts.
  return address === 0 ? undefined : { kind: 'arp', sourceMac: sender.ok ? sender.value : frameMac, address };
}

function readDhcp(packet: Buffer, sourceMac: Mac): Heard | undefined {
  const headerLength = ((packet[0] ?? 0) & 0x0f) * 4;
  if (headerLength < 20 || packet.length < headerLength + UDP_HEADER || packet[9] !== UDP) return undefined;
  const length = packet.readUInt16BE(headerLength + 4);
  const decoded = decode(packet.subarray(headerLength + UDP_HEADER, headerLength + Math.max(length, UDP_HEADER)));
  return decoded.ok ? { kind: 'dhcp', sourceMac, message: decoded.message } : undefined;
}
