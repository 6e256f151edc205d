// How soon hosts are with the server that leads when the lead changes, and that they stay where they are when it does not.

import type { HostId } from '@leasehold/server/domain/ids';
import { describe, expect, test } from 'vitest';
import { NO_PROMISES } from './engine.js';
import { Installation } from './installation.js';
import type { Setup } from './schedule.js';
import type { ServerNode } from './server-node.js';

const HOSTS = Array.from({ length: 20 }, (_, n) => `h${n + 1}`);
const SEEDS = [1, 2, 3, 4, 5];

/** Servers that settled, and hosts with the one that leads. */
class Group {
  readonly #installation: Installation;
  #problem: string | undefined;
  /** Hellos that were said. */
  hellos = 0;

  constructor(seed: number, servers: readonly string[]) {
    const network = { name: 'red', cidr: '10.0.0.0/24', dhcpServerCount: 2, macs: [] };
    const setup: Setup = {
      ...{ mood: 'any', servers, hosts: HOSTS, authorityS: 120, drift: 0.01, hasGuests: false, isEncoded: false },
      ...{ isEmbedded: false, watchLagMs: 50, usualLatencyMs: 5, slowShare: 0, slowLatencyMs: 5 },
      networks: [{ ...network, leaseTimeS: 120, reuseDelayS: 30 }],
    };
    const nothing = () => undefined;
    this.#installation = new Installation(
      seed,
      setup,
      {},
      {
        witness: {
          said: (_, { message }) => {
            if (message?.$case === 'hello') this.hellos++;
          },
          told: nothing,
        },
        promises: () => NO_PROMISES,
        report: (rule, what) => {
          this.#problem ??= `${rule}: ${what}`;
        },
      },
    );
  }

  static async start(seed: number, servers: readonly string[]): Promise<Group> {
    const group = new Group(seed, servers);
    group.#installation.start();
    await group.advance(30_000 + 137 * seed);
    expect(group.with(group.leader)).toEqual(HOSTS);
    return group;
  }

  get leader(): ServerNode {
    const leader = this.#installation.servers.find(({ isActing }) => isActing);
    if (!leader) throw new Error('Nobody leads');
    return leader;
  }

  /** The hosts that have a session with this server. */
  with({ plane }: ServerNode): readonly string[] {
    return HOSTS.filter((hostId) => plane?.agents.host(hostId as HostId)?.connected);
  }

  /** Everybody's placements, with their epochs. */
  get placements(): readonly unknown[] {
    return [...this.#installation.disk.networks.values()].map(({ placements }) => placements);
  }

  cutFromStore(servers: readonly ServerNode[]): void {
    for (const { name } of servers) {
      this.#installation.network.cut(name, 'store');
      this.#installation.network.cut('store', name);
    }
  }

  heal(): void {
    this.#installation.network.healAll();
  }

  get servers(): readonly ServerNode[] {
    return this.#installation.servers;
  }

  async advance(ms: number): Promise<void> {
    const { world } = this.#installation;
    await world.runUntil(world.nowMs + ms, () => this.#problem === undefined);
    if (this.#problem !== undefined) throw new Error(this.#problem);
  }

  /** After how many milliseconds something is so. */
  async until(isSo: () => boolean, withinMs: number): Promise<number> {
    const { world } = this.#installation;
    const beganMs = world.nowMs;
    while (!isSo() && world.nowMs - beganMs < withinMs) await this.advance(20);
    return world.nowMs - beganMs;
  }
}

describe.each([
  ['two', ['s1', 's2']],
  ['three', ['s1', 's2', 's3']],
])('of %s servers', (_, servers) => {
  describe.each(SEEDS)('(seed %s)', (seed) => {
    /** How long it took until another one led, and then until it had all hosts. */
    async function changed(group: Group, old: ServerNode): Promise<readonly [number, number]> {
      const isChanged = () => group.servers.some((server) => server !== old && server.isActing);
      const leadsMs = await group.until(isChanged, 20_000);
      const next = group.leader;
      const allMs = await group.until(() => group.with(next).length === HOSTS.length, 20_000);
      return [leadsMs, allMs];
    }

    test('one that leads is killed: hosts are with the next one within a second of its lead', async () => {
      const group = await Group.start(seed, servers);
      const { leader, placements } = group;
      leader.kill();
      const [leadsMs, allMs] = await changed(group, leader);
      expect(leadsMs).toBeLessThan(7_000);
      expect(allMs).toBeLessThanOrEqual(1_000);
      await group.advance(30_000);
      expect(group.placements).toEqual(placements);
    });

    test('one that leads is stopped: hosts are with the next one within a second of its lead', async () => {
      const group = await Group.start(seed, servers);
      const { leader } = group;
      leader.stop();
      const [leadsMs, allMs] = await changed(group, leader);
      expect(leadsMs).toBeLessThan(1_500);
      expect(allMs).toBeLessThanOrEqual(1_000);
    });

    test('all are killed, and the one that led comes back cut off from the store: hosts go to the one that leads then', async () => {
      const group = await Group.start(seed, servers);
      const { leader, placements } = group;
      for (const server of group.servers) server.kill();
      await group.advance(3_000);
      for (const server of group.servers) server.start();
      // As long as hosts are told that its earlier process leads.
      await group.advance(1_000);
      group.cutFromStore([leader]);
      const [leadsMs, allMs] = await changed(group, leader);
      expect(leadsMs).toBeLessThan(7_000);
      expect(allMs).toBeLessThanOrEqual(3_000);
      await group.advance(30_000);
      expect(group.placements).toEqual(placements);
    });

    test('one that leads is cut off from the store alone: hosts go to the one that leads then', async () => {
      const group = await Group.start(seed, servers);
      const { leader, placements } = group;
      group.cutFromStore([leader]);
      const [leadsMs, allMs] = await changed(group, leader);
      expect(leadsMs).toBeLessThan(7_000);
      expect(allMs).toBeLessThanOrEqual(2_000);
      await group.advance(30_000);
      group.heal();
      await group.advance(30_000);
      expect(group.placements).toEqual(placements);
    });
  });

  test('all are cut off from the store: sessions stay, others are asked every five seconds at most, and nothing moves', async () => {
    const group = await Group.start(1, servers);
    const { leader, placements } = group;
    const sessions = () => HOSTS.map((hostId) => leader.plane?.agents.host(hostId as HostId)?.connected);
    const before = sessions();
    group.hellos = 0;
    group.cutFromStore(group.servers);
    await group.advance(60_000);
    expect(group.hellos).toBeLessThanOrEqual(12 * HOSTS.length);
    expect(sessions()).toEqual(before);
    group.hellos = 0;
    await group.advance(300_000);
    expect(group.hellos).toBeLessThanOrEqual(60 * HOSTS.length);
    expect(sessions()).toEqual(before);
    group.heal();
    await group.advance(30_000);
    expect(group.placements).toEqual(placements);
    expect(group.with(group.leader)).toEqual(HOSTS);
  });
});
