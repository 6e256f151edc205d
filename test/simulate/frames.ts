// What passes a simulated segment: DHCP messages and ARP packets, as values. A program that reads raw frames gets bytes.

import { type DhcpMessage, decode } from '@leasehold/agent/domain/dhcp/message';
import type { Ipv4, Mac } from '@leasehold/proto/values';

/** To everybody. */
export const BROADCAST_ADDRESS = 0xffffffff as Ipv4;
/** No address. */
export const UNSET_ADDRESS = 0 as Ipv4;

interface Ethernet {
  readonly sourceMac: Mac;
  /** Undefined: by broadcast. */
  readonly destinationMac: Mac | undefined;
}

/** A DHCP message in UDP and IPv4. */
export interface DhcpFrame extends Ethernet {
  readonly kind: 'dhcp';
  readonly sourceAddress: Ipv4;
  readonly destinationAddress: Ipv4;
  /** The server's or the client's. */
  readonly port: 67 | 68;
  readonly payload: Uint8Array;
  /** Undefined: the payload is no DHCP message. */
  readonly message: DhcpMessage | undefined;
}

/** An ARP packet. */
export interface ArpFrame extends Ethernet {
  readonly kind: 'arp';
  readonly operation: 'request' | 'reply';
  /** Unset: it only asks. */
  readonly senderAddress: Ipv4;
  readonly targetAddress: Ipv4;
}

/** Anything that passes a segment. */
export type Frame = DhcpFrame | ArpFrame;

/** A frame with a DHCP message; it is decoded once for all who look at it. */
export function dhcpFrame(parts: Omit<DhcpFrame, 'kind' | 'message'>): DhcpFrame {
  const decoded = decode(parts.payload);
  return { ...parts, kind: 'dhcp', message: decoded.ok ? decoded.message : undefined };
}

/** The bytes of a frame, from its Ethernet header on. */
export function frameBytes(frame: Frame): Uint8Array {
  const source = hexOfMac(frame.sourceMac);
  const destination = frame.destinationMac === undefined ? 'ffffffffffff' : hexOfMac(frame.destinationMac);
  if (frame.kind === 'arp') {
    const operation = frame.operation === 'request' ? '0001' : '0002';
    const sender = `${source}${hexOfAddress(frame.senderAddress)}`;
    const target = `000000000000${hexOfAddress(frame.targetAddress)}`;
    return Buffer.from(`${destination}${source}0806000108000604${operation}${sender}${target}`, 'hex');
  }
  const { payload, port } = frame;
  const header = Buffer.alloc(28);
  header[0] = 0x45;
  header.writeUInt16BE(28 + payload.length, 2);
  header[8] = 64;
  header[9] = 17;
  header.writeUInt32BE(frame.sourceAddress, 12);
  header.writeUInt32BE(frame.destinationAddress, 16);
  header.writeUInt16BE(port === 67 ? 68 : 67, 20);
  header.writeUInt16BE(port, 22);
  header.writeUInt16BE(8 + payload.length, 24);
  return Buffer.concat([Buffer.from(`${destination}${source}0800`, 'hex'), header, payload]);
}

/** The ARP packet in these bytes, which the product's own code made; undefined: it is none. */
export function arpOfBytes(bytes: Uint8Array, sourceMac: Mac): ArpFrame | undefined {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (frame.length < 42 || frame.readUInt16BE(12) !== 0x0806) return undefined;
  return {
    ...{ kind: 'arp', sourceMac, destinationMac: undefined },
    operation: frame.readUInt16BE(20) === 1 ? 'request' : 'reply',
    senderAddress: frame.readUInt32BE(28) as Ipv4,
    targetAddress: frame.readUInt32BE(38) as Ipv4,
  };
}

function hexOfMac(mac: Mac): string {
  return mac.replaceAll(':', '');
}

function hexOfAddress(address: Ipv4): string {
  return address.toString(16).padStart(8, '0');
}
