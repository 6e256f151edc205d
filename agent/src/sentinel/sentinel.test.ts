import { ConflictKind } from '@leasehold/proto/ipam/v1/reservation';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { describe, expect, test } from 'vitest';
import { arpFrame, dhcpFrame, FakeWire } from '../../../test/fakes/fake-wire.js';
import { MemoryLog } from '../../../test/fakes/memory-log.js';
import { assignmentOf, entryOf } from '../../../test/fakes/scripted-server.js';
import { VirtualClock } from '../../../test/fakes/virtual-clock.js';
import { MESSAGE_TYPE, OPTION } from '../domain/dhcp/codes.js';
import { encode, MIN_MAX_BYTES } from '../domain/dhcp/message.js';
import { u8, u32 } from '../domain/dhcp/option-values.js';
import { NetworkTable } from '../domain/table.js';
import { FORGOTTEN_AFTER_MS } from './foreign-servers.js';
import { Sentinel, type WatchedNetwork } from './sentinel.js';

const BR0 = { name: 'br0', index: 1 };
// Those of `assignmentOf` and `entryOf(10)`.
const OURS = 0xa9fe0101;
const ADDRESS = 0x0a00000a;
const GUEST = '52:54:00:00:00:0a';
const OTHER = '52:54:00:00:00:ff';
const FOREIGN = 0x0a0000fe;

function makeSentinel() {
  const clock = new VirtualClock();
  const log = new MemoryLog();
  const wire = new FakeWire();
  const sentinel = new Sentinel({ clock, log, frameSockets: wire });
  const table = new NetworkTable();
  table.assign(assignmentOf('u1'));
  table.replace([entryOf(10), entryOf(11)]);
  const red: WatchedNetwork = { networkId: 'red', table, link: BR0, standing: 'synchronised' };
  const look = (change: Partial<WatchedNetwork> = {}) => sentinel.look([{ ...red, ...change }]);
  look();
  return { clock, log, wire, sentinel, look, red };
}

interface Said {
  readonly type: number;
  readonly server?: number;
  readonly requested?: number;
  readonly ciaddr?: number;
  readonly from?: string;
  readonly op?: 'request' | 'reply';
}

/** What the guest says, or a server to it. */
function dhcp({ type, server, requested, ciaddr = 0, from = GUEST, op = 'request' }: Said): Uint8Array {
  const options = new Map([[OPTION.messageType, u8(type)]]) as Map<number, Uint8Array>;
  if (requested !== undefined) options.set(OPTION.requestedAddress, u32(requested as Ipv4));
  if (server !== undefined) options.set(OPTION.serverId, u32(server as Ipv4));
  const none = 0 as Ipv4;
  const address = { ciaddr: ciaddr as Ipv4, yiaddr: none, siaddr: none, giaddr: none };
  const message = { op, xid: 1, flags: 0, ...address, mac: GUEST as Mac, options };
  const { bytes } = encode(message, MIN_MAX_BYTES);
  return op === 'reply' ? dhcpFrame(from, 67, 68, bytes) : dhcpFrame(from, 68, 67, bytes);
}

