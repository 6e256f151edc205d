// Thousands of hosts in virtual time: what befalls all of them at once moves nobody. Connections are let in by the product's
// own queue, at its own rate; only the time that a server needs to work is not played.

import type { SessionChannel, SessionHandlers, SessionTransport } from '@leasehold/agent/session/session-transport';
import { SessionWire } from '@leasehold/fake/session-wire';
import type { SessionRequest } from '@leasehold/proto/ipam/v1/session';
import type { HostId } from '@leasehold/server/domain/ids';
import { AcceptQueue, AGENT_ACCEPTS } from '@leasehold/server/transport/accept-queue';
import { describe, expect, test } from 'vitest';
import { FixedEntropy } from '../fakes/fixed-entropy.js';
import { MemoryLog } from '../fakes/memory-log.js';
import { seededNumbers } from '../fakes/seeded-numbers.js';
import { LightHost } from '../support/light-host.js';
import { Installation } from './installation.js';
import { PlayedAgent } from './played-agent.js';

const PER_NETWORK = 100;

/** Dials through the queue before the server's listener. */
class Door {
  readonly #installation: Installation;
  readonly #queue: AcceptQueue<() => void>;
  refused = 0;
  /** How many came. */
  came = 0;

  constructor(installation: Installation) {
    this.#installation = installation;
    const fates = { take: (letIn: () => void) => letIn(), refuse: () => void this.refused++ };
    this.#queue = new AcceptQueue(AGENT_ACCEPTS, installation.clock, fates);
  }

  /** The way of one host through it. */
  way(wire: SessionWire): SessionTransport {
    return { open: (server, handlers) => this.#open(wire, server, handlers) };
  }

  #open(wire: SessionWire, server: string, handlers: SessionHandlers): SessionChannel {
    // Nobody listens: refused at once.
    if (!this.#installation.isUp) return wire.open(server, handlers);
    const waiting: SessionRequest[] = [];
    let channel: SessionChannel | undefined;
    let isClosed = false;
    this.came++;
    this.#queue.arrived(() => {
      if (isClosed) return;
      channel = wire.open(server, handlers);
      for (const request of waiting) channel.send(request);
    });
    return {
      send: (request) => {
        if (channel) channel.send(request);
        else waiting.push(request);
      },
      close: () => {
        isClosed = true;
        channel?.close();
      },
    };
  }
}

interface ManyHosts {
  readonly installation: Installation;
  readonly door: Door;
  readonly wires: readonly SessionWire[];
  /** Where every network is served, by epochs. */
  placed(): readonly string[];
  connected(): number;
}

/** So many hosts that all serve: networks of a hundred hosts, with one server each. */
async function startMany(count: number): Promise<ManyHosts> {
  const installation = await Installation.start();
  const door = new Door(installation);
  const { clock } = installation;
  const networkIds = Array.from({ length: Math.ceil(count / PER_NETWORK) }, (_, n) => `n${n}`);
  for (const networkId of networkIds) {
    await installation.createNetwork(networkId);
    await installation.createSubnet(networkId, networkId, '10.0.0.0/24');
  }
  const wires: SessionWire[] = [];
  for (let i = 0; i < count; i++) {
    const wire = new SessionWire(installation.surroundings);
    wires.push(wire);
    const entropy = Object.assign(new FixedEntropy(0, i), { random: seededNumbers(i) });
    const ports = { clock, entropy, log: new MemoryLog(), transport: door.way(wire) };
    new LightHost(`h${i}`, [`n${i % networkIds.length}`], ['server'], ports).start();
  }
  // Until all are there, and every agent was told the interval that goes with so many.
  await installation.advance(20_000);
  const isConnected = (_: unknown, i: number) => installation.plane.agents.host(`h${i}` as HostId)?.connected === true;
  const placed = () => networkIds.flatMap((networkId) => installation.placements(networkId));
  const connected = () => wires.filter(isConnected).length;
  expect(connected()).toBe(count);
  return { installation, door, wires, placed, connected };
}

function hostsIn(placed: readonly string[]): readonly string[] {
  return placed.map((line) => line.split(' ')[0] ?? '');
}

