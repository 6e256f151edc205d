import { parseFrame } from '@leasehold/agent/sentinel/frames';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import { seededNumbers } from '../fakes/seeded-numbers.js';
import { type ArpFrame, arpOfBytes, dhcpFrame, type Frame, frameBytes } from './frames.js';
import { Seeded } from './seeded.js';
import { GOOD_WIRE, Segment, type Station, type WireConditions } from './segment.js';
import { strangeMessage } from './stranger.js';
import { World } from './world.js';

class Ear implements Station {
  readonly heard: number[] = [];
  readonly mac: Mac;
  readonly place: string;
  readonly #world: World;

  constructor(n: number, world: World, place = `h${n}`) {
    this.mac = `52:54:00:00:00:0${n}` as Mac;
    this.place = place;
    this.#world = world;
  }

  wants(): boolean {
    return true;
  }

  owns(address: Ipv4): boolean {
    return address === 7;
  }

  receive(): void {
    this.heard.push(this.#world.nowMs);
  }
}

function wire(conditions: WireConditions = GOOD_WIRE, seed = 1) {
  const world = new World();
  const segment = new Segment('red', world, new Seeded(seed), conditions);
  const ears = [1, 2, 3].map((n) => new Ear(n, world));
  for (const ear of ears) segment.plug(ear);
  const [a, b, c] = ears as [Ear, Ear, Ear];
  return { world, segment, a, b, c };
}

/** Lets everything arrive. */
function pass(world: World): Promise<void> {
  return world.runUntil(world.nowMs + 2, () => true);
}

function arp(from: Station, to?: Station): ArpFrame {
  const addresses = { senderAddress: 7 as Ipv4, targetAddress: 8 as Ipv4 };
  return { kind: 'arp', operation: 'request', sourceMac: from.mac, destinationMac: to?.mac, ...addresses };
}

test('a broadcast reaches everybody but its sender, each after its own time', async () => {
  const { world, segment, a, b, c } = wire();
  segment.send(arp(a), a);
  await pass(world);
  expect([a.heard.length, b.heard.length, c.heard.length]).toEqual([0, 1, 1]);
  expect(b.heard).not.toEqual(c.heard);
});

test('what is for one MAC reaches nobody else', async () => {
  const { world, segment, a, b, c } = wire();
  segment.send(arp(a, c), a);
  await pass(world);
  expect([b.heard.length, c.heard.length]).toEqual([0, 1]);
});

test('a cut stops one direction alone, and not what is on its way', async () => {
  const { world, segment, a, b } = wire();
  segment.send(arp(a), a);
  segment.cut('h1', 'h2');
  await pass(world);
  expect(b.heard).toHaveLength(1);
  segment.send(arp(a), a);
  segment.send(arp(b), b);
  await pass(world);
  expect([a.heard.length, b.heard.length]).toEqual([1, 1]);
  segment.heal();
  segment.send(arp(a), a);
  await pass(world);
  expect(b.heard).toHaveLength(2);
});

test('hosts that are isolated reach each other, and nobody else', async () => {
  const { world, segment, a, b, c } = wire();
  segment.isolate('h1', 'h2');
  segment.send(arp(a), a);
  segment.send(arp(c), c);
  await pass(world);
  expect([a.heard.length, b.heard.length, c.heard.length]).toEqual([0, 1, 0]);
});

test('on a bridge that is down nobody hears or says anything, the neighbour on the host included', async () => {
  const { world, segment, a, b } = wire();
  const neighbour = new Ear(4, world, 'h1');
  segment.plug(neighbour);
  segment.setBridge('h1', false);
  segment.send(arp(a), a);
  segment.send(arp(b), b);
  await pass(world);
  expect([a.heard.length, b.heard.length, neighbour.heard.length]).toEqual([0, 0, 0]);
});

test('loss and duplication come in their shares, by chance', async () => {
  const { world, segment, a, b } = wire({ delayMs: [0.1, 2], loss: 0.25, duplication: 0.25 });
  for (let i = 0; i < 2_000; i++) segment.send(arp(a, b), a);
  await pass(world);
  // 2,000 × 0.75 × 1.25.
  expect(b.heard.length).toBeGreaterThan(1_800);
  expect(b.heard.length).toBeLessThan(1_950);
});

test('who answers ARP is found where frames pass both ways', () => {
  const { segment, a, b, c } = wire();
  expect([b.mac, c.mac]).toContain(segment.resolve(7 as Ipv4, a));
  segment.cut('h2', 'h1');
  expect(segment.resolve(7 as Ipv4, a)).toBe(c.mac);
  segment.cut('h1', 'h3');
  expect(segment.resolve(7 as Ipv4, a)).toBeUndefined();
  expect(segment.resolve(8 as Ipv4, a)).toBeUndefined();
});

test('its frames are what the sentinel reads from a raw socket', () => {
  const { a } = wire();
  const request = arp(a);
  expect(parseFrame(frameBytes(request))).toEqual({ kind: 'arp', sourceMac: a.mac, address: 7 });
  expect(arpOfBytes(frameBytes(request), a.mac)).toEqual(request);
  const parts = { sourceMac: a.mac, destinationMac: undefined, sourceAddress: 0 as Ipv4, port: 67 } as const;
  const chance = seededNumbers(3);
  for (let i = 0; i < 200; i++) {
    const payload = strangeMessage(
      a.mac,
      [1, 2, 0xffffffff].map((n) => n as Ipv4),
      chance,
    );
    const frame: Frame = dhcpFrame({ ...parts, payload, destinationAddress: 0xffffffff as Ipv4 });
    const heard = parseFrame(frameBytes(frame));
    expect(heard?.kind === 'dhcp' ? heard.message : undefined).toEqual(frame.message);
  }
});
