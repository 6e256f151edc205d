// What an import would do: entries held against what the server has. Pure.
//
//   I1. Nothing is planned for an entry with which something is wrong.
//   I2. What is there already is left as it is: an import that is repeated does nothing.
//   I3. Within a network no MAC and no address is planned twice.
//   I4. What passes is not in its own way: no line gets the address of another one, and there is room for all.

import { cidrContains, firstAddress, type Ipv4, lastAddress, parseCidr, parseIpv4 } from '../../gen/values.js';
import type { Network } from '../../networks.js';
import type { Reservation, ReserveItem } from '../../reservations.js';
import type { Subnet } from '../../subnets.js';
import type { Finding } from '../findings.js';
import { cellText } from '../output.js';
import { type Entry, leftOut, problem } from './entry.js';

/** What holds for entries that do not say it themselves. */
export interface Defaults {
  readonly subnetId?: string | undefined;
  readonly networkId?: string | undefined;
  readonly owner?: string | undefined;
}

/** An entry whose network is known, and its subnet unless any will do. */
export interface PlacedEntry extends Entry {
  readonly network: Network;
  readonly subnet: Subnet | undefined;
}

/** What is to be done for one entry. */
export type Step =
  | { readonly kind: 'reserve'; readonly entry: PlacedEntry; readonly request: ReserveItem }
  | { readonly kind: 'present'; readonly entry: PlacedEntry; readonly reservation: Reservation };

/** Those of what is to be reserved that are written together. */
type Turn = readonly Extract<Step, { readonly kind: 'reserve' }>[];

/** Networks and subnets by id. */
export interface Places {
  readonly networks: ReadonlyMap<string, Network>;
  readonly subnets: ReadonlyMap<string, Subnet>;
}

/** Finds where each entry belongs, or why it cannot be there. */
export function place(
  entries: readonly Entry[],
  defaults: Defaults,
  places: Places,
): { readonly placed: readonly PlacedEntry[]; readonly findings: readonly Finding[] } {
  const results = entries.map((entry) => placeOne(withDefaults(entry, defaults), places));
  return {
    placed: results.flatMap((result) => ('severity' in result ? [] : [result])),
    findings: results.flatMap((result) => ('severity' in result ? [result] : [])),
  };
}

function withDefaults(entry: Entry, { subnetId, networkId, owner }: Defaults): Entry {
  // A place of its own is whole: a subnet from the flags need not be of the network that the line names.
  const own = entry.subnetId !== undefined || entry.networkId !== undefined;
  return {
    ...(owner === undefined ? {} : { owner }),
    ...(own || subnetId === undefined ? {} : { subnetId }),
    ...(own || networkId === undefined ? {} : { networkId }),
    ...entry,
  };
}

function placeOne(entry: Entry, { networks, subnets }: Places): PlacedEntry | Finding {
  const { line, networkId, subnetId, address } = entry;
  if (networkId !== undefined && !networks.has(networkId)) return problem(line, `there is no network ${networkId}`);
  let subnet: Subnet | undefined;
  if (subnetId !== undefined) {
    subnet = subnets.get(subnetId);
    if (!subnet) return problem(line, `there is no subnet ${subnetId}`, 'Create it first: leasehold subnet create');
    if (networkId !== undefined && subnet.networkId !== networkId)
      return problem(line, `subnet ${subnetId} is not of network ${networkId}, but of ${subnet.networkId}`);
  } else if (address !== undefined) {
    const found = subnetOf(line, address, networkId, subnets);
    if ('severity' in found) return found;
    subnet = found;
  }
  const network = networks.get(subnet?.networkId ?? networkId ?? '');
  if (!network) return problem(line, 'says neither address nor subnet nor network', 'Give --subnet or --network');
  const wrong = subnet && address !== undefined ? cannotHold(subnet, address) : undefined;
  return wrong === undefined ? { ...entry, network, subnet } : problem(line, wrong, 'Choose another address');
}

function subnetOf(
  line: number,
  address: string,
  networkId: string | undefined,
  subnets: ReadonlyMap<string, Subnet>,
): Subnet | Finding {
  const holding = [...subnets.values()].filter(
    (subnet) => (networkId === undefined || subnet.networkId === networkId) && holds(subnet.cidr, address),
  );
  const [subnet] = holding;
  const where = networkId === undefined ? '' : ` of network ${networkId}`;
  if (!subnet) {
    const next = 'Create it first: leasehold subnet create';
    return problem(line, `no subnet${where} holds ${address}`, next);
  }
  if (holding.length === 1) return subnet;
  const ids = holding.map(({ subnetId }) => subnetId).join(', ');
  return problem(line, `several subnets hold ${address}: ${ids}`, 'Say which by --network or --subnet');
}

