// What the manager writes, when, and in which order; and what is left of it when its term is over.

import type { NetworkId } from '@leasehold/server/domain/ids';
import { type NetworkStore, StoreUnavailableError } from '@leasehold/server/ports/store';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CALL } from './commands.js';
import { Installation } from './installation.js';
import { PlayedAgent } from './played-agent.js';
import { type GroupServer, ServerGroup } from './server-group.js';

const RED = 'red' as NetworkId;

describe('the manager of one server', () => {
  let installation: Installation;

  afterEach(async () => {
    await installation.stop();
  });

  async function network(networkId: string, n: number, dhcpServerCount: number): Promise<void> {
    await installation.createNetwork(networkId, { dhcpServerCount });
    await installation.createSubnet(networkId, `${networkId}-a`, `10.${n}.0.0/24`);
    await installation.advance(100);
  }

  test('writes nothing while there is nothing to do, whatever wakes it', async () => {
    installation = await Installation.start({ h1: ['red', 'blue'], h2: ['red', 'blue'], h3: ['red', 'blue'] });
    await network('red', 1, 2);
    await network('blue', 2, 1);
    await installation.advance(10_000);
    const { log } = installation.disk;
    const before = log.length;
    await installation.advance(60_000);
    for (const host of installation.hosts.values()) host.wire.breakStream();
    await installation.advance(60_000);
    await installation.reserve('red-a', '52:54:00:00:00:01');
    await installation.advance(60_000);
    expect(log.slice(before).map(({ kind }) => kind)).toEqual(['slot']);
  });

  test('helps networks that have no server before those that have another', async () => {
    installation = await Installation.start({ h1: ['aaa', 'zzz'] });
    await network('aaa', 1, 2);
    await network('zzz', 2, 1);
    await installation.addHost('h2', ['aaa']);
    await installation.advance(1_000);
    for (const hostId of ['h3', 'h4', 'h5', 'h6']) await installation.addHost(hostId, ['aaa', 'zzz']);
    await installation.advance(1_000);
    const { log } = installation.disk;
    const before = log.length;
    // Both have to move, in one run.
    installation.host('h1').links.clear();
    await installation.advance(3_000);
    const moved = log.slice(before).flatMap((change) => (change.kind === 'network' ? [change.network.networkId] : []));
    expect(moved.slice(0, 2)).toEqual(['zzz', 'aaa']);
  });
});

