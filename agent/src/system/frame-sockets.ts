// Hears an interface by a raw socket (packet(7)), which Node has no API for: read without waiting, whenever asked. What
// does not matter a filter of the kernel drops (classic BPF), so that a flood of DISCOVERs costs nothing here.

import { formatMac, type Mac } from '@leasehold/proto/values';
import type { Link } from '../backends/dhcp-backend.js';
import type { FrameSocket, FrameSockets } from '../sentinel/frame-sockets.js';
import { C, lastError, libc } from './libc.js';

// The longest DHCP message that is decoded fits.
const FRAME_BYTES = 4_608;
// One number of the kernel has two names.
const NOTHING_NOW: ReadonlySet<string> = new Set(['EAGAIN', 'EWOULDBLOCK', 'EINTR']);
const DROP = 0;
const TAKE = FRAME_BYTES;

/** Of this host. */
export const systemFrameSockets: FrameSockets = {
  open(link) {
    const fd = libc.socket(C.AF_PACKET, C.SOCK_RAW | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0);
    if (fd < 0) return { ok: false, problem: explain(link, lastError()) };
    const mac = macOf(fd, link);
    // Bound to a protocol only now: nothing comes before the filter is there.
    const isReady = mac !== undefined && attachFilter(fd) && libc.bind(fd, sockaddrLl(link.index), 20) === 0;
    if (isReady) return { ok: true, value: wrap(fd, mac) };
    const problem = explain(link, lastError());
    libc.close(fd);
    return { ok: false, problem };
  },
};

function explain({ name }: Link, error: string): string {
  if (error === 'EPERM' || error === 'EACCES') return `A raw socket on ${name} needs CAP_NET_RAW`;
  return `A raw socket on ${name} cannot be opened: ${error}`;
}

function macOf(fd: number, { name }: Link): Mac | undefined {
  const request = Buffer.alloc(C.IFREQ_SIZE);
  request.write(name, 'utf8');
  if (libc.ioctl(fd, C.SIOCGIFHWADDR, request) < 0) return undefined;
  // A struct sockaddr: behind its family are the bytes.
  return formatMac(request.subarray(C.IFNAMSIZ + 2, C.IFNAMSIZ + 8));
}

function wrap(fd: number, mac: Mac): FrameSocket {
  const buffer = Buffer.alloc(FRAME_BYTES);
  let isClosed = false;
  return {
    mac,
    send(frame) {
      if (!isClosed) libc.send(fd, frame, frame.length, 0);
    },
    read() {
      if (isClosed) return 'broken';
      const length = libc.recv(fd, buffer, buffer.length, 0);
      if (length >= 0) return buffer.subarray(0, length);
      const error = lastError();
      return NOTHING_NOW.has(error) ? undefined : 'broken';
    },
    close() {
      if (!isClosed) libc.close(fd);
      isClosed = true;
    },
  };
}

function sockaddrLl(index: number): Uint8Array {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt16LE(C.AF_PACKET, 0);
  bytes.writeUInt16BE(C.ETH_P_ALL, 2);
  bytes.writeInt32LE(index, 4);
  return bytes;
}

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number];

// <linux/filter.h>: loads of a word, half word or byte, at a fixed place or after the IP header; jumps; the verdict.
const BPF = {
  ldW: 0x20,
  ldH: 0x28,
  ldB: 0x30,
  ldHx: 0x48,
  ldBx: 0x50,
  ldxIpLength: 0xb1,
  jeq: 0x15,
  jset: 0x45,
  ret: 0x06,
};
const PACKET_TYPE = 0xfffff004;
const OUTGOING = 4;

// Offsets of a frame: what follows the IP header is counted from 14 with it in X. Of a request it takes for granted that
// option 53 is the first, as all clients have it, for the options have no fixed place.
const FILTER: readonly Instruction[] = [
  /*  0 */ [BPF.ldW, 0, 0, PACKET_TYPE],
  /*  1 */ [BPF.jeq, 19, 0, OUTGOING],
  /*  2 */ [BPF.ldH, 0, 0, 12],
  /*  3 */ [BPF.jeq, 16, 0, 0x0806],
  /*  4 */ [BPF.jeq, 0, 16, 0x0800],
  /*  5 */ [BPF.ldB, 0, 0, 23],
  /*  6 */ [BPF.jeq, 0, 14, 17],
  /*  7 */ [BPF.ldH, 0, 0, 20],
  /*  8 */ [BPF.jset, 12, 0, 0x1fff],
  /*  9 */ [BPF.ldxIpLength, 0, 0, 14],
  /* 10 */ [BPF.ldHx, 0, 0, 14],
  /* 11 */ [BPF.jeq, 8, 0, 67],
  /* 12 */ [BPF.ldHx, 0, 0, 16],
  /* 13 */ [BPF.jeq, 0, 7, 67],
  /* 14 */ [BPF.ldHx, 0, 0, 262],
  /* 15 */ [BPF.jeq, 0, 5, 0x3501],
  /* 16 */ [BPF.ldBx, 0, 0, 264],
  /* 17 */ [BPF.jeq, 2, 0, 3],
  /* 18 */ [BPF.jeq, 1, 0, 4],
  /* 19 */ [BPF.jeq, 0, 1, 7],
  /* 20 */ [BPF.ret, 0, 0, TAKE],
  /* 21 */ [BPF.ret, 0, 0, DROP],
];

function attachFilter(fd: number): boolean {
  const program = Buffer.alloc(8 * FILTER.length);
  for (const [i, [code, jumpTrue, jumpFalse, k]] of FILTER.entries()) {
    program.writeUInt16LE(code, 8 * i);
    program[8 * i + 2] = jumpTrue;
    program[8 * i + 3] = jumpFalse;
    program.writeUInt32LE(k, 8 * i + 4);
  }
  return libc.attachFilter(fd, program, FILTER.length);
}
