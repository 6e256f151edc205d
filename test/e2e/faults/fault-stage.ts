// Networks on a few hosts, with guests and a wiretap on each wire: what is done to hosts, servers and the store here is
// noticed by guests or not, and `judge()` says whether anything was on a wire that may not be.

import type { Leasehold, Placement } from '@leasehold/sdk';
import { bridgeOf, type Cluster, servingHosts, type TestHost } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import type { Nic } from '../../support/netns.js';
import { Prober } from '../../support/prober.js';
import { type Guest, startUdhcpc } from '../../support/udhcpc.js';
import { Wiretap } from '../../support/wiretap.js';
import { BUILTIN } from '../guests/guest-backend.js';

// A server that the machine did not let run says so for a minute.
const UNBRAKED_WITHIN_MS = 90_000;

/** What there is. */
export interface StageOptions {
  /** How many hosts, `h1` and so on, each with every network. */
  readonly hosts: number;
  /** How many servers each network wants. */
  readonly networks: Readonly<Record<string, number>>;
  /** The environment of the agent of a host. */
  readonly agentEnv?: (hostId: string) => Readonly<Record<string, string>>;
}

/** A reservation. */
export interface Tenant {
  readonly networkId: string;
  readonly mac: string;
  readonly address: string;
  readonly reservationId: string;
}

/** What may not change by a fault that is none of a host. */
export type Held = Pick<Placement, 'networkId' | 'hostId' | 'epoch'>;

