// A guest's DHCP client (RFC 2131 §4.4), as a pure function: what it is, what happens, and when, give what it is next and
// what it does. Times are on the guest's own clock.
//
//   G1. A lease counts from the send of the REQUEST that was acknowledged, and ends by the guest's clock alone.
//   G2. An address is used only while a lease of it runs, but by guests that overstay.
//   G3. Only an answer with the xid of the question that is open changes anything.

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import type { DhcpMessage } from '@leasehold/agent/domain/dhcp/message';
import { readAddress, u8, u32 } from '@leasehold/agent/domain/dhcp/option-values';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { BROADCAST_ADDRESS, UNSET_ADDRESS } from './frames.js';

/** What kind of guest it is. */
export interface GuestTraits {
  readonly mac: Mac;
  /** `rfc`: asks again after 4, 8, 16, 32 and 64 s; `eager`: every 3 s, as busybox does. */
  readonly patience: 'rfc' | 'eager';
  /** Renews by unicast on its interface. Others send it by a route that they do not have, and it is lost. */
  readonly renewsOnLink: boolean;
  /** Asks by ARP who uses an address before it does. */
  readonly probes: boolean;
  /** Remembers its address over a reboot, and asks for that (INIT-REBOOT). */
  readonly remembers: boolean;
  /** Uses its address on when its lease ended. */
  readonly overstays: boolean;
}

/** A lease as it was granted. */
export interface GuestLease {
  readonly address: Ipv4;
  readonly server: Ipv4;
  readonly sentMs: number;
  readonly t1Ms: number;
  readonly t2Ms: number;
  readonly expiresMs: number;
}

interface Asking {
  readonly xid: number;
  readonly attempt: number;
  readonly sentMs: number;
  readonly dueMs: number;
}

/** What a guest is. With `dueMs` it wants to be told `due` then. */
export type GuestState =
  | { readonly kind: 'off'; readonly remembered: Ipv4 | undefined }
  /** INIT, after a refusal. */
  | { readonly kind: 'waiting'; readonly dueMs: number }
  | ({ readonly kind: 'selecting' } & Asking)
  | ({ readonly kind: 'requesting'; readonly address: Ipv4; readonly server: Ipv4 } & Asking)
  /** INIT-REBOOT. */
  | ({ readonly kind: 'rebooting'; readonly address: Ipv4 } & Asking)
  /** It has the lease, and asks whether somebody else uses the address. */
  | { readonly kind: 'probing'; readonly lease: GuestLease; readonly attempt: number; readonly dueMs: number }
  | { readonly kind: 'bound'; readonly lease: GuestLease; readonly dueMs: number }
  | ({ readonly kind: 'renewing' | 'rebinding'; readonly lease: GuestLease } & Asking)
  /** Without a lease it uses the address on. */
  | { readonly kind: 'overstaying'; readonly address: Ipv4 };

/** What happens to a guest. */
export type GuestEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'due' }
  | { readonly kind: 'message'; readonly message: DhcpMessage }
  /** Somebody with another MAC says to have this address. */
  | { readonly kind: 'claimed'; readonly address: Ipv4 }
  | { readonly kind: 'stop'; readonly releases: boolean };

/** What a guest does. */
export type GuestEffect =
  | { readonly kind: 'send'; readonly message: DhcpMessage; readonly to: Ipv4 }
  /** Asks by ARP who has it. */
  | { readonly kind: 'probe'; readonly address: Ipv4 }
  /** Tells everybody by ARP. */
  | { readonly kind: 'announce'; readonly address: Ipv4 }
  /** A lease was granted, or prolonged. */
  | { readonly kind: 'leased'; readonly lease: GuestLease };

/** What a step needs besides. */
export interface GuestContext {
  readonly traits: GuestTraits;
  readonly nowMs: number;
  /** A number from 0 (included) to 1 (excluded). */
  readonly chance: () => number;
}

/** What became of it. */
export interface GuestStep {
  readonly state: GuestState;
  readonly effects: readonly GuestEffect[];
}

