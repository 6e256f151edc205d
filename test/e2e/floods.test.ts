// One guest floods its wire with DISCOVERs of MACs that nobody knows, with garbage, and with datagrams of 64 KB, while others
// ask for their addresses.

import { expect, test } from 'vitest';
import { Cluster, servingHosts } from '../support/cluster.js';
import { Flood, MAD_GUEST } from '../support/flood.js';
import type { Namespace } from '../support/netns.js';
import { monotonicMs, Prober, QUESTIONS_BEFORE_RETRY } from '../support/prober.js';
import { memoryOf } from '../support/process-memory.js';
import { runUdhcpc } from '../support/udhcpc.js';

const GUESTS = 20;
// After so many guests the heap has its size. A quarter of a kilobyte kept of each message would be more than this growth.
const RESIDENT_SETTLES = 5;
const MB = 1_024 * 1_024;
const GROWTH_MB = 8;
const mac = (n: number) => `52:54:00:00:09:${n.toString(16).padStart(2, '0')}`;

test('guests get their addresses through a flood, the agent does not grow, and every silence is counted', async () => {
  await using cluster = await Cluster.start();
  const leasehold = cluster.client();
  const host = await cluster.host('h1', ['red']);
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.3.0.0/24' });
  await servingHosts(leasehold, 'red', 1);
  const addresses: string[] = [];
  for (let n = 0; n <= GUESTS; n++) {
    const { reservation } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac: mac(n), waitReady: {} });
    addresses.push(reservation.address);
  }
  const probed = await cluster.guest('red', 'probed', mac(GUESTS));
  const guests = await cluster.lab.guests(
    await cluster.wire('red'),
    'guests',
    addresses.slice(0, GUESTS).map((_, n) => mac(n)),
  );
  const flooder = await cluster.guest('red', 'flooder', '52:54:00:00:0a:00');

  await using prober = await Prober.start(probed);
  await prober.answerSince(0);
  await using flood = await Flood.start(flooder, MAD_GUEST);
  const residents: number[] = [];
  const leases: (string | undefined)[] = [];
  for (const guest of guests) {
    await flood.sentMore(1_000);
    leases.push((await runUdhcpc(guest))?.ip);
    residents.push(memoryOf(host.agent.pid).resident / MB);
  }
  expect(leases).toEqual(addresses.slice(0, GUESTS));
  expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
  expect(new Set(prober.answers().map(({ address }) => address))).toEqual(new Set([addresses[GUESTS]]));

  const sent = await flood.stop();
  // Datagrams do not overtake each other: all before this one were read.
  await prober.answerSince(monotonicMs());
  const drops = await dropsOf(host.namespace);
  expect(await host.agent.stop()).toBe(0);

  const { 'unknown-mac': unknown = 0, ...others } = silencesOf(host.agent.lines.map(({ fields }) => fields));
  const all = Object.values(sent).reduce((sum, count) => sum + count, 0) - drops;
  const counted = Object.values(others).reduce((sum, count) => sum + count, unknown);
  // The queues between two namespaces lose some when the machine is busy, and nobody counts those.
  expect(counted).toBeLessThanOrEqual(all);
  expect(counted).toBeGreaterThan(all * 0.9);
  expect(unknown).toBeLessThanOrEqual(sent.unknown + sent.fragmented);
  expect(others['too-long']).toBeLessThanOrEqual(sent.huge);
  expect(Object.keys(others)).toEqual(expect.arrayContaining(['too-short', 'too-long', 'bad-op']));
  const early = residents[RESIDENT_SETTLES] ?? 0;
  expect(Math.max(...residents.slice(RESIDENT_SETTLES)) - early).toBeLessThan(GROWTH_MB);
});

/** Datagrams that the kernel dropped before port 67, for want of room. */
async function dropsOf(namespace: Namespace): Promise<number> {
  const { stdout } = await namespace.run('cat', ['/proc/net/udp']);
  const rows = stdout.split('\n').filter((row) => /^\s*\d+: [0-9A-F]{8}:0043 /.test(row));
  return rows.reduce((sum, row) => sum + Number(row.trim().split(/\s+/).at(-1)), 0);
}

/** All silences that an agent logged, by reason. */
function silencesOf(lines: readonly Readonly<Record<string, unknown>>[]): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { msg, silent } of lines) {
    if (msg !== 'DHCP answers') continue;
    for (const [reason, count] of Object.entries(silent ?? {})) sums[reason] = (sums[reason] ?? 0) + Number(count);
  }
  return sums;
}
