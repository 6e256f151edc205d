// What an export must be as a whole. Fed line by line; the first line that does not fit is refused with its number.
//
//   L1. Lines come in one order: the header, networks and hosts by id, slots by network and address, ended tenures by
//       reservation id, audit events newest first, the trailer. So nothing is there twice, and that takes no memory to know.
//   L2. What a store promises holds (ports/store.ts, P3): of a network one MAC has one RESERVED slot, a request made or
//       released one of all slots, and a subnet id is one network's.
//   L3. Whoever is told to go on from it can: reserved addresses have their network, a reservation's id names its
//       address, and no counter is behind what it counted.
//   L4. The trailer knows how many lines came before it, and their checksum.

import { createHash } from 'node:crypto';
import { formatIpv4, type Parsed } from '@leasehold/proto/values';
import type { AuditEvent } from '../domain/audit.js';
import type { NetworkId, SubnetId } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import { parseReservationId } from '../domain/reservation-id.js';
import type { EndedTenure, RequestKey, Slot, Tenure } from '../domain/slot.js';
import type { Counts } from '../ports/transfer.js';
import { Checksum } from './checksum.js';
import { type Header, type Line, readLine, type Trailer } from './lines.js';
import { PairSet } from './pair-set.js';

/** Looks after the lines of one export. */
export class Ledger {
  readonly #counts = { networks: 0, hosts: 0, slots: 0, history: 0, audit: 0 };
  readonly #checksum = new Checksum();
  readonly #networks = new Map<NetworkId, number>();
  readonly #subnets = new Set<SubnetId>();
  readonly #macs = new PairSet();
  readonly #requests = new PairSet();
  readonly #events = new Set<string>();
  readonly #remembers: boolean;
  #lines = 0;
  /** Of the line before, in the order of L1. */
  #step = -1;
  #last = '';
  #header: Header | undefined;
  #isOver = false;

  /** `remembers`: whether to look for what comes twice; the second time a file is read that is known. */
  constructor(remembers = true) {
    this.#remembers = remembers;
  }

  /** How many documents came. */
  get counts(): Counts {
    return this.#counts;
  }

  /** Takes the next line. */
  take(text: string): Parsed<Line> {
    this.#lines++;
    const line = this.#isOver ? no('the end came before it') : readLine(text);
    const problem = line.ok ? this.#check(line.value) : line.problem;
    if (problem !== undefined) return no(`line ${this.#lines}: ${problem}`);
    this.#checksum.add(text);
    return line;
  }

