// The few calls of the C library that Node has no API for, by FFI: binding a socket to a device, asking the kernel about
// interfaces, hearing raw frames, the clock that counts suspend. Numbers are those of Linux on x86-64 and arm64.

import koffi from 'koffi';

/** Numbers of <sys/socket.h>, <linux/if.h> and <time.h>. */
export const C = {
  AF_INET: 2,
  AF_PACKET: 17,
  ETH_P_ALL: 3,
  SOCK_RAW: 3,
  SOCK_DGRAM: 2,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_BROADCAST: 6,
  SO_BINDTODEVICE: 25,
  SO_ATTACH_FILTER: 26,
  SO_RCVBUFFORCE: 33,
  SIOCGIFNAME: 0x8910,
  SIOCGIFFLAGS: 0x8913,
  SIOCGIFADDR: 0x8915,
  SIOCGIFINDEX: 0x8933,
  SIOCGIFHWADDR: 0x8927,
  IFF_UP: 1,
  IFNAMSIZ: 16,
  /** Of a struct ifreq. */
  IFREQ_SIZE: 40,
  CLOCK_BOOTTIME: 7,
} as const;

interface Libc {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: Uint8Array, length: number) => number;
  readonly bind: (fd: number, address: Uint8Array, length: number) => number;
  readonly send: (fd: number, bytes: Uint8Array, length: number, flags: number) => number;
  readonly recv: (fd: number, into: Uint8Array, length: number, flags: number) => number;
  readonly close: (fd: number) => number;
  /** Lets a socket hear only what a filter of so many instructions takes (classic BPF). */
  readonly attachFilter: (fd: number, instructions: Uint8Array, count: number) => boolean;
  readonly ioctl: (fd: number, request: number, argument: Uint8Array) => number;
  readonly clockGettime: (clock: number, timespec: BigInt64Array) => number;
}

const library = koffi.load(null);

koffi.struct('sock_fprog', { len: 'uint16_t', filter: 'void *' });
const setFilter = library.func('setsockopt', 'int', ['int', 'int', 'int', 'sock_fprog *', 'uint32_t']);
const SOCK_FPROG_BYTES = koffi.sizeof('sock_fprog');

/** The calls. A negative result means that `lastError()` says why. */
export const libc: Libc = {
  socket: library.func('int socket(int domain, int type, int protocol)'),
  setsockopt: library.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
  bind: library.func('int bind(int fd, const void *address, uint32_t length)'),
  send: library.func('long send(int fd, const void *bytes, size_t length, int flags)'),
  recv: library.func('long recv(int fd, _Out_ void *into, size_t length, int flags)'),
  close: library.func('int close(int fd)'),
  attachFilter: (fd, filter, len) =>
    setFilter(fd, C.SOL_SOCKET, C.SO_ATTACH_FILTER, { len, filter }, SOCK_FPROG_BYTES) === 0,
  // Variadic in C; both Linux ABIs pass a pointer in the third place alike.
  ioctl: library.func('int ioctl(int fd, unsigned long request, void *argument)'),
  clockGettime: library.func('int clock_gettime(int clock, void *timespec)'),
};

const NAMES = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));

/** The error of the last call that failed, as `EADDRINUSE`. Read it before any other call. */
export function lastError(): string {
  const number = koffi.errno();
  return NAMES.get(number) ?? `errno ${number}`;
}

/** A `struct sockaddr_in`. */
export function sockaddrIn(address: number, port: number): Uint8Array {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(C.AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.writeUInt32BE(address, 4);
  return bytes;
}

/** A C int. */
export function int(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
