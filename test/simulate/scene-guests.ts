// What guests live on after a release: the leases that they have, and those that hosts give that were not told.

import { at, cutOff, networkOf, plainSetup, release, reserve, rounds, upTo } from './scene-parts.js';
import type { Scene } from './scenes.js';
import type { Action } from './schedule.js';

const GUESTS = 6;

/**
 * Vouches that say less than they seem to: of the last of several tenures; of a guest that got another address meanwhile, and
 * was told the first one by a host that knew no better; and none, right after the lease began.
 */
export const VOUCHES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ authorityS: 60, hasGuests: true, leavesGuests: true, isApart: true },
      networks: [networkOf('red', 0, { macCount: 3 * GUESTS })],
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
      const short = (nth: number): readonly Action[] => {
        const mac = 2 * GUESTS + nth;
        const sinceMs = atMs + 10_000 + 3_000 * nth;
        return [at(sinceMs, reserve(mac)), at(sinceMs + chance.between(300, 1_000), release(mac, false))];
      };
      return [
        ...upTo(GUESTS).flatMap((nth) => [...returned(nth), ...moved(nth), ...short(nth)]),
        at(atMs + 30_000, cutOff(setup, host, 80_000)),
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
