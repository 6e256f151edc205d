// What guests may see, checked at every frame and every lease, with what the store has as the only truth.
//
//   S2   No two live guests have leases of one address of a segment that run, by their own clocks.
//   S10  A MAC to which the store promises nothing is answered nothing.
//   A1   Only a host answers whose authority runs.
//   A2   An OFFER or ACK tells an address that the store promises, or promised and has not freed, to that MAC.
//   N1   A NAK answers nobody who asked for the address that is reserved for it, and has been for a while; and comes from
//        a host that was heard within three intervals.
//   I1   All answers in a network carry one server identifier, and come from it.
//   Q1   An answer has its question: that MAC and xid.
//   L3   What a guest with a reservation asks is answered at once by every host that hears it, on which the network is
//        placed, that says to serve it, and was heard of late.

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import type { DhcpMessage } from '@leasehold/agent/domain/dhcp/message';
import { readAddress } from '@leasehold/agent/domain/dhcp/option-values';
import { formatIpv4, type Ipv4, type Mac } from '@leasehold/proto/values';
import type { DhcpFrame, Frame } from '../frames.js';
import type { Segment, Station } from '../segment.js';
import type { World } from '../world.js';
import { AuthorityReckoning } from './authority.js';
import type { Report } from './store.js';

/** What the store has, as the run knows it. Times are the world's. */
export interface WireTruth {
  /**
   * The addresses that a host with authority may tell this MAC now: of every slot that names it and was not freed,
   * whether reserved or resting.
   */
  allowed(networkId: string, mac: Mac): ReadonlySet<Ipv4>;
  /** Since when the address is reserved for this MAC without a break; undefined: it is not. */
  reservedSinceMs(networkId: string, mac: Mac, address: Ipv4): number | undefined;
  /** Since when the network is placed on the host; undefined: it is not, and the host is told no new reservation. */
  placedSinceMs(networkId: string, hostId: string): number | undefined;
  /** Since when whoever leads tells hosts of what is written; undefined: it reads a lost watch's store again before. */
  toldSinceMs(): number | undefined;
}

/** A guest, as far as its lease goes. */
export interface Leaseholder {
  readonly mac: Mac;
  readonly segment: Segment;
  readonly isOn: boolean;
  /** By its own clock; undefined: none that runs. */
  readonly lease: { readonly address: Ipv4 } | undefined;
}

/** A reservation is in every table that is up to date, and an agent that serves has its sockets, after this long. */
const SETTLED_MS = 10_000;
const DECLINE_FORGOTTEN_MS = 600_000;
/** A host that stood still answers what was asked long ago. */
const MAX_QUESTIONS = 200;

/** See the top of the file. */
export class WireRules {
  readonly #world: World;
  readonly #report: Report;
  readonly #truth: WireTruth;
  /** Who may answer, by what reached it. */
  readonly authority = new AuthorityReckoning();
  readonly #guests = new Set<Leaseholder>();
  readonly #servers = new Map<string, Ipv4>();
  /** The last questions of a MAC, newest first. */
  readonly #questions = new Map<Mac, DhcpMessage[]>();
  readonly #declined = new Map<Mac, number>();
  /** The last answer of each host. */
  readonly #answers = new Map<string, { readonly mac: Mac; readonly xid: number; readonly atMs: number }>();

  /** `report`: called with whatever is broken. */
  constructor(world: World, truth: WireTruth, report: Report) {
    this.#world = world;
    this.#truth = truth;
    this.#report = report;
  }