/** A guest that was never on. */
export const NEW_GUEST: GuestState = { kind: 'off', remembered: undefined };

/** A timer may be so much early, by what a clock that drifts loses in a division. */
const TIMER_EARLY_MS = 1e-3;
const PROBES = 2;
const PROBE_WAIT_MS = 200;
const MAX_ATTEMPTS = 5;
// A RENEW or REBIND is repeated at half of what remains. RFC 2131 §4.4.5 wants a minute at least; with leases of two
// minutes that is never, and clients repeat sooner.
const LEAST_RENEW_WAIT_MS = 5_000;
const BROADCAST_FLAG = 0x8000;
const PARAMETERS = Uint8Array.of(OPTION.subnetMask, OPTION.router, OPTION.dnsServers, OPTION.leaseTime);

/** The lease that a guest has, as it sees it; undefined: none that runs. */
export function leaseOf(state: GuestState, nowMs: number): GuestLease | undefined {
  return 'lease' in state && nowMs < state.lease.expiresMs ? state.lease : undefined;
}

/** The address that it answers ARP for. */
export function usedAddress(state: GuestState, nowMs: number): Ipv4 | undefined {
  if (state.kind === 'overstaying') return state.address;
  return state.kind === 'probing' ? undefined : leaseOf(state, nowMs)?.address;
}

/** Whether it wants an answer that it did not get yet. */
export function isAsking(state: GuestState): boolean {
  return 'xid' in state;
}

/** See the top of the file. */
export function guestStep(state: GuestState, event: GuestEvent, context: GuestContext): GuestStep {
  switch (event.kind) {
    case 'start':
      return state.kind === 'off' ? start(state.remembered, context) : stay(state);
    case 'stop':
      return stop(state, event.releases, context);
    case 'due':
      return due(state, context);
    case 'message':
      return hear(state, event.message, context);
    case 'claimed':
      return state.kind === 'probing' && state.lease.address === event.address ? decline(state, context) : stay(state);
  }
}

function stay(state: GuestState): GuestStep {
  return { state, effects: [] };
}

function start(remembered: Ipv4 | undefined, context: GuestContext): GuestStep {
  return remembered === undefined ? discover(context) : ask('rebooting', remembered, newXid(context), 0, context);
}

function stop(state: GuestState, releases: boolean, context: GuestContext): GuestStep {
  const lease = leaseOf(state, context.nowMs);
  const kept = lease?.address ?? ('address' in state ? state.address : undefined);
  const remembered = context.traits.remembers && !releases ? kept : undefined;
  const off: GuestState = { kind: 'off', remembered: state.kind === 'off' ? state.remembered : remembered };
  if (!lease || !releases) return stay(off);
  const options = [[OPTION.serverId, u32(lease.server)]] as const;
  const message = clientMessage(context.traits, newXid(context), 'release', options, lease.address);
  return { state: off, effects: [{ kind: 'send', message, to: lease.server }] };
}

function due(state: GuestState, { nowMs, ...rest }: GuestContext): GuestStep {
  if (!('dueMs' in state) || nowMs < state.dueMs - TIMER_EARLY_MS) return stay(state);
  const context: GuestContext = { ...rest, nowMs: Math.max(nowMs, state.dueMs) };
  switch (state.kind) {
    case 'waiting':
      return discover(context);
    case 'selecting':
      return discover(context, state.xid, state.attempt + 1);
    case 'requesting':
      if (state.attempt + 1 >= MAX_ATTEMPTS) return discover(context);
      return request(state.address, state.server, state.xid, state.attempt + 1, context);
    case 'rebooting':
      if (state.attempt >= 1) return discover(context);
      return ask('rebooting', state.address, state.xid, state.attempt + 1, context);
    case 'probing':
      return state.attempt < PROBES ? probe(state.lease, state.attempt + 1, context) : bind(state.lease, context);
    case 'bound':
      return prolong('renewing', state.lease, newXid(context), 0, context);
    case 'renewing':
    case 'rebinding':
      return prolongAgain(state, context);
  }
}

