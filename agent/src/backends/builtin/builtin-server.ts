// DHCP service of one network by the builtin responder.
//
//   B1. Every answer is decided when it is sent: from the table and the gate of that moment, also after a delay.
//   B2. What is there (socket, address) follows what is wanted (link, service address) by one reconciliation at a time.
//   B3. Trouble is a state with one reason and is tried again; nothing here throws.
//   B4. Nothing grows with the rate of what guests send: at most one delayed answer per MAC, and a bound on all.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { OPTION } from '../../domain/dhcp/codes.js';
import { type DhcpMessage, decode } from '../../domain/dhcp/message.js';
import { type Reply, respond } from '../../domain/responder.js';
import type { NetworkTable } from '../../domain/table.js';
import type { AnswerGate, DhcpServer, Link, ServerState } from '../dhcp-backend.js';
import { CHECK_MS, isSamePlace, NO_INTERFACE, type Place, PlacedAddress } from '../host/placed-address.js';
import type { ServiceAddresses } from '../host/service-addresses.js';
import { type Counters, countedSince, newCounters } from './counters.js';
import { DeclinePauses } from './decline-pauses.js';
import type { DhcpSocket, DhcpSockets } from './dhcp-sockets.js';

/** What a server needs of its surroundings. */
export interface BuiltinPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly sockets: DhcpSockets;
  readonly serviceAddresses: Omit<ServiceAddresses, 'list'>;
}

/** How soon what failed is tried again. */
export const RETRY_MS = 1_000;

/** How often what was answered is logged, if anything was. */
export const REPORT_MS = 60_000;

/** How many answers may wait at once. More wait only while half a subnet is being NAKed: those clients ask again. */
export const MAX_DELAYED = 1_000;

const BROADCAST = 0xffffffff as Ipv4;

/** An answer that waits, and what it will answer. */
interface Delayed {
  readonly timer: Timer;
  message: DhcpMessage;
}

/** See the top of the file. */
export class BuiltinServer implements DhcpServer {
  readonly counters: Counters = newCounters();
  readonly #table: NetworkTable;
  readonly #gate: AnswerGate;
  readonly #ports: BuiltinPorts;
  readonly #listeners: (() => void)[] = [];
  readonly #delayed = new Map<Mac, Delayed>();
  readonly #declines = new DeclinePauses();
  #state: ServerState = { kind: 'closed', reason: NO_INTERFACE };
  #link: Link | undefined;
  #closed = false;
  readonly #address: PlacedAddress;
  #socket: DhcpSocket | undefined;
  #warned: string | undefined;
  #running: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  #reported: Counters = newCounters();
  #reportTimer: Timer;

  constructor(table: NetworkTable, gate: AnswerGate, ports: BuiltinPorts) {
    this.#table = table;
    this.#gate = gate;
    this.#ports = ports;
    this.#address = new PlacedAddress(ports.serviceAddresses, ports.log);
    this.#reportTimer = this.#reportLater();
  }

  attach(link: Link | undefined): void {
    this.#link = link;
    void this.#reconcile();
  }

  /** The table is read at every answer, so that only a changed service address needs work. */
  async flush(): Promise<boolean> {
    if (!this.#socket || !isSamePlace(this.#address.place, this.#wanted())) await this.#reconcile();
    return this.#state.kind === 'open';
  }

  /** Table and gate are asked at every answer. */
  changed(): void {}

  state(): ServerState {
    return this.#state;
  }

  onStateChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reconcile();
    this.#reportTimer.cancel();
    this.#report();
  }

  /** Without this process nobody is answered. */
  suspend(): Promise<void> {
    return this.close();
  }

