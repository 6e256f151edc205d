// A network full of reservations, served by an agent of its own.

import type { Cluster, TestHost } from '../support/cluster.js';
import { servingHosts } from '../support/cluster.js';
import { macOf, startGenerator } from './load.js';
import { createSubnet, expectReserved, loadTarget, SERVER, targetOf } from './target.js';

/** See the top of the file. */
export interface ServedNetwork {
  readonly networkId: string;
  readonly host: TestHost;
  /** MACs 0 to this, less one, have a reservation; see `macOf`. */
  readonly reservations: number;
}

/** Makes a network and its reservations. */
export async function fillNetwork(cluster: Cluster, networkId: string, n: number, reservations: number): Promise<void> {
  const leasehold = cluster.client();
  await createSubnet(leasehold, networkId, n);
  await using generator = startGenerator();
  const calls = { kind: 'reserve', subnetId: networkId, firstMac: 0 } as const;
  const target = targetOf.cluster(cluster, [SERVER]);
  await loadTarget(generator, target, { calls, count: reservations, outstanding: 64 });
  await expectReserved(leasehold, networkId, reservations);
}

/** The same, and a host that serves it; resolves when the host knows all of them. */
export async function serveNetwork(
  cluster: Cluster,
  networkId: string,
  n: number,
  reservations: number,
): Promise<ServedNetwork> {
  const leasehold = cluster.client();
  await fillNetwork(cluster, networkId, n, reservations - 1);
  const host = await cluster.host(`host-${networkId}`, [networkId]);
  await servingHosts(leasehold, networkId, 1);
  const mac = macOf(reservations - 1);
  const { ready } = await leasehold.reservations.reserve({
    subnetId: networkId,
    mac,
    waitReady: { servers: 1, timeoutMs: 30_000 },
  });
  if (!ready) throw new Error(`Nobody serves ${networkId}`);
  await expectReserved(leasehold, networkId, reservations);
  return { networkId, host, reservations };
}
