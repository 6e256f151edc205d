// What the store must always be, looked at with every change that is committed.

import { formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { Host } from '@leasehold/server/domain/host';
import type { NetworkId, ReservationId } from '@leasehold/server/domain/ids';
import type { Network } from '@leasehold/server/domain/network';
import type { RequestKey, Slot } from '@leasehold/server/domain/slot';
import type { PositionedChange } from '@leasehold/server/ports/store';
import type { Promises } from '../engine.js';

/** Says which invariant is broken, and how. */
export type Report = (invariant: string, what: string) => void;

interface Promised {
  readonly networkId: NetworkId;
  readonly mac: string;
  readonly address: Ipv4;
  readonly reservationId: ReservationId;
}

/** Told of what became of an address. */
export interface SlotWitness {
  /** It is reserved. */
  reserved(networkId: NetworkId, address: Ipv4): void;
  /** It is free: any other MAC may have it from now on. */
  freed(slot: Slot): void;
}

/** Watches the store. */
export class StoreInvariants implements Promises {
  readonly #disk: MemoryDisk;
  readonly #report: Report;
  readonly #mayMove: () => boolean;
  readonly #witness: SlotWitness;
  readonly #promised = new Map<string, Promised>();
  readonly #released = new Set<ReservationId>();
  readonly #names = new Map<ReservationId, string>();
  /** Names that they may get yet: of requests that a server may have that stands still. */
  readonly #laterNames = new Map<ReservationId, Set<string>>();
  /** Those that somebody asked to release: they may end whenever that request is carried out. */
  readonly #doomed = new Set<ReservationId>();

  /** `mayMove`: whether placements may change now. */
  constructor(disk: MemoryDisk, report: Report, mayMove: () => boolean, witness: SlotWitness) {
    this.#disk = disk;
    this.#report = report;
    this.#mayMove = mayMove;
    this.#witness = witness;
    disk.listen((changes) => {
      for (const change of changes) this.#changed(change);
    });
  }

  reserved(networkId: NetworkId, mac: string, address: Ipv4, reservationId: ReservationId, created: boolean): void {
    const key = `${networkId} ${mac}`;
    const before = this.#promised.get(key);
    if (before && before.reservationId !== reservationId) {
      const [was, is] = [formatIpv4(before.address), formatIpv4(address)];
      this.#report('S3', `${mac} of ${networkId} holds ${was} and was answered ${is}, ${reservationId}`);
    }
    if (before && created) this.#report('S3', `${mac} of ${networkId} was told twice that its reservation was made`);
    if (this.#released.has(reservationId)) this.#report('S3', `${reservationId} was released and is answered again`);
    if (this.#doomed.has(reservationId)) return;
    this.#promised.set(key, { networkId, mac, address, reservationId });
    this.#kept(key);
  }

  releasing(networkId: NetworkId, mac: string, reservationId: ReservationId): void {
    this.#doomed.add(reservationId);
    this.#promised.delete(`${networkId} ${mac}`);
  }

  released(reservationId: ReservationId): void {
    this.#released.add(reservationId);
  }

  named(reservationId: ReservationId, hostname: string | undefined): void {
    if (hostname === undefined) this.#names.delete(reservationId);
    else this.#names.set(reservationId, hostname);
  }

  mayBeNamed(reservationId: ReservationId, hostname: string): void {
    this.#laterNames.set(reservationId, (this.#laterNames.get(reservationId) ?? new Set<string>()).add(hostname));
  }

  notDone(request: RequestKey): void {
    const made = this.#disk.byRequest(request);
    // One that was promised before was only found by it.
    const before = made && this.#promised.get(`${made.networkId} ${made.mac}`);
    if (made && before?.reservationId !== made.reservationId)
      this.#report('S3', `request ${request.id} was told that nothing was done, and made ${made.reservationId}`);
  }

  /** Everything that was promised. */
  check(): void {
    for (const key of this.#promised.keys()) this.#kept(key);
  }

  #kept(key: string): void {
    const promised = this.#promised.get(key);
    if (!promised) return;
    const { networkId, mac, address, reservationId } = promised;
    const slot = this.#disk.slot(networkId, address);
    if (slot?.state === 'reserved' && slot.reservationId === reservationId) {
      const name = this.#names.get(reservationId) ?? slot.hostname;
      const mayBe = this.#laterNames.get(reservationId)?.has(slot.hostname) === true;
      if (slot.hostname !== name && !mayBe)
        this.#report('S3', `${textOf(slot)} is called ${slot.hostname} instead of ${name}`);
      const problem = misfitOf(this.#disk.networks.get(networkId), slot);
      if (problem) this.#report('S3', `${textOf(slot)} was promised, and ${problem}`);
      return;
    }
    const now = slot ? `${slot.state} for ${slot.mac}` : 'free';
    this.#report('S3', `${formatIpv4(address)} of ${networkId} was promised to ${mac}, and is ${now}`);
  }

  #changed(change: PositionedChange): void {
    switch (change.kind) {
      case 'slot':
        this.#slotChanged(change.slot, change.before);
        return;
      case 'slot-gone':
        if (change.before?.state === 'reserved')
          this.#report('S3', `a RESERVED slot is gone: ${textOf(change.before)}`);
        if (change.before) this.#witness.freed(change.before);
        return;
      case 'network':
        this.#networkChanged(change.network, change.before);
        return;
      case 'host':
        this.#hostChanged(change.host, change.before);
        return;
      default:
    }
  }

  #slotChanged(slot: Slot, before: Slot | undefined): void {
    const { networkId, address, mac } = slot;
    if (before && before.mac !== mac) {
      this.#report('S4', `${textOf(before)} went to ${mac} without having been free`);
    }
    if (slot.state === 'reserved') {
      const held = this.#disk.byMac(networkId, mac).filter(({ state }) => state === 'reserved');
      if (held.length > 1) this.#report('S1', `${mac} has ${held.map(textOf).join(' and ')}`);
      if (this.#released.has(slot.reservationId))
        this.#report('S3', `${textOf(slot)} was released, and is reserved again`);
      if (before?.state !== 'reserved') this.#witness.reserved(networkId, address);
    }
    if (before?.state === 'reserved') this.#kept(`${networkId} ${before.mac}`);
  }

  #networkChanged(network: Network, before: Network | undefined): void {
    if (!before) return;
    const { networkId } = network;
    for (const [key, promised] of this.#promised) if (promised.networkId === networkId) this.#kept(key);
    if (network.holderEpoch < before.holderEpoch) {
      this.#report('S6', `${networkId} was written by holder ${network.holderEpoch}, after ${before.holderEpoch}`);
    }
    if (network.placementCounter < before.placementCounter) {
      this.#report('S6', `the placement counter of ${networkId} fell to ${network.placementCounter}`);
    }
    if (network.placements.length > Math.max(network.dhcpServerCount, before.placements.length)) {
      this.#report('S1', `${networkId} has ${network.placements.length} placements`);
    }
    const hosts = network.placements.map(({ hostId }) => hostId);
    const placed = textOfPlacements(network);
    if (placed !== textOfPlacements(before) && !this.#mayMove()) {
      this.#report(
        'S8',
        `${networkId} was on ${textOfPlacements(before)} and is moved to ${placed}, though all hosts are well`,
      );
    }
    if (new Set(hosts).size < hosts.length) this.#report('S1', `${networkId} is placed twice on one host: ${hosts}`);
  }

  #hostChanged(host: Host, before: Host | undefined): void {
    if (before && before.uid === host.uid && host.revision <= before.revision) {
      this.#report('S6', `the revision of ${host.hostId} fell to ${host.revision}`);
    }
  }
}

/** Why a reservation is not one of its network; not asked of the product, which may be wrong. */
function misfitOf(network: Network | undefined, { address, subnetUid }: Slot): string | undefined {
  const subnet = network?.subnets.find(({ uid }) => uid === subnetUid);
  if (!subnet) return 'its subnet is gone';
  if (subnet.gateway === address) return 'it is the gateway';
  const isExcluded = subnet.excludedRanges.some(({ first, last }) => address >= first && address <= last);
  return isExcluded ? 'it is excluded' : undefined;
}

function textOfPlacements({ placements }: Network): string {
  return placements.map(({ hostId, epoch }) => `${hostId}/${epoch}`).join(' ');
}

function textOf({ networkId, address, mac, state, reservationId }: Slot): string {
  return `${formatIpv4(address)} of ${networkId} (${state} for ${mac}, ${reservationId})`;
}
