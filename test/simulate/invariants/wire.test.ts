// Each rule of the wire is broken once, and seen; what is near it and right is not taken for a breach.

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { type DhcpMessage, encode, MIN_MAX_BYTES } from '@leasehold/agent/domain/dhcp/message';
import { u8, u32 } from '@leasehold/agent/domain/dhcp/option-values';
import type { SessionChannel } from '@leasehold/agent/session/session-transport';
import { TableState } from '@leasehold/proto/ipam/v1/session';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { beforeEach, describe, expect, test } from 'vitest';
import { assignmentOf, ScriptedServer } from '../../fakes/scripted-server.js';
import { BROADCAST_ADDRESS, type DhcpFrame, dhcpFrame, UNSET_ADDRESS } from '../frames.js';
import { Machine, type VirtualProcess } from '../node.js';
import { Seeded } from '../seeded.js';
import { Segment, type Station } from '../segment.js';
import { World } from '../world.js';
import { type Leaseholder, WireRules, type WireTruth } from './wire.js';

const MAC = '52:54:00:00:00:01' as Mac;
const STRANGER = '52:54:00:00:00:99' as Mac;
const OURS = 0x0a00000a as Ipv4;
const OTHER = 0x0a00000b as Ipv4;
const SERVER = 0xa9fe0101 as Ipv4;
const S_MS = 60_000;

let world: World;
let clock: VirtualProcess;
let violations: string[];
let segment: Segment;
let rules: WireRules;
let server: ScriptedServer;
let channel: SessionChannel;
let allowed: Map<Mac, Ipv4[]>;
let reservedSinceMs: number | undefined;
let placedMs: number | undefined;
let toldMs: number | undefined;
let beats = 0n;
let bootId = 'boot-1';

beforeEach(async () => {
  world = new World();
  clock = new Machine(world, 'h1', 0).start();
  violations = [];
  segment = new Segment('red', world, new Seeded(1));
  allowed = new Map([[MAC, [OURS]]]);
  reservedSinceMs = 0;
  const truth: WireTruth = {
    allowed: (_networkId, mac) => new Set(allowed.get(mac)),
    reservedSinceMs: (_networkId, mac, address) => (mac === MAC && address === OURS ? reservedSinceMs : undefined),
    placedSinceMs: () => placedMs,
    toldSinceMs: () => toldMs,
  };
  rules = new WireRules(world, truth, (rule) => violations.push(rule));
  rules.follow(segment);
  placedMs = 0;
  toldMs = 0;
  beats = 0n;
  bootId = 'boot-1';
  server = new ScriptedServer();
  begin();
  await serveFor(12_000);
});

/** The agent of h1 begins a session, and gets the table. */
function begin(): void {
  channel = rules.authority
    .watch('h1', bootId, clock, server)
    .open('s', { onMessage: () => undefined, onClose: () => undefined }, 10_000);
  channel.send({ message: { $case: 'hello', value: {} as never } });
  server.session.welcome({ authorityMs: S_MS });
  server.session.deliverTable('red', 1n, assignmentOf('u1'), []);
}

function beat(isAcknowledged = true, serving = true): void {
  const tables = [TableState.fromPartial({ networkId: 'red', placementEpoch: 1n, serving })];
  channel.send({
    message: {
      $case: 'heartbeat',
      value: { sessionEpoch: undefined, sequence: ++beats, acknowledgedSequence: 0n, tables },
    },
  });
  if (isAcknowledged) server.session.acknowledge([{ networkId: 'red', placementEpoch: 1n }], beats);
}

function advance(ms: number): Promise<void> {
  return world.runUntil(world.nowMs + ms, () => true);
}

async function serveFor(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) {
    beat();
    await advance(1_000);
  }
}

const station = (mac: Mac, place: string): Station => ({
  ...{ mac, place },
  wants: () => false,
  owns: () => false,
  receive: () => undefined,
});

interface Said {
  readonly mac?: Mac;
  readonly xid?: number;
  readonly yiaddr?: Ipv4;
  readonly ciaddr?: Ipv4;
  readonly requested?: Ipv4;
  readonly server?: Ipv4 | undefined;
  readonly source?: Ipv4;
  readonly host?: string;
}

