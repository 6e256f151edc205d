// Many guests in one process, in a guest's namespace: each takes the next MAC, discovers, requests what it was offered,
// and is done with the ACK. What is lost is sent again.

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { openGuestSocket, serverMessage } from '../support/guest-socket.js';
import { percentile } from './benchmark.js';
import { childArgument, childResult } from './child.js';
import type { ExchangeResult, ExchangeTask } from './dhcp-contender.js';
import { AT, discoverTemplate, requestTemplate } from './exchange-messages.js';

const LOST_AFTER_MS = 200;
// A responder that reads its reservations may take seconds.
const GIVE_UP_AFTER_MS = 30_000;

interface Guest {
  readonly discover: Buffer;
  readonly request: Buffer;
  xid: number;
  /** When it discovered first. */
  begunMs: number;
  /** What it waits for an answer to. */
  sent: Buffer;
  sentMs: number;
}

const task = childArgument<ExchangeTask>();
const guests: Guest[] = Array.from({ length: task.outstanding }, () => {
  const discover = discoverTemplate();
  return { discover, request: requestTemplate(), xid: 0, begunMs: 0, sent: discover, sentMs: 0 };
});
const times: number[] = [];
let begun = 0;
let done = 0;
let repeated = 0;
let lastMs = 0;
let serverId: Uint8Array | undefined;

const socket = openGuestSocket(task.interfaceName, (bytes) => {
  const xid = bytes.readUInt32BE(AT.xid);
  const guest = guests[xid % task.outstanding];
  if (guest?.xid !== xid) return;
  const type = typeOf(bytes);
  if (type === MESSAGE_TYPE.offer && guest.sent === guest.discover) accept(guest, bytes);
  else if (type === MESSAGE_TYPE.ack && guest.sent === guest.request) finish(guest);
  else if (type === MESSAGE_TYPE.nak) throw new Error('A guest was refused what it was offered');
});

// Ours is where the templates have it; others sort their options.
function typeOf(bytes: Buffer): number | undefined {
  if (bytes[AT.messageType - 2] === OPTION.messageType) return bytes[AT.messageType];
  return serverMessage(bytes)?.options.get(OPTION.messageType)?.[0];
}

function begin(guest: Guest, index: number): void {
  // Distinct from that of the exchange before: a late answer to it must not count.
  guest.xid = (Math.floor(guest.xid / task.outstanding) + 1) * task.outstanding + index;
  const mac = begun++ % task.macs;
  for (const message of [guest.discover, guest.request]) {
    message.writeUInt32BE(guest.xid, AT.xid);
    message.writeUInt32BE(mac, AT.chaddr + 2);
  }
  guest.begunMs = performance.now();
  send(guest, guest.discover);
}

function accept(guest: Guest, offer: Buffer): void {
  // All servers of a network have the same one. The echo has none.
  serverId ??= serverMessage(offer)?.options.get(OPTION.serverId) ?? new Uint8Array(4);
  guest.request.set(serverId, AT.serverId);
  offer.copy(guest.request, AT.requested, AT.yiaddr, AT.yiaddr + 4);
  send(guest, guest.request);
}

function send(guest: Guest, message: Buffer): void {
  guest.sent = message;
  guest.sentMs = performance.now();
  socket.send(message);
}

function finish(guest: Guest): void {
  lastMs = performance.now();
  times.push(performance.now() - guest.begunMs);
  if (++done === task.exchanges) end();
  guest.sentMs = Number.POSITIVE_INFINITY;
  if (begun === task.exchanges) return;
  if (task.pauseMs) setTimeout(begin, task.pauseMs, guest, guests.indexOf(guest));
  else begin(guest, guests.indexOf(guest));
}

function end(): never {
  const result: ExchangeResult = {
    seconds: (performance.now() - startedMs) / 1_000,
    repeated,
    p50Ms: percentile(times, 0.5),
    p99Ms: percentile(times, 0.99),
    slowestMs: Math.max(...times),
  };
  childResult(result);
  process.exit(0);
}

setInterval(() => {
  const now = performance.now();
  if (now - lastMs > GIVE_UP_AFTER_MS) throw new Error(`Nobody answered for ${GIVE_UP_AFTER_MS / 1_000} s`);
  for (const guest of guests) {
    if (now - guest.sentMs < LOST_AFTER_MS) continue;
    repeated++;
    send(guest, guest.sent);
  }
}, LOST_AFTER_MS / 4);

const startedMs = performance.now();
lastMs = startedMs;
for (const [index, guest] of guests.entries()) begin(guest, index);
