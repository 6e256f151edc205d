// UDP sockets that hear and send on one interface only, which Node cannot make; Node then reads and writes the descriptor
// like its own.

import { C, int, lastError, libc, sockaddrIn } from './libc.js';

/** A descriptor, or the error as `EADDRINUSE`. */
export type DeviceSocket = { readonly ok: true; readonly fd: number } | { readonly ok: false; readonly error: string };

/** Opens one, bound to the port (0: any) of all addresses, that may broadcast; to be closed, or given to Node. */
export function openDeviceSocket(interfaceName: string, port: number): DeviceSocket {
  const fd = libc.socket(C.AF_INET, C.SOCK_DGRAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0);
  if (fd < 0) return { ok: false, error: lastError() };
  const device = Buffer.from(`${interfaceName}\0`);
  // Short circuit: lastError() is that of the first call that failed. Without its device the socket must not be used.
  const bound =
    libc.setsockopt(fd, C.SOL_SOCKET, C.SO_BINDTODEVICE, device, device.length) === 0 &&
    libc.setsockopt(fd, C.SOL_SOCKET, C.SO_REUSEADDR, int(1), 4) === 0 &&
    libc.setsockopt(fd, C.SOL_SOCKET, C.SO_BROADCAST, int(1), 4) === 0 &&
    libc.bind(fd, sockaddrIn(0, port), 16) === 0;
  if (bound) return { ok: true, fd };
  const error = lastError();
  libc.close(fd);
  return { ok: false, error };
}