/** See the top of the file. */
export class FaultStage implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly hosts: readonly TestHost[];
  /** Of the first server, or the one told last. */
  leasehold: Leasehold;
  readonly #networks: StageOptions['networks'];
  readonly #taps: ReadonlyMap<string, Wiretap>;
  readonly #senders: ReadonlyMap<string, string>;
  #macs = 0;

  private constructor(
    cluster: Cluster,
    hosts: readonly TestHost[],
    networks: StageOptions['networks'],
    taps: ReadonlyMap<string, Wiretap>,
    senders: ReadonlyMap<string, string>,
  ) {
    this.cluster = cluster;
    this.leasehold = cluster.client();
    this.hosts = hosts;
    this.#networks = networks;
    this.#taps = taps;
    this.#senders = senders;
  }

  /** Everything is served. The stage disposes of the cluster. */
  static async start(
    cluster: Cluster,
    { hosts: count, networks, agentEnv = () => ({}) }: StageOptions,
  ): Promise<FaultStage> {
    const ids = Object.keys(networks);
    const taps = new Map<string, Wiretap>();
    for (const id of ids) taps.set(id, await Wiretap.start(await cluster.wire(id), BUILTIN));
    const hosts: TestHost[] = [];
    const senders = new Map<string, string>();
    for (let n = 1; n <= count; n++) {
      const host = await cluster.idleHost(`h${n}`, ids);
      for (const id of ids) senders.set(`${host.hostId} ${id}`, await ethernetAddress(host, id));
      await host.startAgent([], agentEnv(host.hostId));
      hosts.push(host);
    }
    const stage = new FaultStage(cluster, hosts, networks, taps, senders);
    for (const [n, [networkId, dhcpServerCount]] of Object.entries(networks).entries()) {
      await stage.leasehold.networks.create({ networkId, dhcpServerCount });
      const cidr = `10.${n}.0.0/20`;
      await stage.leasehold.subnets.create({ subnetId: `${networkId}-a`, networkId, cidr, leaseTimeSeconds: 120 });
    }
    for (const host of hosts) await stage.mayAnswer(host);
    await stage.settled();
    return stage;
  }

  /** A host. */
  host(hostId: string | undefined): TestHost {
    const host = this.hosts.find((each) => each.hostId === hostId);
    if (!host) throw new Error(`There is no host ${hostId}`);
    return host;
  }

  /** The only host that serves a network. */
  async server(networkId: string): Promise<TestHost> {
    return this.host((await servingHosts(this.leasehold, networkId, 1))[0]);
  }

  /** Resolves when every network is served as it wants to be, by hosts that have every change, and by no others. */
  async settled(patienceMs?: number): Promise<readonly Held[]> {
    return eventually(
      'every network is served',
      async () => {
        const all = await this.leasehold.placements.list().toArray();
        const isSettled = all.every(({ state, pendingChanges }) => state === 'serving' && pendingChanges === 0);
        const isServed = Object.entries(this.#networks).every(
          ([id, count]) => all.filter(({ networkId }) => networkId === id).length === count,
        );
        return isSettled && isServed && held(all);
      },
      patienceMs,
    );
  }

  /** What is placed now, as the control plane says, serving or not. */
  async placed(networkId?: string): Promise<readonly Held[]> {
    const filter = networkId === undefined ? {} : { networkId };
    const all = await this.leasehold.placements.list(filter).toArray();
    return held(all.filter(({ state }) => state === 'serving' || state === 'assigned'));
  }

  /** Resolves when a host is heard, with every network, and serves nothing that it need not. */
  async back({ hostId }: TestHost): Promise<void> {
    await eventually(`${hostId} is back`, async () => {
      const { liveness, attachments } = await this.leasehold.hosts.get(hostId);
      const all = await this.leasehold.placements.list({ hostId }).toArray();
      const isHere = liveness === 'up' && attachments.length > 0 && attachments.every(({ ready }) => ready);
      return isHere && all.every(({ state }) => state === 'serving');
    });
  }

  /**
   * Resolves when every host was heard twice more: who was away is in contact then, and what is cut off from now on was not cut
   * off together with it.
   */
  async inContact(): Promise<void> {
    const heard = new Map(this.hosts.map(({ hostId }) => [hostId, new Set<number>()]));
    await eventually('every host was heard again', async () => {
      for await (const { hostId, lastHeartbeatTime } of this.leasehold.hosts.list()) {
        if (lastHeartbeatTime) heard.get(hostId)?.add(lastHeartbeatTime.getTime());
      }
      return [...heard.values()].every(({ size }) => size > 2);
    });
  }

  /** What keeps the manager from moving placements now. */
  async brakes(): Promise<readonly string[]> {
    return (await this.leasehold.status()).brakes.map(({ kind }) => kind);
  }

  /** Resolves when nothing does. */
  async unbraked(): Promise<void> {
    await eventually('no brake is engaged', async () => (await this.brakes()).length === 0, UNBRAKED_WITHIN_MS);
  }

  /** A MAC that nobody has. */
  mac(): string {
    const n = ++this.#macs;
    return `52:54:00:01:${hex(n >> 8)}:${hex(n & 255)}`;
  }

  /** Makes a reservation; resolves when the hosts that serve have it. */
  async reserve(networkId: string, client = this.leasehold): Promise<Tenant> {
    const mac = this.mac();
    const { reservation, ready } = await client.reservations.reserve({ networkId, mac, waitReady: {} });
    const { address, reservationId } = reservation;
    // Nobody asks for it before it is told: guests are started with what this returns.
    await this.tap(networkId).tell({ kind: 'reserving', mac, address }, { kind: 'reserved', mac, address });
    if (!ready) await eventually('a server has it', () => this.#isReady(client, networkId, mac));
    return { networkId, mac, address, reservationId };
  }

  async #isReady(client: Leasehold, networkId: string, mac: string): Promise<boolean> {
    return (await client.reservations.reserve({ networkId, mac, waitReady: {} })).ready;
  }

  /** A network card of a tenant. */
  nic({ networkId, mac }: Tenant): Promise<Nic> {
    return this.cluster.guest(networkId, `g${mac.slice(-5).replace(':', '')}`, mac);
  }

  /** A guest that has its address. */
  async bound(tenant: Tenant): Promise<Guest> {
    const guest = await startUdhcpc(await this.nic(tenant));
    const { ip } = await guest.bound();
    if (ip !== tenant.address) throw new Error(`${tenant.mac} was given ${ip}, not ${tenant.address}`);
    return guest;
  }

  /** A prober for a reservation of its own, once it is answered. */
  async prober(networkId: string): Promise<Prober> {
    const prober = await Prober.start(await this.nic(await this.reserve(networkId)));
    await prober.answerSince(0);
    return prober;
  }

  /** The wiretap of a network. */
  tap(networkId: string): Wiretap {
    const tap = this.#taps.get(networkId);
    if (!tap) throw new Error(`There is no network ${networkId}`);
    return tap;
  }

  /** From now on a host may answer, on these wires or on all. */
  async mayAnswer(host: TestHost, ...networkIds: readonly string[]): Promise<void> {
    await this.#tell('serves', host, networkIds);
  }

  /** From now on it may not. */
  async mayNotAnswer(host: TestHost, ...networkIds: readonly string[]): Promise<void> {
    await this.#tell('ended', host, networkIds);
  }

  async #tell(kind: 'serves' | 'ended', { hostId }: TestHost, networkIds: readonly string[]): Promise<void> {
    for (const id of networkIds.length > 0 ? networkIds : Object.keys(this.#networks)) {
      await this.tap(id).tell({ kind, sender: this.#senders.get(`${hostId} ${id}`) ?? '' });
    }
  }

  /** Fails when anything was on a wire that may not be, since this was asked last. */
  async judge(): Promise<void> {
    for (const tap of this.#taps.values()) await tap.judge();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const tap of this.#taps.values()) await tap[Symbol.asyncDispose]();
    await this.cluster[Symbol.asyncDispose]();
  }
}

function held(all: readonly Placement[]): readonly Held[] {
  return all
    .map(({ networkId, hostId, epoch }) => ({ networkId, hostId, epoch }))
    .toSorted((a, b) => (`${a.networkId} ${a.hostId}` < `${b.networkId} ${b.hostId}` ? -1 : 1));
}

async function ethernetAddress({ namespace }: TestHost, networkId: string): Promise<string> {
  const { stdout } = await namespace.run('ip', ['-o', 'link', 'show', bridgeOf(networkId)]);
  return /link\/ether (\S+)/.exec(stdout)?.[1] ?? '';
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
