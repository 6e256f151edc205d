// Benchmark `first-offer`: from the reply that acknowledges a reservation to the first OFFER on the guest's wire, with
// few and with many reservations in the network.

import { acceptAnySource } from '../support/guest-socket.js';
import type { Benchmark, Measurement, Progress } from './benchmark.js';
import { runChild } from './child.js';
import { macOf } from './load.js';
import { serveNetwork } from './served-network.js';
import { startServer } from './target.js';

const SIZES = [1_000, 60_000];
const SAMPLES = 500;

/** What the program is told. */
export interface FirstOfferTask {
  /** The server's, as a unix socket: the guest's namespace has no way to it by network. */
  readonly endpoint: string;
  readonly interfaceName: string;
  readonly subnetId: string;
  /** Number of the first MAC without a reservation. */
  readonly firstMac: number;
  /** A MAC whose reservation is known for long. */
  readonly knownMac: string;
  readonly samples: number;
}

/** What the program saw, in milliseconds. */
export interface FirstOfferResult {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly knownP50Ms: number;
  readonly knownP99Ms: number;
  /** Which share of the first DISCOVERs was answered: the others came before the agent knew. */
  readonly answeredAtOnce: number;
}

/** See the top of the file. */
export const firstOffer: Benchmark = {
  name: 'first-offer',
  summary: 'from an acknowledged reservation to the first OFFER on the wire',
  run,
};

async function run(progress: Progress): Promise<readonly Measurement[]> {
  await using cluster = await startServer();
  const measurements: Measurement[] = [];
  for (const [n, size] of SIZES.entries()) {
    progress(`making ${size} reservations`);
    const network = await serveNetwork(cluster, `net-${size}`, n, size);
    const guest = await cluster.guest(network.networkId, `guest-${size}`, macOf(0));
    await acceptAnySource(guest.namespace);
    progress(`asking for ${SAMPLES} new addresses, one after the other`);
    const task: FirstOfferTask = {
      endpoint: cluster.apiEndpoint,
      interfaceName: guest.name,
      subnetId: network.networkId,
      firstMac: size,
      knownMac: macOf(size / 2),
      samples: SAMPLES,
    };
    measurements.push(
      ...measured(size, await runChild<FirstOfferResult>('first-offer-program', task, guest.namespace)),
    );
  }
  return measurements;
}

function measured(size: number, result: FirstOfferResult): readonly Measurement[] {
  const among = `among ${size}`;
  return [
    { name: `acknowledged to first OFFER ${among}, p50`, value: result.p50Ms, unit: 'ms', target: { atMost: 5 } },
    { name: `acknowledged to first OFFER ${among}, p99`, value: result.p99Ms, unit: 'ms', target: { atMost: 25 } },
    { name: `answered at the first DISCOVER ${among}`, value: result.answeredAtOnce * 100, unit: '%' },
    { name: `control: OFFER for a MAC known for long ${among}, p50`, value: result.knownP50Ms, unit: 'ms' },
    { name: `control: OFFER for a MAC known for long ${among}, p99`, value: result.knownP99Ms, unit: 'ms' },
  ];
}
