// Hosts that fall silent together become suspect one after another: the first of them must not be moved before the last
// ones show that the fault is not theirs.

import type { NetworkId } from '@leasehold/server/domain/ids';
import { expect, test } from 'vitest';
import { Installation } from './installation.js';

test.each([3, 4, 10].flatMap((hosts) => [0, 130, 377, 611, 900].map((afterMs) => [hosts, afterMs] as const)))(
  'when all of %i hosts are cut off, networks with a single server do not move (phase %i ms)',
  async (count, afterMs) => {
    const networkIds = Array.from({ length: count }, (_, n) => `n${n}`);
    const installation = await Installation.start({});
    for (let n = 0; n < count; n++) {
      await installation.addHost(`h${n}`, networkIds);
      // So that their heartbeats are spread over the interval.
      await installation.advance(97);
    }
    for (const [n, networkId] of networkIds.entries()) {
      await installation.createNetwork(networkId, { dhcpServerCount: 1 });
      await installation.createSubnet(networkId, `${networkId}-a`, `10.${n}.0.0/24`);
    }
    await installation.advance(20_000 + afterMs);
    const placed = () => networkIds.map((id) => installation.placements(id).map((line) => line.split(' ')[0]));
    const before = placed();
    for (const host of installation.hosts.values()) host.wire.cut();
    await installation.advance(20_000);
    expect(placed()).toEqual(before);
    await installation.stop();
  },
);

// The first fault holds up a heartbeat of one host, the next one holds up another of the same host and the first of the others.
test.each(Array.from({ length: 20 }, (_, n) => 53 * n))(
  'two short faults, each of which all hosts suffer, move nothing (phase %i ms)',
  async (afterMs) => {
    const networkIds = ['n0', 'n1', 'n2'];
    const installation = await Installation.start({});
    for (let n = 0; n < 3; n++) {
      await installation.addHost(`h${n}`, networkIds);
      await installation.advance(320);
    }
    for (const [n, networkId] of networkIds.entries()) {
      await installation.createNetwork(networkId, { dhcpServerCount: 1 });
      await installation.createSubnet(networkId, `${networkId}-a`, `10.${n}.0.0/24`);
    }
    await installation.advance(20_000 + afterMs);
    const placed = () => networkIds.map((id) => installation.placements(id).map((line) => line.split(' ')[0]));
    const before = placed();
    const wires = [...installation.hosts.values()].map(({ wire }) => wire);
    for (const wire of wires) wire.cut();
    await installation.advance(600);
    for (const wire of wires) wire.heal('whole');
    await installation.advance(370);
    for (const wire of wires) wire.cut();
    await installation.advance(3_000);
    for (const wire of wires) wire.heal();
    await installation.advance(20_000);
    expect(placed()).toEqual(before);
    await installation.stop();
  },
);

// When an agent dials next depends on when it was cut off: one of these returns just after the others became suspect.
test.each(Array.from({ length: 25 }, (_, n) => 7_000 + 480 * n))(
  'when nobody came in time after a start, the first one to return takes nothing from the others (%i ms)',
  async (afterMs) => {
    const networkIds = ['n0', 'n1', 'n2'];
    const installation = await Installation.start({ h0: networkIds, h1: networkIds, h2: networkIds });
    for (const [n, networkId] of networkIds.entries()) {
      await installation.createNetwork(networkId, { dhcpServerCount: 1 });
      await installation.createSubnet(networkId, `${networkId}-a`, `10.${n}.0.0/24`);
    }
    await installation.advance(20_000);
    const placed = () => networkIds.map((id) => installation.placements(id).map((line) => line.split(' ')[0]));
    const before = placed();
    expect(new Set(before.flat()).size).toBe(3);
    for (const host of installation.hosts.values()) host.wire.cut();
    await installation.killServer();
    await installation.startServer();
    await installation.advance(afterMs);
    installation.host('h0').wire.heal();
    await installation.advance(3_000);
    installation.host('h1').wire.heal();
    installation.host('h2').wire.heal();
    await installation.advance(30_000);
    expect(placed()).toEqual(before);
    await installation.stop();
  },
);

test('when all power is lost, what the first six of ten machines serve stays, and what only late ones serve moves once', async () => {
  const ids = Array.from({ length: 10 }, (_, n) => `n${n}`);
  const hostIds = Array.from({ length: 10 }, (_, n) => `h${n}`);
  const installation = await Installation.start(Object.fromEntries(hostIds.map((hostId) => [hostId, ids])));
  for (const [n, networkId] of ids.entries()) {
    await installation.createNetwork(networkId, { dhcpServerCount: 1 });
    await installation.createSubnet(networkId, `${networkId}-a`, `10.${n}.0.0/24`);
  }
  await installation.advance(20_000);
  const placed = () => ids.map((id) => installation.disk.networks.get(id as NetworkId)?.placements ?? []);
  const before = placed();
  expect(new Set(before.flat().map(({ hostId }) => hostId)).size).toBe(10);
  for (const host of installation.hosts.values()) await host.kill();
  await installation.killServer();
  await installation.advance(10_000);
  await installation.startServer();
  const [late, early] = [hostIds.slice(6), hostIds.slice(0, 6)];
  // The sixth to return leaves fewer than half silent.
  for (const hostId of early) {
    await installation.advance(8_000);
    await installation.host(hostId).reboot();
  }
  const isLate = (network: number) => late.includes(before[network]?.[0]?.hostId ?? '');
  await installation.advance(14_000);
  expect(placed()).toEqual(before);
  await installation.advance(3_000);
  const moved = placed();
  for (const [n, [placement]] of moved.entries()) {
    if (isLate(n)) expect(early).toContain(placement?.hostId);
    else expect([placement]).toEqual(before[n]);
  }
  for (const hostId of late) await installation.host(hostId).reboot();
  await installation.advance(60_000);
  expect(placed()).toEqual(moved);
  await installation.stop();
});