describe('reservations', () => {
  const seen = { networkId: 'red', address: '10.0.0.10', reservationId: entryOf(10).reservationId };

  test('an address that another MAC uses', () => {
    const { wire, look } = makeSentinel();
    wire.pass('br0', arpFrame(OTHER, '0a00000a'));
    expect(look()).toEqual([{ ...seen, kind: ConflictKind.ADDRESS_IN_USE, sourceMac: OTHER }]);
  });

  test('an address that is declined, and one that is released', () => {
    const { wire, look } = makeSentinel();
    wire.pass('br0', dhcp({ type: MESSAGE_TYPE.decline, server: OURS, requested: ADDRESS }));
    wire.pass('br0', dhcp({ type: MESSAGE_TYPE.release, server: OURS, ciaddr: ADDRESS }));
    expect(look()).toEqual([
      { ...seen, kind: ConflictKind.DECLINED, sourceMac: GUEST },
      { ...seen, kind: ConflictKind.RELEASED, sourceMac: GUEST },
    ]);
  });

  test.each([
    ['its own MAC uses it', arpFrame(GUEST, '0a00000a')],
    ['nobody has it reserved', arpFrame(OTHER, '0a0000c8')],
    ['it is declined to another server', dhcp({ type: MESSAGE_TYPE.decline, server: FOREIGN, requested: ADDRESS })],
    ['another address is declined', dhcp({ type: MESSAGE_TYPE.decline, server: OURS, requested: ADDRESS + 1 })],
    ['another one declines it', dhcp({ type: MESSAGE_TYPE.decline, server: OURS, requested: ADDRESS, from: OTHER })],
    ['another address is released', dhcp({ type: MESSAGE_TYPE.release, server: OURS, ciaddr: ADDRESS + 1 })],
    ['it is requested', dhcp({ type: MESSAGE_TYPE.request, server: OURS, requested: ADDRESS })],
  ])('nothing when %s', (_, frame) => {
    const { wire, look, sentinel } = makeSentinel();
    wire.pass('br0', frame);
    expect(look()).toEqual([]);
    expect(sentinel.foreignServers('red')).toEqual([]);
  });

  test('the same is told once a minute', async () => {
    const { wire, look, clock } = makeSentinel();
    const told: number[] = [];
    for (let second = 0; second < 120; second++) {
      wire.pass('br0', arpFrame(OTHER, '0a00000a'));
      told.push(look().length);
      await clock.advance(1_000);
    }
    expect(told.reduce((a, b) => a + b)).toBe(2);
  });
});

test('without a session nothing is told, and it is told once there is one', () => {
  const { wire, sentinel, red } = makeSentinel();
  wire.pass('br0', arpFrame(OTHER, '0a00000a'));
  expect(sentinel.look([red], false)).toEqual([]);
  wire.pass('br0', arpFrame(OTHER, '0a00000a'));
  expect(sentinel.look([red], true)).toHaveLength(1);
});

test('what comes from one made-up MAC after another is told once a minute of a reservation', () => {
  const { wire, look } = makeSentinel();
  for (let n = 10; n < 60; n++) wire.pass('br0', arpFrame(`52:54:00:00:01:${n}`, '0a00000a'));
  expect(look()).toHaveLength(1);
});

describe('other DHCP servers', () => {
  test('one that is heard is told of, with its MAC, until it was not heard for ten minutes', async () => {
    const { wire, look, sentinel, clock, log } = makeSentinel();
    wire.pass('br0', dhcp({ type: MESSAGE_TYPE.offer, server: FOREIGN, op: 'reply', from: OTHER }));
    expect(look()).toEqual([]);
    expect(sentinel.foreignServers('red')).toEqual([{ address: '10.0.0.254', mac: OTHER }]);
    expect(log.complaints()).toEqual(['Another DHCP server answers on the network']);
    await clock.advance(FORGOTTEN_AFTER_MS);
    expect(sentinel.foreignServers('red')).toEqual([]);
  });

  test('one that a guest believes is told of without its MAC', () => {
    const { wire, look, sentinel } = makeSentinel();
    wire.pass('br0', dhcp({ type: MESSAGE_TYPE.request, server: FOREIGN, requested: ADDRESS }));
    look();
    expect(sentinel.foreignServers('red')).toEqual([{ address: '10.0.0.254', mac: '' }]);
  });

  test('another server of ours is none', () => {
    const { wire, look, sentinel } = makeSentinel();
    wire.pass('br0', dhcp({ type: MESSAGE_TYPE.ack, server: OURS, op: 'reply', from: OTHER }));
    look();
    expect(sentinel.foreignServers('red')).toEqual([]);
  });
});

