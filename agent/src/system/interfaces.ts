// The interfaces of this host, as the kernel tells them to this process.
//
// By ioctl and not from /sys: after a change of the network namespace /sys still shows the interfaces of the namespace
// it was mounted in.

import type { Ipv4 } from '@leasehold/proto/values';
import type { Link } from '../backends/dhcp-backend.js';
import { C, lastError, libc, sockaddrIn } from './libc.js';

/** An interface that cannot be served on, and why. */
export interface AbsentLink {
  readonly absent: string;
}

/** Tells of interfaces. */
export interface Interfaces {
  /** The interface of that name when it is there and up. */
  readLink(name: string): Link | AbsentLink;
}

/** The interfaces of the network namespace of this process. */
export const systemInterfaces: Interfaces = { readLink };

/** The name that an interface has now; undefined: it is gone. */
export function nameOfInterface(index: number): string | undefined {
  const fd = libc.socket(C.AF_INET, C.SOCK_DGRAM | C.SOCK_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const request = Buffer.alloc(C.IFREQ_SIZE);
  request.writeInt32LE(index, C.IFNAMSIZ);
  const isThere = libc.ioctl(fd, C.SIOCGIFNAME, request) === 0;
  libc.close(fd);
  return isThere ? request.toString('utf8', 0, request.indexOf(0)) : undefined;
}

function readLink(name: string): Link | AbsentLink {
  if (name === '' || Buffer.byteLength(name) >= C.IFNAMSIZ || name.includes('\0')) {
    return { absent: `${JSON.stringify(name)} cannot be the name of an interface` };
  }
  const fd = libc.socket(C.AF_INET, C.SOCK_DGRAM | C.SOCK_CLOEXEC, 0);
  if (fd < 0) return { absent: `Interface ${name} cannot be looked up: ${lastError()}` };
  try {
    const request = Buffer.alloc(C.IFREQ_SIZE);
    request.write(name, 'utf8');
    if (libc.ioctl(fd, C.SIOCGIFINDEX, request) < 0) return { absent: describe(name, lastError()) };
    const index = request.readInt32LE(C.IFNAMSIZ);
    if (libc.ioctl(fd, C.SIOCGIFFLAGS, request) < 0) return { absent: describe(name, lastError()) };
    const up = (request.readUInt16LE(C.IFNAMSIZ) & C.IFF_UP) !== 0;
    return up ? { name, index } : { absent: `Interface ${name} is down` };
  } finally {
    libc.close(fd);
  }
}

/** The first IPv4 address of an interface; undefined when it has none. */
export function firstAddressOf(name: string): Ipv4 | undefined {
  return readAddress(name, Buffer.alloc(0));
}

/** Whether an interface has an IPv4 address. */
export function hasAddress(name: string, address: Ipv4): boolean {
  // Asked with an address the kernel answers that one if it is there, else the first (netdevice(7) does not say so).
  return readAddress(name, sockaddrIn(address, 0)) === address;
}

function readAddress(name: string, asked: Uint8Array): Ipv4 | undefined {
  const fd = libc.socket(C.AF_INET, C.SOCK_DGRAM | C.SOCK_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const request = Buffer.alloc(C.IFREQ_SIZE);
  request.write(name, 'utf8');
  request.set(asked, C.IFNAMSIZ);
  const found = libc.ioctl(fd, C.SIOCGIFADDR, request) === 0;
  libc.close(fd);
  // A sockaddr_in: family and port, then the address.
  return found ? (request.readUInt32BE(C.IFNAMSIZ + 4) as Ipv4) : undefined;
}

function describe(name: string, error: string): string {
  return error === 'ENODEV' ? `There is no interface ${name}` : `Interface ${name} cannot be looked up: ${error}`;
}
