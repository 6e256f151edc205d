// Promises an address to a MAC.
//
//   A1. The store decides: memory only proposes an address, the insert takes it or says who has it.
//   A2. Before a reservation is answered, the network's document as it stands after the write is asked whether it still
//       fits; if not, the slot is released (never deleted) and the request refused (protocol.md §2.2).
//   A3. One MAC, one reservation of a network: a repeat answers the one that exists.
//   A4. A reservation that is there may be one that its maker is about to give back (A2). So it is answered only after it
//       was written once more, which the maker then loses to, and fits the network as it stands after that; or where this
//       server acknowledged it before. What is given back keeps no request: it was promised to nobody.
//   A5. Memory refuses nothing: what it would refuse is looked up in the store first. SUBNET_EXHAUSTED is answered only
//       after the store was counted, within the last seconds.
//   A6. Where a subnet asks for it, an address that nobody had is asked for on the wire first (probing.ts). That decides
//       which one is proposed, and nothing else.
//   A7. While the store is known to be an older copy of itself only what is RESERVED is answered: what is free or rests in
//       it may have gone to another MAC since (protocol.md §7).

import { delay } from '@leasehold/program/clock';
import { cidrContains, firstAddress, type Ipv4, lastAddress, type Mac } from '@leasehold/proto/values';
import {
  addressesInUse,
  addressQuarantined,
  addressReserved,
  holdingStill,
  macReserved,
  networkNotFound,
  type Refused,
  type Result,
  requestIdReused,
  subnetExhausted,
  subnetNotFound,
  success,
  tooBusy,
} from '../domain/errors.js';
import { closedTo, misfit, standing } from '../domain/fits.js';
import type { NetworkId, ReservationId, Revision, SubnetId } from '../domain/ids.js';
import type { DhcpOption, Labels, Network, Subnet } from '../domain/network.js';
import { makeReservationId } from '../domain/reservation-id.js';
import { type EndedTenure, isChainVouched, type RequestKey, type Slot } from '../domain/slot.js';
import type { SubnetSpace } from '../domain/subnet-space.js';
import { OutcomeUnknownError } from '../ports/store.js';
import { type Call, type Context, wallTime } from './context.js';
import { KeyedQueue } from './keyed-queue.js';
import { Probing } from './probing.js';
import { RecentSet } from './recent-set.js';
import { afterWrite, endedNow, giveBack, nextReusableTime, reuseOf } from './tenure.js';

/** What to reserve. At least one of `subnetId` and `networkId` is there. */
export interface ReserveCommand {
  readonly subnetId: SubnetId | undefined;
  readonly networkId: NetworkId | undefined;
  readonly mac: Mac;
  /** This address and no other. */
  readonly address: Ipv4 | undefined;
  readonly hostname: string;
  readonly owner: string;
  readonly labels: Labels;
  readonly options: readonly DhcpOption[];
  readonly request: RequestKey | undefined;
}

/** What came of it. */
export interface Reserved {
  readonly tenure: Slot | EndedTenure;
  /** Whether this request made it. */
  readonly created: boolean;
}

/** Where to look for an address. */
interface Target {
  readonly network: Network;
  /** In the order to try. */
  readonly subnets: readonly Subnet[];
  /** Whether it was read from the store for this request: what memory says may be late, and refuses nothing. */
  readonly isFresh: boolean;
}

interface Proposal {
  readonly subnet: Subnet;
  readonly address: Ipv4;
  /** Whether memory has it as used for this proposal alone, and must forget that when nothing comes of it. */
  readonly isTaken: boolean;
  /** Whether it is a new choice, and neither asked for by name nor the one that its MAC had. */
  readonly isNew: boolean;
}

/** A full subnet was counted in the store, and memory was right. */
interface Verified {
  readonly space: SubnetSpace;
  readonly changes: number;
  readonly atMs: number;
}

/** What a round came to: an answer, another round, or another round with the settings as the store has them. */
type Round = Result<Reserved> | 'again' | 'again-fresh';

// Each round loses an address to somebody else or meets a change of settings; with next-fit from an own offset a
// second round is rare, so that many mean something is wrong.
const MAX_ROUNDS = 64;
// How long a change of a subnet takes that is neither done nor undone yet.
const UNDECIDED_MS = 50;
// Who repeats a request does so within seconds.
const MAX_ACKNOWLEDGED = 10_000;
// A full subnet of which nothing changed in memory is counted again this often before "exhausted" is believed.
const VERIFY_EVERY_MS = 5_000;
const ESTIMATE_EVERY_MS = 1_000;
const MAX_ESTIMATES = 1_000;