test('a server of two thousand hosts that is restarted moves nobody, and all are back in time', async () => {
  const { installation, wires, placed, connected } = await startMany(2_000);
  const before = placed();
  expect(before.every((line) => line.endsWith(' serving'))).toBe(true);
  await installation.killServer();
  for (const wire of wires) wire.breakStream();
  await installation.advance(3_000);
  await installation.startServer();
  // One in twenty are the unlucky ones, which come when the last may.
  const unlucky = wires.filter((_, i) => i % 20 === 0);
  for (const wire of unlucky) wire.cut();
  for (let waitedMs = 0; waitedMs < 32_000; waitedMs += 500) {
    if (waitedMs === 22_000) for (const wire of unlucky) wire.heal();
    await installation.advance(500);
    expect(hostsIn(placed())).toEqual(hostsIn(before));
    if (waitedMs === 20_000) expect(connected()).toBe(1_900);
  }
  expect(placed()).toEqual(before);
  expect(connected()).toBe(2_000);
  await installation.stop();
}, 300_000);

test('streams of a thousand hosts that all break at once move nobody, and not all are dialled anew at once', async () => {
  const { installation, door, wires, placed, connected } = await startMany(1_000);
  const [before, cameBefore] = [placed(), door.came];
  for (const wire of wires) wire.breakStream();
  await installation.advance(1_000);
  // They were told to spread over 5 s.
  expect(door.came - cameBefore).toBeLessThan(600);
  for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 500) {
    await installation.advance(500);
    expect(hostsIn(placed())).toEqual(hostsIn(before));
  }
  expect(connected()).toBe(1_000);
  await installation.stop();
}, 300_000);

test('of 500 hosts whose streams all break at once every one is back within three seconds', async () => {
  const { installation, door, wires, placed, connected } = await startMany(500);
  const before = placed();
  for (const wire of wires) wire.breakStream();
  await installation.advance(3_000);
  expect(connected()).toBe(500);
  expect(placed()).toEqual(before);
  expect(door.refused).toBe(0);
  await installation.stop();
}, 300_000);

describe('the interval follows the number of hosts in sessions that live', () => {
  const wired = (ack: { heartbeatInterval?: { seconds: bigint; nanos: number } | undefined } | undefined) =>
    Number(ack?.heartbeatInterval?.seconds) * 1_000 + Number(ack?.heartbeatInterval?.nanos) / 1e6;

  test('a longer one counts at once, a shorter one not before the agent says that it has it', async () => {
    const installation = await Installation.start();
    const agent = new PlayedAgent(installation, 'h1');
    await agent.hello();
    const judged = () => installation.plane.agents.host('h1' as HostId)?.intervalMs;
    expect(judged()).toBe(1_000);
    for (let i = 0; i < 999; i++) await installation.storeHost(`other-${i}`);
    await agent.heartbeat(1n, []);
    await installation.advance(20);
    expect(wired(agent.heartbeatAcks.at(-1))).toBe(2_000);
    expect(judged()).toBe(2_000);
    // Of those nobody knows whether they are on their way, until they must have been heard.
    for (let ms = 0; ms < 25_000; ms += 1_000) {
      await installation.advance(1_000);
      await agent.acknowledge();
    }
    for (let i = 0; i < 999; i++) await installation.deleteHost(`other-${i}`);
    await agent.heartbeat(2n, [], 1n);
    await installation.advance(20);
    expect(wired(agent.heartbeatAcks.at(-1))).toBe(1_000);
    expect(judged()).toBe(2_000);
    await agent.heartbeat(3n, [], 1n);
    expect(judged()).toBe(2_000);
    await agent.heartbeat(4n, [], 2n);
    expect(judged()).toBe(1_000);
    await installation.stop();
  });
});

test('an agent that says hello over and over is welcomed once in a second, and others notice nothing', async () => {
  const installation = await Installation.start({ h1: ['red'], h2: ['red'] });
  await installation.createNetwork('red', { dhcpServerCount: 2 });
  await installation.createSubnet('red', 's', '10.0.0.0/24');
  await installation.advance(1_000);
  const before = installation.placements('red');
  const loop: PlayedAgent[] = [];
  for (let i = 0; i < 500; i++) {
    const agent = new PlayedAgent(installation, 'mad');
    loop.push(agent);
    await agent.hello();
  }
  await installation.advance(1_500);
  const welcomed = loop.filter(({ received }) => received.some(({ message }) => message?.$case === 'welcome'));
  expect(welcomed.length).toBeLessThanOrEqual(16);
  expect(welcomed).toContain(loop.at(-1));
  expect(installation.placements('red')).toEqual(before);
  expect(loop.slice(0, -1).every(({ ended }) => typeof ended === 'object' && ended.kind === 'session-superseded')).toBe(
    true,
  );
  await installation.stop();
});
