// One network on two hosts with a wiretap, and guests on it. Everything that the engine or the test does here is told to
// the wiretap, so that `tap.judge()` knows what may be answered.

import { join } from 'node:path';
import type { Leasehold } from '@leasehold/sdk';
import { expect } from 'vitest';
import { bridgeOf, Cluster, type ClusterOptions, servingHosts, type TestHost } from '../../support/cluster.js';
import type { ClientKind, ClientMachine } from '../../support/dhcp-clients.js';
import { eventually } from '../../support/eventually.js';
import { type Nic, uplinkOf } from '../../support/netns.js';
import { addressOf, type CarriedMessage, stateOf } from '../../support/wire-check.js';
import { Wiretap } from '../../support/wiretap.js';
import type { GuestBackend } from './guest-backend.js';

const NETWORK = 'red';
const SUBNET = 'red-a';
const PREFIX = 22;

/** A MAC, and the address for it. */
export interface Newcomer {
  readonly mac: string;
  readonly address: string;
}

/** A guest that has a reservation. */
export interface Tenant extends Newcomer {
  readonly reservationId: string;
}

/** A tenant with a client. */
export interface Guest extends Tenant {
  readonly machine: ClientMachine;
}

/** See the top of the file. */
export class GuestStage implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly leasehold: Leasehold;
  readonly tap: Wiretap;
  readonly #hosts = new Map<string, TestHost>();
  /** The Ethernet address that a host answers from, by its id. */
  readonly #senders = new Map<string, string>();
  readonly #machines: ClientMachine[] = [];
  #guests = 0;

  private constructor(cluster: Cluster, tap: Wiretap) {
    this.cluster = cluster;
    this.leasehold = cluster.client();
    this.tap = tap;
  }

  /** A network that one of two hosts serves. */
  static async start(backend: GuestBackend, options?: ClusterOptions): Promise<GuestStage> {
    const cluster = options ? await Cluster.startSeveral(options) : await Cluster.start();
    const stage = new GuestStage(cluster, await Wiretap.start(await cluster.wire(NETWORK)));
    const { leasehold } = stage;
    await leasehold.networks.create({ networkId: NETWORK });
    await leasehold.subnets.create({
      subnetId: SUBNET,
      networkId: NETWORK,
      cidr: `10.1.0.0/${PREFIX}`,
      gateway: '10.1.0.1',
      dnsServers: ['10.1.0.2'],
      leaseTimeSeconds: 120,
      reuseDelaySeconds: 30,
    });
    for (const hostId of ['h1', 'h2']) await stage.#addHost(hostId, backend);
    await stage.#serves(await stage.serving());
    return stage;
  }

  /** The host that serves alone. */
  async serving(): Promise<string> {
    return (await servingHosts(this.leasehold, NETWORK, 1))[0] ?? '';
  }

  /** A host. */
  host(hostId: string): TestHost {
    const host = this.#hosts.get(hostId);
    if (!host) throw new Error(`There is no host ${hostId}`);
    return host;
  }

  /** Where answers of a host come from. */
  senderOf(hostId: string): string {
    return this.#senders.get(hostId) ?? '';
  }

  /** A MAC that nobody has, and an address for it. */
  newcomer(): Newcomer {
    const n = ++this.#guests;
    const mac = `52:54:00:00:${hex(n >> 8)}:${hex(n & 255)}`;
    return { mac, address: `10.1.${(n + 9) >> 8}.${(n + 9) & 255}` };
  }

  /** Reserves; resolves when every host that serves has it. */
  async reserve(newcomer: Newcomer = this.newcomer()): Promise<Tenant> {
    return (await this.reserveAll([newcomer]))[0] as Tenant;
  }

  /** Reserves for many at once. */
  async reserveAll(newcomers: readonly Newcomer[]): Promise<readonly Tenant[]> {
    await this.tap.tell(...newcomers.map((newcomer) => ({ kind: 'reserving' as const, ...newcomer })));
    const tenants = await Promise.all(
      newcomers.map(async (newcomer) => {
        const made = await this.leasehold.reservations.reserve({ subnetId: SUBNET, ...newcomer, waitReady: {} });
        return { ...newcomer, reservationId: made.reservation.reservationId };
      }),
    );
    await this.settled();
    await this.tap.tell(...newcomers.map((newcomer) => ({ kind: 'reserved' as const, ...newcomer })));
    return tenants;
  }

  /** Waits until the address of a tenant that was released may go to another MAC, and gives it to that. */
  async pass(from: Tenant, mac: string): Promise<Tenant> {
    const newcomer = { mac, address: from.address };
    await this.tap.tell({ kind: 'reserving', ...newcomer });
    const reserve = () => this.leasehold.reservations.reserve({ subnetId: SUBNET, ...newcomer, waitReady: {} });
    const { reservation } = await eventually('the address may go to another MAC', () =>
      reserve().catch((error: { readonly reason: string }) => {
        if (error.reason !== 'ADDRESS_QUARANTINED') throw error;
        return undefined;
      }),
    );
    await this.tap.tell({ kind: 'reserved', ...newcomer });
    return { ...newcomer, reservationId: reservation.reservationId };
  }

  /** Ends a reservation; resolves when no host has it any more. */
  async release({ mac, address, reservationId }: Tenant, guestStopped = false): Promise<void> {
    await this.tap.tell({ kind: 'releasing', mac, address });
    await this.leasehold.reservations.release({ reservationId, guestStopped });
    await this.settled();
    await this.tap.tell({ kind: 'released', mac, address });
  }

  /** Changes what guests of the subnet are told; resolves when every host that serves tells it. */
  async setDnsServers(address: string): Promise<void> {
    await this.leasehold.subnets.update(SUBNET, { dnsServers: [address] });
    await this.settled();
  }

  /** A tenant with a client, switched off. */
  async guest(kind: ClientKind): Promise<Guest> {
    const tenant = await this.reserve();
    return { ...tenant, machine: await this.install(kind, await this.nic(tenant.mac)) };
  }

  /** A network card on the wire. */
  nic(mac: string): Promise<Nic> {
    return this.cluster.guest(NETWORK, `g${mac.slice(-5).replace(':', '')}`, mac);
  }

  /** A machine, switched off. */
  async install(kind: ClientKind, nic: Nic): Promise<ClientMachine> {
    const machine = await kind.install(nic, join(this.cluster.directory, `guest-${nic.namespace.name}`));
    this.#machines.push(machine);
    return machine;
  }

  /** A guest sends what is for its server to that host, as by an entry of its neighbour table that outlived the host. */
  async stick({ machine: { nic } }: Guest, hostId: string): Promise<void> {
    const server = (await this.tap.messages(nic.mac)).findLast(({ type }) => type === 'ack')?.server;
    await nic.namespace.ip(`neigh replace ${server} lladdr ${this.senderOf(hostId)} dev ${nic.name} nud permanent`);
  }

  /** Another machine takes an address on the wire. */
  async squat(address: string): Promise<Nic> {
    const nic = await this.nic(this.newcomer().mac);
    await nic.namespace.addAddress(nic.name, `${address}/${PREFIX}`);
    return nic;
  }

  /** Waits until a guest believes that it has its address, and no other. */
  async expectAddress({ machine: { nic }, address }: Guest): Promise<void> {
    await eventually(`${nic.namespace.name} has ${address}`, async () => {
      const { stdout } = await nic.namespace.run('ip', ['-4', '-o', 'address', 'show', 'dev', nic.name]);
      const shown = [...stdout.matchAll(/inet ([\d.]+)/g)].map(([, each]) => each);
      return shown.length === 1 && shown[0] === address;
    });
  }

  /** The states that a guest went through and the answers, from a position on, without repetitions. */
  async phases({ mac }: Pick<Tenant, 'mac'>, from = 0): Promise<readonly string[]> {
    const messages = await this.tap.messages(mac, from);
    const all = messages.map((message) => [stateOf(message), addressOf(message)].filter(Boolean).join(' '));
    return all.filter((each, i) => each !== all[i - 1]);
  }

  /** The first message about a guest that fits, from a position on; waits for it. */
  heard(
    { mac }: Pick<Tenant, 'mac'>,
    what: string,
    fits: (message: CarriedMessage) => boolean,
    from = 0,
  ): Promise<CarriedMessage> {
    return eventually(`${mac}: ${what}`, async () => (await this.tap.messages(mac, from)).find(fits));
  }

  /** Resolves when the other host serves instead of this one; the test says when this one answers no more. */
  async replaced(hostId: string, fault: () => Promise<void>): Promise<string> {
    const other = hostId === 'h1' ? 'h2' : 'h1';
    await this.#serves(other);
    await fault();
    await eventually(`${other} serves alone`, async () => (await this.serving()) === other);
    return other;
  }

  /** A host must answer no more from now on. */
  ended(hostId: string): Promise<void> {
    return this.tap.tell({ kind: 'ended', sender: this.senderOf(hostId) });
  }

  /** A host is there again, and serves nothing. */
  async back(hostId: string): Promise<void> {
    await eventually(`${hostId} could serve`, async () => {
      const { liveness, attachments } = await this.leasehold.hosts.get(hostId);
      return liveness === 'up' && attachments.every(({ ready }) => ready);
    });
    expect(await this.serving()).not.toBe(hostId);
  }

  /** So many hosts serve. */
  async setServerCount(count: 1 | 2): Promise<void> {
    if (count === 2) for (const hostId of this.#hosts.keys()) await this.#serves(hostId);
    await this.leasehold.networks.update(NETWORK, { dhcpServerCount: count });
    const serving = await servingHosts(this.leasehold, NETWORK, count);
    await eventually('no other has a placement', async () => (await this.#placements()).length === count);
    for (const [hostId, sender] of this.#senders) {
      if (!serving.includes(hostId)) await this.tap.tell({ kind: 'ended', sender });
    }
  }

  /** The host is off the wire, and its agent is dead. */
  async crash(hostId: string): Promise<void> {
    await this.host(hostId).namespace.linkDown(uplinkOf(bridgeOf(NETWORK)));
    await this.host(hostId).killAgent();
  }

  /** Mends that. */
  async reboot(hostId: string): Promise<void> {
    await this.host(hostId).namespace.linkUp(uplinkOf(bridgeOf(NETWORK)));
    await this.host(hostId).startAgent();
    await this.back(hostId);
  }

  /** Resolves when the hosts that serve have all that was changed. */
  async settled(): Promise<void> {
    await eventually('the hosts have every change', async () => {
      const placements = await this.#placements();
      return placements.every(({ pendingChanges, state }) => state === 'serving' && pendingChanges === 0);
    });
  }

  /** Switches every guest off. */
  async clear(): Promise<void> {
    await Promise.all(this.#machines.splice(0).map((machine) => machine.powerOff()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clear();
    await this.tap[Symbol.asyncDispose]();
    await this.cluster[Symbol.asyncDispose]();
  }

  #placements() {
    return this.leasehold.placements.list({ networkId: NETWORK }).toArray();
  }

  async #addHost(hostId: string, backend: GuestBackend): Promise<void> {
    const host = await this.cluster.host(hostId, [NETWORK], ['--backend', backend.name]);
    const { stdout } = await host.namespace.run('ip', ['-o', 'link', 'show', bridgeOf(NETWORK)]);
    this.#hosts.set(hostId, host);
    this.#senders.set(hostId, /link\/ether (\S+)/.exec(stdout)?.[1] ?? '');
  }

  #serves(hostId: string): Promise<void> {
    return this.tap.tell({ kind: 'serves', sender: this.senderOf(hostId) });
  }
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