/** The use case. */
export class Reserve {
  readonly #context: Context;
  // Two requests for one MAC would hold two addresses for a moment, and the last free one could be missing for it.
  readonly #byMac = new KeyedQueue();
  readonly #probing: Probing;
  readonly #acknowledged = new RecentSet<ReservationId>(MAX_ACKNOWLEDGED);
  readonly #verified = new Map<SubnetId, Verified>();
  readonly #nextReusableTimes = new Map<string, { readonly atMs: number; readonly time: Date | undefined }>();

  constructor(context: Context) {
    this.#context = context;
    this.#probing = new Probing(context);
  }

  /** Whether hosts are asked for an address, as far as is known here: the server that leads does that. */
  asksHosts({ subnetId, networkId, address }: ReserveCommand): boolean {
    if (address !== undefined) return false;
    const target = this.#remembered({ subnetId, networkId });
    return target?.ok === true && target.value.subnets.some(({ probeBeforeUse }) => probeBeforeUse);
  }

  /** Reserves, or answers the reservation that exists. */
  async reserve(command: ReserveCommand, call: Call): Promise<Result<Reserved>> {
    const { metrics, tellTenure } = this.#context;
    const result = await this.#reserve(command, call);
    if (tellTenure && result.ok && result.value.created) tellTenure('createTime', result.value.tenure as Slot);
    const outcome = result.ok ? (result.value.created ? 'created' : 'existing') : result.error.kind;
    metrics.count('reserves', { outcome });
    return result;
  }

  async #reserve(command: ReserveCommand, call: Call): Promise<Result<Reserved>> {
    const earlier = command.request && (await this.#earlier(command.request, call));
    if (earlier) return earlier;
    const target = this.#remembered(command) ?? (await this.#fresh(command));
    if (!target.ok) return target;
    const { networkId } = target.value.network;
    return this.#byMac.run(`${networkId} ${command.mac}`, () => this.#take(target.value, command, call));
  }