describe('the managers of several servers', () => {
  let group: ServerGroup;
  let a: GroupServer;

  beforeEach(async () => {
    group = new ServerGroup({ writeDelayMs: 1, watchLagMs: 20 });
    a = await group.start();
    await group.createSubnet(a, 'red', '10.0.0.0/26');
  });

  afterEach(async () => {
    await group.stop();
  });

  const red = () => group.disk.networks.get(RED);
  const claimedBy = (epoch: number) =>
    [...group.disk.networks.values()].filter(({ holderEpoch }) => holderEpoch === epoch).length;

  /** An agent that says hello and then sends heartbeats. */
  async function agentAt({ plane }: GroupServer, hostId: string) {
    const agent = new PlayedAgent({ plane, advance: (ms) => group.clock.advance(ms) }, hostId);
    await agent.hello();
    // The host is stored before its session begins.
    await group.clock.advance(200);
    let sequence = 0n;
    return Object.assign(agent, { beat: () => agent.heartbeat(++sequence, []) });
  }

  async function until(what: () => boolean, withinMs: number, beat = async () => {}): Promise<number> {
    let passedMs = 0;
    for (; !what() && passedMs < withinMs; passedMs += 10) {
      if (passedMs % 500 === 0) await beat();
      await group.clock.advance(10);
    }
    expect(what()).toBe(true);
    return passedMs;
  }

  async function manyNetworks(count: number): Promise<void> {
    const settings = { displayName: '', labels: {}, dhcpServerCount: 1, ipamEnabled: true };
    const { networks } = a.plane.useCases;
    const ids = Array.from({ length: count }, (_, n) => `n-${n}` as NetworkId);
    await group.during(Promise.all(ids.map((id) => networks.create(id, settings, CALL))));
    await group.clock.advance(1_000);
  }

  test('write no network again before they see what became of the first time', async () => {
    const ids = Array.from({ length: 60 }, (_, n) => `n-${n}`);
    for (const [n, id] of ids.entries()) await group.createSubnet(a, id, `10.1.${n}.0/24`);
    await group.clock.advance(1_000);
    group.watchBehindMs = 300;
    const { networks } = a.plane.useCases.context.store;
    const put = networks.put.bind(networks);
    const written: string[] = [];
    networks.put = (...args) => {
      written.push(args[0].networkId);
      return put(...args);
    };
    const h1 = new PlayedAgent({ plane: a.plane, advance: (ms) => group.clock.advance(ms) }, 'h1');
    const attachments = ids.map((id) => ({
      networkId: id,
      interface: `br-${id}`,
      ready: true,
      reason: '',
      foreignDhcpServers: [],
    }));
    await h1.hello({ attachments });
    // What it is told wakes the manager again and again.
    await until(() => h1.deliveries.length >= ids.length, 3_000);
    await group.clock.advance(1_000);
    expect(written.sort()).toEqual(ids.sort());
  });

  test('claim what others made, too', async () => {
    const b = await group.start();
    expect(b.plane.lease.isSelf).toBe(false);
    await group.createSubnet(b, 'blue', '10.1.0.0/26');
    await group.clock.advance(1_000);
    expect(claimedBy(1)).toBe(2);
  });

  test('move a network before hundreds of others are claimed, and tell of it what is stored', async () => {
    const h1 = await agentAt(a, 'h1');
    expect(h1.actions).toContain('assignment');
    await manyNetworks(400);
    const slow = await group.start();
    const { networks } = slow.plane.useCases.context.store;
    const put = networks.put.bind(networks);
    networks.put = async (...args) => {
      if (args[0].networkId !== RED) await wait(2_000);
      return put(...args);
    };
    await group.kill(a);
    await until(() => slow.plane.lease.epoch !== undefined, 8_000);
    const h2 = await agentAt(slow, 'h2');
    await until(() => h2.actions.includes('assignment'), 25_000, h2.beat);
    expect(claimedBy(2)).toBeLessThan(300);
    expect(red()).toMatchObject({ holderEpoch: 2, placements: [{ hostId: 'h2', epoch: 2 }] });
    expect(h2.deliveries[0]).toMatchObject({ networkId: 'red', placementEpoch: 2n });
    await until(() => claimedBy(2) === 401, 60_000, h2.beat);
  });

  test('claim every network, though the store takes long for one of them, refuses others at first, and the lead is lost meanwhile', async () => {
    await manyNetworks(150);
    const b = await group.start();
    const { networks } = b.plane.useCases.context.store;
    const put = networks.put.bind(networks);
    let refused = 0;
    networks.put = async (...args) => {
      if (args[0].networkId === 'n-1') await wait(15_000);
      if (refused < 40) {
        refused++;
        throw new StoreUnavailableError('away');
      }
      return put(...args);
    };
    await group.kill(a);
    await until(() => b.plane.lease.epoch !== undefined, 8_000);
    await until(() => claimedBy(2) === 150, 5_000);
    expect(b.log.lines.filter(({ message }) => message === 'networks cannot be claimed yet')).toHaveLength(1);
    const heal = cutOff(b);
    await group.clock.advance(6_000);
    expect(b.plane.lease.epoch).toBeUndefined();
    heal();
    await until(() => claimedBy(2) === 151, 30_000);
  });

  test('leave hosts to what they do until the network is claimed', async () => {
    await agentAt(a, 'h1');
    const b = await group.start();
    const { networks } = b.plane.useCases.context.store;
    // Claims take long.
    const put = networks.put.bind(networks);
    networks.put = async (...args) => {
      await wait(5_000);
      return put(...args);
    };
    await group.kill(a);
    await until(() => b.plane.lease.epoch !== undefined, 8_000);
    const h1 = new PlayedAgent({ plane: b.plane, advance: (ms) => group.clock.advance(ms) }, 'h1');
    const placementEpoch = BigInt(red()?.placementCounter ?? 0);
    await h1.hello({ tables: [h1.state({ placementEpoch, networkUid: red()?.uid ?? '' })] });
    await group.clock.advance(1_000);
    expect(h1.deliveries).toEqual([]);
    await group.clock.advance(6_000);
    expect(h1.actions[0]).toBe('assignment');
    expect(h1.actions).not.toContain('unassignment');
  });

  test('stop a host that has what another one shall serve as soon as that is claimed, whatever else is not', async () => {
    await agentAt(a, 'h1');
    await manyNetworks(3);
    const b = await group.start();
    const { networks } = b.plane.useCases.context.store;
    const put = networks.put.bind(networks);
    networks.put = async (...args) => {
      await wait(args[0].networkId === RED ? 5_000 : 60_000);
      return put(...args);
    };
    await group.kill(a);
    await until(() => b.plane.lease.epoch !== undefined, 8_000);
    const h2 = await agentAt(b, 'h2');
    const again = new PlayedAgent({ plane: b.plane, advance: (ms) => group.clock.advance(ms) }, 'h2');
    const state = h2.state({ placementEpoch: 1n, networkUid: red()?.uid ?? '' });
    await again.hello({ tables: [state] });
    await again.heartbeat(1n, [state]);
    expect(claimedBy(2)).toBe(0);
    expect(again.deliveries).toEqual([]);
    await group.clock.advance(6_000);
    await again.heartbeat(2n, [state]);
    expect(claimedBy(2)).toBe(1);
    expect(again.actions).toEqual(['unassignment']);
  });

  const wait = (ms: number) => new Promise<void>((resolve) => void group.clock.after(ms, () => resolve()));

  test('stop a dead host as well as that goes, once another one serves, and tell nobody anything twice', async () => {
    const h1 = await agentAt(a, 'h1');
    await h1.acknowledge();
    await h1.beat();
    const h2 = await agentAt(a, 'h2');
    // Its stream is open, and it says nothing any more.
    await until(() => h2.actions.includes('snapshotEnd'), 5_000, h2.beat);
    expect(h1.actions).not.toContain('unassignment');
    await h2.acknowledge();
    await until(() => h1.actions.includes('unassignment'), 1_000, h2.beat);
    const told = [h1, h2].map(({ actions }) => actions);
    for (let n = 0; n < 5; n++) {
      // It wakes the manager, and the host was told before.
      await group.during(a.plane.useCases.networks.update(RED, { labels: { n: String(n) } }, '', CALL));
      await beating(1_000, () => h2.heartbeat(BigInt(100 + n), [h2.state()]));
    }
    expect([h1, h2].map(({ actions }) => actions)).toEqual(told);
    expect(told[1]?.filter((action) => action === 'assignment')).toHaveLength(1);
  });

  test('plan again from what somebody else wrote between plan and write', async () => {
    const b = await group.start();
    const { networks } = a.plane.useCases.context.store;
    const put = networks.put.bind(networks);
    let conflicts = 0;
    networks.put = async (...args) => {
      if (args[0].networkId === RED && args[0].placements.length > 0 && conflicts === 0) {
        conflicts++;
        await b.plane.useCases.networks.update(RED, { dhcpServerCount: 2 }, '', CALL);
        expect(await put(...args)).toBe('conflict');
        return 'conflict';
      }
      return put(...args);
    };
    const agents = [await agentAt(a, 'h1'), await agentAt(a, 'h2')];
    const beat = async () => {
      for (const agent of agents) await agent.beat();
    };
    await until(() => red()?.placements.length === 2, 3_000, beat);
    expect(conflicts).toBe(1);
    expect(red()).toMatchObject({ dhcpServerCount: 2, placementCounter: 2 });
  });

  test('end at once though a write is under way, which changes nothing once the network is claimed again', async () => {
    const b = await group.start();
    const held = holdPuts(a.plane.useCases.context.store.networks);
    await agentAt(a, 'h1');
    await until(() => held.writes.length > 0, 3_000);
    // The lead goes to the other one, and comes back, while that write is under way.
    const heal = cutOff(a);
    await group.clock.advance(9_000);
    expect(red()?.holderEpoch).toBe(2);
    heal();
    await until(() => !a.plane.lease.isSelf, 2_000);
    await group.kill(b);
    held.release();
    await until(() => a.plane.lease.epoch === 3, 8_000);
    await until(() => red()?.holderEpoch === 3, 2_000);
    const before = red();
    expect(await group.during(held.finish())).toEqual(held.writes.map(() => 'conflict'));
    expect(red()).toBe(before);
  });

  test('say of every brake when it lets go, also of those that hold when the term ends', async () => {
    await group.start();
    const { beat } = await agentAt(a, 'h1');
    await beating(3_000, beat);
    const heal = cutOff(a);
    await beating(9_000, () => Promise.resolve());
    heal();
    await until(() => !a.plane.lease.isSelf, 2_000);
    await group.clock.advance(10_000);
    const said = (line: string) =>
      a.log.lines.filter(({ message }) => message === line).map(({ fields }) => fields['kind']);
    expect(said('brake engaged')).toContain('STORE');
    expect(said('brake released')).toEqual(expect.arrayContaining(said('brake engaged')));
    expect(said('brake released')).toHaveLength(said('brake engaged').length);
  });

  /** From now on the holder's record can be neither read nor renewed, until the answer is called. */
  function cutOff(server: GroupServer): () => void {
    const { holder } = server.plane.useCases.context.store;
    if (holder.kind !== 'shared') throw new Error('Its servers elect no holder');
    const [renew, get] = [holder.renew.bind(holder), holder.get.bind(holder)];
    holder.renew = holder.get = () => Promise.reject(new StoreUnavailableError('away'));
    return () => void Object.assign(holder, { renew, get });
  }

  async function beating(ms: number, beat: () => Promise<void>): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += 500) {
      await beat();
      await group.clock.advance(500);
    }
  }

  /** The store is away for 6 s. `first` loses its stream when the holder does not act any more. */
  async function outage(first: PlayedAgent & { beat(): Promise<void> }, other: typeof first): Promise<void> {
    const heal = cutOff(a);
    await beating(3_500, async () => {
      await first.beat();
      await other.beat();
    });
    await first.breaks();
    await beating(2_500, other.beat);
    heal();
  }

  test('take nobody for dead who could not come back while the store was away, however often', async () => {
    const h1 = await agentAt(a, 'h1');
    const h2 = await agentAt(a, 'h2');
    const brakes = () => a.plane.useCases.status.get().brakes.map(({ kind }) => kind);
    const before = red();
    expect(before).toMatchObject({ placements: [{ hostId: 'h1' }] });
    await outage(h1, h2);
    expect(brakes()).toEqual(['STORE']);
    await beating(1_000, h2.beat);
    expect(brakes()).toEqual(['STORE']);
    await beating(3_000, h2.beat);
    const back = await agentAt(a, 'h1');
    const both = async () => {
      await back.beat();
      await h2.beat();
    };
    await beating(4_000, both);
    expect(red()?.placements).toEqual(before?.placements);
    expect(brakes()).toEqual(['STORE']);
    await outage(back, h2);
    await beating(4_000, h2.beat);
    expect(red()?.placements).toEqual(before?.placements);
    // It does not come back.
    await beating(20_000, h2.beat);
    expect(red()).toMatchObject({ placements: [{ hostId: 'h2' }] });
    await beating(60_000, h2.beat);
    expect(brakes()).toEqual([]);
  });

  /** From now on writes of networks wait, until new ones are let through; those that wait are made by `finish`. */
  function holdPuts(networks: NetworkStore) {
    const put = networks.put.bind(networks);
    const writes: Parameters<NetworkStore['put']>[] = [];
    networks.put = (...args) => {
      writes.push(args);
      return new Promise(() => {});
    };
    return {
      writes,
      release: () => {
        networks.put = put;
      },
      finish: () => Promise.all(writes.map(([network, over]) => put(network, over))),
    };
  }
});
