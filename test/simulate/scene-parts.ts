// What scenes are made of (scenes.ts).

import { macsOf } from './macs.js';
import type { Action, Deed, Fault, NetworkSetup, Request, Setup } from './schedule.js';
import type { Seeded } from './seeded.js';

/** A setup with these differences, in which messages are quick and clocks go alike, unless they say otherwise. */
export function plainSetup(drawn: Setup, chance: Seeded, more: Partial<Setup>): Setup {
  return {
    ...drawn,
    ...{ mood: 'any', servers: ['s1', 's2'], isEmbedded: false, hosts: ['h1', 'h2', 'h3'], hasGuests: false },
    ...{ usualLatencyMs: 5, slowShare: 0, watchLagMs: chance.pick([2, 20]), awaitsRest: true },
    ...more,
  };
}

/** A network of that many addresses and MACs. */
export function networkOf(name: string, nth: number, more: Partial<NetworkSetup> & { readonly macCount: number }) {
  const { macCount, ...rest } = more;
  const macs = macsOf(nth, macCount);
  const network = { name, cidr: `10.0.${nth}.0/27`, dhcpServerCount: 3, leaseTimeS: 120, reuseDelayS: 30, macs };
  return { ...network, ...rest };
}

/** Rounds of the same, one after the other, as many as end in time. */
export function rounds(
  beginMs: number,
  endMs: number,
  eachMs: number,
  round: (atMs: number, nth: number) => readonly Action[],
): readonly Action[] {
  const count = Math.max(1, Math.floor((endMs - beginMs) / eachMs));
  return Array.from({ length: count }, (_, nth) => round(beginMs + nth * eachMs, nth)).flat();
}

/** At that time. */
export function at(atMs: number, deed: Deed): Action {
  return { atMs, ...deed };
}

type Reserve = Extract<Request, { readonly kind: 'reserve' }>;
type Release = Extract<Request, { readonly kind: 'release' }>;

/** A reservation for that very MAC. */
export function reserve(mac: number, more: Partial<Reserve> = {}): Reserve {
  const plain = {
    kind: 'reserve',
    network: 0,
    mac,
    isNew: false,
    hasRequestId: false,
    isTwice: false,
    via: 0,
  } as const;
  return { ...plain, ...more };
}

/** A release of what a MAC has, or the next one that has something. */
export function release(mac: number, guestStopped: boolean, more: Partial<Release> = {}): Release {
  return { kind: 'release', network: 0, mac, guestStopped, by: 'id', via: 0, ...more };
}

/** A host is cut off from all servers. */
export function cutOff({ servers }: Setup, host: string, forMs: number): Fault {
  return { kind: 'cut', of: [host], from: servers, way: 'both', forMs };
}

/** Whole numbers from 0 up to, and without, `count`. */
export function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i);
}