describe('probes', () => {
  test('three requests claim no address, and nobody answers for half a second', async () => {
    const { wire, sentinel, clock } = makeSentinel();
    let probed: unknown = 'pending';
    const asked = sentinel.probe('red', '10.0.0.77').then((result) => (probed = result));
    await clock.advance(499);
    expect(probed).toBe('pending');
    await clock.advance(1);
    await asked;
    expect(probed).toEqual({ usedBy: undefined });
    const request = 'ffffffffffff525400ffff0108060001080006040001525400ffff01000000000000000000000a00004d';
    expect(wire.sent).toEqual([request, request, request]);
  });

  test('who answers is told at once, and is asked no more', async () => {
    const { wire, sentinel, clock } = makeSentinel();
    wire.users.set(0x0a00004d, OTHER);
    const asked = sentinel.probe('red', '10.0.0.77');
    await clock.advance(25);
    expect(await asked).toEqual({ usedBy: OTHER });
    await clock.advance(1_000);
    expect(wire.sent).toHaveLength(1);
  });

  test('what is noticed meanwhile is told with the next look', async () => {
    const { wire, sentinel, clock, look } = makeSentinel();
    const asked = sentinel.probe('red', '10.0.0.77');
    wire.pass('br0', arpFrame(OTHER, '0a00000a'));
    await clock.advance(500);
    await asked;
    expect(look()).toHaveLength(1);
    expect(look()).toEqual([]);
  });

  test('nobody can be asked of another network, by a bad address, or when the interface goes', async () => {
    const { sentinel, clock, look } = makeSentinel();
    expect(await sentinel.probe('blue', '10.0.0.77')).toEqual({ problem: 'The interface is not heard' });
    expect(await sentinel.probe('red', '10.0.0')).toHaveProperty('problem');
    const asked = sentinel.probe('red', '10.0.0.77');
    look({ link: undefined });
    await clock.advance(500);
    expect(await asked).toEqual({ problem: 'The interface went' });
  });

  test('so many are under way at once, and then more are refused', async () => {
    const { sentinel, clock } = makeSentinel();
    const asked = Array.from({ length: 257 }, () => sentinel.probe('red', '10.0.0.77'));
    await clock.advance(500);
    const problems = (await Promise.all(asked)).filter((probed) => 'problem' in probed);
    expect(problems).toEqual([{ problem: '256 probes are under way' }]);
    const again = sentinel.probe('red', '10.0.0.77');
    await clock.advance(500);
    expect(await again).toEqual({ usedBy: undefined });
  });
});

describe('interfaces', () => {
  test('without authority, without a link and without the network nothing is heard', () => {
    for (const change of [{ standing: 'silent' }, { link: undefined }] as const) {
      const { wire, look } = makeSentinel();
      expect(wire.heard).toEqual(['br0']);
      look(change);
      expect(wire.heard).toEqual([]);
    }
    const { wire, sentinel } = makeSentinel();
    sentinel.look([]);
    expect(wire.heard).toEqual([]);
  });

  test('one that came again, and a socket that broke, are heard anew', async () => {
    const { wire, look, clock } = makeSentinel();
    look({ link: { name: 'br1', index: 1 } });
    expect(wire.heard).toEqual(['br1']);
    look();
    wire.pass('br0', 'broken');
    look();
    expect(wire.heard).toEqual([]);
    await clock.advance(5_000);
    look();
    expect(wire.heard).toEqual(['br0']);
  });

  test('what cannot be heard is said once, and tried again', async () => {
    const { wire, look, clock, log, sentinel } = makeSentinel();
    wire.trouble = 'A raw socket on br0 needs CAP_NET_RAW';
    sentinel.close();
    for (let n = 0; n < 5; n++) {
      look();
      await clock.advance(5_000);
    }
    expect(log.complaints()).toEqual(['Conflicts on the wire are not noticed']);
    wire.trouble = undefined;
    look();
    expect(wire.heard).toEqual(['br0']);
  });

  test('a look takes a bounded part of what came', () => {
    const { wire, look } = makeSentinel();
    for (let n = 0; n < 1_000; n++) wire.pass('br0', arpFrame(GUEST, '0a00000a'));
    wire.pass('br0', arpFrame(OTHER, '0a00000a'));
    const looks = Array.from({ length: 4 }, () => look().length);
    expect(looks).toEqual([0, 0, 0, 1]);
  });
});