function frame(type: keyof typeof MESSAGE_TYPE, port: 67 | 68, said: Said): DhcpFrame {
  const options = new Map<number, Uint8Array>([[OPTION.messageType, u8(MESSAGE_TYPE[type])]]);
  const named = port === 68 && !('server' in said) ? SERVER : said.server;
  if (named !== undefined) options.set(OPTION.serverId, u32(named));
  if (said.requested !== undefined) options.set(OPTION.requestedAddress, u32(said.requested));
  const message: DhcpMessage = {
    ...{ op: port === 67 ? 'request' : 'reply', xid: said.xid ?? 1, flags: 0, mac: said.mac ?? MAC, options },
    ...{ ciaddr: said.ciaddr ?? UNSET_ADDRESS, yiaddr: said.yiaddr ?? UNSET_ADDRESS },
    ...{ siaddr: UNSET_ADDRESS, giaddr: UNSET_ADDRESS },
  };
  const payload = encode(message, MIN_MAX_BYTES).bytes;
  const sourceAddress = said.source ?? (port === 68 ? SERVER : UNSET_ADDRESS);
  const to = { destinationMac: undefined, destinationAddress: BROADCAST_ADDRESS };
  return dhcpFrame({ ...to, sourceMac: message.mac, sourceAddress, port, payload });
}

function asks(type: 'discover' | 'request' | 'decline', said: Said = {}): DhcpFrame {
  const question = frame(type, 67, said);
  segment.send(question, station(said.mac ?? MAC, 'h2'));
  return question;
}

function answers(type: 'offer' | 'ack' | 'nak', said: Said = {}): void {
  segment.send(frame(type, 68, said), station('52:54:01:00:01:01' as Mac, said.host ?? 'h1'));
}

const broken = () => violations;

describe('an answer', () => {
  test('of the reserved address, by a host with authority, to who asked, breaks nothing', () => {
    asks('discover');
    answers('offer', { yiaddr: OURS });
    asks('request', { requested: OURS, server: SERVER });
    answers('ack', { yiaddr: OURS });
    expect(violations).toEqual([]);
  });

  test('to a MAC that nothing is promised breaks S10, whatever it is', () => {
    asks('discover', { mac: STRANGER });
    answers('offer', { mac: STRANGER, yiaddr: OTHER });
    answers('nak', { mac: STRANGER });
    expect(broken()).toEqual(['S10', 'S10']);
  });

  test('of an address that is not promised breaks A2; of one that rests for this MAC it does not', () => {
    asks('discover');
    answers('offer', { yiaddr: OTHER });
    expect(broken()).toEqual(['A2']);
    allowed.set(MAC, [OURS, OTHER]);
    answers('offer', { yiaddr: OTHER });
    expect(broken()).toEqual(['A2']);
  });

  test('that nobody asked for breaks Q1', () => {
    answers('offer', { yiaddr: OURS });
    asks('discover', { xid: 5 });
    answers('offer', { yiaddr: OURS, xid: 6 });
    expect(broken()).toEqual(['Q1', 'Q1']);
  });

  test('with another server identifier, without one, or from another address breaks I1', () => {
    asks('discover');
    answers('offer', { yiaddr: OURS });
    answers('offer', { yiaddr: OURS, server: (SERVER + 1) as Ipv4, source: (SERVER + 1) as Ipv4 });
    answers('offer', { yiaddr: OURS, server: undefined });
    answers('offer', { yiaddr: OURS, source: UNSET_ADDRESS });
    expect(broken()).toEqual(['I1', 'I1', 'I1']);
  });
});

describe('authority', () => {
  const offer = () => {
    asks('discover');
    answers('offer', { yiaddr: OURS });
  };

  test('ends S after the send of the last heartbeat that was acknowledged', async () => {
    beat();
    await advance(1_000);
    beat(false);
    await advance(S_MS - 1_001);
    offer();
    expect(broken()).toEqual([]);
    await advance(1);
    offer();
    expect(broken()).toEqual(['A1']);
  });

  test('that lapsed does not come back by an acknowledgement, but by a table in the session', async () => {
    // What a session confirmed does not count for the next.
    beats = 0n;
    channel = rules.authority
      .watch('h1', bootId, clock, server)
      .open('s', { onMessage: () => undefined, onClose: () => undefined }, 10_000);
    channel.send({ message: { $case: 'hello', value: {} as never } });
    server.session.welcome({ authorityMs: S_MS });
    await advance(S_MS);
    beat();
    offer();
    expect(broken()).toEqual(['A1']);
    server.session.deliver('red', 1n, { $case: 'tableConfirmation', value: {} });
    offer();
    expect(broken()).toEqual(['A1']);
  });

  test('is over with the placement, and with the boot; not with the process', () => {
    begin();
    offer();
    expect(broken()).toEqual([]);
    server.session.deliver('red', 1n, { $case: 'unassignment', value: {} });
    offer();
    expect(broken()).toEqual(['A1']);
    server.session.deliver('red', 2n, { $case: 'tableConfirmation', value: {} });
    offer();
    expect(broken()).toEqual(['A1']);
    bootId = 'boot-2';
    rules.authority.watch('h1', bootId, clock, server);
    offer();
    expect(broken()).toEqual(['A1', 'A1']);
  });

  test('is of one host', () => {
    asks('discover');
    answers('offer', { yiaddr: OURS, host: 'h2' });
    expect(broken()).toEqual(['A1']);
  });
});

