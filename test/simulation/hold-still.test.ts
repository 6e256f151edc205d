// A server whose store is an older copy of itself: agents tell, and nothing is freed or handed out from then on.

import { formatIpv4 } from '@leasehold/proto/values';
import type { HostId, NetworkId } from '@leasehold/server/domain/ids';
import { StoreUnavailableError } from '@leasehold/server/ports/store';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Installation } from './installation.js';
import { PlayedAgent } from './played-agent.js';
import { type GroupServer, release, reserve, ServerGroup } from './server-group.js';

const [OLD, LATE, NEW] = ['52:54:00:00:00:01', '52:54:00:00:00:02', '52:54:00:00:00:03'];
const RED = 'red' as NetworkId;
const HOUR_MS = 3_600_000;
// The longest that an agent waits before it connects again, and is told.
const BACK_MS = 6_000;

const kindOf = (result: { readonly ok: boolean; readonly error?: { readonly kind: string } }) =>
  result.ok ? 'ok' : result.error?.kind;

describe('one server', () => {
  let installation: Installation;

  beforeEach(async () => {
    installation = await Installation.start({}, { authorityS: 3_600 });
    await installation.addHost('h1', ['red']);
    await installation.createNetwork('red');
    await installation.createSubnet('red', 'red-a', '10.0.0.0/28');
    await installation.reserve('red-a', OLD, '10.0.0.3');
    await installation.advance(2_000);
  });
  afterEach(() => installation.stop());

  const brakes = () => installation.plane.useCases.status.get().brakes.filter(({ kind }) => kind === 'HOLD_STILL');
  const asked = async (mac: string, address?: string) => kindOf(await installation.tryReserve('red-a', mac, address));
  const states = () => [...(installation.disk.slots.get(RED)?.values() ?? [])].map(({ state }) => state);

  async function restart(): Promise<void> {
    await installation.killServer();
    await installation.startServer();
    await installation.advance(BACK_MS);
  }

  /** What happens after the backup, and is lost: the store is as it was, and the server is down. */
  async function loseFuture(between: () => Promise<void>): Promise<void> {
    const { disk } = installation;
    const [networks, hosts, starts] = [[...disk.networks], [...disk.hosts], disk.starts - 1];
    await between();
    const late = await installation.reserve('red-a', LATE, '10.0.0.4');
    await installation.advance(2_000);
    expect(installation.answers('red')).toContain(`h1 ${LATE}=10.0.0.4`);
    await installation.killServer();
    disk.deleteSlot(late, []);
    for (const [networkId, network] of networks) disk.networks.set(networkId, network);
    for (const [hostId, host] of hosts) disk.hosts.set(hostId, host);
    disk.starts = starts;
  }

  /** The store is restored from before the last start. */
  async function restore(): Promise<void> {
    await loseFuture(restart);
    await installation.startServer();
    await installation.advance(BACK_MS);
  }

  test('that lost what an agent knows hands out nothing, and the agent goes on with all that it has', async () => {
    await restore();
    expect(brakes()).toMatchObject([
      { reason: expect.stringMatching(/Host h1 knows holder epoch 2 .* come to 1.*no other host says so/) },
    ]);
    expect(await asked(NEW)).toBe('holding-still');
    expect(await asked(NEW, '10.0.0.9')).toBe('holding-still');
    expect(await asked(OLD)).toBe('ok');
    expect(installation.answers('red')).toEqual([`h1 ${OLD}=10.0.0.3`, `h1 ${LATE}=10.0.0.4`]);
    expect(installation.log.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', fields: expect.objectContaining({ host: 'h1' }) }),
    );
  });

  test('frees nothing that is released, and gives it not even back to its MAC', async () => {
    await restore();
    expect(kindOf(await installation.tryRelease('red-a', '10.0.0.3', { guestStopped: true }))).toBe('ok');
    await installation.advance(2 * HOUR_MS);
    expect(states()).toEqual(['quarantined']);
    expect(await asked(OLD)).toBe('holding-still');
    expect(await asked(NEW, '10.0.0.3')).toBe('holding-still');
    expect(installation.plane.useCases.context.reuse()).toBeUndefined();
  });

  test('does not forget it however often it is started, and lets the agent keep what it has', async () => {
    await restore();
    const since = brakes()[0]?.since;
    for (let starts = 0; starts < 3; starts++) await restart();
    expect(installation.disk.starts).toBeGreaterThan(2);
    expect(installation.answers('red')).toEqual([`h1 ${OLD}=10.0.0.3`, `h1 ${LATE}=10.0.0.4`]);
    // One whose agent knows nothing of it is served.
    await installation.addHost('h2', ['red']);
    await installation.advance(BACK_MS);
    expect(installation.plane.agents.host('h2' as HostId)?.connected).toBe(true);
    expect(brakes()).toMatchObject([{ since }]);
    expect(await asked(NEW)).toBe('holding-still');
  });

  test('is told by an agent that knows a session of the same epoch that this server did not begin', async () => {
    await loseFuture(async () => {});
    await installation.startServer();
    await installation.advance(BACK_MS);
    expect(brakes()).toMatchObject([{ reason: expect.stringMatching(/knows session 1\/1 .* come to 1\/0/) }]);
  });

  test('of whom an agent knows a later incarnation holds still, too: it is the store that was left', async () => {
    const agent = new PlayedAgent(installation, 'h2');
    await agent.hello({ storeUid: 'memory', incarnation: 2n, highestEpoch: { holderEpoch: 1n, counter: 1n } });
    expect(agent.ended).toMatchObject({ kind: 'holding-still', metadata: { host_id: 'h2' } });
    expect(await asked(NEW)).toBe('holding-still');
    expect(installation.disk.holdStill).toMatchObject({ incarnation: 2 });
    expect(await asked(OLD)).toBe('ok');
  });

  test.each([
    ['another store', { storeUid: 'other', incarnation: 9n, highestEpoch: { holderEpoch: 99n, counter: 1n } }],
    ['an older incarnation', { storeUid: 'memory', incarnation: 0n, highestEpoch: { holderEpoch: 99n, counter: 1n } }],
    ['nothing', {}],
  ])('goes on when an agent knows %s', async (_, known) => {
    const agent = new PlayedAgent(installation, 'h2');
    await agent.hello(known);
    expect(agent.ended).toBeUndefined();
    expect(await asked(NEW)).toBe('ok');
  });

  test.each([
    ['incarnation', { incarnation: 2n ** 60n, highestEpoch: { holderEpoch: 1n, counter: 1n } }],
    ['epoch', { incarnation: 1n, highestEpoch: { holderEpoch: 2n ** 60n, counter: 1n } }],
  ])('refuses an agent that names an %s that cannot be, and goes on', async (_, known) => {
    const agent = new PlayedAgent(installation, 'h2');
    await agent.hello({ storeUid: 'memory', ...known });
    expect(agent.ended).toMatchObject({ kind: 'invalid-field' });
    expect(await asked(NEW)).toBe('ok');
  });

  test('goes on through restarts, broken streams, a host that was deleted, and one that was set up anew', async () => {
    await restart();
    installation.host('h1').wire.breakStream();
    await installation.advance(BACK_MS);
    await installation.host('h1').kill();
    await installation.advance(60_000);
    await installation.deleteHost('h1');
    await installation.host('h1').start();
    await installation.advance(BACK_MS);
    await installation.host('h1').reboot();
    await installation.advance(BACK_MS);
    expect(installation.answers('red')).toEqual([`h1 ${OLD}=10.0.0.3`]);
    expect(brakes()).toEqual([]);
    expect(await asked(NEW)).toBe('ok');
  });

  test('does not hand out an address that it chose before, and was still asking the wire for', async () => {
    await installation.createSubnet('red', 'red-b', '10.0.1.0/28', { probeBeforeUse: true });
    const asking = installation.tryReserve('red-b', NEW);
    await installation.advance(1);
    const agent = new PlayedAgent(installation, 'h2');
    await agent.hello({ storeUid: 'memory', incarnation: 2n, highestEpoch: { holderEpoch: 1n, counter: 1n } });
    expect(brakes()).toHaveLength(1);
    await installation.advance(10_000);
    expect(kindOf(await asking)).toBe('holding-still');
    expect(states()).toEqual(['reserved']);
  });
});

