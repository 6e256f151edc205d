// The server's side of the session protocol, against an agent played message by message.

import type { Host } from '@leasehold/server/domain/host';
import type { HostId, NetworkId, ReservationId } from '@leasehold/server/domain/ids';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Installation } from './installation.js';
import { PlayedAgent } from './played-agent.js';

let installation: Installation;

beforeEach(async () => {
  installation = await Installation.start();
  await installation.createNetwork('red');
  await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
});

afterEach(async () => {
  await installation.stop();
});

async function servingAgent(): Promise<PlayedAgent> {
  const agent = new PlayedAgent(installation);
  await agent.hello();
  await agent.acknowledge();
  return agent;
}

describe('a session', () => {
  test('a host that is placed gets the assignment and the whole table, each delivery with the next sequence', async () => {
    await installation.reserve('red-a', '52:54:00:00:00:01', '10.0.0.10');
    const agent = new PlayedAgent(installation);
    await agent.hello();
    expect(agent.actions).toEqual(['assignment', 'snapshotBegin', 'snapshotPart', 'snapshotEnd']);
    expect(agent.deliveries.map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n, 4n]);
    expect(new Set(agent.deliveries.map(({ sessionEpoch }) => sessionEpoch))).toEqual(new Set([agent.epoch]));
  });

  test('a snapshot travels in parts of at most a thousand entries', async () => {
    await installation.createSubnet('red', 'red-b', '10.1.0.0/16');
    for (let n = 0; n < 1_500; n++) {
      await installation.reserve(
        'red-b',
        `52:54:00:01:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`,
      );
    }
    const agent = new PlayedAgent(installation);
    await agent.hello();
    const parts = agent.deliveries.flatMap(({ action }) =>
      action?.$case === 'snapshotPart' ? [action.value.entries.length] : [],
    );
    expect(parts).toEqual([1_000, 500]);
  });

  test('a reservation made later follows as a delta, a release as a removal of that very tenure', async () => {
    const agent = await servingAgent();
    const { reservationId } = await installation.reserve('red-a', '52:54:00:00:00:01', '10.0.0.10');
    await installation.tryRelease('red-a', '10.0.0.10');
    await installation.advance(0);
    const deltas = agent.deliveries.flatMap(({ action }) => (action?.$case === 'tableDelta' ? [action.value] : []));
    expect(deltas.flatMap(({ put }) => put.map((entry) => entry.reservationId))).toEqual([reservationId]);
    expect(deltas.flatMap(({ remove }) => remove)).toEqual([{ address: '10.0.0.10', reservationId }]);
  });

  test('a reservation is ready only when the delivery that carries it was acknowledged by a serving table', async () => {
    const agent = await servingAgent();
    const { address, reservationId } = await installation.reserve('red-a', '52:54:00:00:00:01');
    const ready = () => installation.plane.agents.readyServers('red' as NetworkId, address, reservationId);
    expect(ready()).toBe(0);
    await agent.heartbeat(1n, [agent.state()]);
    expect(ready()).toBe(0);
    await agent.acknowledge({ serving: false, reason: 'No link' });
    expect(ready()).toBe(0);
    await agent.acknowledge();
    expect(ready()).toBe(1);
  });

  test('a table that equals the server’s is confirmed at hello, another one is sent whole', async () => {
    const first = await servingAgent();
    const table = first.state();
    await first.breaks();
    const same = new PlayedAgent(installation);
    const [network] = installation.disk.networks.values();
    const reported = { ...table, networkUid: network?.uid ?? '' };
    await same.hello({ tables: [reported] });
    expect(same.actions).toEqual(['assignment', 'tableConfirmation']);
    await same.breaks();
    const other = new PlayedAgent(installation);
    await other.hello({ tables: [{ ...reported, digest: Buffer.alloc(32, 1) }] });
    expect(other.actions).toEqual(['assignment', 'snapshotBegin', 'snapshotEnd']);
  });

  test.each([
    ['another store', { storeUid: 'other', incarnation: 1n }],
    ['an older incarnation', { storeUid: 'memory', incarnation: 0n }],
  ])('a table of %s is not confirmed: its agent drops it', async (_, store) => {
    const agent = await servingAgent();
    const table = agent.state();
    await agent.breaks();
    const [network] = installation.disk.networks.values();
    const returned = new PlayedAgent(installation);
    const tables = [{ ...table, networkUid: network?.uid ?? '' }];
    await returned.hello({ ...store, highestEpoch: { holderEpoch: 1n, counter: 1n }, tables });
    expect(returned.actions).toEqual(['assignment', 'snapshotBegin', 'snapshotEnd']);
  });

  test('a table that drifted is sent again, but only when it had everything it was sent', async () => {
    const agent = await servingAgent();
    await installation.reserve('red-a', '52:54:00:00:00:01');
    await agent.heartbeat(1n, [agent.state({ sequence: 1n, digest: Buffer.alloc(32, 1) })]);
    expect(agent.actions).not.toContain('snapshotPart');
    await agent.heartbeat(2n, [agent.state({ digest: Buffer.alloc(32, 1) })]);
    expect(agent.actions.slice(-3)).toEqual(['snapshotBegin', 'snapshotPart', 'snapshotEnd']);
    expect(installation.drifts).toBe(1);
  });

  test('the table of a network that another holder has is not compared: its changes are not told here', async () => {
    const agent = await servingAgent();
    const [network] = installation.disk.networks.values();
    if (!network) throw new Error('There is no network');
    const taken = { ...network, holderEpoch: network.holderEpoch + 1 };
    installation.disk.networks.set(network.networkId, taken);
    installation.disk.commit([{ kind: 'network', network: taken, before: network }]);
    await installation.advance(20);
    await agent.heartbeat(1n, [agent.state({ digest: Buffer.alloc(32, 1) })]);
    expect(installation.drifts).toBe(0);
    expect(agent.actions).toEqual(['assignment', 'snapshotBegin', 'snapshotEnd']);
  });

  test('a table that stays wrong is sent again less and less often', async () => {
    const agent = await servingAgent();
    for (let beat = 1n; beat <= 60n; beat++) {
      await agent.heartbeat(beat, [agent.state({ digest: Buffer.alloc(32, 1) })]);
      await installation.advance(1_000);
    }
    expect(installation.drifts).toBe(6);
  });

  test('a heartbeat is acknowledged with the placements that are wanted, and no others', async () => {
    const agent = await servingAgent();
    await agent.heartbeat(1n, [agent.state()]);
    expect(agent.heartbeatAcks.at(-1)?.placements.map(({ networkId }) => networkId)).toEqual(['red']);
    await installation.updateNetwork('red', { ipamEnabled: false });
    await installation.advance(20);
    await agent.heartbeat(2n, [agent.state()]);
    expect(agent.heartbeatAcks.at(-1)).toMatchObject({ sequence: 2n, placements: [] });
  });

  test('a former server stays known until the unassignment is acknowledged', async () => {
    const agent = await servingAgent();
    await installation.updateNetwork('red', { ipamEnabled: false });
    await installation.advance(20);
    expect(agent.actions.at(-1)).toBe('unassignment');
    await agent.heartbeat(1n, [agent.state()]);
    expect(installation.placements('red')).toEqual(['h1 withdrawing']);
    await agent.acknowledge({ digest: Buffer.alloc(0), serving: false });
    await installation.advance(20);
    expect(installation.placements('red')).toEqual([]);
  });

  test('a host that goes on only until it is replaced gets removals and nothing new', async () => {
    const agent = await servingAgent();
    await installation.reserve('red-a', '52:54:00:00:00:01', '10.0.0.10');
    await agent.acknowledge();
    const second = new PlayedAgent(installation);
    await second.hello({ hostId: 'h2' });
    await installation.updateHost('h1', { maintenance: true });
    await installation.advance(20);
    expect(second.actions).toContain('assignment');
    const before = agent.deliveries.length;
    await installation.reserve('red-a', '52:54:00:00:00:02', '10.0.0.11');
    await installation.tryRelease('red-a', '10.0.0.10');
    await installation.advance(0);
    const since = agent.deliveries.slice(before).map(({ action }) => action);
    expect(since).toMatchObject([{ $case: 'tableDelta', value: { put: [], remove: [{ address: '10.0.0.10' }] } }]);
    await second.acknowledge();
    await installation.advance(20);
    expect(agent.actions.at(-1)).toBe('unassignment');
  });

  test('a host that goes on only until it is replaced is told the end of a tenure that the watch skipped', async () => {
    const agent = await servingAgent();
    const slot = await installation.reserve('red-a', '52:54:00:00:00:01', '10.0.0.10');
    await agent.acknowledge();
    await new PlayedAgent(installation, 'h2').hello();
    await installation.updateHost('h1', { maintenance: true });
    await installation.advance(50);
    const before = agent.deliveries.length;
    const next = { ...slot, reservationId: 'next' as ReservationId };
    installation.plane.agents.addReservation({ networkId: slot.networkId }, next);
    await installation.advance(0);
    const since = agent.deliveries.slice(before).map(({ action }) => action);
    const remove = [{ address: '10.0.0.10', reservationId: slot.reservationId }];
    expect(since).toMatchObject([{ $case: 'tableDelta', value: { put: [], remove } }]);
  });

  test('a host that goes on only until it is replaced is not ready for what it is never sent', async () => {
    const agent = await servingAgent();
    await new PlayedAgent(installation, 'h2').hello();
    await installation.updateHost('h1', { maintenance: true });
    await installation.advance(50);
    const { address, reservationId } = await installation.reserve('red-a', '52:54:00:00:00:09');
    await agent.acknowledge();
    expect(installation.plane.agents.readyServers('red' as NetworkId, address, reservationId)).toBe(0);
  });

  test('a host that was told to stop is sent no table again, whoever else fails', async () => {
    const agent = await servingAgent();
    await installation.addHost('h2', ['red']);
    await installation.updateHost('h1', { maintenance: true });
    await installation.advance(300);
    const before = agent.actions;
    expect(before.at(-1)).toBe('unassignment');
    await installation.reserve('red-a', '52:54:00:00:00:19');
    installation.host('h2').wire.breakStream();
    await installation.advance(2);
    expect(agent.actions).toEqual(before);
  });

  test('two changes of a subnet within one millisecond both reach the agents', async () => {
    const agent = await servingAgent();
    for (const last of [1, 9]) await installation.tryUpdateSubnet('red-a', { leaseTimeS: 3_600 + last });
    await installation.advance(100);
    const told = agent.deliveries.flatMap(({ action }) => (action?.$case === 'assignment' ? [action.value] : []));
    expect(told.at(-1)?.subnets[0]?.leaseSeconds).toBe(3_609);
  });

  test('a host that never confirms is replaced by one that may, and not tried again at once', async () => {
    const agent = new PlayedAgent(installation);
    await agent.hello();
    await installation.addHost('h2', ['red']);
    const refuses = { sequence: 0n, serving: false, reason: 'Port 67 is taken', digest: Buffer.alloc(0) };
    for (let beat = 1n; beat <= 20n; beat++) {
      await agent.heartbeat(beat, [agent.state(refuses)]);
      await installation.advance(1_000);
    }
    expect(installation.placements('red')).toContain('h2 serving');
    expect(installation.placements('red')).not.toContain('h1 assigned');
  });

  test('a server that does not know yet what a host shall serve tells it nothing', async () => {
    const agent = await servingAgent();
    const table = { ...agent.state(), networkUid: [...installation.disk.networks.values()][0]?.uid ?? '' };
    await installation.killServer();
    await installation.startServer();
    const again = new PlayedAgent(installation);
    await again.hello({ tables: [table] });
    expect(again.actions).toEqual(['assignment', 'tableConfirmation']);
  });
});