describe('a NAK', () => {
  test('to who asks for what is reserved for it breaks N1, in whatever state it asks', () => {
    asks('request', { requested: OURS });
    answers('nak');
    asks('request', { ciaddr: OURS, xid: 2 });
    answers('nak', { xid: 2 });
    expect(broken()).toEqual(['N1', 'N1']);
  });

  test('to who asks for another address is right, and while the reservation is young', async () => {
    asks('request', { requested: OTHER });
    answers('nak');
    reservedSinceMs = world.nowMs - 9_999;
    asks('request', { requested: OURS, xid: 2 });
    answers('nak', { xid: 2 });
    expect(broken()).toEqual([]);
  });

  test('by a host that was not heard for three intervals breaks N1', async () => {
    await advance(2_000);
    asks('request', { requested: OTHER });
    answers('nak');
    expect(broken()).toEqual([]);
    await advance(1);
    answers('nak');
    expect(broken()).toEqual(['N1']);
  });
});

describe('silence', () => {
  const heard = (question: DhcpFrame) => rules.asked('h1', 'red', question);

  test('to a DISCOVER, or a REQUEST for its own address, by a host that serves breaks L3', () => {
    heard(asks('discover'));
    heard(asks('request', { ciaddr: OURS, xid: 2 }));
    expect(broken()).toEqual(['L3', 'L3']);
  });

  test('is right to who was answered, asked another server, or for what is not its own', () => {
    const question = asks('discover');
    answers('offer', { yiaddr: OURS });
    heard(question);
    heard(asks('request', { requested: OURS, server: OTHER, xid: 2 }));
    heard(asks('request', { requested: OTHER, xid: 2 }));
    heard(asks('discover', { mac: STRANGER }));
    expect(broken()).toEqual([]);
  });

  test('is wrong to who was answered something else, or at another time', async () => {
    asks('discover', { xid: 2 });
    answers('offer', { yiaddr: OURS, xid: 2 });
    heard(asks('discover'));
    asks('discover');
    answers('offer', { yiaddr: OURS });
    await serveFor(1_000);
    heard(asks('discover'));
    expect(broken()).toEqual(['L3', 'L3']);
  });

  test('is right of a host that says it does not serve, was not heard of late, or has just begun', async () => {
    beat(true, false);
    heard(asks('discover'));
    await serveFor(12_000);
    await advance(2_001);
    heard(asks('discover'));
    beats = 0n;
    begin();
    await serveFor(9_000);
    heard(asks('discover'));
    expect(broken()).toEqual([]);
    await serveFor(3_000);
    heard(asks('discover'));
    expect(broken()).toEqual(['L3']);
  });

  test('is right of a host that the network was taken from, or was just given to', () => {
    placedMs = undefined;
    heard(asks('discover'));
    placedMs = world.nowMs - 9_999;
    heard(asks('discover'));
    expect(broken()).toEqual([]);
  });

  test('is right while whoever leads reads everything again, and for a while after that', () => {
    toldMs = undefined;
    heard(asks('discover'));
    toldMs = world.nowMs - 9_999;
    heard(asks('discover'));
    expect(broken()).toEqual([]);
  });

  test('is right where the reservation is young, or was declined', () => {
    reservedSinceMs = world.nowMs - 9_999;
    heard(asks('discover'));
    reservedSinceMs = 0;
    asks('decline', { requested: OURS, server: SERVER });
    heard(asks('discover'));
    expect(broken()).toEqual([]);
  });
});

describe('a lease', () => {
  const guest = (mac: Mac, address: Ipv4 | undefined, on: Segment = segment): Leaseholder => ({
    ...{ mac, segment: on, isOn: true },
    lease: address === undefined ? undefined : { address },
  });

  test('of an address that another live guest has breaks S2', () => {
    rules.leased(guest(MAC, OURS));
    rules.leased(guest(STRANGER, OURS));
    expect(broken()).toEqual(['S2']);
  });

  test('of another address, on another segment, or after the other one ended is right', () => {
    rules.leased(guest(MAC, OURS));
    rules.leased(guest(STRANGER, OTHER));
    rules.leased(guest(STRANGER, OURS, new Segment('blue', world, new Seeded(1))));
    const ended: { lease: { address: Ipv4 } | undefined } & Leaseholder = { ...guest(MAC, 12 as Ipv4) };
    rules.leased(ended);
    ended.lease = undefined;
    rules.leased(guest(STRANGER, 12 as Ipv4));
    expect(broken()).toEqual([]);
  });
});