  /** Watches a segment. */
  follow(segment: Segment): void {
    segment.witnesses.push((frame, from) => this.#sent(segment.networkId, frame, from));
  }

  /** A guest was granted a lease, or a longer one. */
  leased(guest: Leaseholder): void {
    this.#guests.add(guest);
    const { lease } = guest;
    if (!lease) return;
    for (const other of this.#guests) {
      if (!other.isOn || !other.lease) {
        if (other !== guest) this.#guests.delete(other);
        continue;
      }
      if (other === guest || other.segment !== guest.segment || other.lease.address !== lease.address) continue;
      const { networkId } = guest.segment;
      this.#broken('S2', `${guest.mac} and ${other.mac} have ${formatIpv4(lease.address)} of ${networkId}`);
    }
  }

  /** An agent that runs has read a question, and done what it does about it. */
  asked(hostId: string, networkId: string, { message }: DhcpFrame): void {
    if (!message || !this.#mustAnswer(hostId, networkId, message)) return;
    const { mac, xid } = message;
    const last = this.#answers.get(hostId);
    if (last?.mac === mac && last.xid === xid && last.atMs === this.#world.nowMs) return;
    this.#broken('L3', `${hostId} does not answer the ${typeOf(message)} of ${mac} in ${networkId}`);
  }

  #sent(networkId: string, frame: Frame, from: Station): void {
    if (frame.kind !== 'dhcp' || !frame.message) return;
    if (frame.port === 67) this.#question(frame.message);
    else this.#answer(networkId, frame, frame.message, from.place);
  }

  #question(message: DhcpMessage): void {
    const { mac } = message;
    if (typeOf(message) === 'decline') this.#declined.set(mac, this.#world.nowMs);
    const before = this.#questions.get(mac);
    if (!before) this.#questions.set(mac, [message]);
    else if (before.unshift(message) > MAX_QUESTIONS) before.pop();
  }

  #answer(networkId: string, frame: DhcpFrame, answer: DhcpMessage, hostId: string): void {
    const { mac } = answer;
    this.#answers.set(hostId, { mac, xid: answer.xid, atMs: this.#world.nowMs });
    const type = typeOf(answer);
    const said = `${hostId} says ${type} ${formatIpv4(answer.yiaddr)} to ${mac} in ${networkId}`;
    const allowed = this.#truth.allowed(networkId, mac);
    if (allowed.size === 0) this.#broken('S10', `${said}: nothing is promised to this MAC`);
    if (!this.authority.mayAnswer(hostId, networkId)) this.#broken('A1', `${said}: without authority`);
    this.#checkServer(networkId, frame, answer, said);
    const questions = (this.#questions.get(mac) ?? []).filter(({ xid }) => xid === answer.xid);
    if (questions.length === 0) this.#broken('Q1', `${said}: nobody asked so`);
    if (type === 'nak') this.#checkNak(networkId, hostId, questions, said);
    else if (answer.yiaddr !== 0 && allowed.size > 0 && !allowed.has(answer.yiaddr)) {
      this.#broken('A2', `${said}: it is promised ${[...allowed].map(formatIpv4).join(', ')}`);
    }
  }

  #checkServer(networkId: string, { sourceAddress }: DhcpFrame, answer: DhcpMessage, said: string): void {
    const server = readAddress(answer.options.get(OPTION.serverId));
    const known = this.#servers.get(networkId) ?? server;
    if (known !== undefined) this.#servers.set(networkId, known);
    if (server !== undefined && server === known && sourceAddress === server) return;
    const identifier = server === undefined ? 'none' : formatIpv4(server);
    this.#broken('I1', `${said}: from ${formatIpv4(sourceAddress)} as ${identifier}, and not as all others`);
  }

  #checkNak(networkId: string, hostId: string, questions: readonly DhcpMessage[], said: string): void {
    if (!this.authority.mayRefuse(hostId, networkId)) this.#broken('N1', `${said}: it was not heard of late`);
    const nowMs = this.#world.nowMs;
    for (const question of questions) {
      const address = askedAddress(question);
      if (address === undefined) continue;
      const sinceMs = this.#truth.reservedSinceMs(networkId, question.mac, address);
      if (sinceMs === undefined || nowMs - sinceMs < SETTLED_MS) continue;
      this.#broken('N1', `${said}: ${formatIpv4(address)}, which it asked for, is reserved for it`);
    }
  }

  #mustAnswer(hostId: string, networkId: string, message: DhcpMessage): boolean {
    const nowMs = this.#world.nowMs;
    const { mac } = message;
    const type = typeOf(message);
    if (message.giaddr !== 0 || message.op !== 'request' || (type !== 'discover' && type !== 'request')) return false;
    const servingForMs = this.authority.servingForMs(hostId, networkId);
    if (servingForMs === undefined || servingForMs < SETTLED_MS) return false;
    const placedMs = this.#truth.placedSinceMs(networkId, hostId);
    if (placedMs === undefined || nowMs - placedMs < SETTLED_MS) return false;
    const toldMs = this.#truth.toldSinceMs();
    if (toldMs === undefined || nowMs - toldMs < SETTLED_MS) return false;
    if (nowMs - (this.#declined.get(mac) ?? Number.NEGATIVE_INFINITY) < DECLINE_FORGOTTEN_MS) return false;
    const [address, second] = this.#truth.allowed(networkId, mac);
    if (address === undefined || second !== undefined) return false;
    const sinceMs = this.#truth.reservedSinceMs(networkId, mac, address);
    if (sinceMs === undefined || nowMs - sinceMs < SETTLED_MS) return false;
    if (type === 'discover') return true;
    const server = readAddress(message.options.get(OPTION.serverId));
    const isForUs = server === undefined || server === this.#servers.get(networkId);
    return isForUs && askedAddress(message) === address;
  }

  #broken(rule: string, text: string): void {
    this.#report(rule, text);
  }
}

function askedAddress({ options, ciaddr }: DhcpMessage): Ipv4 | undefined {
  const requested = options.get(OPTION.requestedAddress);
  if (requested) return readAddress(requested);
  return ciaddr === 0 ? undefined : ciaddr;
}

function typeOf({ options }: DhcpMessage): string | undefined {
  const code = options.get(OPTION.messageType)?.[0];
  for (const [name, value] of Object.entries(MESSAGE_TYPE)) if (value === code) return name;
  return undefined;
}