describe('who may speak', () => {
  test('the newest session of a host wins, the older one ends', async () => {
    const first = await servingAgent();
    const second = new PlayedAgent(installation);
    await second.hello();
    expect(first.ended).toMatchObject({ kind: 'session-superseded' });
    expect(second.epoch.counter).toBeGreaterThan(first.epoch.counter);
    await first.breaks();
    expect(installation.plane.agents.host('h1' as HostId)?.connected).toBe(true);
  });

  test('a message of another session epoch ends the stream', async () => {
    const agent = await servingAgent();
    const sessionEpoch = { ...agent.epoch, counter: agent.epoch.counter + 1n };
    await agent.say({
      $case: 'heartbeat',
      value: { sessionEpoch, sequence: 1n, tables: [], acknowledgedSequence: 0n },
    });
    expect(agent.ended).toMatchObject({ kind: 'invalid-field' });
  });

  test('a stream begins with a hello and nothing else', async () => {
    const agent = new PlayedAgent(installation);
    const sessionEpoch = { holderEpoch: 1n, counter: 1n };
    await agent.say({
      $case: 'heartbeat',
      value: { sessionEpoch, sequence: 1n, tables: [], acknowledgedSequence: 0n },
    });
    expect(agent.ended).toMatchObject({ kind: 'invalid-field' });
  });

  test('a hello with a malformed host, network or interface name is refused', async () => {
    for (const bad of [
      { hostId: 'No Such Host' },
      { attachments: [{ networkId: 'red', interface: 'a/b', ready: true, reason: '', foreignDhcpServers: [] }] },
    ]) {
      const agent = new PlayedAgent(installation);
      await agent.hello(bad);
      expect(agent.ended).toMatchObject({ kind: 'invalid-field' });
    }
    expect(installation.disk.hosts.size).toBe(0);
  });

  test('a silent session ends, and its host is neither ready nor connected any more', async () => {
    const agent = await servingAgent();
    const { address, reservationId } = await installation.reserve('red-a', '52:54:00:00:00:01');
    await agent.acknowledge();
    const ready = () => installation.plane.agents.readyServers('red' as NetworkId, address, reservationId);
    expect(ready()).toBe(1);
    await installation.advance(4_000);
    expect(ready()).toBe(0);
    await installation.advance(10_000);
    expect(agent.ended).toBe('ended');
    expect(installation.plane.agents.host('h1' as HostId)?.connected).toBe(false);
  });

  test('a session that a deletion of its host overtook ends, so that the host is stored anew', async () => {
    const agent = await servingAgent();
    const host = installation.disk.hosts.get('h1' as HostId);
    await installation.plane.useCases.context.store.hosts.remove(host as Host);
    await installation.advance(0);
    expect(agent.ended).toBe('ended');
    await new PlayedAgent(installation).hello();
    expect(installation.disk.hosts.has('h1' as HostId)).toBe(true);
  });

  test('no session begins once the server stops', async () => {
    installation.plane.agents.close();
    const agent = new PlayedAgent(installation);
    await agent.hello();
    expect(agent.ended).toMatchObject({ kind: 'store-unavailable' });
  });

  test('a hello in parts is put together', async () => {
    const agent = new PlayedAgent(installation);
    await agent.hello({ last: false, attachments: [] });
    expect(agent.received).toEqual([]);
    await agent.hello();
    expect(agent.actions[0]).toBe('assignment');
  });

  test('an acknowledgement of what was never sent acknowledges no more than was sent', async () => {
    const agent = await servingAgent();
    await agent.acknowledge({ sequence: 1_000n });
    const { address, reservationId } = await installation.reserve('red-a', '52:54:00:00:00:01');
    await installation.advance(0);
    expect(installation.plane.agents.readyServers('red' as NetworkId, address, reservationId)).toBe(0);
  });
});

