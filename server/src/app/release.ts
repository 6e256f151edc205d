// Takes an address back from a MAC.
//
//   R1. A release names one tenure: the short form is resolved to a reservation id once, and only that is released, so
//       that a late or repeated release of an older tenure frees nothing (protocol.md §2.6).
//   R2. A released address is QUARANTINED, never free at once.
//   R3. It rests as long as the subnet's settings say that stand after the write: a longer lease time that was set beside
//       the release counts.
//   R4. A word for its guest that comes after the release is a change, and has an audit event (ADR 22): if it was wrong two
//       guests have one address, and whose word it was must be known.

import type { Mac } from '@leasehold/proto/values';
import { auditEvent, vouchChange } from '../domain/audit.js';
import { type Result, requestIdReused, reservationMismatch, reservationNotFound, success } from '../domain/errors.js';
import type { ReservationId } from '../domain/ids.js';
import type { Network, Subnet } from '../domain/network.js';
import type { EndedTenure, RequestKey, Slot } from '../domain/slot.js';
import { untilNoConflict } from './change.js';
import { type Call, type Context, wallTime } from './context.js';
import type { ReservationKey, Reservations } from './reservations.js';
import { afterWrite, type Rest, released, restOf } from './tenure.js';

/** What to release. */
export interface ReleaseCommand {
  readonly key: ReservationKey;
  /** Guards: release only this tenure, only of this MAC. */
  readonly reservationId: ReservationId | undefined;
  readonly mac: Mac | undefined;
  /** The engine vouches that the guest no longer uses the address. */
  readonly guestStopped: boolean;
  readonly request: RequestKey | undefined;
}

/** The use case. */
export class Release {
  readonly #context: Context;
  readonly #reservations: Reservations;

  constructor(context: Context, reservations: Reservations) {
    this.#context = context;
    this.#reservations = reservations;
  }

  /** Releases, or answers the tenure that was released before. */
  async release(command: ReleaseCommand, call: Call): Promise<Result<Slot | EndedTenure>> {
    const result = await this.#release(command, call);
    this.#context.metrics.count('releases', { outcome: result.ok ? 'ok' : result.error.kind });
    return result;
  }

  async #release(command: ReleaseCommand, call: Call): Promise<Result<Slot | EndedTenure>> {
    const { request } = command;
    const named = await this.#reservations.find(command.key, 'get');
    // Looked for after that: if the address has another tenant by now, because this very request released the one
    // before, then the request is known.
    const earlier = request && (await this.#context.store.slots.findByRequest(request));
    if (earlier) return replay(earlier, request);
    if (!named.ok) return (await this.#endedBefore(command)) ?? named;
    const tenure = named.value;
    if (command.reservationId !== undefined && command.reservationId !== tenure.reservationId) {
      return (await this.#endedBefore(command)) ?? reservationMismatch(tenure, 'reservation_id');
    }
    if (command.mac !== undefined && command.mac !== tenure.mac) return reservationMismatch(tenure, 'mac');
    return this.#releaseTenure(tenure, command, call);
  }

  /** The guard may name a tenure of this key that is over: then the release was done before, and stays done. */
  async #endedBefore({ reservationId, key }: ReleaseCommand): Promise<Result<EndedTenure> | undefined> {
    const tenure = reservationId && (await this.#reservations.findById(reservationId, 'get'));
    return tenure && !('state' in tenure) && isOf(tenure, key) ? success(tenure) : undefined;
  }

  #releaseTenure(tenure: Slot | EndedTenure, command: ReleaseCommand, call: Call): Promise<Result<Slot | EndedTenure>> {
    const { reservationId } = tenure;
    let current: Slot | EndedTenure | undefined = tenure;
    let rest: Rest | undefined;
    let hasVouched = false;
    return untilNoConflict<Slot | EndedTenure>(`Reservation ${reservationId}`, async () => {
      current ??= await this.#reservations.findById(reservationId, 'get');
      if (!current) return reservationNotFound(`id ${reservationId}`, { reservation_id: reservationId });
      if (command.guestStopped && isRestingUnvouched(current)) {
        // Before its request is remembered: who repeats that has it answered, and not done.
        current = await this.#vouch(current, command, call);
        hasVouched ||= current !== undefined;
        return 'conflict';
      }
      const next = rest ? resting(current, rest) : this.#next(current, command, call);
      if (next === undefined) return success(current);
      const writing = this.#context.store.slots.replace(next);
      const { outcome, network } = await (rest || hasVouched ? afterWrite(writing) : writing);
      const wasReserved = 'state' in current && current.state === 'reserved';
      current = undefined;
      if (outcome.kind === 'request-known' && command.request) return replay(outcome.tenure, command.request);
      if (outcome.kind !== 'replaced') return 'conflict';
      if (wasReserved) this.#context.tellTenure?.('releaseTime', outcome.slot);
      rest = network && restOf(subnetOf(network, outcome.slot));
      current = outcome.slot;
      return rest && resting(current, rest) ? 'conflict' : success(current);
    });
  }

  /** Notes the word for the guest of a released tenure; undefined: the slot is another by now. */
  async #vouch(resting: Slot, { request }: ReleaseCommand, { caller }: Call): Promise<Slot | undefined> {
    const { store, tell } = this.#context;
    const { reservationId: uid, revision } = resting;
    const author = { caller, requestId: request?.id };
    const event = auditEvent(
      'ReleaseAddress',
      author,
      { uid, revision },
      wallTime(this.#context),
      vouchChange(resting),
    );
    const written = await store.slots.amend({ ...resting, vouched: true, vouchedLater: true }, event);
    if (written === 'conflict') return undefined;
    tell(event);
    return written;
  }

  /** What the slot becomes; undefined when it stays as it is. */
  #next(current: Slot | EndedTenure, command: ReleaseCommand, call: Call): Slot | undefined {
    if (!('state' in current)) return undefined;
    const { request } = command;
    if (current.state === 'reserved') {
      const network = this.#context.view.subnet(current.subnetId)?.network;
      const subnet = network && subnetOf(network, current);
      return released(this.#context, current, subnet, call.caller, command.guestStopped, request);
    }
    // The request is remembered also when it changes nothing: repeated later, it must not find another tenure.
    const remember = request !== undefined && current.releaseRequest === undefined;
    return remember ? { ...current, releaseRequest: request } : undefined;
  }
}

function subnetOf(network: Network, { subnetUid }: Slot): Subnet | undefined {
  return network.subnets.find(({ uid }) => uid === subnetUid);
}

function isRestingUnvouched(tenure: Slot | EndedTenure): tenure is Slot {
  return 'state' in tenure && tenure.state === 'quarantined' && !tenure.vouched;
}

/** The released slot with a longer rest; undefined when it rests that long, or not any more. */
function resting(slot: Slot | EndedTenure, rest: Rest): Slot | undefined {
  if (!('state' in slot) || slot.state !== 'quarantined') return undefined;
  return slot.leaseTimeCeilingS < rest.leaseTimeCeilingS ? { ...slot, ...rest } : undefined;
}

function replay(earlier: Slot | EndedTenure, request: RequestKey): Result<Slot | EndedTenure> {
  if (earlier.releaseRequest?.contentHash === request.contentHash) return success(earlier);
  return requestIdReused(request.id, earlier.reservationId);
}

function isOf(tenure: EndedTenure, key: ReservationKey): boolean {
  switch (key.kind) {
    case 'id':
      return tenure.reservationId === key.reservationId;
    case 'address':
      return tenure.subnetId === key.subnetId && tenure.address === key.address;
    case 'mac':
      return tenure.networkId === key.networkId && tenure.mac === key.mac;
  }
}
