// The raw end of a DHCP conversation: port 68 of one interface, without an address and without a client's patience.
// Only in a guest's namespace: the kernel must not judge where answers come from (see `acceptAnySource`).

import { createSocket } from 'node:dgram';
import { type DhcpMessage, decode, encode, MIN_MAX_BYTES } from '@leasehold/agent/domain/dhcp/message';
import { C, int, lastError, libc, sockaddrIn } from '@leasehold/agent/system/libc';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { Namespace } from './netns.js';

const SERVER_PORT = 67;
const CLIENT_PORT = 68;
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
const NO_ADDRESS = 0 as Ipv4;

/** Port 68 of an interface. */
export interface GuestSocket {
  /** Broadcasts a message to all servers. */
  send(bytes: Uint8Array): void;
  close(): void;
}

/** Opens port 68 of an interface of the namespace this process runs in. */
export function openGuestSocket(interfaceName: string, onMessage: (bytes: Buffer) => void): GuestSocket {
  const fd = libc.socket(C.AF_INET, C.SOCK_DGRAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0);
  const device = Buffer.from(`${interfaceName}\0`);
  const bound =
    fd >= 0 &&
    libc.setsockopt(fd, C.SOL_SOCKET, C.SO_BINDTODEVICE, device, device.length) === 0 &&
    libc.setsockopt(fd, C.SOL_SOCKET, C.SO_REUSEADDR, int(1), 4) === 0 &&
    libc.setsockopt(fd, C.SOL_SOCKET, C.SO_BROADCAST, int(1), 4) === 0 &&
    libc.bind(fd, sockaddrIn(0, CLIENT_PORT), 16) === 0;
  if (!bound) throw new Error(`Port ${CLIENT_PORT} of ${interfaceName} cannot be opened: ${lastError()}`);
  // Without CAP_NET_ADMIN the default has to do.
  libc.setsockopt(fd, C.SOL_SOCKET, C.SO_RCVBUFFORCE, int(RECEIVE_BUFFER_BYTES), 4);
  const socket = createSocket({ type: 'udp4', lookup: (name, _options, found) => found(null, name, 4) });
  socket.bind({ fd });
  socket.on('message', onMessage);
  return {
    // A cable that is pulled refuses datagrams; the next one may pass.
    send: (bytes) => socket.send(bytes, SERVER_PORT, '255.255.255.255', () => undefined),
    close: () => socket.close(),
  };
}

/** Lets a namespace hear servers to which it has no route, as a guest without an address must. */
export async function acceptAnySource(namespace: Namespace): Promise<void> {
  await namespace.run('sh', ['-c', 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > "$f"; done']);
}

/** What a client says: a message with these options, in this order. */
export function clientMessage(mac: Mac, xid: number, options: readonly (readonly [number, Uint8Array])[]): Buffer {
  const message: DhcpMessage = {
    op: 'request',
    xid,
    flags: 0,
    ciaddr: NO_ADDRESS,
    yiaddr: NO_ADDRESS,
    siaddr: NO_ADDRESS,
    giaddr: NO_ADDRESS,
    mac,
    options: new Map(options),
  };
  return encode(message, MIN_MAX_BYTES).bytes;
}

/** What a server said; undefined: something else. */
export function serverMessage(bytes: Uint8Array): DhcpMessage | undefined {
  const decoded = decode(bytes);
  return decoded.ok && decoded.message.op === 'reply' ? decoded.message : undefined;
}
