// A guest on a segment: runs the client of `guest.ts` on a clock of its own.
//
//   D1. Where the guest is decides whom it reaches; moving it (live migration) changes nothing else of it.
//   D2. A guest whose host dies says nothing more and forgets nothing that was on its disk.

import { encode, MIN_MAX_BYTES } from '@leasehold/agent/domain/dhcp/message';
import type { Clock, Timer } from '@leasehold/program/clock';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { BROADCAST_ADDRESS, dhcpFrame, type Frame, UNSET_ADDRESS } from './frames.js';
import {
  type GuestEffect,
  type GuestEvent,
  type GuestLease,
  type GuestState,
  type GuestTraits,
  guestStep,
  isAsking,
  leaseOf,
  NEW_GUEST,
  usedAddress,
} from './guest.js';
import type { Segment, Station } from './segment.js';

/** What a guest is made of. */
export interface GuestParts {
  readonly traits: GuestTraits;
  readonly segment: Segment;
  /** The host it is on. */
  readonly place: string;
  /** Its own: it drifts. */
  readonly clock: Clock;
  readonly chance: () => number;
  /** A lease was granted or prolonged. */
  readonly onLease?: (guest: SimulatedGuest) => void;
}

/** See the top of the file. */
export class SimulatedGuest implements Station {
  readonly mac: Mac;
  readonly segment: Segment;
  readonly traits: GuestTraits;
  /** Its own. */
  readonly clock: Clock;
  readonly #chance: () => number;
  readonly #onLease: ((guest: SimulatedGuest) => void) | undefined;
  #place: string;
  #state: GuestState = NEW_GUEST;
  #timer: Timer | undefined;
  #dueMs: number | undefined;

  constructor({ traits, segment, place, clock, chance, onLease }: GuestParts) {
    this.mac = traits.mac;
    this.traits = traits;
    this.segment = segment;
    this.#place = place;
    this.clock = clock;
    this.#chance = chance;
    this.#onLease = onLease;
  }

  get place(): string {
    return this.#place;
  }

  get state(): GuestState {
    return this.#state;
  }

  get isOn(): boolean {
    return this.#state.kind !== 'off';
  }

  /** The lease that it has now, by its own clock. */
  get lease(): GuestLease | undefined {
    return leaseOf(this.#state, this.clock.now());
  }

  /** The address that it uses now. */
  get address(): Ipv4 | undefined {
    return usedAddress(this.#state, this.clock.now());
  }

  start(): void {
    this.segment.plug(this);
    this.#step({ kind: 'start' });
  }

  /** The guest is shut down, and gives its address back or not. */
  stop(releases = false): void {
    this.#step({ kind: 'stop', releases });
    this.segment.unplug(this);
  }

  reboot(): void {
    this.stop();
    this.start();
  }

  /** Live migration: the guest goes on where it was, and its new host tells the segment where that is. */
  migrate(place: string): void {
    this.#place = place;
    const { address } = this;
    if (address !== undefined) this.#perform({ kind: 'announce', address });
  }

  wants(frame: Frame): boolean {
    if (frame.kind === 'dhcp') return frame.port === 68 && frame.message?.mac === this.mac && isAsking(this.#state);
    const { targetAddress, senderAddress } = frame;
    if (this.#state.kind === 'probing') {
      const { address } = this.#state.lease;
      return senderAddress === address || targetAddress === address;
    }
    return frame.operation === 'request' && targetAddress === this.address;
  }

  owns(address: Ipv4): boolean {
    return this.address === address;
  }

  receive(frame: Frame): void {
    if (frame.kind === 'dhcp') {
      if (frame.message) this.#step({ kind: 'message', message: frame.message });
      return;
    }
    const { operation, sourceMac, senderAddress, targetAddress } = frame;
    if (this.#state.kind === 'probing') {
      // Two that probe for the same address at a time see each other (RFC 5227 §2.1.1).
      const isClaim = senderAddress !== UNSET_ADDRESS ? senderAddress : targetAddress;
      if (sourceMac !== this.mac) this.#step({ kind: 'claimed', address: isClaim });
    } else if (operation === 'request' && targetAddress === this.address) {
      const reply = { operation: 'reply', senderAddress: targetAddress, targetAddress: senderAddress } as const;
      this.segment.send({ kind: 'arp', sourceMac: this.mac, destinationMac: sourceMac, ...reply }, this);
    }
  }

  #step(event: GuestEvent): void {
    const context = { traits: this.traits, nowMs: this.clock.now(), chance: this.#chance };
    const { state, effects } = guestStep(this.#state, event, context);
    this.#state = state;
    this.#schedule();
    for (const effect of effects) this.#perform(effect);
  }

  #schedule(): void {
    const dueMs = 'dueMs' in this.#state ? this.#state.dueMs : undefined;
    if (dueMs === this.#dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = dueMs;
    if (dueMs === undefined) return;
    this.#timer = this.clock.after(dueMs - this.clock.now(), () => {
      this.#dueMs = undefined;
      this.#step({ kind: 'due' });
    });
  }

  #perform(effect: GuestEffect): void {
    const own = { sourceMac: this.mac, destinationMac: undefined };
    switch (effect.kind) {
      case 'leased':
        this.#onLease?.(this);
        return;
      case 'probe': {
        const arp = { operation: 'request', senderAddress: UNSET_ADDRESS, targetAddress: effect.address } as const;
        this.segment.send({ kind: 'arp', ...own, ...arp }, this);
        return;
      }
      case 'announce': {
        const { address } = effect;
        const arp = { operation: 'request', senderAddress: address, targetAddress: address } as const;
        this.segment.send({ kind: 'arp', ...own, ...arp }, this);
        return;
      }
      case 'send':
        this.#send(effect);
    }
  }

  #send({ message, to }: GuestEffect & { readonly kind: 'send' }): void {
    const isBroadcast = to === BROADCAST_ADDRESS;
    const destinationMac = isBroadcast || !this.traits.renewsOnLink ? undefined : this.segment.resolve(to, this);
    if (!isBroadcast && destinationMac === undefined) return;
    const payload = encode(message, MIN_MAX_BYTES).bytes;
    const parts = { sourceMac: this.mac, destinationMac, sourceAddress: message.ciaddr, destinationAddress: to };
    this.segment.send(dhcpFrame({ ...parts, port: 67, payload }), this);
  }
}