  #reportLater(): Timer {
    return this.#ports.clock.after(REPORT_MS, () => {
      this.#report();
      this.#reportTimer = this.#reportLater();
    });
  }

  #report(): void {
    const counted = countedSince(this.#reported, this.counters);
    this.#reported = structuredClone(this.counters);
    if (counted) this.#ports.log.info('DHCP answers', counted);
  }

  /** Resolves when what was wanted when it was called is there, or could not be had. */
  #reconcile(): Promise<void> {
    this.#running = this.#running.then(() => this.#step());
    return this.#running;
  }

  async #step(): Promise<void> {
    this.#timer?.cancel();
    const wanted = this.#wanted();
    if (this.#address.place && !isSamePlace(this.#address.place, wanted)) await this.#leave();
    if (typeof wanted === 'string') return this.#setState({ kind: 'closed', reason: wanted });
    const trouble = (await this.#place(wanted)) ?? (await this.#listen(wanted.link));
    if (trouble !== undefined) return this.#fail(trouble);
    this.#setState({ kind: 'open' });
    this.#again(CHECK_MS);
  }

  #wanted(): Place | string {
    if (this.#closed) return 'Service of the network has ended';
    if (!this.#link) return NO_INTERFACE;
    const address = this.#table.serviceAddress;
    return address === undefined ? 'Nothing is assigned yet' : { link: this.#link, address };
  }

  async #leave(): Promise<void> {
    this.#hangUp();
    await this.#address.leave();
  }

  #place(place: Place): Promise<string | undefined> {
    return this.#address.put(place, () => this.#hangUp(), this.#socket !== undefined);
  }

  async #listen(link: Link): Promise<string | undefined> {
    if (this.#socket) return undefined;
    const opened = await this.#ports.sockets.open(link, {
      onMessage: (bytes) => this.#receive(bytes),
      onBroken: (reason) => this.#fail(reason),
    });
    if (!opened.ok) return opened.problem;
    this.#socket = opened.value;
    this.#warn(opened.value.warning, link);
    return undefined;
  }

  #warn(warning: string | undefined, link: Link): void {
    if (warning !== undefined && warning !== this.#warned) this.#ports.log.warn(warning, { interface: link.name });
    this.#warned = warning;
  }

  #fail(reason: string): void {
    this.#hangUp();
    this.#setState({ kind: 'closed', reason });
    this.#again(RETRY_MS);
  }

  #hangUp(): void {
    for (const { timer } of this.#delayed.values()) timer.cancel();
    this.#delayed.clear();
    this.#socket?.close();
    this.#socket = undefined;
  }

  #again(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#ports.clock.after(delayMs, () => void this.#reconcile());
  }

  #setState(state: ServerState): void {
    const before = this.#state;
    this.#state = state;
    if (before.kind === state.kind && reasonOf(before) === reasonOf(state)) return;
    for (const listener of this.#listeners) listener();
  }

  #receive(bytes: Uint8Array): void {
    const decoded = decode(bytes);
    if (!decoded.ok) {
      this.counters.silent[decoded.reason]++;
      return;
    }
    const { message } = decoded;
    const reply = this.#decide(message);
    const delayMs = reply ? this.#delayOf(reply, message) : 0;
    if (delayMs > 0) {
      this.#delay(message, delayMs);
      return;
    }
    // What the client said before does not count any more: a NAK to that would undo what it is told now.
    this.#forget(message.mac);
    if (reply) this.#send(reply);
  }

  #decide(message: DhcpMessage): Reply | undefined {
    const answer = respond(message, this.#table, this.#gate.standing());
    if (answer.kind === 'reply') return answer;
    this.counters.silent[answer.reason]++;
    if (answer.reason === 'decline') this.#declines.declined(message.mac, this.#ports.clock.now());
    return undefined;
  }

  #delayOf({ type, delayMs }: Reply, { mac }: DhcpMessage): number {
    return type === 'offer' ? Math.max(delayMs, this.#declines.pauseMs(mac, this.#ports.clock.now())) : delayMs;
  }

  #delay(message: DhcpMessage, delayMs: number): void {
    const earlier = this.#delayed.get(message.mac);
    if (earlier && asksTheSame(earlier.message, message)) {
      // It has waited since it asked first: if every repetition began the wait anew, a client that repeats faster than
      // the wait would never be answered.
      earlier.message = message;
      return;
    }
    // It is for what it asks now that a newer table may be on its way.
    this.#forget(message.mac);
    if (this.#delayed.size >= MAX_DELAYED) {
      this.counters.lost['too-many-delayed']++;
      return;
    }
    const answerNow = () => {
      this.#delayed.delete(delayed.message.mac);
      const reply = this.#decide(delayed.message);
      if (reply) this.#send(reply);
    };
    const delayed: Delayed = { message, timer: this.#ports.clock.after(delayMs, answerNow) };
    this.#delayed.set(message.mac, delayed);
  }

  #forget(mac: Mac): void {
    this.#delayed.get(mac)?.timer.cancel();
    this.#delayed.delete(mac);
  }

  #send(reply: Reply): void {
    this.counters.answered[reply.type]++;
    if (reply.leftOut.length) this.counters.cut++;
    const to = reply.destination === 'broadcast' ? BROADCAST : reply.destination;
    this.#socket?.send(reply.bytes, to, () => {
      this.counters.lost['send-failed']++;
    });
  }
}

function asksTheSame(a: DhcpMessage, b: DhcpMessage): boolean {
  const isSameOption = (code: number) => a.options.get(code)?.join() === b.options.get(code)?.join();
  return a.ciaddr === b.ciaddr && isSameOption(OPTION.messageType) && isSameOption(OPTION.requestedAddress);
}

function reasonOf(state: ServerState): string {
  return state.kind === 'closed' ? state.reason : '';
}