function prolongAgain(
  state: GuestState & { readonly kind: 'renewing' | 'rebinding' },
  context: GuestContext,
): GuestStep {
  const { lease, xid, attempt } = state;
  if (context.nowMs >= lease.expiresMs) return expire(lease, context);
  if (context.nowMs < lease.t2Ms) return prolong('renewing', lease, xid, attempt + 1, context);
  const isNew = state.kind === 'renewing';
  return prolong('rebinding', lease, isNew ? newXid(context) : xid, isNew ? 0 : attempt + 1, context);
}

function expire(lease: GuestLease, context: GuestContext): GuestStep {
  if (context.traits.overstays) return stay({ kind: 'overstaying', address: lease.address });
  return discover(context);
}

function hear(state: GuestState, message: DhcpMessage, context: GuestContext): GuestStep {
  if (!('xid' in state) || message.xid !== state.xid || message.mac !== context.traits.mac) return stay(state);
  if (message.op !== 'reply') return stay(state);
  const type = message.options.get(OPTION.messageType)?.[0];
  const server = readAddress(message.options.get(OPTION.serverId));
  if (server === undefined) return stay(state);
  if (state.kind === 'selecting') {
    if (type !== MESSAGE_TYPE.offer || message.yiaddr === UNSET_ADDRESS) return stay(state);
    return request(message.yiaddr, server, state.xid, 0, context);
  }
  if (type === MESSAGE_TYPE.nak)
    return stay({ kind: 'waiting', dueMs: context.nowMs + 500 + context.chance() * 2_500 });
  if (type !== MESSAGE_TYPE.ack) return stay(state);
  const lease = leaseIn(message, server, state.sentMs);
  return lease ? accept(state, lease, context) : stay(state);
}

function accept(state: GuestState & Asking, lease: GuestLease, context: GuestContext): GuestStep {
  const isNew = state.kind === 'requesting' || state.kind === 'rebooting';
  const { state: next, effects } = isNew && context.traits.probes ? probe(lease, 1, context) : bind(lease, context);
  return { state: next, effects: [{ kind: 'leased', lease }, ...effects] };
}

function bind(lease: GuestLease, context: GuestContext): GuestStep {
  // The probes took their time, and a lease may be shorter.
  if (context.nowMs >= lease.expiresMs) return expire(lease, context);
  return {
    state: { kind: 'bound', lease, dueMs: lease.t1Ms },
    effects: [{ kind: 'announce', address: lease.address }],
  };
}

function probe(lease: GuestLease, attempt: number, { nowMs }: GuestContext): GuestStep {
  const state: GuestState = { kind: 'probing', lease, attempt, dueMs: nowMs + PROBE_WAIT_MS };
  return { state, effects: [{ kind: 'probe', address: lease.address }] };
}

function decline({ lease }: GuestState & { readonly kind: 'probing' }, context: GuestContext): GuestStep {
  const { traits, nowMs } = context;
  const options = [
    [OPTION.requestedAddress, u32(lease.address)],
    [OPTION.serverId, u32(lease.server)],
  ] as const;
  const message = clientMessage(traits, newXid(context), 'decline', options);
  // RFC 2131 §3.1: ten seconds at least before it begins again.
  const state: GuestState = { kind: 'waiting', dueMs: nowMs + 10_000 };
  return { state, effects: [{ kind: 'send', message, to: BROADCAST_ADDRESS }] };
}

function discover(context: GuestContext, xid = newXid(context), attempt = 0): GuestStep {
  const message = clientMessage(context.traits, xid, 'discover', []);
  const state: GuestState = { kind: 'selecting', ...asking(xid, attempt, context) };
  return { state, effects: [{ kind: 'send', message, to: BROADCAST_ADDRESS }] };
}