  /** What the request came to before; undefined: it is new. */
  async #earlier(request: RequestKey, call: Call): Promise<Result<Reserved> | undefined> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const tenure = await this.#context.store.slots.findByRequest(request);
      if (!tenure) return undefined;
      const answer = await this.#replayed(tenure, request, call);
      if (answer !== 'again') return answer;
    }
    return tooBusy(`Request ${request.id}`);
  }

  /** The target as memory has it; undefined when it does not know one. */
  #remembered({ subnetId, networkId }: Pick<ReserveCommand, 'subnetId' | 'networkId'>): Result<Target> | undefined {
    const { view } = this.#context;
    const network = subnetId === undefined ? networkId && view.network(networkId) : view.subnet(subnetId)?.network;
    return network && targetOf(network, subnetId, networkId, false);
  }

  /** The target as the store has it. */
  async #fresh({ subnetId, networkId }: ReserveCommand): Promise<Result<Target>> {
    const { networks } = this.#context.store;
    if (subnetId !== undefined) {
      const network = await networks.findBySubnet(subnetId);
      if (network) this.#context.view.learn(network);
      return (network && targetOf(network, subnetId, networkId, true)) ?? subnetNotFound(subnetId);
    }
    const network = networkId && (await networks.get(networkId));
    if (network) this.#context.view.learn(network);
    return (network && targetOf(network, undefined, networkId, true)) ?? networkNotFound(networkId ?? '');
  }

  async #take(first: Target, command: ReserveCommand, call: Call): Promise<Result<Reserved>> {
    let target = first;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (round > 0) this.#context.metrics.count('reserveRetries');
      const outcome = await this.#round(target, command, call);
      if (outcome !== 'again' && outcome !== 'again-fresh') return outcome;
      if (outcome === 'again') continue;
      const fresh = await this.#fresh(command);
      if (!fresh.ok) return fresh;
      target = fresh.value;
    }
    return tooBusy(`Network ${target.network.networkId}`);
  }

  #round(target: Target, command: ReserveCommand, call: Call): Round | Promise<Round> {
    const because = this.#context.holdsStill();
    if (because) return this.#existingInstead(holdingStill(because.reason), target, command, call);
    const proposal =
      command.address === undefined ? this.#choose(target, command.mac) : this.#named(target, command.address);
    if (!proposal.ok) return target.isFresh ? this.#existingInstead(proposal, target, command, call) : 'again-fresh';
    if (proposal.value?.isNew && proposal.value.subnet.probeBeforeUse) {
      return this.#probed(target, proposal.value, command, call);
    }
    if (proposal.value) return this.#try(target, proposal.value, command, call);
    return target.isFresh ? this.#whenFull(target, command, call) : 'again-fresh';
  }

  async #probed(target: Target, proposal: Proposal, command: ReserveCommand, call: Call): Promise<Round> {
    const mayUse = await this.#probing.mayUse(target.network.networkId, proposal.address, command.mac);
    if (mayUse) return this.#try(target, proposal, command, call);
    this.#notTaken(target, proposal);
    return 'again';
  }

  #named({ network, subnets }: Target, address: Ipv4): Result<Proposal> {
    const subnet = subnets.find(({ cidr }) => cidrContains(cidr, address)) ?? subnets[0];
    if (!subnet) return subnetExhausted({ networkId: network.networkId }, 0, undefined);
    const closed = closedTo(network, subnet, address);
    if (closed) return closed;
    return success({ subnet, address, isTaken: this.#spaceOf(network, subnet)?.take(address) ?? false, isNew: false });
  }

  /** The address the MAC has, had last, or the next free one; undefined when memory knows none. */
  #choose({ network, subnets }: Target, mac: Mac): Result<Proposal | undefined> {
    const occupancy = this.#context.view.occupancy(network.networkId);
    const open = subnets.filter((subnet) => closedTo(network, subnet) === undefined);
    const first = subnets[0];
    if (open.length === 0 && first) return closedTo(network, first) ?? success(undefined);
    const last = occupancy.lastAddressOf(mac);
    const home = last === undefined ? undefined : open.find(({ cidr }) => cidrContains(cidr, last));
    const returning = last !== undefined && home && this.#returning(network, home, last);
    if (returning) return success(returning);
    for (const subnet of open) {
      const address = this.#nextAllowed(network, subnet);
      if (address !== undefined) return success({ subnet, address, isTaken: true, isNew: true });
    }
    return success(undefined);
  }

  /** The next free address that no change under way is about to exclude: such a one would only stand in its way. */
  #nextAllowed(network: Network, subnet: Subnet): Ipv4 | undefined {
    const space = this.#spaceOf(network, subnet);
    const present = newer(this.#context.view.network(network.networkId), network);
    const skipped: Ipv4[] = [];
    let address = space?.next();
    const isPassedOver = (each: Ipv4) =>
      closedTo(present, subnet, each) !== undefined ||
      (subnet.probeBeforeUse === true && this.#probing.isAvoided(network.networkId, each));
    while (address !== undefined && isPassedOver(address)) {
      skipped.push(address);
      address = space?.next();
    }
    for (const each of skipped) space?.markFree(each);
    return address;
  }

  /** A MAC's last address is worth trying while it is its own, resting, or free and on offer. */
  #returning(network: Network, subnet: Subnet, address: Ipv4): Proposal | undefined {
    const space = this.#spaceOf(network, subnet);
    if (closedTo(network, subnet, address) !== undefined || !space) return undefined;
    if (space.isUsed(address)) return { subnet, address, isTaken: false, isNew: false };
    return space.take(address) ? { subnet, address, isTaken: true, isNew: false } : undefined;
  }

  #spaceOf({ networkId }: Network, { subnetId }: Subnet): SubnetSpace | undefined {
    return this.#context.view.occupancy(networkId).spaceOf(subnetId);
  }

  async #try(target: Target, proposal: Proposal, command: ReserveCommand, call: Call): Promise<Round> {
    const { store } = this.#context;
    if (this.#context.holdsStill()) {
      this.#notTaken(target, proposal);
      return 'again';
    }
    const slot = this.#newSlot(target.network, proposal, command, call);
    const { outcome, network } = await store.slots.insert(slot).catch((error: unknown) => {
      // Of an unknown outcome the watch will tell; of everything else it is known that nothing was done.
      if (!(error instanceof OutcomeUnknownError)) this.#notTaken(target, proposal);
      throw error;
    });
    switch (outcome.kind) {
      case 'inserted':
        return this.#checked(outcome, network, command, call);
      case 'mac-holds':
        this.#notTaken(target, proposal);
        return this.#existing(outcome.slot, command, call);
      case 'request-known':
        this.#notTaken(target, proposal);
        return command.request ? this.#replayed(outcome.tenure, command.request, call) : 'again';
      case 'taken':
        return this.#taken(outcome.slot, slot, command, call);
    }
  }

  #newSlot(
    network: Network,
    { subnet, address }: Pick<Proposal, 'subnet' | 'address'>,
    command: ReserveCommand,
    call: Call,
  ): Slot {
    const { mac, hostname, owner, labels, options, request } = command;
    return {
      reservationId: makeReservationId(network.networkId, address, this.#context.entropy),
      networkId: network.networkId,
      address,
      subnetId: subnet.subnetId,
      subnetUid: subnet.uid,
      mac,
      hostname,
      owner,
      labels,
      options,
      createTime: wallTime(this.#context),
      createdBy: call.caller,
      ...(request ? { request } : {}),
      vouched: false,
      state: 'reserved',
      chainCounter: network.placementCounter,
      reuseDelayS: 0,
      leaseTimeCeilingS: 0,
      revision: 0 as Revision,
    };
  }

  /** The proposed address is not free: it is the MAC's own, or somebody else's. */
  async #taken(there: Slot, wanted: Slot, command: ReserveCommand, call: Call): Promise<Round> {
    if (there.mac !== command.mac) {
      // The proposal came from a bit that was wrongly free; it is marked now, the next round takes another.
      if (command.address === undefined) return this.#othersAddress(there, command.mac);
      if (there.state === 'reserved') return addressReserved(there);
      return addressQuarantined(there, reuseOf(this.#context, there)?.time);
    }
    if (there.state === 'reserved') return this.#existing(there, command, call);
    return this.#returnTo(there, wanted, command, call);
  }

  #othersAddress(there: Slot, mac: Mac): 'again' {
    const occupancy = this.#context.view.occupancy(there.networkId);
    occupancy.markLost(there.address);
    if (occupancy.lastAddressOf(mac) === there.address) occupancy.forgetLast(mac);
    return 'again';
  }

  /** Sticky: the MAC gets its own quarantined address back, as a new tenure of the same chain. */
  async #returnTo(resting: Slot, wanted: Slot, command: ReserveCommand, call: Call): Promise<Round> {
    if (this.#context.holdsStill()) return 'again';
    const { revision } = resting;
    // A higher one counted in a network that was forgotten, and is made again.
    const chainCounter = Math.min(resting.chainCounter, wanted.chainCounter);
    const chainSoFar = isChainVouched(resting) ? 'vouched' : 'unvouched';
    const { outcome, network } = await this.#context.store.slots.replace(
      { ...wanted, chainCounter, chainSoFar, revision },
      endedNow(this.#context, resting),
    );
    switch (outcome.kind) {
      case 'conflict':
        return 'again';
      case 'mac-holds':
        return this.#existing(outcome.slot, command, call);
      case 'request-known':
        return command.request ? this.#replayed(outcome.tenure, command.request, call) : 'again';
      case 'replaced':
        return this.#checked(outcome, network, command, call);
    }
  }

  /** The MAC holds a reservation: it is the answer when it is what was asked for, else it is in the way. */
  async #existing(
    slot: Slot,
    { subnetId, address, request }: ReserveCommand,
    call: Call,
  ): Promise<Result<Reserved> | 'again'> {
    const isAsked =
      (subnetId === undefined || slot.subnetId === subnetId) && (address === undefined || slot.address === address);
    if (!isAsked) return macReserved(slot);
    // Remembered, so that the same request repeated after a release answers this tenure and makes no other.
    return this.#adopted(slot, slot.request ? undefined : request, call);
  }

  /** What a request that is known came to, as it is now. */
  async #replayed(tenure: Slot | EndedTenure, request: RequestKey, call: Call): Promise<Result<Reserved> | 'again'> {
    if (tenure.request?.contentHash !== request.contentHash) return requestIdReused(request.id, tenure.reservationId);
    if (!('state' in tenure) || tenure.state !== 'reserved') return success({ tenure, created: false });
    return this.#adopted(tenure, undefined, call);
  }

  /** A RESERVED slot that is there, as an answer (A4), with a request that it shall know from now on. */
  async #adopted(slot: Slot, request: RequestKey | undefined, call: Call): Promise<Result<Reserved> | 'again'> {
    const { store, clock } = this.#context;
    if (!request && this.#acknowledged.has(slot.reservationId)) return success({ tenure: slot, created: false });
    const { outcome, network } = await store.slots.replace({ ...slot, ...(request && { request }) });
    if (outcome.kind === 'request-known' && request) return this.#replayed(outcome.tenure, request, call);
    if (outcome.kind !== 'replaced') return 'again';
    const stands = standing(network, outcome.slot);
    if (stands === 'stands' || this.#acknowledged.has(slot.reservationId)) {
      this.#acknowledged.add(slot.reservationId);
      return success({ tenure: outcome.slot, created: false });
    }
    if (stands === 'undecided') await delay(clock, UNDECIDED_MS);
    else await this.#giveBack(outcome.slot, network, false);
    return 'again';
  }

  /** What a MAC holds is answered also where nothing new may be reserved. */
  async #existingInstead(refused: Refused, { network }: Target, command: ReserveCommand, call: Call): Promise<Round> {
    const { kind } = refused.error;
    if (kind !== 'ipam-disabled' && kind !== 'subnet-closing' && kind !== 'holding-still') return refused;
    const slots = await this.#context.store.slots.findByMac(network.networkId, command.mac);
    const held = slots.find(({ state }) => state === 'reserved');
    const answer = held ? await this.#existing(held, command, call) : refused;
    return answer === 'again' ? 'again-fresh' : answer;
  }

  /** What was written, as an answer (A2). */
  #checked(
    { slot, known }: { readonly slot: Slot; readonly known?: EndedTenure | undefined },
    network: Network | undefined,
    command: ReserveCommand,
    call: Call,
  ): Round | Promise<Round> {
    if (known && command.request) return this.#replayedInstead(slot, known, command.request, network, call);
    this.#context.view.occupancy(slot.networkId).markHeld(slot);
    const refused = misfit(network, slot);
    if (refused) return this.#refusedAfter(slot, refused, network, command);
    this.#acknowledged.add(slot.reservationId);
    return success({ tenure: slot, created: true });
  }

  async #replayedInstead(
    slot: Slot,
    known: EndedTenure,
    request: RequestKey,
    network: Network | undefined,
    call: Call,
  ): Promise<Round> {
    await this.#giveBack(slot, network, true);
    return this.#replayed(known, request, call);
  }

  async #refusedAfter(
    slot: Slot,
    refused: Refused,
    network: Network | undefined,
    command: ReserveCommand,
  ): Promise<Round> {
    // No guest was started with it.
    await this.#giveBack(slot, network, true);
    // A subnet that was made anew under its id is another one, and may have room.
    if (network?.subnets.some(({ subnetId, uid }) => subnetId === slot.subnetId && uid !== slot.subnetUid)) {
      return 'again-fresh';
    }
    // An address that was excluded meanwhile says nothing about the others of its subnet.
    return refused.error.kind === 'invalid-field' && command.address === undefined ? 'again-fresh' : refused;
  }

  // A conflict means that somebody else released it, or answered it to somebody: then it stays.
  async #giveBack(slot: Slot, network: Network | undefined, vouched: boolean): Promise<void> {
    await afterWrite(giveBack(this.#context, slot, network, vouched));
  }

  #notTaken({ network }: Target, { address, isTaken }: Proposal): void {
    if (isTaken) this.#context.view.occupancy(network.networkId).markFree(address);
  }

  /** Memory knows no free address: the MAC may have one already, and memory may be wrong. */
  async #whenFull(target: Target, command: ReserveCommand, call: Call): Promise<Round> {
    const { store } = this.#context;
    const { network, subnets } = target;
    for (const slot of await store.slots.findByMac(network.networkId, command.mac)) {
      if (slot.state === 'reserved') return this.#existing(slot, command, call);
      const subnet = subnets.find(({ cidr }) => cidrContains(cidr, slot.address));
      if (!subnet || closedTo(network, subnet, slot.address)) continue;
      const wanted = this.#newSlot(network, { subnet, address: slot.address }, command, call);
      return this.#returnTo(slot, wanted, command, call);
    }
    if (!(await this.#foundRoom(target))) return this.#exhausted(target, command);
    // Read once more: what is free may be closed by a change that the watch showed since.
    return this.#whollyInUse(target, command) ?? 'again-fresh';
  }

  /** A refusal when all that is free was found in use. */
  #whollyInUse({ network, subnets }: Target, { subnetId }: ReserveCommand): Refused | undefined {
    const { networkId } = network;
    const open = subnets.filter((subnet) => closedTo(network, subnet) === undefined);
    const probed = open.filter(({ probeBeforeUse }) => probeBeforeUse);
    const isFree = (address: Ipv4) => probed.some((subnet) => this.#spaceOf(network, subnet)?.isFree(address));
    const inUse = this.#probing.avoided(networkId).filter(isFree);
    const free = open.reduce((sum, subnet) => sum + (this.#spaceOf(network, subnet)?.free ?? 0), 0);
    if (inUse.length === 0 || inUse.length < free) return undefined;
    return addressesInUse({ networkId, ...(subnetId ? { subnetId } : {}) }, inUse);
  }

  /** Whether the store has other slots in the subnets than memory believes; then memory is put right, and has room. */
  async #foundRoom({ network, subnets }: Target): Promise<boolean> {
    const { store, view } = this.#context;
    const { networkId } = network;
    for (const subnet of subnets) {
      const { subnetId, cidr } = subnet;
      const space = this.#spaceOf(network, subnet);
      // A change of subnets that is under way: no word on room before that is done.
      if (!space) return true;
      if (this.#isVerified(subnetId, space)) continue;
      const { changes, used } = space;
      const stored = await store.slots.count(networkId, firstAddress(cidr), lastAddress(cidr));
      this.#forgetOldVerified();
      this.#verified.set(subnetId, { space, changes, atMs: this.#context.clock.now() });
      // What is being asked for is taken in memory alone, for as long as that takes.
      if (stored !== used - this.#probing.asking(networkId, cidr)) await view.rescan(networkId);
      if ((this.#spaceOf(network, subnet)?.free ?? 0) > 0) return true;
    }
    return false;
  }

  #isVerified(subnetId: SubnetId, space: SubnetSpace): boolean {
    const verified = this.#verified.get(subnetId);
    if (verified?.space !== space || verified.changes !== space.changes) return false;
    return this.#context.clock.now() - verified.atMs < VERIFY_EVERY_MS;
  }

  /** Old ones say nothing, and their subnets may be gone. */
  #forgetOldVerified(): void {
    const tooOldMs = this.#context.clock.now() - VERIFY_EVERY_MS;
    for (const [subnetId, { atMs }] of this.#verified) if (atMs <= tooOldMs) this.#verified.delete(subnetId);
  }

  #exhausted({ network, subnets }: Target, { subnetId }: ReserveCommand): Result<Reserved> {
    const occupancy = this.#context.view.occupancy(network.networkId);
    const quarantined = subnets.reduce((sum, subnet) => sum + occupancy.usageOf(subnet.subnetId).quarantined, 0);
    const where = { networkId: network.networkId, ...(subnetId ? { subnetId } : {}) };
    return subnetExhausted(where, quarantined, this.#nextReusable(network.networkId, subnets));
  }

  // A storm of refused requests must not walk all resting addresses for each of them.
  #nextReusable(networkId: NetworkId, subnets: readonly Subnet[]): Date | undefined {
    const { clock } = this.#context;
    const key = subnets.map(({ uid }) => uid).join(' ');
    const known = this.#nextReusableTimes.get(key);
    if (known && clock.now() - known.atMs < ESTIMATE_EVERY_MS) return known.time;
    const time = nextReusableTime(this.#context, networkId, subnets);
    if (this.#nextReusableTimes.size >= MAX_ESTIMATES) this.#nextReusableTimes.clear();
    this.#nextReusableTimes.set(key, { atMs: clock.now(), time });
    return time;
  }
}

/** Where a request looks in a network; undefined when what it names is not there. */
function targetOf(
  network: Network,
  subnetId: SubnetId | undefined,
  networkId: NetworkId | undefined,
  isFresh: boolean,
): Result<Target> | undefined {
  if (network.deleted || (networkId !== undefined && networkId !== network.networkId)) return undefined;
  if (subnetId === undefined) return success({ network, subnets: network.subnets, isFresh });
  const subnet = network.subnets.find((each) => each.subnetId === subnetId);
  return subnet && success({ network, subnets: [subnet], isFresh });
}

/** The newer one of two states of a network. */
function newer(a: Network | undefined, b: Network): Network {
  return a && a.uid === b.uid && a.revision > b.revision ? a : b;
}
