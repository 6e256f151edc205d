// The server's side of the session protocol, against an agent played message by message.

import type { Delivery, SessionRequest, SessionResponse, TableState } from '@leasehold/proto/ipam/v1/session';
import type { IpamError } from '@leasehold/server/domain/errors';
import type { NetworkId } from '@leasehold/server/domain/ids';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Installation } from './installation.js';

let installation: Installation;

beforeEach(async () => {
  installation = await Installation.start();
  await installation.createNetwork('red');
  await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
});

afterEach(async () => {
  await installation.stop();
});

type Hello = Extract<NonNullable<SessionRequest['message']>, { $case: 'hello' }>['value'];

/** An agent that does only what a test tells it. */
class PlayedAgent {
  readonly received: SessionResponse[] = [];
  ended: IpamError | 'ended' | undefined;
  readonly #stream;

  constructor() {
    this.#stream = installation.plane.agents.open({
      send: (message) => this.received.push(message),
      end: (error) => {
        this.ended = error ?? 'ended';
      },
    });
  }

  async say(message: NonNullable<SessionRequest['message']>): Promise<void> {
    this.#stream.receive({ message });
    await installation.advance(0);
  }

  async hello(more: Partial<Hello> = {}): Promise<void> {
    const attachment = { networkId: 'red', interface: 'br-red', ready: true, reason: '' };
    await this.say({
      $case: 'hello',
      value: {
        hostId: 'h1',
        agentInstance: 'a',
        bootId: 'b',
        highestEpoch: undefined,
        storeUid: '',
        incarnation: 0n,
        agentVersion: '0',
        backend: 'builtin',
        failureDomain: '',
        attachments: [attachment],
        tables: [],
        last: true,
        ...more,
      },
    });
    await installation.advance(20);
  }

  get epoch() {
    const welcome = this.received.find(({ message }) => message?.$case === 'welcome')?.message;
    if (welcome?.$case !== 'welcome' || !welcome.value.sessionEpoch) throw new Error('No welcome');
    return welcome.value.sessionEpoch;
  }

  get deliveries(): readonly Delivery[] {
    return this.received.flatMap(({ message }) => (message?.$case === 'delivery' ? [message.value] : []));
  }

  get actions(): readonly string[] {
    return this.deliveries.map(({ action }) => action?.$case ?? 'none');
  }

  get heartbeatAcks() {
    return this.received.flatMap(({ message }) => (message?.$case === 'heartbeatAck' ? [message.value] : []));
  }

  state(more: Partial<TableState> = {}): TableState {
    const last = this.deliveries.at(-1);
    return {
      networkId: 'red',
      networkUid: '',
      placementEpoch: last?.placementEpoch ?? 0n,
      sequence: last?.sequence ?? 0n,
      digest: this.digest(),
      entries: 0n,
      serving: true,
      reason: '',
      ...more,
    };
  }

  /** The digest that the last snapshot ended with. */
  digest(): Buffer {
    const ends = this.deliveries.flatMap(({ action }) =>
      action?.$case === 'snapshotEnd' ? [action.value.digest] : [],
    );
    return ends.at(-1) ?? Buffer.alloc(0);
  }

  acknowledge(more: Partial<TableState> = {}): Promise<void> {
    return this.say({ $case: 'deliveryAck', value: { sessionEpoch: this.epoch, table: this.state(more) } });
  }

  heartbeat(sequence: bigint, tables: TableState[]): Promise<void> {
    return this.say({ $case: 'heartbeat', value: { sessionEpoch: this.epoch, sequence, tables } });
  }

  async breaks(): Promise<void> {
    this.#stream.closed();
    await installation.advance(0);
  }
}

async function servingAgent(): Promise<PlayedAgent> {
  const agent = new PlayedAgent();
  await agent.hello();
  await agent.acknowledge();
  return agent;
}

