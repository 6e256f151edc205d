// What a DHCP message is answered with: a pure function of the message, the table and the agent's standing.
//
//   R1. A MAC without a reservation gets silence, never a NAK: another server may know it.
//   R2. No address is given but the one reserved for the MAC.
//   R3. A NAK only says that an address is wrong for this MAC in this network. Never to a request that names another
//       server, never while the control plane was not heard: the table may be the one that is wrong.
//   R4. Unicast only to the reserved address of a client that says it uses it. Unicast to anything else lets a guest
//       fill the host's neighbour table (1,024 entries) with addresses that answer no ARP.
//   R5. RELEASE and DECLINE change nothing: the reservation is the lease, and a MAC is easily forged.

import type { Ipv4 } from '@leasehold/proto/values';
import { MESSAGE_TYPE, OPTION } from './dhcp/codes.js';
import { type DhcpMessage, encode, type Malformed, MIN_MAX_BYTES } from './dhcp/message.js';
import { readAddress } from './dhcp/option-values.js';
import { informOptions, leaseOptions, nakOptions } from './lease-options.js';
import type { Standing } from './standing.js';
import type { Lease, NetworkTable } from './table.js';

/** What to do about a message. */
export type Answer = Reply | Silence;

/** Something to send. With a delay: respond() again when it has passed, and do what it says then, at once. */
export interface Reply {
  readonly kind: 'reply';
  readonly type: ReplyType;
  readonly bytes: Buffer;
  readonly destination: 'broadcast' | Ipv4;
  readonly delayMs: number;
  /** Codes of options that were asked for and did not fit. */
  readonly leftOut: readonly number[];
}

/** Nothing to send. */
export interface Silence {
  readonly kind: 'silence';
  readonly reason: SilenceReason;
}

/** All types of replies; `inform` is the ACK of an INFORM. */
export const REPLY_TYPES = ['offer', 'ack', 'nak', 'inform'] as const;

/** A type of reply. */
export type ReplyType = (typeof REPLY_TYPES)[number];

/** All reasons to be silent. */
export const SILENCE_REASONS = [
  'too-short',
  'too-long',
  'bad-op',
  'not-ethernet',
  'no-cookie',
  'bad-options',
  'not-a-request',
  'no-authority',
  'relayed',
  'unassigned',
  'unknown-type',
  'unknown-mac',
  'other-server',
  'no-address',
  'wrong-address',
  'behind',
  'release',
  'decline',
] as const;

/** A reason to be silent. */
export type SilenceReason = (typeof SILENCE_REASONS)[number] | Malformed;

/** A newer table may be on its way when a NAK seems due; a sibling that is up to date may win while this one is behind. */
const PAUSE_MS = 1_000;

const UNSET = 0 as Ipv4;
const IP_AND_UDP_HEADERS = 28;
const ETHERNET_MTU = 1_500;

/** Decides about one message. */
export function respond(request: DhcpMessage, table: NetworkTable, standing: Standing): Answer {
  if (request.op !== 'request') return silence('not-a-request');
  if (standing === 'silent') return silence('no-authority');
  if (request.giaddr !== UNSET) return silence('relayed');
  const { serviceAddress } = table;
  if (serviceAddress === undefined) return silence('unassigned');
  const lease = table.findByMac(request.mac);
  if (!lease) return silence('unknown-mac');
  const context: Context = { request, lease, serviceAddress, standing };
  const type = request.options.get(OPTION.messageType);
  switch (type?.length === 1 ? type[0] : undefined) {
    case MESSAGE_TYPE.discover:
      return offer(context);
    case MESSAGE_TYPE.request:
      return answerRequest(context);
    case MESSAGE_TYPE.inform:
      return answerInform(context);
    case MESSAGE_TYPE.release:
      return silence('release');
    case MESSAGE_TYPE.decline:
      return answerDecline(context);
    default:
      return silence('unknown-type');
  }
}

interface Context {
  readonly request: DhcpMessage;
  readonly lease: Lease;
  readonly serviceAddress: Ipv4;
  readonly standing: Standing;
}

