// Port 67 of one interface.

import { createSocket, type Socket } from 'node:dgram';
import { formatIpv4, type Ipv4, type Parsed } from '@leasehold/proto/values';
import { openDeviceSocket } from '../../system/device-sockets.js';
import { C, int, libc } from '../../system/libc.js';
import type { Link } from '../dhcp-backend.js';
import { relaxReversePathFilter } from '../host/reverse-path.js';
import type { DhcpSocket, DhcpSockets, SocketEvents } from './dhcp-sockets.js';

const SERVER_PORT = 67;
const CLIENT_PORT = 68;

// Of a thousand guests that boot at once, while this process is busy for a moment; the default holds some 160.
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

// Beyond it the interface takes nothing, and clients have given up on what waits.
const MAX_QUEUED_SENDS = 1_000;

/** The sockets of this host. */
export const systemSockets: DhcpSockets = { open };

async function open(link: Link, events: SocketEvents): Promise<Parsed<DhcpSocket>> {
  const fd = bindDevice(link.name);
  if (!fd.ok) return fd;
  // Addresses are never names: without it every send makes a round through the resolver.
  const socket = createSocket({ type: 'udp4', lookup: (name, _options, found) => found(null, name, 4) });
  try {
    socket.bind({ fd: fd.value });
  } catch (error) {
    libc.close(fd.value);
    return bad(`Socket on ${link.name} cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { ok: true, value: wrap(socket, link, events) };
}

function bindDevice(name: string): Parsed<number> {
  const opened = openDeviceSocket(name, SERVER_PORT);
  if (!opened.ok) return bad(explain(name, opened.error));
  // Needs CAP_NET_ADMIN; without it the default has to do.
  libc.setsockopt(opened.fd, C.SOL_SOCKET, C.SO_RCVBUFFORCE, int(RECEIVE_BUFFER_BYTES), 4);
  return { ok: true, value: opened.fd };
}

function explain(name: string, error: string): string {
  if (error === 'EADDRINUSE') return `UDP port 67 on ${name} is taken: another DHCP server runs on this host`;
  if (error === 'EPERM' || error === 'EACCES') {
    return `UDP port 67 on ${name} is not allowed: CAP_NET_RAW and CAP_NET_BIND_SERVICE are needed`;
  }
  if (error === 'ENODEV') return `There is no interface ${name}`;
  return `UDP port 67 on ${name} cannot be opened: ${error}`;
}

function wrap(socket: Socket, link: Link, events: SocketEvents): DhcpSocket {
  let closed = false;
  socket.on('message', (bytes) => {
    if (!closed) events.onMessage(bytes);
  });
  socket.on('error', (error) => {
    if (!closed) events.onBroken(`Socket on ${link.name} failed: ${error.message}`);
  });
  return {
    warning: relaxReversePathFilter(link.name),
    send(bytes, address: Ipv4, onFailure) {
      if (closed) return onFailure();
      if (socket.getSendQueueCount() >= MAX_QUEUED_SENDS) return onFailure();
      socket.send(bytes, CLIENT_PORT, formatIpv4(address), (error) => {
        if (error && !closed) onFailure();
      });
    },
    close() {
      closed = true;
      socket.close();
    },
  };
}

function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
