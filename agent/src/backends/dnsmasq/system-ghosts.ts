// Ends leases by DHCPRELEASE from this host, and sees from the kernel that they were taken.
//
// By the interface of the network: another one may have the same service address, and with it another dnsmasq.

import { createSocket, type Socket } from 'node:dgram';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type Clock, delay } from '@leasehold/program/clock';
import { formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import { MESSAGE_TYPE, OPTION } from '../../domain/dhcp/codes.js';
import { encode, MIN_MAX_BYTES } from '../../domain/dhcp/message.js';
import { u8, u32 } from '../../domain/dhcp/option-values.js';
import { openDeviceSocket } from '../../system/device-sockets.js';
import type { Ghost, GhostReleases } from './ghosts.js';

const SERVER_PORT = 67;

// A quarter of what the default receive buffer holds of them.
const CHUNK = 64;
const LOOK_MS = 1;
const PATIENCE_MS = 2_000;

/** The queue of a socket, as the kernel tells it. */
interface Queue {
  readonly bytes: number;
  /** Datagrams lost for want of room, since it was opened. */
  readonly drops: number;
}

/** Releases by this host's network. */
export function systemGhosts(clock: Clock): GhostReleases {
  return {
    async release(pid, { link, address }, ghosts) {
      const opened = openDeviceSocket(link.name, 0);
      if (!opened.ok) return false;
      const socket = createSocket({ type: 'udp4', lookup: (name, _options, found) => found(null, name, 4) });
      socket.on('error', () => undefined);
      try {
        socket.bind({ fd: opened.fd });
        for (let from = 0; from < ghosts.length; from += CHUNK) {
          const before = readQueue(pid);
          const sent = await Promise.all(ghosts.slice(from, from + CHUNK).map((ghost) => send(socket, address, ghost)));
          const after = await emptied(clock, pid);
          if (sent.includes(false) || !before || !after || after.drops !== before.drops) return false;
        }
        return true;
      } finally {
        socket.close();
      }
    },
  };
}

async function emptied(clock: Clock, pid: number): Promise<Queue | undefined> {
  const deadline = clock.now() + PATIENCE_MS;
  while (clock.now() < deadline) {
    const queue = readQueue(pid);
    if (!queue || queue.bytes === 0) return queue;
    await delay(clock, LOOK_MS);
  }
  return undefined;
}

/** Whether it was sent. */
function send(socket: Socket, serviceAddress: Ipv4, { mac, address }: Ghost): Promise<boolean> {
  const unset = 0 as Ipv4;
  const { bytes } = encode(
    {
      op: 'request',
      xid: address,
      flags: 0,
      ciaddr: address,
      yiaddr: unset,
      siaddr: unset,
      giaddr: unset,
      mac,
      options: new Map([
        [OPTION.messageType, u8(MESSAGE_TYPE.release)],
        [OPTION.serverId, u32(serviceAddress)],
      ]),
    },
    MIN_MAX_BYTES,
  );
  return new Promise((resolve) => {
    socket.send(bytes, SERVER_PORT, formatIpv4(serviceAddress), (error) => resolve(!error));
  });
}

/** The queue of the DHCP socket of a process; undefined when it cannot be seen. */
function readQueue(pid: number): Queue | undefined {
  try {
    const inodes = new Set(readdirSync(`/proc/${pid}/fd`).flatMap((fd) => socketOf(pid, fd)));
    for (const line of readFileSync(`/proc/${pid}/net/udp`, 'latin1').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const [, local = '', , , queues = '', , , , , inode = ''] = fields;
      if (!local.endsWith(':0043') || !inodes.has(inode)) continue;
      return { bytes: Number.parseInt(queues.split(':')[1] ?? '', 16), drops: Number(fields[12]) };
    }
  } catch {
    // It has ended.
  }
  return undefined;
}

function socketOf(pid: number, fd: string): string[] {
  try {
    return /^socket:\[([0-9]+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.slice(1, 2) ?? [];
  } catch {
    return [];
  }
}
