// The wiretap's process, in the namespace of the bridge: `wiretap-program BRIDGE`. A line of JSON for every DHCP message
// that the bridge forwards, in the order in which it did; on SIGUSR2, after what was forwarded until then, a line that
// says so. A promiscuous bridge passes up each frame that it forwards, once.

import { writeSync } from 'node:fs';
import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { type DhcpMessage, decode } from '@leasehold/agent/domain/dhcp/message';
import { systemInterfaces } from '@leasehold/agent/system/interfaces';
import { C, int, lastError, libc } from '@leasehold/agent/system/libc';
import { formatIpv4, formatMac, type Ipv4 } from '@leasehold/proto/values';
import koffi from 'koffi';
import type { CarriedMessage, MessageKind } from './wire-check.js';
import type { WiretapLine } from './wiretap.js';

/** Numbers of <linux/if_packet.h> and <linux/if_ether.h>. */
const P = { AF_PACKET: 17, SOCK_RAW: 3, SOL_PACKET: 263, ADD_MEMBERSHIP: 1, STATISTICS: 6, PROMISC: 1, IP: 0x0800 };
const [ETHERNET_HEADER, UDP_HEADER, UDP] = [14, 8, 17];
const PORTS = [67, 68];
const LOOK_EVERY_MS = 10;
const BUFFER_BYTES = 16 * 1024 * 1024;
const KINDS: ReadonlyMap<number, MessageKind> = new Map(
  Object.entries(MESSAGE_TYPE).map(([kind, type]) => [type, kind as MessageKind]),
);

const library = koffi.load(null);
const getsockopt = library.func(
  'int getsockopt(int fd, int level, int name, void *value, void *length)',
) as unknown as (fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array) => number;

const [bridge = ''] = process.argv.slice(2);
const fd = open(bridge);
const buffer = Buffer.alloc(65_536);
let lost = 0;

setInterval(drain, LOOK_EVERY_MS);
process.on('SIGUSR2', () => {
  drain();
  lost += dropped();
  say({ kind: 'mark', lost });
});
say({ kind: 'mark', lost: 0 });

function open(name: string): number {
  const link = systemInterfaces.readLink(name);
  if ('absent' in link) throw new Error(link.absent);
  const address = Buffer.alloc(20);
  address.writeUInt16LE(P.AF_PACKET, 0);
  address.writeUInt16BE(P.IP, 2);
  address.writeInt32LE(link.index, 4);
  const membership = Buffer.alloc(16);
  membership.writeInt32LE(link.index, 0);
  membership.writeUInt16LE(P.PROMISC, 4);
  const socket = libc.socket(P.AF_PACKET, P.SOCK_RAW | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0);
  const isOpen =
    socket >= 0 &&
    libc.setsockopt(socket, C.SOL_SOCKET, C.SO_RCVBUFFORCE, int(BUFFER_BYTES), 4) === 0 &&
    libc.bind(socket, address, address.length) === 0 &&
    libc.setsockopt(socket, P.SOL_PACKET, P.ADD_MEMBERSHIP, membership, membership.length) === 0;
  if (!isOpen) throw new Error(`Nothing can be heard on ${name}: ${lastError()}`);
  return socket;
}

function drain(): void {
  for (;;) {
    const length = libc.recv(fd, buffer, buffer.length, 0);
    if (length < 0) return;
    const line = read(buffer.subarray(0, length));
    if (line) say(line);
  }
}

function read(frame: Buffer): CarriedMessage | undefined {
  const ip = frame.subarray(ETHERNET_HEADER);
  if (ip.length < 20 || ip[9] !== UDP) return undefined;
  const udp = ip.subarray(((ip[0] ?? 0) & 15) * 4, ip.readUInt16BE(2));
  if (udp.length < UDP_HEADER || ![udp.readUInt16BE(0), udp.readUInt16BE(2)].every((port) => PORTS.includes(port))) {
    return undefined;
  }
  const decoded = decode(udp.subarray(UDP_HEADER));
  if (!decoded.ok) return undefined;
  return carried(decoded.message, {
    sender: formatMac(frame.subarray(6, 12)),
    source: formatIpv4(ip.readUInt32BE(12) as Ipv4),
    destination: formatIpv4(ip.readUInt32BE(16) as Ipv4),
  });
}

function carried(
  { xid, mac, ciaddr, yiaddr, giaddr, options }: DhcpMessage,
  ends: Pick<CarriedMessage, 'sender' | 'source' | 'destination'>,
): CarriedMessage {
  return {
    kind: 'message',
    type: KINDS.get(options.get(OPTION.messageType)?.[0] ?? 0) ?? 'other',
    ...ends,
    xid,
    mac,
    ciaddr: formatIpv4(ciaddr),
    yiaddr: formatIpv4(yiaddr),
    relay: giaddr === 0 ? undefined : formatIpv4(giaddr),
    requested: address(options.get(OPTION.requestedAddress)),
    server: address(options.get(OPTION.serverId)),
  };
}

function address(value: Uint8Array | undefined): string | undefined {
  return value?.length === 4 ? value.join('.') : undefined;
}

/** How many frames the kernel had no room for since it was asked last. */
function dropped(): number {
  const counters = Buffer.alloc(8);
  if (getsockopt(fd, P.SOL_PACKET, P.STATISTICS, counters, int(counters.length)) < 0) throw new Error(lastError());
  return counters.readUInt32LE(4);
}

function say(line: WiretapLine): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