function holds(cidr: string, address: string): boolean {
  const block = parseCidr(cidr);
  const number = numberOf(address);
  return block.ok && number !== undefined && cidrContains(block.value, number);
}

function cannotHold({ subnetId, cidr, gateway, excludedRanges }: Subnet, address: string): string | undefined {
  const [block, number] = [parseCidr(cidr), numberOf(address)];
  if (!block.ok || number === undefined || !cidrContains(block.value, number)) {
    return `${address} is not in subnet ${subnetId} (${cidr})`;
  }
  if (number === firstAddress(block.value)) return `${address} is the network address of subnet ${subnetId}`;
  if (number === lastAddress(block.value)) return `${address} is the broadcast address of subnet ${subnetId}`;
  if (address === gateway) return `${address} is the gateway of subnet ${subnetId}`;
  return isWithin(excludedRanges, number) ? `${address} is excluded in subnet ${subnetId}` : undefined;
}

function isWithin(ranges: Subnet['excludedRanges'], number: Ipv4 | undefined): boolean {
  return ranges.some(
    ({ first, last }) =>
      number !== undefined && number >= (numberOf(first) ?? Infinity) && number <= (numberOf(last) ?? -1),
  );
}

function numberOf(address: string): Ipv4 | undefined {
  const parsed = parseIpv4(address);
  return parsed.ok ? parsed.value : undefined;
}

/** Plans each entry; `reservations` are all of the networks concerned, also the quarantined. */
export function plan(
  placed: readonly PlacedEntry[],
  reservations: readonly Reservation[],
  { subnets }: Places,
): { readonly steps: readonly Step[]; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const steps: Step[] = [];
  const twice = new Doubles();
  const there = new There(reservations);
  for (const entry of placed) {
    const double = twice.see(entry);
    if (double) {
      findings.push(double);
      continue;
    }
    const step = planOne(entry, there);
    if ('severity' in step) findings.push(step);
    else steps.push(step);
    if ('reservation' in step) findings.push(...differences(entry, step.reservation));
  }
  return { steps, findings: [...findings, ...withoutRoom(steps, there, [...subnets.values()])] };
}

function planOne(entry: PlacedEntry, there: There): Step | Finding {
  const { line, network, subnet, mac, address } = entry;
  const held = there.ofMac(network.networkId, mac);
  if (held) {
    const same = (address ?? held.address) === held.address && (subnet?.subnetId ?? held.subnetId) === held.subnetId;
    if (same) return { kind: 'present', entry, reservation: held };
    const what = `${mac} holds ${held.address} of subnet ${held.subnetId} already`;
    return problem(line, what, 'Release that first, or correct the line');
  }
  if (!network.ipamEnabled) {
    const next = `leasehold network update ${network.networkId} --ipam-enabled`;
    return problem(line, `IPAM is disabled on network ${network.networkId}`, next);
  }
  const taken = address === undefined ? undefined : there.ofAddress(network.networkId, address);
  if (taken?.state === 'reserved') {
    const owner = taken.owner && ` (${taken.owner})`;
    return problem(line, `${address} is reserved for ${taken.mac}${owner}`, 'Choose another address, or release it');
  }
  if (taken && taken.mac !== mac) {
    const when = taken.reusableTime ? ` until about ${cellText(taken.reusableTime)}` : '';
    return problem(line, `${address} rests after ${taken.mac} released it${when}`, 'Wait, or choose another address');
  }
  return { kind: 'reserve', entry, request: requestOf(entry) };
}

function requestOf({ mac, address, hostname, owner, labels, network, subnet }: PlacedEntry): ReserveItem {
  const where = subnet ? { subnetId: subnet.subnetId } : { networkId: network.networkId };
  return { ...where, mac, address, hostname, owner, labels };
}

/** What is there already with other words keeps them. */
function differences(entry: PlacedEntry, reservation: Reservation): readonly Finding[] {
  const differing = [
    ...(entry.hostname !== undefined && entry.hostname !== reservation.hostname ? ['hostname'] : []),
    ...(entry.owner !== undefined && entry.owner !== reservation.owner ? ['owner'] : []),
    ...(Object.entries(entry.labels).some(([key, value]) => reservation.labels[key] !== value) ? ['labels'] : []),
  ];
  if (differing.length === 0) return [];
  const what = `is there already with another ${differing.join(', ')}, which stays: leasehold reservation update`;
  return [leftOut(entry.line, what)];
}

/**
 * What is to be reserved, in the order of writing: who has no choice is first, who has most is last. Otherwise the system
 * could choose for one line what another one names.
 */
