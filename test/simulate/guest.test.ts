import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import type { DhcpMessage } from '@leasehold/agent/domain/dhcp/message';
import { readAddress, u8, u32 } from '@leasehold/agent/domain/dhcp/option-values';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import { BROADCAST_ADDRESS } from './frames.js';
import {
  type GuestEvent,
  type GuestState,
  type GuestStep,
  type GuestTraits,
  guestStep,
  leaseOf,
  NEW_GUEST,
  usedAddress,
} from './guest.js';

const MAC = '52:54:00:00:00:01' as Mac;
const ADDRESS = 0x0a00000a as Ipv4;
const SERVER = 0xa9fe0101 as Ipv4;
const TRAITS: GuestTraits = {
  ...{ mac: MAC, patience: 'rfc', renewsOnLink: true, probes: false, remembers: true, overstays: false },
};
const L_MS = 120_000;

/** A guest that a test speaks to; chance says 0.5 always. */
class Played {
  state: GuestState = NEW_GUEST;
  nowMs = 1_000;
  readonly #traits: GuestTraits;

  constructor(traits: Partial<GuestTraits> = {}) {
    this.#traits = { ...TRAITS, ...traits };
  }

  happens(event: GuestEvent): GuestStep['effects'] {
    const step = guestStep(this.state, event, { traits: this.#traits, nowMs: this.nowMs, chance: () => 0.5 });
    this.state = step.state;
    return step.effects;
  }

  /** Waits for what it wants to do next, and has it done; how long that was. */
  goesOn(): { readonly afterMs: number; readonly effects: GuestStep['effects'] } {
    if (!('dueMs' in this.state)) throw new Error(`${this.state.kind} waits for nothing`);
    const afterMs = this.state.dueMs - this.nowMs;
    this.nowMs = this.state.dueMs;
    return { afterMs, effects: this.happens({ kind: 'due' }) };
  }

  hears(type: keyof typeof MESSAGE_TYPE, more: Partial<DhcpMessage> = {}): GuestStep['effects'] {
    const xid = 'xid' in this.state ? this.state.xid : 0;
    const options = new Map([
      [OPTION.messageType, u8(MESSAGE_TYPE[type])],
      [OPTION.serverId, u32(SERVER)],
      [OPTION.leaseTime, u32(L_MS / 1_000)],
      [OPTION.renewalTime, u32(60)],
      [OPTION.rebindingTime, u32(67)],
    ]);
    const unset = { ciaddr: 0 as Ipv4, siaddr: 0 as Ipv4, giaddr: 0 as Ipv4 };
    const message: DhcpMessage = { op: 'reply', xid, flags: 0, yiaddr: ADDRESS, mac: MAC, options, ...unset, ...more };
    return this.happens({ kind: 'message', message });
  }

  binds(): this {
    this.happens({ kind: 'start' });
    this.hears('offer');
    this.hears('ack');
    return this;
  }
}

function sent(effects: GuestStep['effects']): {
  type: number | undefined;
  to: Ipv4;
  ciaddr: Ipv4;
  message: DhcpMessage;
} {
  const [effect] = effects.filter((each) => each.kind === 'send');
  if (!effect) throw new Error('nothing was sent');
  const { message, to } = effect;
  return { type: message.options.get(OPTION.messageType)?.[0], to, ciaddr: message.ciaddr, message };
}

test('it asks again after 4, 8, 16, 32 and 64 s, and never gives up', () => {
  const guest = new Played();
  guest.happens({ kind: 'start' });
  expect(Array.from({ length: 6 }, () => guest.goesOn().afterMs / 1_000)).toEqual([4, 8, 16, 32, 64, 64]);
  expect(guest.state.kind).toBe('selecting');
});

test('a lease counts from the REQUEST that was acknowledged', () => {
  const guest = new Played();
  guest.happens({ kind: 'start' });
  guest.hears('offer');
  const sentMs = guest.nowMs;
  guest.nowMs += 3_000;
  guest.hears('ack');
  expect(leaseOf(guest.state, guest.nowMs)).toMatchObject({ address: ADDRESS, sentMs, expiresMs: sentMs + L_MS });
});

test('it renews by unicast from T1, rebinds by broadcast from T2, and stops at the end of the lease', () => {
  const guest = new Played().binds();
  const boundMs = guest.nowMs;
  expect(sent(guest.goesOn().effects)).toMatchObject({ type: MESSAGE_TYPE.request, to: SERVER, ciaddr: ADDRESS });
  expect(guest.nowMs - boundMs).toBe(60_000);
  while (guest.state.kind === 'renewing') guest.goesOn();
  expect(guest.nowMs - boundMs).toBe(67_000);
  expect(guest.state.kind).toBe('rebinding');
  let asked = 0;
  while (guest.state.kind === 'rebinding') {
    const { effects } = guest.goesOn();
    if (guest.state.kind === 'rebinding') expect(sent(effects).to).toBe(BROADCAST_ADDRESS);
    asked++;
  }
  expect(asked).toBeGreaterThan(1);
  expect(guest.nowMs - boundMs).toBe(L_MS);
  expect([guest.state.kind, usedAddress(guest.state, guest.nowMs)]).toEqual(['selecting', undefined]);
});

test('one that overstays uses its address without a lease', () => {
  const guest = new Played({ overstays: true }).binds();
  while (guest.state.kind !== 'overstaying') guest.goesOn();
  expect(leaseOf(guest.state, guest.nowMs)).toBeUndefined();
  expect(usedAddress(guest.state, guest.nowMs)).toBe(ADDRESS);
});

test.each([
  ['offer', 'requesting'],
  ['ack', 'requesting'],
  ['nak', 'requesting'],
] as const)('an %s with another xid, or for another MAC, changes nothing', (type, kind) => {
  const guest = new Played();
  guest.happens({ kind: 'start' });
  guest.hears('offer');
  const before = guest.state;
  expect(before.kind).toBe(kind);
  guest.hears(type, { xid: 7 });
  guest.hears(type, { mac: '52:54:00:00:00:09' as Mac });
  expect(guest.state).toBe(before);
});

test('an ACK without a lease time, and a NAK that names no server, are nothing', () => {
  const guest = new Played();
  guest.happens({ kind: 'start' });
  guest.hears('offer');
  const before = guest.state;
  guest.hears('ack', { options: new Map([[OPTION.messageType, u8(MESSAGE_TYPE.ack)]]) });
  guest.hears('nak', { options: new Map([[OPTION.messageType, u8(MESSAGE_TYPE.nak)]]) });
  expect(guest.state).toBe(before);
});

test.each(['requesting', 'rebooting', 'renewing', 'rebinding'] as const)(
  'a NAK while %s ends its lease at once',
  (kind) => {
    const guest = new Played().binds();
    if (kind === 'rebooting' || kind === 'requesting') guest.happens({ kind: 'stop', releases: kind === 'requesting' });
    if (kind === 'rebooting' || kind === 'requesting') guest.happens({ kind: 'start' });
    if (kind === 'requesting') guest.hears('offer');
    while (guest.state.kind !== kind) guest.goesOn();
    guest.hears('nak');
    expect([guest.state.kind, usedAddress(guest.state, guest.nowMs)]).toEqual(['waiting', undefined]);
    expect(sent(guest.goesOn().effects).type).toBe(MESSAGE_TYPE.discover);
  },
);

test('after a reboot it asks for what it had, twice, and then for anything', () => {
  const guest = new Played().binds();
  guest.happens({ kind: 'stop', releases: false });
  const { message } = sent(guest.happens({ kind: 'start' }));
  expect(readAddress(message.options.get(OPTION.requestedAddress))).toBe(ADDRESS);
  expect(message.options.has(OPTION.serverId)).toBe(false);
  expect(sent(guest.goesOn().effects).type).toBe(MESSAGE_TYPE.request);
  expect(sent(guest.goesOn().effects).type).toBe(MESSAGE_TYPE.discover);
});

test('a RELEASE is said when it is shut down so, and then nothing is remembered', () => {
  const guest = new Played().binds();
  const release = sent(guest.happens({ kind: 'stop', releases: true }));
  expect(release).toMatchObject({ type: MESSAGE_TYPE.release, to: SERVER, ciaddr: ADDRESS });
  expect(sent(guest.happens({ kind: 'start' })).type).toBe(MESSAGE_TYPE.discover);
});

test('one that probes uses its address after two probes, or declines it and waits ten seconds', () => {
  const guest = new Played({ probes: true }).binds();
  expect(guest.state.kind).toBe('probing');
  expect(usedAddress(guest.state, guest.nowMs)).toBeUndefined();
  guest.happens({ kind: 'claimed', address: (ADDRESS + 1) as Ipv4 });
  expect(guest.state.kind).toBe('probing');
  const declined = sent(guest.happens({ kind: 'claimed', address: ADDRESS }));
  expect([declined.type, declined.to]).toEqual([MESSAGE_TYPE.decline, BROADCAST_ADDRESS]);
  expect(guest.goesOn().afterMs).toBe(10_000);
  guest.hears('offer');
  guest.hears('ack');
  guest.goesOn();
  guest.goesOn();
  expect(guest.state.kind).toBe('bound');
});
