// One network on two hosts with a wiretap, and guests on it. Everything that the engine or the test does here is told to
// the wiretap, so that `tap.judge()` knows what may be answered.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { killIdentified } from '@leasehold/agent/backends/dnsmasq/system-process';
import type { Leasehold } from '@leasehold/sdk';
import { expect } from 'vitest';
import { bridgeOf, Cluster, servingHosts, type TestHost } from '../../support/cluster.js';
import type { ClientKind, ClientMachine } from '../../support/dhcp-clients.js';
import { eventually } from '../../support/eventually.js';
import { keeperOf } from '../../support/kept-processes.js';
import { type Nic, uplinkOf } from '../../support/netns.js';
import { say } from '../../support/raw-guest.js';
import { addressOf, type CarriedMessage, stateOf } from '../../support/wire-check.js';
import { Wiretap } from '../../support/wiretap.js';
import type { GuestBackend } from './guest-backend.js';

const NETWORK = 'red';
const SUBNET = 'red-a';
const PREFIX = 22;

/** An address of no subnet here. */
export const ELSEWHERE = '192.168.77.7';

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

// The sandbox has a copy of its own.
const RESOLVER_FILE = '/etc/resolv.conf';

/** See the top of the file. */
export class GuestStage implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly leasehold: Leasehold;
  readonly tap: Wiretap;
  readonly #hosts = new Map<string, TestHost>();
  /** The Ethernet address that a host answers from, by its id. */
  readonly #senders = new Map<string, string>();
  readonly #machines: ClientMachine[] = [];
  /** What was there when it began. */
  readonly resolverFileBefore = this.resolverFile();
  #guests = 0;

  private constructor(cluster: Cluster, tap: Wiretap) {
    this.cluster = cluster;
    this.leasehold = cluster.client();
    this.tap = tap;
  }

  /** A network that one of two hosts serves. */
  static async start(backend: GuestBackend, started?: Cluster): Promise<GuestStage> {
    const cluster = started ?? (await Cluster.start());
    const stage = new GuestStage(cluster, await Wiretap.start(await cluster.wire(NETWORK), backend));
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
    await stage.serve(await stage.serving());
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

  /** The server identifier of the network. */
  async serviceAddress(): Promise<string> {
    const { namespace } = this.host(await this.serving());
    const { stdout } = await namespace.run('ip', ['-4', '-o', 'address', 'show', bridgeOf(NETWORK)]);
    return /inet (169\.254\.[\d.]+)/.exec(stdout)?.[1] ?? '';
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

  /** A guest that has its address. */
  async running(kind: ClientKind): Promise<Guest> {
    const guest = await this.guest(kind);
    await guest.machine.boot();
    await this.expectAddress(guest);
    return guest;
  }

  /** A guest that was on once, and is off. */
  async known(kind: ClientKind): Promise<Guest> {
    const guest = await this.running(kind);
    await eventually('it remembers', async () => guest.machine.remembers(guest.address));
    await guest.machine.powerOff();
    return guest;
  }

  /** A tenant without a client. */
  async rawGuest(): Promise<Tenant & { readonly nic: Nic }> {
    const tenant = await this.reserve();
    return { ...tenant, nic: await this.nic(tenant.mac) };
  }

  /** Resolves when all answers to what was said before were given: none waits longer than this refusal. */
  async answered(): Promise<void> {
    const asker = await this.rawGuest();
    await say(asker.nic, { type: 'request', requested: ELSEWHERE });
    await this.heard(asker, 'a NAK', ({ type }) => type === 'nak');
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
    await this.serve(other);
    await fault();
    await eventually(`${other} serves alone`, async () => (await this.serving()) === other);
    return other;
  }

  /** Hosts must answer no more from now on. */
  ended(...hostIds: readonly string[]): Promise<void> {
    return this.tap.tell(...hostIds.map((hostId) => ({ kind: 'ended' as const, sender: this.senderOf(hostId) })));
  }

  /** Hosts may answer again. */
  serve(...hostIds: readonly string[]): Promise<void> {
    return this.tap.tell(...hostIds.map((hostId) => ({ kind: 'serves' as const, sender: this.senderOf(hostId) })));
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
    if (count === 2) await this.serve(...this.#hosts.keys());
    await this.leasehold.networks.update(NETWORK, { dhcpServerCount: count });
    const serving = await servingHosts(this.leasehold, NETWORK, count);
    await eventually('no other has a placement', async () => (await this.#placements()).length === count);
    await this.ended(...[...this.#hosts.keys()].filter((hostId) => !serving.includes(hostId)));
  }

  /** The host is off the wire, and everything on it is dead. */
  async crash(hostId: string): Promise<void> {
    const host = this.host(hostId);
    await host.namespace.linkDown(uplinkOf(bridgeOf(NETWORK)));
    await host.killAgent();
    killKeeper(host);
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

  /** What the script of each client's package writes first; undefined: there is none. */
  resolverFile(): string | undefined {
    return existsSync(RESOLVER_FILE) ? readFileSync(RESOLVER_FILE, 'latin1') : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clear();
    await this.tap[Symbol.asyncDispose]();
    for (const host of this.#hosts.values()) {
      await host.killAgent();
      killKeeper(host);
    }
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
}

/** What outlives an agent with dnsmasq, and with it every dnsmasq. */
function killKeeper(host: TestHost): void {
  const keeper = keeperOf(host);
  if (keeper !== undefined) killIdentified(keeper, []);
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