function request(address: Ipv4, server: Ipv4, xid: number, attempt: number, context: GuestContext): GuestStep {
  const options = [
    [OPTION.requestedAddress, u32(address)],
    [OPTION.serverId, u32(server)],
  ] as const;
  const message = clientMessage(context.traits, xid, 'request', options);
  const state: GuestState = { kind: 'requesting', address, server, ...asking(xid, attempt, context) };
  return { state, effects: [{ kind: 'send', message, to: BROADCAST_ADDRESS }] };
}

function ask(kind: 'rebooting', address: Ipv4, xid: number, attempt: number, context: GuestContext): GuestStep {
  const message = clientMessage(context.traits, xid, 'request', [[OPTION.requestedAddress, u32(address)]]);
  const state: GuestState = { kind, address, ...asking(xid, attempt, context) };
  return { state, effects: [{ kind: 'send', message, to: BROADCAST_ADDRESS }] };
}

function prolong(
  kind: 'renewing' | 'rebinding',
  lease: GuestLease,
  xid: number,
  attempt: number,
  { traits, nowMs }: GuestContext,
): GuestStep {
  const endMs = kind === 'renewing' ? lease.t2Ms : lease.expiresMs;
  const waitMs = Math.max(LEAST_RENEW_WAIT_MS, (endMs - nowMs) / 2);
  const message = clientMessage(traits, xid, 'request', [], lease.address);
  const state: GuestState = { kind, lease, xid, attempt, sentMs: nowMs, dueMs: Math.min(endMs, nowMs + waitMs) };
  const to = kind === 'renewing' ? lease.server : BROADCAST_ADDRESS;
  return { state, effects: [{ kind: 'send', message, to }] };
}

function asking(xid: number, attempt: number, context: GuestContext): Asking {
  return { xid, attempt, sentMs: context.nowMs, dueMs: context.nowMs + waitMs(attempt, context) };
}

// RFC 2131 §4.1: doubled each time, up to 64 s, give or take a second.
function waitMs(attempt: number, { traits, chance }: GuestContext): number {
  if (traits.patience === 'eager') return attempt % 3 === 2 ? 10_000 : 3_000;
  return Math.min(64_000, 4_000 * 2 ** attempt) + (chance() * 2 - 1) * 1_000;
}

function newXid({ chance }: GuestContext): number {
  return Math.floor(chance() * 2 ** 32);
}

function leaseIn(message: DhcpMessage, server: Ipv4, sentMs: number): GuestLease | undefined {
  const leaseMs = secondsIn(message, OPTION.leaseTime);
  if (leaseMs === undefined || message.yiaddr === UNSET_ADDRESS) return undefined;
  const t1Ms = secondsIn(message, OPTION.renewalTime) ?? leaseMs / 2;
  const t2Ms = secondsIn(message, OPTION.rebindingTime) ?? (leaseMs * 7) / 8;
  const times = { t1Ms: sentMs + t1Ms, t2Ms: sentMs + t2Ms, expiresMs: sentMs + leaseMs };
  return { address: message.yiaddr, server, sentMs, ...times };
}

// A number of four bytes, as an address is.
function secondsIn({ options }: DhcpMessage, code: number): number | undefined {
  const seconds = readAddress(options.get(code));
  return seconds === undefined ? undefined : seconds * 1_000;
}

function clientMessage(
  { mac }: GuestTraits,
  xid: number,
  type: 'discover' | 'request' | 'decline' | 'release',
  options: readonly (readonly [code: number, value: Uint8Array])[],
  ciaddr: Ipv4 = UNSET_ADDRESS,
): DhcpMessage {
  const all: [number, Uint8Array][] = [[OPTION.messageType, u8(MESSAGE_TYPE[type])]];
  for (const [code, value] of options) all.push([code, value]);
  if (type === 'discover' || type === 'request') all.push([OPTION.parameterList, PARAMETERS]);
  return {
    ...{ op: 'request', xid, flags: ciaddr === UNSET_ADDRESS ? BROADCAST_FLAG : 0, mac, options: new Map(all) },
    ...{ ciaddr, yiaddr: UNSET_ADDRESS, siaddr: UNSET_ADDRESS, giaddr: UNSET_ADDRESS },
  };
}
