// What the chapters share: the cluster, the engine's client, and the virtual machines on it.

import type { Leasehold, Reservation } from '@leasehold/sdk';
import type { Cluster, TestHost } from '../support/cluster.js';
import type { Nic } from '../support/netns.js';
import type { WatchedProcess } from '../support/processes.js';
import { type Guest, startUdhcpc } from '../support/udhcpc.js';
import type { Narrator } from './narrator.js';

/** The network of the story. */
export const NETWORK = 'red';

/** Its subnet. */
export const SUBNET = 'red-a';

/** What the subnet is made with, and what its guests must hear. */
export const SETTINGS = {
  cidr: '10.1.0.0/24',
  gateway: '10.1.0.1',
  dnsServers: ['10.1.0.2', '10.1.0.3'],
  leaseTimeSeconds: 600,
} as const;

/** MACs by the name of their machine. */
export const MACS = {
  'vm-1': '52:54:00:00:00:01',
  'vm-2': '52:54:00:00:00:02',
  'vm-3': '52:54:00:00:00:03',
  'vm-4': '52:54:00:00:00:04',
  prober: '52:54:00:00:00:05',
  stranger: '52:54:00:00:00:99',
} as const;

/** A machine of the story. */
export type Machine = keyof typeof MACS;

/** See the top of the file. */
export class Stage implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly narrator: Narrator;
  readonly hosts: TestHost[] = [];
  readonly #nics = new Map<Machine, Nic>();
  readonly #guests = new Map<Machine, Guest>();
  readonly #reservations = new Map<Machine, Reservation>();
  #client: Leasehold | undefined;

  constructor(cluster: Cluster, narrator: Narrator) {
    this.cluster = cluster;
    this.narrator = narrator;
  }

  /** The engine's client. */
  get leasehold(): Leasehold {
    this.#client ??= this.cluster.client();
    return this.#client;
  }

  /** Reserves an address for a machine, and waits until a DHCP server can serve it. */
  async reserve(machine: Machine): Promise<Reservation> {
    const { reservation, ready } = await this.leasehold.reservations.reserve({
      subnetId: SUBNET,
      mac: MACS[machine],
      hostname: machine,
      owner: `${machine}/nic0`,
      waitReady: { servers: 1, timeoutMs: 20_000 },
    });
    this.narrator.claim(
      `${machine} (${reservation.mac}) has ${reservation.address}, and DHCP can serve it`,
      ready,
      true,
    );
    this.#reservations.set(machine, reservation);
    return reservation;
  }

  /** What was reserved for a machine. */
  reservationOf(machine: Machine): Reservation {
    const reservation = this.#reservations.get(machine);
    if (!reservation) throw new Error(`Nothing was reserved for ${machine}`);
    return reservation;
  }

  /** The network card of a machine, plugged in when first asked for. */
  async nic(machine: Machine): Promise<Nic> {
    let nic = this.#nics.get(machine);
    if (!nic) {
      nic = await this.cluster.guest(NETWORK, machine, MACS[machine]);
      this.#nics.set(machine, nic);
    }
    return nic;
  }

  /** Boots a machine: its DHCP client starts and stays. */
  async boot(machine: Machine): Promise<Guest> {
    const guest = await startUdhcpc(await this.nic(machine));
    this.#guests.set(machine, guest);
    return guest;
  }

  /** Stops a machine. */
  async stop(machine: Machine): Promise<void> {
    await this.#guests.get(machine)?.[Symbol.asyncDispose]();
    this.#guests.delete(machine);
  }

  /** The machines that run. */
  running(): Iterable<readonly [Machine, Guest]> {
    return this.#guests;
  }

  /** A host by its id. */
  host(hostId: string | undefined): TestHost {
    const host = this.hosts.find((each) => each.hostId === hostId);
    if (!host) throw new Error(`There is no host ${hostId}`);
    return host;
  }

  /** Our own programs, by name; none before the first host: what fails to start says itself why. */
  programs(): readonly (readonly [string, WatchedProcess])[] {
    const agents = this.hosts.map(({ hostId, agent }) => [`the agent of ${hostId}`, agent] as const);
    return agents.length > 0 ? [['the server', this.cluster.server], ...agents] : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const guest of this.#guests.values()) await guest[Symbol.asyncDispose]();
    await this.cluster[Symbol.asyncDispose]();
  }
}