describe('a session', () => {
  test('a host that is placed gets the assignment and the whole table, each delivery with the next sequence', async () => {
    await installation.reserve('red-a', '52:54:00:00:00:01', '10.0.0.10');
    const agent = new PlayedAgent();
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
    const agent = new PlayedAgent();
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
    const same = new PlayedAgent();
    const [network] = installation.disk.networks.values();
    const reported = { ...table, networkUid: network?.uid ?? '' };
    await same.hello({ tables: [reported] });
    expect(same.actions).toEqual(['assignment', 'tableConfirmation']);
    await same.breaks();
    const other = new PlayedAgent();
    await other.hello({ tables: [{ ...reported, digest: Buffer.alloc(32, 1) }] });
    expect(other.actions).toEqual(['assignment', 'snapshotBegin', 'snapshotEnd']);
  });

  test('a table that drifted is sent again, but only when it had everything it was sent', async () => {
    const agent = await servingAgent();
    await installation.reserve('red-a', '52:54:00:00:00:01');
    await agent.heartbeat(1n, [agent.state({ sequence: 1n, digest: Buffer.alloc(32, 1) })]);
    expect(agent.actions).not.toContain('snapshotPart');
    await agent.heartbeat(2n, [agent.state({ digest: Buffer.alloc(32, 1) })]);
    expect(agent.actions.slice(-3)).toEqual(['snapshotBegin', 'snapshotPart', 'snapshotEnd']);
    expect(installation.plane.agents.drifts).toBe(1);
  });

  test('a table that stays wrong is sent again less and less often', async () => {
    const agent = await servingAgent();
    for (let beat = 1n; beat <= 60n; beat++) {
      await agent.heartbeat(beat, [agent.state({ digest: Buffer.alloc(32, 1) })]);
      await installation.advance(1_000);
    }
    expect(installation.plane.agents.drifts).toBe(6);
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
    const second = new PlayedAgent();
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

  test('a server that does not know yet what a host shall serve tells it nothing', async () => {
    const agent = await servingAgent();
    const table = { ...agent.state(), networkUid: [...installation.disk.networks.values()][0]?.uid ?? '' };
    await installation.killServer();
    await installation.startServer();
    const again = new PlayedAgent();
    await again.hello({ tables: [table] });
    expect(again.actions).toEqual(['assignment', 'tableConfirmation']);
  });
});

describe('who may speak', () => {
  test('the newest session of a host wins, the older one ends', async () => {
    const first = await servingAgent();
    const second = new PlayedAgent();
    await second.hello();
    expect(first.ended).toMatchObject({ kind: 'session-superseded' });
    expect(second.epoch.counter).toBeGreaterThan(first.epoch.counter);
    await first.breaks();
    expect(installation.plane.agents.host('h1' as never)?.connected).toBe(true);
  });

  test('a message of another session epoch ends the stream', async () => {
    const agent = await servingAgent();
    const sessionEpoch = { ...agent.epoch, counter: agent.epoch.counter + 1n };
    await agent.say({ $case: 'heartbeat', value: { sessionEpoch, sequence: 1n, tables: [] } });
    expect(agent.ended).toMatchObject({ kind: 'invalid-field' });
  });

  test('a stream begins with a hello and nothing else', async () => {
    const agent = new PlayedAgent();
    const sessionEpoch = { holderEpoch: 1n, counter: 1n };
    await agent.say({ $case: 'heartbeat', value: { sessionEpoch, sequence: 1n, tables: [] } });
    expect(agent.ended).toMatchObject({ kind: 'invalid-field' });
  });

  test('a hello with a malformed host, network or interface name is refused', async () => {
    for (const bad of [
      { hostId: 'No Such Host' },
      { attachments: [{ networkId: 'red', interface: 'a/b', ready: true, reason: '' }] },
    ]) {
      const agent = new PlayedAgent();
      await agent.hello(bad);
      expect(agent.ended).toMatchObject({ kind: 'invalid-field' });
    }
    expect(installation.disk.hosts.size).toBe(0);
  });

  test('a hello in parts is put together', async () => {
    const agent = new PlayedAgent();
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