describe('what a host has taken in', () => {
  const takenInMs = () => installation.plane.agents.takenInMs('h1' as HostId, 'red' as NetworkId);
  const now = () => installation.clock.now();

  test('is nothing before its whole table is acknowledged, and then everything, as long as nothing is on its way', async () => {
    const agent = new PlayedAgent(installation);
    await agent.hello();
    expect(takenInMs()).toBe(Number.NEGATIVE_INFINITY);
    await agent.acknowledge();
    expect(takenInMs()).toBe(now());
    await installation.advance(1_000);
    expect(takenInMs()).toBe(now());
  });

  test('ends at a removal that it did not acknowledge, whatever its heartbeats say', async () => {
    const agent = await servingAgent();
    await installation.reserve('red-a', '52:54:00:00:00:01', '10.0.0.10');
    await agent.acknowledge();
    await installation.advance(1_000);
    const beforeMs = now();
    await installation.tryRelease('red-a', '10.0.0.10');
    await installation.advance(500);
    expect(takenInMs()).toBeLessThanOrEqual(beforeMs);
    await agent.heartbeat(1n, [agent.state()]);
    expect(takenInMs()).toBeLessThanOrEqual(beforeMs);
    await agent.acknowledge();
    expect(takenInMs()).toBe(now());
  });

  test('grows with what it acknowledged, though more is on its way', async () => {
    const agent = await servingAgent();
    await installation.advance(1_000);
    await installation.reserve('red-a', '52:54:00:00:00:01', '10.0.0.10');
    await installation.tryRelease('red-a', '10.0.0.10');
    await installation.advance(0);
    const [firstMs, first] = [now(), agent.state()];
    await installation.advance(1_000);
    await installation.reserve('red-a', '52:54:00:00:00:02', '10.0.0.11');
    await installation.tryRelease('red-a', '10.0.0.11');
    await installation.advance(500);
    await agent.acknowledge({ sequence: first.sequence });
    expect(takenInMs()).toBe(firstMs);
  });

  test('outlives its session, and not a table that turned out to be another', async () => {
    const agent = await servingAgent();
    await agent.breaks();
    const brokenMs = now();
    await installation.advance(5_000);
    expect(takenInMs()).toBe(brokenMs);
    const again = new PlayedAgent(installation);
    await again.hello({ tables: [{ ...agent.state(), digest: Buffer.alloc(32, 1) }] });
    expect(takenInMs()).toBe(brokenMs);
    await again.acknowledge();
    expect(takenInMs()).toBe(now());
    await again.heartbeat(1n, [again.state({ digest: Buffer.alloc(32, 1) })]);
    expect(takenInMs()).toBe(Number.NEGATIVE_INFINITY);
  });

  test('is nothing while its table is known to be another, though it is not sent again yet, and it is not ready', async () => {
    const agent = await servingAgent();
    const other = Buffer.alloc(32, 1);
    await agent.heartbeat(1n, [agent.state({ digest: other })]);
    await agent.acknowledge();
    expect(takenInMs()).toBe(now());
    const sent = agent.deliveries.length;
    await installation.advance(500);
    await agent.heartbeat(2n, [agent.state({ digest: other })]);
    const slot = await installation.reserve('red-a', '52:54:00:00:00:01', '10.0.0.10');
    await agent.acknowledge();
    const ready = () => installation.plane.agents.readyServers(slot.networkId, slot.address, slot.reservationId);
    expect(agent.actions.slice(sent)).toEqual(['tableDelta']);
    expect([takenInMs(), ready()]).toEqual([Number.NEGATIVE_INFINITY, 0]);
    // Whatever was sent meanwhile: the table is due.
    await installation.advance(500);
    await installation.reserve('red-a', '52:54:00:00:00:02', '10.0.0.11');
    await agent.heartbeat(3n, [agent.state({ digest: other, sequence: 0n })]);
    expect(agent.actions.at(-1)).toBe('snapshotEnd');
    await agent.acknowledge();
    expect([takenInMs(), ready()]).toEqual([now(), 1]);
  });

  test('is nothing of a table that was found to be another when it was to go on only until it is replaced', async () => {
    const agent = await servingAgent();
    const other = { digest: Buffer.alloc(32, 1) };
    await agent.heartbeat(1n, [agent.state(other)]);
    await agent.acknowledge();
    await installation.advance(500);
    await agent.heartbeat(2n, [agent.state(other)]);
    await new PlayedAgent(installation, 'h2').hello();
    await installation.updateHost('h1', { maintenance: true });
    const sent = agent.deliveries.length;
    await installation.advance(1_000);
    await agent.heartbeat(3n, [agent.state(other)]);
    expect(agent.actions.slice(sent)).toEqual([]);
    expect(takenInMs()).toBe(Number.NEGATIVE_INFINITY);
  });

  test('is everything when it has no table and was sent none', async () => {
    await installation.createNetwork('blue');
    await servingAgent();
    expect(installation.plane.agents.takenInMs('h1' as HostId, 'blue' as NetworkId)).toBe(now());
    expect(installation.plane.agents.takenInMs('h2' as HostId, 'blue' as NetworkId)).toBe(Number.NEGATIVE_INFINITY);
  });
});
