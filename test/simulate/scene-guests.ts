// What guests live on after a release: the leases that they have, and those that hosts give that were not told.

import { at, cutOff, networkOf, plainSetup, release, reserve, rounds, upTo } from './scene-parts.js';
import type { Scene } from './scenes.js';
import type { Action } from './schedule.js';

const GUESTS = 6;

/**
 * Vouches that say less than they seem to: of the last of several tenures; and of a guest that got another address meanwhile,
 * and was told the first one by a host that knew no better.
 */
export const VOUCHES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ authorityS: 60, hasGuests: true, leavesGuests: true },
      networks: [networkOf('red', 0, { macCount: 2 * GUESTS })],
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 240_000, (atMs) => {
      const host = chance.pick(setup.hosts);
      const returned = (mac: number): readonly Action[] => [
        at(atMs + 300 * mac, reserve(mac)),
        at(atMs + 20_000 + 300 * mac, release(mac, false)),
        at(atMs + 22_000 + 300 * mac, reserve(mac)),
        at(atMs + 26_000 + 300 * mac, release(mac, true)),
      ];
      const moved = (nth: number): readonly Action[] => {
        const mac = GUESTS + nth;
        return [
          at(atMs + 300 * nth, reserve(mac)),
          at(atMs + 31_000 + 300 * nth, release(mac, true)),
          at(atMs + 75_000 + chance.between(0, 8_000), reserve(mac, { address: 10 + nth + GUESTS })),
        ];
      };
      return [
        ...upTo(GUESTS).flatMap((nth) => [...returned(nth), ...moved(nth)]),
        at(atMs + 30_000, cutOff(setup, host, 80_000)),
      ];
    }),
};

/**
 * Guests whose clocks are slow ask a host that was cut off when they were released, and comes back: what it gives them right
 * before it hears of that, a server waits for whose clock is fast.
 */
export const LEASES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ authorityS: 120, hasGuests: true, isApart: true },
      networks: [networkOf('red', 0, { macCount: 2 * GUESTS, leaseTimeS: 180 })],
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 260_000, (atMs) => {
      const forMs = chance.between(45_000, 60_000);
      const backMs = atMs + 10_000 + forMs;
      return [
        at(atMs + 10_000, cutOff(setup, chance.pick(setup.hosts), forMs)),
        ...upTo(2 * GUESTS).flatMap((mac): readonly Action[] => [
          at(atMs + 100 * mac, reserve(mac)),
          at(atMs + 12_000 + 100 * mac, release(mac, false)),
          at(backMs + chance.between(-1_000, 6_000), { kind: 'reboot-guest', network: 0, mac }),
        ]),
      ];
    }),
};

/** A host loses its power, and is fenced; what it served is released by guests that live on. */
export const FENCES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ authorityS: 90, hasGuests: true },
      networks: [networkOf('red', 0, { macCount: GUESTS })],
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 260_000, (atMs) => {
      const host = chance.pick(setup.hosts);
      const deadMs = atMs + 15_000;
      const fenced = (sinceMs: number) => at(sinceMs, { kind: 'fence', host, via: 0 });
      return [
        ...upTo(GUESTS).map((mac) => at(atMs + 100 * mac, reserve(mac))),
        at(deadMs, { kind: 'reboot-host', host, forMs: 200_000 }),
        fenced(deadMs + 6_000),
        fenced(deadMs + 15_000),
        ...upTo(GUESTS).map((mac) => at(deadMs + chance.between(0, 20_000), release(mac, false))),
      ];
    }),
};

/** The lease time is lowered, and guests live on the longer leases that they have. */
export const SHORTER: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ authorityS: 60, hasGuests: true, leavesGuests: true },
      networks: [networkOf('red', 0, { macCount: GUESTS, leaseTimeS: 300 })],
    }),
  actionsOf: (_setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 400_000, (atMs) => [
      ...upTo(GUESTS).map((mac) => at(atMs + 100 * mac, reserve(mac))),
      at(atMs + 15_000, { kind: 'subnet', network: 0, change: 'least-lease-time', via: 0 }),
      // Before, and after, whoever lowers ceilings has looked.
      ...upTo(GUESTS).map((mac) => at(atMs + 16_000 + chance.between(0, 60_000), release(mac, false))),
    ]),
};