function offer(context: Context): Reply {
  const { request, lease, serviceAddress, standing } = context;
  return reply('offer', context, {
    yiaddr: lease.entry.address,
    options: leaseOptions('offer', request, lease, serviceAddress),
    delayMs: standing === 'behind' ? PAUSE_MS : 0,
  });
}

// RFC 2131 §4.3.2. SELECTING names the server and an address, INIT-REBOOT an address, RENEWING and REBINDING use
// theirs. Since any server of the network may answer any of them, the last three need not be told apart.
function answerRequest(context: Context): Answer {
  const { request, lease, serviceAddress } = context;
  const server = request.options.get(OPTION.serverId);
  if (server && readAddress(server) !== serviceAddress) return silence('other-server');
  const requested = request.options.get(OPTION.requestedAddress);
  const address = requested ? readAddress(requested) : request.ciaddr;
  if (address === undefined || address === UNSET) return silence('no-address');
  if (address !== lease.entry.address) return nak(context);
  return reply('ack', context, {
    ciaddr: request.ciaddr,
    yiaddr: lease.entry.address,
    options: leaseOptions('ack', request, lease, serviceAddress),
    destination: request.ciaddr === lease.entry.address ? request.ciaddr : 'broadcast',
  });
}

function nak(context: Context): Answer {
  if (context.standing !== 'synchronised') return silence('behind');
  return reply('nak', context, {
    options: nakOptions(context.request, context.serviceAddress),
    delayMs: PAUSE_MS,
  });
}

function answerInform(context: Context): Answer {
  const { request, lease, serviceAddress } = context;
  if (request.ciaddr === UNSET) return silence('no-address');
  if (request.ciaddr !== lease.entry.address) return silence('wrong-address');
  return reply('inform', context, {
    ciaddr: request.ciaddr,
    options: informOptions(request, lease, serviceAddress),
    destination: request.ciaddr,
  });
}

// Told apart from those that say nothing of this reservation: it makes the next OFFER wait.
function answerDecline({ request, lease, serviceAddress }: Context): Silence {
  const server = request.options.get(OPTION.serverId);
  if (!server || readAddress(server) !== serviceAddress) return silence('other-server');
  const declined = request.options.get(OPTION.requestedAddress);
  const isOurs = declined !== undefined && readAddress(declined) === lease.entry.address;
  return silence(isOurs ? 'decline' : 'wrong-address');
}

interface ReplyParts {
  readonly options: ReadonlyMap<number, Uint8Array>;
  readonly ciaddr?: Ipv4;
  readonly yiaddr?: Ipv4;
  readonly destination?: Ipv4 | 'broadcast';
  readonly delayMs?: number;
}

function reply(type: ReplyType, { request, lease }: Context, parts: ReplyParts): Reply {
  const encoded = encode(
    {
      op: 'reply',
      xid: request.xid,
      flags: request.flags,
      ciaddr: parts.ciaddr ?? UNSET,
      yiaddr: parts.yiaddr ?? UNSET,
      siaddr: UNSET,
      giaddr: UNSET,
      mac: request.mac,
      options: parts.options,
    },
    maxBytes(request, lease.subnet.mtu),
  );
  return {
    kind: 'reply',
    type,
    bytes: encoded.bytes,
    destination: parts.destination ?? 'broadcast',
    delayMs: parts.delayMs ?? 0,
    leftOut: encoded.leftOut,
  };
}

// Option 57 counts the headers too, as everybody reads it. The link has its say: fragments are often filtered.
function maxBytes(request: DhcpMessage, mtu: number): number {
  const option = request.options.get(OPTION.maxMessageSize);
  const accepted = option?.length === 2 ? ((option[0] ?? 0) << 8) | (option[1] ?? 0) : 0;
  const carried = mtu === 0 ? ETHERNET_MTU : Math.min(mtu, ETHERNET_MTU);
  return Math.max(Math.min(accepted, carried) - IP_AND_UDP_HEADERS, MIN_MAX_BYTES);
}

function silence(reason: SilenceReason): Silence {
  return { kind: 'silence', reason };
}
