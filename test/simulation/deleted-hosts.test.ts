// A host that is forgotten while it returns, or by a server that does not lead any more: what its networks keep of it.

import { delay } from '@leasehold/program/clock';
import { formatIpv4 } from '@leasehold/proto/values';
import type { HostId, NetworkId } from '@leasehold/server/domain/ids';
import type { Slot } from '@leasehold/server/domain/slot';
import { StoreUnavailableError } from '@leasehold/server/ports/store';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CALL } from './commands.js';
import { accepted, Installation } from './installation.js';
import { PlayedAgent } from './played-agent.js';
import { ServerGroup } from './server-group.js';

const [MAC, OTHER] = ['52:54:00:00:00:01', '52:54:00:00:00:02'];
const RED = 'red' as NetworkId;
const H1 = 'h1' as HostId;
const ADDRESS = '10.0.0.3';

describe('a host that says hello while it is deleted', () => {
  let installation: Installation;

  beforeEach(async () => {
    installation = await Installation.start({}, { authorityS: 3_600 });
    await installation.addHost('h1', ['red']);
    await installation.createNetwork('red');
    await installation.createSubnet('red', 'red-a', '10.0.0.0/29');
    await installation.reserve('red-a', MAC, ADDRESS);
    await installation.advance(2_000);
  });
  afterEach(() => installation.stop());

  const formers = () => installation.disk.networks.get(RED)?.formerServers;

  function slot(): Slot | undefined {
    const slots = [...(installation.disk.slots.get(RED)?.values() ?? [])];
    return slots.find((each) => formatIpv4(each.address) === ADDRESS);
  }

  /** Deletes h1 while every write of a network takes so long; `first` happens before, `meanwhile` after the first one began. */
  async function deleteSlowly(writeMs: number, meanwhile: () => void, first = async () => {}) {
    const { networks } = installation.plane.useCases.context.store;
    const put = networks.put.bind(networks);
    const slow = vi.spyOn(networks, 'put').mockImplementation(async (...write) => {
      await delay(installation.clock, writeMs);
      // The manager, which forgets a former server once it is fenced, comes too late.
      if (write[0].formerServers.length === 0) return 'conflict';
      return put(...write);
    });
    await first();
    let isOver = false;
    const deleting = installation.plane.useCases.hosts.delete(H1, '', CALL).finally(() => {
      isOver = true;
    });
    await installation.advance(10);
    meanwhile();
    while (!isOver) await installation.advance(10);
    slow.mockRestore();
    return deleting;
  }

  test('is not forgotten, and what was kept of its silence is gone', async () => {
    const { wire } = installation.host('h1');
    await installation.updateHost('h1', { maintenance: true });
    await installation.advance(1_000);
    wire.cut();
    // Less than a step of its silence: its hello finds nothing to change in what is stored of it.
    await installation.advance(145_000);
    expect(await deleteSlowly(3_000, () => wire.heal())).toMatchObject({ error: { kind: 'host-connected' } });
    expect(installation.disk.hosts.has(H1)).toBe(true);
    expect(formers()?.filter(({ silentForS, fenced }) => (silentForS ?? fenced) !== undefined)).toEqual([]);
  });

  test('is silent from then on only, though it was fenced before, when it is deleted again', async () => {
    const { wire } = installation.host('h1');
    await installation.addHost('h2', ['red']);
    wire.cut();
    await installation.advance(30_000);
    expect(installation.placements('red')).toEqual(['h1 former', 'h2 serving']);
    const healed = () => {
      wire.heal();
      // Its hello arrives, and that is all.
      wire.witness = { heard: () => wire.cut(), said: () => undefined };
    };
    const refused = await deleteSlowly(9_000, healed, async () => {
      accepted(await installation.plane.useCases.hosts.fence(H1, 'dead', CALL));
    });
    expect(refused).toMatchObject({ error: { kind: 'host-connected' } });
    await installation.advance(30_000);
    // Whatever an earlier deletion left there.
    const network = installation.disk.networks.get(RED);
    if (!network) throw new Error('It is there');
    const poisoned = network.formerServers.map((former) => ({ ...former, silentForS: 3_600, fenced: true as const }));
    await installation.plane.useCases.context.store.networks.put({ ...network, formerServers: poisoned });
    await installation.deleteHost('h1');
    expect(formers()).toMatchObject([{ hostId: H1 }]);
    expect(formers()?.[0]).not.toHaveProperty('fenced');
    expect(formers()?.[0]?.silentForS).toBeLessThan(60);
    await installation.tryRelease('red-a', ADDRESS, { guestStopped: true });
    await installation.advance(70_000);
    expect(slot()?.state).toBe('quarantined');
    expect(await installation.tryReserve('red-a', OTHER, ADDRESS)).toMatchObject({
      error: { kind: 'address-quarantined' },
    });
    expect(installation.answers('red')).toContain(`h1 ${MAC}=${ADDRESS}`);
  });
});