  /** When there are no more lines: what they are an export of. */
  end(): Parsed<Header> {
    if (this.#header && this.#isOver) return { ok: true, value: this.#header };
    return no(`line ${this.#lines + 1}: the file ends before the export does: it was cut short`);
  }

  #check(line: Line): string | undefined {
    const step = STEPS.indexOf(line.kind);
    if (!this.#header && line.kind !== 'header') return 'expected the header of an export';
    if (step < this.#step || (step === 0 && this.#header)) return `a ${line.kind} does not come here`;
    if (step > this.#step) this.#last = '';
    this.#step = step;
    switch (line.kind) {
      case 'header':
        this.#header = line.content;
        return undefined;
      case 'network':
        this.#counts.networks++;
        return this.#checkNetwork(line.content);
      case 'host':
        this.#counts.hosts++;
        return this.#follows(line.content.hostId, `host ${line.content.hostId}`);
      case 'slot':
        this.#counts.slots++;
        return this.#checkSlot(line.content);
      case 'ended':
        this.#counts.history++;
        return this.#checkEnded(line.content);
      case 'audit':
        this.#counts.audit++;
        return this.#checkAudit(line.content);
      case 'trailer':
        this.#isOver = true;
        return this.#checkTrailer(line.content);
    }
  }

  /** `key`: greater than that of the line before. */
  #follows(key: string, what: string): string | undefined {
    const before = this.#last;
    this.#last = key;
    if (key === before) return `${what} comes twice`;
    return key < before ? `${what} is not in its place: lines are in the order of their keys` : undefined;
  }

  #checkNetwork(network: Network): string | undefined {
    const { networkId, subnets, holderEpoch, placementCounter, placements, formerServers } = network;
    const order = this.#follows(networkId, `network ${networkId}`);
    if (order !== undefined) return order;
    this.#networks.set(networkId, this.#networks.size);
    for (const { subnetId } of subnets) {
      if (this.#subnets.has(subnetId)) return `subnet ${subnetId} comes twice`;
      this.#subnets.add(subnetId);
    }
    const known = this.#header?.holderEpoch ?? 0;
    if (holderEpoch > known) return `network ${networkId} was claimed in holder epoch ${holderEpoch}, after ${known}`;
    const epochs = [...placements, ...formerServers].map(({ epoch }) => epoch);
    if (epochs.some((epoch) => epoch > placementCounter)) return `network ${networkId} has a placement it never made`;
    return undefined;
  }

  #checkSlot(slot: Slot): string | undefined {
    const { networkId, address, mac } = slot;
    // A space sorts before every character of an id.
    const order = this.#follows(`${networkId} ${address.toString(16).padStart(8, '0')}`, name(slot));
    if (order !== undefined) return order;
    const network = this.#networks.get(networkId);
    if (network === undefined && slot.state === 'reserved') {
      return `${name(slot)} is reserved in a network that is not there: release it where it was exported, and export again`;
    }
    if (!isNamedBy(slot)) return `${name(slot)} has the reservation id of another address`;
    if (!this.#remembers) return undefined;
    if (slot.state === 'reserved' && !this.#macs.add(network ?? 0, Number.parseInt(mac.replaceAll(':', ''), 16))) {
      return `${name(slot)}: MAC ${mac} has another reservation in its network`;
    }
    for (const request of [slot.request, slot.releaseRequest]) {
      if (request && !this.#requests.add(...digest(request))) {
        return `${name(slot)}: request ${request.id} made or released another reservation`;
      }
    }
    return undefined;
  }

  #checkEnded(ended: EndedTenure): string | undefined {
    if (!isNamedBy(ended)) return `${name(ended)} has the reservation id of another address`;
    return this.#follows(ended.reservationId, `ended tenure ${ended.reservationId}`);
  }

  #checkAudit(event: AuditEvent): string | undefined {
    const { time, eventId } = event;
    const name = `audit event ${eventId}`;
    // Of changes of settings there are few: their ids are remembered.
    if (this.#remembers && this.#events.has(eventId)) return `${name} comes twice`;
    if (this.#remembers) this.#events.add(eventId);
    return this.#follows(`${String(LAST_TIME - time).padStart(16, '0')} ${eventId}`, name);
  }

  #checkTrailer({ sha256, ...told }: Trailer): string | undefined {
    const wrong = (Object.keys(told) as (keyof Counts)[]).find((kind) => told[kind] !== this.#counts[kind]);
    if (wrong) return `there are ${this.#counts[wrong]} ${wrong}, and ${told[wrong]} were exported: lines are missing`;
    if (sha256 !== this.#checksum.value()) return 'the checksum is another: something was changed since the export';
    return undefined;
  }
}

// Later than any that is spelled with a year of four digits.
const LAST_TIME = 2 ** 48;

const STEPS: readonly Line['kind'][] = ['header', 'network', 'host', 'slot', 'ended', 'audit', 'trailer'];

function no(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}

function name({ networkId, address }: Tenure): string {
  return `${formatIpv4(address)} of network ${networkId}`;
}

function isNamedBy({ reservationId, networkId, address }: Tenure): boolean {
  const key = parseReservationId(reservationId);
  return key?.networkId === networkId && key.address === address;
}

/** 96 bits of what a request is known by. */
function digest({ caller, rpc, id }: RequestKey): readonly [number, number] {
  const bytes = createHash('sha256')
    .update(JSON.stringify([rpc, caller, id]))
    .digest();
  return [bytes.readUIntBE(0, 6), bytes.readUIntBE(6, 6)];
}
