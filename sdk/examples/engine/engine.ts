// The part of a virtualization engine that gives addresses to virtual machines, with everything that one has to think of.
//
//   E1. A vNIC has its address before its VM runs, and a DHCP server that answers for it.
//   E2. An address is given back only when the guest cannot use it any more, and by the id of its tenure: a release that is
//       repeated, or late, never hits what somebody else reserved meanwhile.
//   E3. What a start that failed gives back is told by what was there before, not by answers: one may be lost, and a reserve
//       that is repeated then finds what it made itself.
//   E4. Nothing is remembered here that Leasehold knows. Who crashed asks again: the same MAC gets the same answer.

import { ExhaustedError, type Leasehold, type Reservation } from '@leasehold/sdk';

/** A virtual network card. Its MAC is the engine's, and stays with it for ever. */
export interface Nic {
  readonly mac: string;
  /** The network it is linked to; any of its subnets will do. Undefined: unplugged, or a network without IPAM. */
  readonly networkId: string | undefined;
}

/** A virtual machine. */
export interface Vm {
  readonly name: string;
  readonly nics: readonly Nic[];
}

/** What the engine has for machines: qemu, libvirt, or whatever runs them. */
export interface Hypervisor {
  /** Rejects only when no guest ran. */
  run(vm: Vm, host: string): Promise<void>;
  move(vm: Vm, host: string): Promise<void>;
  /** Resolves when the guest is surely gone. */
  end(vm: Vm): Promise<void>;
}

/** There is no address for a vNIC, so its VM was not started. */
export class NoAddressError extends Error {}

// As long as people wait for a machine to start.
const READY_WITHIN_MS = 10_000;

/** The engine. */
export class Engine {
  readonly #leasehold: Leasehold;
  readonly #hypervisor: Hypervisor;

  constructor(leasehold: Leasehold, hypervisor: Hypervisor) {
    this.#leasehold = leasehold;
    this.#hypervisor = hypervisor;
  }

  /** Starts a VM, each of whose vNICs has its address by then; all of it, or nothing. */
  async start(vm: Vm, host: string): Promise<readonly Reservation[]> {
    const before = new Set((await this.#heldBy(vm)).map(({ reservationId }) => reservationId));
    const reserved: Reservation[] = [];
    try {
      for (const nic of vm.nics) {
        const reservation = await this.#reserve(vm, nic);
        if (reservation) reserved.push(reservation);
      }
      await this.#hypervisor.run(vm, host);
      return reserved;
    } catch (error) {
      // What was there before may be of a guest that runs. The rest nobody has used: others may have it at once.
      const ours = (await this.#heldBy(vm)).filter(({ reservationId }) => !before.has(reservationId));
      await this.#release(ours, { guestStopped: true });
      throw error;
    }
  }

  /** What its vNICs have where they are linked now. */
  async #heldBy(vm: Vm): Promise<readonly Reservation[]> {
    const held: Reservation[] = [];
    for (const { networkId, mac } of vm.nics) {
      if (networkId === undefined) continue;
      held.push(...(await this.#leasehold.reservations.list({ networkId, mac, state: 'reserved' }).toArray()));
    }
    return held;
  }

  /** Links a vNIC of a running VM to another network; the VM as it is then. */
  async relink(vm: Vm, nic: Nic, networkId: string | undefined): Promise<Vm> {
    const linked = { ...nic, networkId };
    // First the new one: where there is none, nothing has changed.
    await this.#reserve(vm, linked);
    if (nic.networkId !== undefined) {
      // The guest still runs, and may use its old address until its lease ends: we cannot vouch that it does not.
      const { networkId: from, mac } = nic;
      await this.#release([await this.#leasehold.reservations.get({ networkId: from, mac })], { guestStopped: false });
    }
    return { ...vm, nics: vm.nics.map((each) => (each.mac === nic.mac ? linked : each)) };
  }

  /** Moves a running VM to another host. Its addresses are of its MACs, not of its host: there is nothing to do. */
  async migrate(vm: Vm, host: string): Promise<void> {
    await this.#hypervisor.move(vm, host);
  }

  /** Stops a VM and gives its addresses back. */
  async stop(vm: Vm): Promise<void> {
    await this.#hypervisor.end(vm);
    const held: Reservation[] = [];
    // By its owner, in whatever network: also what a re-link left that was cut short.
    for (const { mac } of vm.nics) {
      const owner = ownerOf(vm, mac);
      held.push(...(await this.#leasehold.reservations.list({ owner, state: 'reserved' }).toArray()));
    }
    // It is gone: we vouch for that, and the addresses are free again within a minute or two.
    await this.#release(held, { guestStopped: true });
  }

  async #reserve(vm: Vm, { networkId, mac }: Nic): Promise<Reservation | undefined> {
    if (networkId === undefined) return undefined;
    const waitReady = { servers: 1, timeoutMs: READY_WITHIN_MS };
    try {
      const owner = ownerOf(vm, mac);
      const result = await this.#leasehold.reservations.reserve({ networkId, mac, owner, waitReady });
      // The address is promised all the same; its guest will ask until somebody answers.
      if (!result.ready) console.warn(`${vm.name}: no DHCP server confirmed ${result.reservation.address} yet`);
      return result.reservation;
    } catch (error) {
      if (!(error instanceof ExhaustedError)) throw error;
      const next = error.metadata['next_reusable_time'];
      const when = next === undefined ? '' : `, the next one is free at ${next}`;
      throw new NoAddressError(`${vm.name} cannot start: ${networkId} has no address left${when}`, { cause: error });
    }
  }

  /** Each by the id of its tenure, so that the SDK may repeat it, and that it frees nothing newer. */
  async #release(held: readonly Reservation[], { guestStopped }: { readonly guestStopped: boolean }): Promise<void> {
    const requests = held.map(({ reservationId }) => ({ reservationId, guestStopped }));
    for (const result of await this.#leasehold.reservations.releaseMany(requests)) if (!result.ok) throw result.error;
  }
}

/** The name of a vNIC, to find its reservation by: `vm-1/52:54:00:00:00:01`. */
function ownerOf(vm: Vm, mac: string): string {
  return `${vm.name}/${mac}`;
}