test('a host that is gone is told nothing any more, though its networks know of it, until it is there again', async () => {
  const installation = await Installation.start({ h1: ['red'], h2: ['red'] }, { authorityS: 3_600 });
  await installation.createNetwork('red');
  await installation.createSubnet('red', 'red-a', '10.0.0.0/29');
  await installation.advance(2_000);
  const first = installation.disk.networks.get(RED)?.placements[0]?.hostId ?? '';
  await installation.host(first).kill();
  await installation.advance(30_000);
  const { agents, useCases } = installation.plane;
  const provide = agents.provide.bind(agents);
  const told: { readonly hostId: HostId; readonly isThere: boolean }[] = [];
  vi.spyOn(agents, 'provide').mockImplementation((hostId, ...more) => {
    told.push({ hostId, isThere: useCases.context.view.hosts.has(hostId) });
    return provide(hostId, ...more);
  });
  await installation.deleteHost(first);
  await installation.advance(10_000);
  await installation.updateNetwork('red', { dhcpServerCount: 2 });
  await installation.advance(10_000);
  expect(installation.disk.networks.get(RED)?.formerServers).toMatchObject([{ hostId: first }]);
  expect(told.filter(({ hostId }) => hostId === first)).toEqual([]);
  await installation.host(first).start();
  await installation.advance(5_000);
  expect(new Set(told.map(({ isThere }) => isThere))).toEqual(new Set([true]));
  expect(installation.placements('red')).toContain(`${first} serving`);
  await installation.stop();
});

test('a deletion that outlasts the lead of its server withdraws nothing from the next one', async () => {
  const group = new ServerGroup({ writeDelayMs: 1, watchLagMs: 20 });
  const a = await group.start();
  await group.createSubnet(a, 'red', '10.0.0.0/26');
  const b = await group.start();
  const advance = (ms: number) => group.clock.advance(ms);
  const before = new PlayedAgent({ plane: a.plane, advance }, 'h1');
  await before.hello();
  await advance(2_000);
  await before.acknowledge();
  await before.breaks();
  await advance(30_000);
  const { networks, holder } = a.store;
  if (holder.kind === 'exclusive') throw new Error('Its servers elect a holder');
  const get = networks.get.bind(networks);
  let go = () => {};
  const held = new Promise<void>((done) => {
    go = done;
  });
  vi.spyOn(networks, 'get').mockImplementation(async (networkId) => {
    await held;
    return get(networkId);
  });
  const deleting = a.plane.useCases.hosts.delete(H1, '', CALL);
  await advance(10);
  const away = () => Promise.reject(new StoreUnavailableError('away'));
  vi.spyOn(holder, 'renew').mockImplementation(away);
  vi.spyOn(holder, 'get').mockImplementation(away);
  while (b.plane.lease.epoch === undefined) await advance(1);
  const after = new PlayedAgent({ plane: b.plane, advance }, 'h1');
  await after.hello();
  await advance(1_000);
  await after.acknowledge();
  const claimed = group.disk.networks.get(RED);
  expect(claimed).toMatchObject({ holderEpoch: 2, placements: [{ hostId: H1 }], formerServers: [] });
  go();
  expect(await group.during(deleting)).toMatchObject({ error: { kind: 'no-holder' } });
  expect(group.disk.networks.get(RED)).toMatchObject({ placements: claimed?.placements, formerServers: [] });
  expect(group.disk.hosts.has(H1)).toBe(true);
  await group.stop();
});
