// Benchmark `plan`: how long the manager thinks, for 1,000 hosts and 5,000 networks of two servers each, in memory: a plan
// when nothing is to be done, when 20 hosts are down, and when nothing is placed yet; and a whole run of the manager that
// finds nothing to do, with the writes it makes. In turns with a copy of the networks by way of JSON.

import { virtualBreakers } from '@leasehold/server/adapters/breaker/virtual-breaker';
import { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import { openMemoryStore } from '@leasehold/server/adapters/memory/memory-store';
import type { Context } from '@leasehold/server/app/context';
import { Deployment } from '@leasehold/server/app/deployment';
import { Fleet } from '@leasehold/server/app/fleet';
import { HostAnswers } from '@leasehold/server/app/host-answers';
import { KeyedQueue } from '@leasehold/server/app/keyed-queue';
import { Manager } from '@leasehold/server/app/manager';
import { View } from '@leasehold/server/app/view';
import { brakesNow } from '@leasehold/server/domain/brakes';
import type { Host } from '@leasehold/server/domain/host';
import type { HostId, NetworkId, Uid, WallTime } from '@leasehold/server/domain/ids';
import type { Network } from '@leasehold/server/domain/network';
import { withPlacement } from '@leasehold/server/domain/placement';
import { type Plan, plan } from '@leasehold/server/domain/plan';
import { type PlanHost, placementKey } from '@leasehold/server/domain/plan-host';
import type { DhcpProvider, HostObserver, ObservedHost, ObservedTable } from '@leasehold/server/ports/dhcp-provider';
import { NO_METRICS } from '@leasehold/server/ports/metrics';
import { placedNetwork, planHost } from '@leasehold/server/testing/plan-world';
import { host, subnet } from '../conformance/documents.js';
import { FixedEntropy } from '../fakes/fixed-entropy.js';
import { MemoryLog } from '../fakes/memory-log.js';
import { VirtualClock } from '../fakes/virtual-clock.js';
import { monotonicMs } from '../support/prober.js';
import { type Benchmark, type Measurement, middle, type Progress, ratios } from './benchmark.js';

const HOSTS = 1_000;
const NETWORKS = 5_000;
const SERVERS = 2;
const RACKS = 50;
const DOWN = 20;
const ROUNDS = 15;
const TARGET_MS = 50;

/** See the top of the file. */
export const planning: Benchmark = {
  name: 'plan',
  summary: `plans for ${HOSTS} hosts and ${NETWORKS} networks, and what a run of the manager with nothing to do costs`,
  run,
};

async function run(progress: Progress): Promise<readonly Measurement[]> {
  const empty = Array.from({ length: NETWORKS }, (_, n) => networkOf(n));
  const idle = hostsOf(empty, 0);
  const placed = after(empty, plan(empty, idle, brakesFor(idle)));
  const [up, down] = [hostsOf(placed, 0), hostsOf(placed, DOWN)];
  const settled = plan(placed, up, brakesFor(up));
  if (settled.networks.length > 0) throw new Error(`A second plan changes ${settled.networks.length} networks`);
  await using manager = await settledManager(placed);
  const ms: Record<'copy' | 'steady' | 'down' | 'first' | 'round', number[]> = {
    copy: [],
    steady: [],
    down: [],
    first: [],
    round: [],
  };
  const time = async (into: number[], what: () => unknown) => {
    const beganMs = monotonicMs();
    await what();
    into.push(monotonicMs() - beganMs);
  };
  const writesBefore = manager.writes();
  // The first rounds warm up.
  for (let n = -3; n < ROUNDS; n++) {
    const into = n < 0 ? { copy: [], steady: [], down: [], first: [], round: [] } : ms;
    await time(into.copy, () => JSON.parse(JSON.stringify(placed)));
    await time(into.steady, () => plan(placed, up, brakesFor(up)));
    await time(into.down, () => plan(placed, down, brakesFor(down)));
    await time(into.first, () => plan(empty, idle, brakesFor(idle)));
    await time(into.round, () => manager.manage());
    progress(`round ${n + 4} of ${ROUNDS + 3}`);
  }
  const cases = { 'nothing to do': ms.steady, [`${DOWN} hosts down`]: ms.down, 'nothing placed yet': ms.first };
  return [
    ...Object.entries(cases).flatMap(([name, values]): readonly Measurement[] => [
      { name: `plan, ${name}`, ...middle(values), unit: 'ms', target: { atMost: TARGET_MS } },
      { name: `plan, ${name} : copy`, ...middle(ratios(values, ms.copy)), unit: 'x' },
    ]),
    { name: 'run with nothing to do', ...middle(ms.round), unit: 'ms' },
    { name: 'run with nothing to do : copy', ...middle(ratios(ms.round, ms.copy)), unit: 'x' },
    { name: 'writes of such runs', value: manager.writes() - writesBefore, unit: '', target: { atMost: 0 } },
    { name: 'copy', ...middle(ms.copy), unit: 'ms' },
  ];
}

function networkOf(n: number): Network {
  return placedNetwork(`network-${n}`, SERVERS, [], { subnets: [subnet(`subnet-${n}`)] });
}

const ALL_NETWORKS = Array.from({ length: NETWORKS }, (_, n) => `network-${n}` as NetworkId);
const hostIdOf = (n: number) => `host-${n}` as HostId;
const rackOf = (n: number) => `rack-${n % RACKS}`;

/** The hosts, all of which have every network and confirmed what they have; the first `down` of them are dead. */
function hostsOf(networks: readonly Network[], down: number): ReadonlyMap<HostId, PlanHost> {
  const serving = servedBy(networks);
  const ready = new Set(ALL_NETWORKS);
  const hosts = Array.from({ length: HOSTS }, (_, n): PlanHost => {
    const hostId = hostIdOf(n);
    const own = (serving.get(hostId) ?? []).map(({ networkId, epoch }) => placementKey(networkId, epoch));
    const dead = { liveness: 'down', steady: false, doubtful: true, silentForMs: 10_000, connected: false } as const;
    return planHost(hostId, {
      failureDomain: rackOf(n),
      ready,
      serving: new Set(own),
      ...(n < down ? dead : {}),
    });
  });
  return new Map(hosts.map((host) => [host.hostId, host]));
}

interface Served {
  readonly networkId: NetworkId;
  readonly uid: Uid;
  readonly epoch: number;
}

function servedBy(networks: readonly Network[]): ReadonlyMap<HostId, readonly Served[]> {
  const served = new Map<HostId, Served[]>();
  for (const { networkId, uid, placements } of networks) {
    for (const { hostId, epoch } of placements) {
      const own = served.get(hostId) ?? [];
      own.push({ networkId, uid, epoch });
      served.set(hostId, own);
    }
  }
  return served;
}

const brakesFor = (hosts: ReadonlyMap<HostId, PlanHost>) => brakesNow(hosts, false, new Map(), 0);

function after(networks: readonly Network[], { networks: plans }: Plan): readonly Network[] {
  const places = new Map(plans.map(({ networkId, place }) => [networkId, place]));
  return networks.map((network) =>
    (places.get(network.networkId) ?? []).reduce(
      (all, hostId) => withPlacement(all, hostId, `uid-${hostId}` as Uid, 0 as WallTime),
      network,
    ),
  );
}

/** A manager over hosts that confirmed all of these placements, on a store in memory. */
async function settledManager(networks: readonly Network[]) {
  const clock = new VirtualClock();
  const disk = new MemoryDisk();
  for (const network of networks) disk.networks.set(network.networkId, network);
  for (let n = 0; n < HOSTS; n++) disk.hosts.set(hostIdOf(n), hostOf(n));
  const store = openMemoryStore({ disk });
  const log = new MemoryLog();
  const entropy = new FixedEntropy();
  const view = await View.open({ store, clock, entropy, log, metrics: NO_METRICS });
  const hosts = observerOf(networks, clock.now());
  const lease = {
    ...{ epoch: 1, holder: undefined, isSelf: true, isChanging: false, isBlind: false },
    confirm: async () => {},
  };
  const never = {
    tell: () => undefined,
    tellTenure: undefined,
    reuse: () => undefined,
    holdsStill: () => undefined,
  };
  const context: Context = { store, view, hosts, lease, ...never, clock, entropy, log, metrics: NO_METRICS };
  const fleet = new Fleet({ view, observer: hosts, clock, makeBreaker: virtualBreakers(clock), log });
  const deployment = new Deployment({ view, provider: SILENT, observer: hosts, fleet, log, epoch: 1 });
  const answers = new HostAnswers(context, 1, new KeyedQueue());
  const manager = new Manager(context, fleet, deployment, answers, 1);
  await manager.start();
  answers.begin();
  return {
    manage: () => manager.manage(),
    writes: () => disk.log.length,
    async [Symbol.asyncDispose]() {
      manager.stop();
      fleet.close();
      view.close();
      await store.close();
    },
  };
}

function hostOf(n: number): Host {
  return { ...host(hostIdOf(n)), failureDomain: rackOf(n), attachments: [] };
}

const SILENT: DhcpProvider = {
  provide: async () => {},
  provideNetwork: async () => {},
  dontProvide: async () => {},
  addReservation: () => {},
  removeReservation: () => {},
  beginReread: () => {},
  endReread: () => {},
};

function observerOf(networks: readonly Network[], nowMs: number): HostObserver {
  const attachments = new Map(
    ALL_NETWORKS.map((id) => [id, { interface: `br-${id}`, ready: true, reason: '', foreignServers: [] }]),
  );
  const served = servedBy(networks);
  const tables = new Map(
    [...served].map(([hostId, own]) => [
      hostId,
      new Map(
        own.map(({ networkId, uid, epoch }): [NetworkId, ObservedTable] => [
          networkId,
          { networkUid: uid, placementEpoch: epoch, serving: true, reason: '', pendingChanges: 0, syncedTime: 0 },
        ]),
      ),
    ]),
  );
  const none: ReadonlyMap<NetworkId, ObservedTable> = new Map();
  return {
    host: (hostId): ObservedHost => ({
      hostId,
      connected: true,
      lastHeardMs: nowMs,
      intervalMs: 2_000,
      returnMs: 0,
      brokenSinceMs: undefined,
      contact: {
        shownMs: nowMs,
        isShown: true,
        mendedMs: Number.NEGATIVE_INFINITY,
        firstMs: Number.NEGATIVE_INFINITY,
        known: 1n,
      },
      attachments,
    }),
    forget: () => {},
    tables: (hostId) => tables.get(hostId) ?? none,
    table: (hostId, networkId) => tables.get(hostId)?.get(networkId),
    onChange: () => ({ close: () => {} }),
    takenInMs: () => nowMs,
    firstShownMs: nowMs,
    lastSignMs: () => nowMs,
    atTheDoorMs: () => undefined,
    isPresent: () => true,
    probe: async () => 'unknown',
    readyServers: () => 0,
    waitReady: async () => 0,
  };
}