export function inTurns(steps: readonly Step[]): readonly [Turn, Turn, Turn] {
  const wanted = steps.filter((step) => step.kind === 'reserve');
  const choosing = wanted.filter(({ entry }) => entry.address === undefined);
  return [
    wanted.filter(({ entry }) => entry.address !== undefined),
    choosing.filter(({ entry }) => entry.subnet !== undefined),
    choosing.filter(({ entry }) => entry.subnet === undefined),
  ];
}

/** Entries without an address of their own must find one, besides those that others name. */
function withoutRoom(steps: readonly Step[], there: There, subnets: readonly Subnet[]): readonly Finding[] {
  const [named, ofSubnets, ofNetworks] = inTurns(steps);
  const room = new Room(subnets);
  for (const { entry } of named) if (takesFree(entry, there)) room.take(entry.subnet?.subnetId ?? '', 1);
  const findings: Finding[] = [];
  for (const [id, count] of countsOf(ofSubnets, ({ subnet }) => subnet?.subnetId ?? '')) {
    findings.push(...room.lacks(`subnet ${id}`, (subnet) => subnet.subnetId === id, count));
    room.take(id, count);
  }
  for (const [id, count] of countsOf(ofNetworks, ({ network }) => network.networkId)) {
    findings.push(...room.lacks(`network ${id}`, (subnet) => subnet.networkId === id, count));
  }
  return findings;
}

/** Whether a named address is one of those that the system could choose now. */
function takesFree({ network, subnet, address = '' }: PlacedEntry, there: There): boolean {
  if (!subnet || there.ofAddress(network.networkId, address)) return false;
  return subnet.allocationRanges.length === 0 || isWithin(subnet.allocationRanges, numberOf(address));
}

function countsOf(turn: Turn, idOf: (entry: PlacedEntry) => string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { entry } of turn) counts.set(idOf(entry), (counts.get(idOf(entry)) ?? 0) + 1);
  return counts;
}

/** How many addresses the system could choose, less those that the file has taken so far. */
class Room {
  readonly #subnets: readonly Subnet[];
  readonly #taken = new Map<string, number>();

  constructor(subnets: readonly Subnet[]) {
    this.#subnets = subnets;
  }

  take(subnetId: string, count: number): void {
    this.#taken.set(subnetId, (this.#taken.get(subnetId) ?? 0) + count);
  }

  lacks(about: string, isMeant: (subnet: Subnet) => boolean, count: number): readonly Finding[] {
    let free = 0;
    let taken = 0;
    for (const subnet of this.#subnets.filter(isMeant)) {
      // Without its usage a subnet may have room.
      const before = subnet.usage?.free ?? Infinity;
      const after = Math.max(0, before - (this.#taken.get(subnet.subnetId) ?? 0));
      free += after;
      taken += before - after;
    }
    if (free >= count) return [];
    const besides = taken > 0 ? ` besides the ${taken} that other lines take` : '';
    const what = `has ${free} free addresses${besides}, the file wants ${count}`;
    const next = 'Widen the ranges, or spread the file over other subnets';
    return [{ check: 'import', severity: 'problem', about, what, next }];
  }
}

/** What the file has had so far. */
class Doubles {
  readonly #macs = new Map<string, number>();
  readonly #addresses = new Map<string, number>();

  see({ line, network: { networkId }, mac, address }: PlacedEntry): Finding | undefined {
    const first = this.#macs.get(`${networkId} ${mac}`);
    if (first !== undefined) return problem(line, `${mac} stands in line ${first} already`, 'Leave one of them');
    this.#macs.set(`${networkId} ${mac}`, line);
    if (address === undefined) return undefined;
    const other = this.#addresses.get(`${networkId} ${address}`);
    if (other !== undefined) return problem(line, `${address} stands in line ${other} already`, 'Leave one of them');
    this.#addresses.set(`${networkId} ${address}`, line);
    return undefined;
  }
}

/** What the server has. */
class There {
  readonly #byMac = new Map<string, Reservation>();
  readonly #byAddress = new Map<string, Reservation>();

  constructor(reservations: readonly Reservation[]) {
    for (const reservation of reservations) {
      const { networkId, mac, address, state } = reservation;
      if (state === 'reserved') this.#byMac.set(`${networkId} ${mac}`, reservation);
      this.#byAddress.set(`${networkId} ${address}`, reservation);
    }
  }

  ofMac(networkId: string, mac: string): Reservation | undefined {
    return this.#byMac.get(`${networkId} ${mac}`);
  }

  ofAddress(networkId: string, address: string): Reservation | undefined {
    return this.#byAddress.get(`${networkId} ${address}`);
  }
}