describe('several servers', () => {
  let group: ServerGroup;
  let [a, b]: GroupServer[] = [];

  beforeEach(async () => {
    group = new ServerGroup({ watchLagMs: 200 });
    a = await group.start();
    b = await group.start();
    await group.createSubnet(a, 'red', '10.0.0.0/26');
  });
  afterEach(() => group.stop());

  const at = (server: GroupServer) => ({ plane: server.plane, advance: (ms: number) => group.clock.advance(ms) });
  const holds = ({ plane }: GroupServer) =>
    plane.useCases.status.get().brakes.some(({ kind }) => kind === 'HOLD_STILL');
  const tell = async (server: GroupServer, holderEpoch: bigint, hostId = 'h1') => {
    const agent = new PlayedAgent(at(server), hostId);
    await agent.hello({ storeUid: 'memory', incarnation: 1n, highestEpoch: { holderEpoch, counter: 1n } });
    return agent;
  };

  test('all hold still within two seconds of the one that was told, and whoever starts or leads later', async () => {
    if (!a || !b) throw new Error('not started');
    const made = await group.during(reserve(a, 'red', 1));
    if (!made.ok) throw new Error(made.error.message);
    await tell(a, 9n);
    expect(holds(a)).toBe(true);
    expect(kindOf(await group.during(reserve(a, 'red', 2)))).toBe('holding-still');
    await group.clock.advance(2_000);
    expect(holds(b)).toBe(true);
    expect(kindOf(await group.during(reserve(b, 'red', 2)))).toBe('holding-still');
    expect(kindOf(await group.during(reserve(b, 'red', 1)))).toBe('ok');
    expect(kindOf(await group.during(release(b, 'red', formatIpv4(made.value.tenure.address))))).toBe('ok');
    await group.kill(a);
    await group.clock.advance(10_000);
    expect(group.acting()).toEqual([b.name]);
    // It knows less than the new holder's epoch, and is refused all the same: what it has is kept.
    expect((await tell(b, 1n)).ended).toMatchObject({ kind: 'holding-still' });
    const c = await group.start();
    expect(kindOf(await group.during(reserve(c, 'red', 2)))).toBe('holding-still');
    await group.clock.advance(2 * HOUR_MS);
    expect(group.disk.slots.get(RED)?.size).toBe(1);
  });

  test('it is written as soon as the store can be written, and holds meanwhile', async () => {
    if (!a) throw new Error('not started');
    const { holdStill } = a.store;
    const begin = holdStill.begin.bind(holdStill);
    let failures = 3;
    holdStill.begin = (because) =>
      failures-- > 0 ? Promise.reject(new StoreUnavailableError('no primary')) : begin(because);
    await tell(a, 9n);
    expect(kindOf(await group.during(reserve(a, 'red', 2)))).toBe('holding-still');
    expect(group.disk.holdStill).toBeUndefined();
    await tell(a, 7n, 'h2');
    await group.clock.advance(5_000);
    expect(group.disk.holdStill).toMatchObject({ reason: expect.stringContaining('holder epoch 9'), incarnation: 1 });
    await tell(a, 8n, 'h3');
    await group.clock.advance(2_000);
    expect(group.disk.holdStill?.hostIds).toEqual(['h1', 'h2', 'h3']);
    const [brake] = b?.plane.useCases.status.get().brakes ?? [];
    expect(brake?.reason).toContain('3 hosts say so');
  });

  test('a deposed holder that has not noticed, and is told of its successor, is no older copy', async () => {
    if (!a || !b) throw new Error('not started');
    const { holder } = a.store;
    if (holder.kind !== 'shared') throw new Error('not shared');
    const renew = holder.renew.bind(holder);
    let heal = () => {};
    const healed = new Promise<void>((resolve) => {
      heal = resolve;
    });
    holder.renew = (mine) => healed.then(() => renew(mine));
    await group.clock.advance(10_000);
    expect(group.acting()).toEqual([b.name]);
    expect(a.plane.lease.isSelf).toBe(true);
    const agent = await tell(a, 2n);
    expect(holds(a)).toBe(false);
    heal();
    await group.clock.advance(5_000);
    expect(agent.ended).toMatchObject({ kind: 'store-unavailable' });
    expect([holds(a), holds(b), group.disk.holdStill]).toEqual([false, false, undefined]);
    expect(kindOf(await group.during(reserve(b, 'red', 1)))).toBe('ok');
  });
});
