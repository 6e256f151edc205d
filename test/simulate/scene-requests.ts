// Requests that meet what they must not be confused by: a change that comes late, an answer that is lost, the same request
// again, and many others at another server.

import { ROLES } from './roles.js';
import { at, networkOf, plainSetup, release, reserve, rounds, upTo } from './scene-parts.js';
import type { Scene } from './scenes.js';
import type { Action, Fault, Request } from './schedule.js';

const THREE = ['s1', 's2', 's3'];

/** Who changes a subnet stands still under its mark, until that is cleared, and somebody reserves. */
export const CHANGES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ servers: THREE, usualLatencyMs: 20 },
      networks: [networkOf('red', 0, { macCount: 4, dhcpServerCount: 1 })],
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 55_000, (atMs) => {
      const via = chance.below(THREE.length);
      const server = THREE[via] ?? '';
      const change = chance.pick(['delete', 'delete', 'exclude'] as const);
      const other = via + 1 + chance.below(THREE.length - 1);
      const wanted = change === 'exclude' ? { address: 5 } : {};
      const forMs = chance.between(37_000, 42_000);
      // Between what it looks for and what it writes then.
      const afterMs = setup.usualLatencyMs * chance.between(1.2, 3);
      return [
        ...upTo(4).map((mac) => at(atMs, release(mac, true, { via: other }))),
        at(atMs + 1_900, { kind: 'when', seen: 'mark', afterMs, fault: { kind: 'stall-server', server, forMs } }),
        at(atMs + 2_000, { kind: 'subnet', network: 0, change, via }),
        ...upTo(3).map((mac) => at(atMs + 33_000 + 1_500 * mac, reserve(mac, { via: other, ...wanted }))),
        at(atMs + 50_000, { kind: 'subnet', network: 0, change: 'create', via: other }),
        at(atMs + 50_500, { kind: 'subnet', network: 0, change: 'include', via: other }),
      ];
    }),
};

/** The store carries out what it is asked, and nobody hears of it for longer than anybody asks again. */
export const UNKNOWNS: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, { networks: [networkOf('red', 0, { macCount: 12, dhcpServerCount: 1 })] }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 75_000, (atMs) => {
      const fault = { kind: 'cut', of: setup.servers, from: ['store'], way: 'back', forMs: 45_000 } as const;
      return [
        ...upTo(12).map((mac) => at(atMs, release(mac, true, { via: mac }))),
        at(atMs + 4_000, { kind: 'when', seen: 'reserved', afterMs: 0, fault }),
        ...upTo(4).map(() => at(atMs + 4_000, reserve(chance.below(12), { hasRequestId: true, via: chance.below(2) }))),
      ];
    }),
};

/**
 * Who leads is shown all at once that a reservation was made, got another name, and was released: its address goes on to
 * others. One MAC keeps what it has, and gets another name every time.
 */
export const RENAMES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      networks: [networkOf('red', 0, { macCount: 24, cidr: '10.0.0.0/29', dhcpServerCount: 1 })],
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 6_000, (atMs, nth) => {
      const keeps = 23;
      const mac = nth % keeps;
      const held = chance.below(setup.servers.length);
      const via = held + 1;
      const rename = (of: number): Request => ({ kind: 'rename', network: 0, mac: of, hostname: `guest-${nth}`, via });
      return [
        at(atMs, { kind: 'hold-watch', server: setup.servers[held] ?? '', forMs: 1_000 }),
        ...[mac, keeps].map((of) => at(atMs + 100, reserve(of, { via }))),
        ...[mac, keeps].map((of) => at(atMs + 300, rename(of))),
        at(atMs + 500, release(mac, true, { via })),
      ];
    }),
};

/** MACs go to and fro between low addresses and high ones, of which the server that leads reads all again, in their order. */
export const MOVES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, { networks: [networkOf('red', 0, { macCount: 10, dhcpServerCount: 2 })] }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 15_000, (atMs, nth) => {
      const via = () => chance.below(setup.servers.length);
      const address = (mac: number) => 1 + mac + ((nth + mac) % 2) * 15;
      return [
        at(atMs, { kind: 'hold-watch', server: ROLES.leading, forMs: 3_000 }),
        ...upTo(10).map((mac) => at(atMs + 100, release(mac, true, { via: via() }))),
        ...upTo(10).map((mac) => at(atMs + 1_500, reserve(mac, { address: address(mac), via: via() }))),
        at(atMs + 2_900, { kind: 'lose-watch', server: ROLES.leading }),
      ];
    }),
};

/** The same requests again, at any server, also when what they made is over, and after everybody was killed. */
export const REPEATS: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, { networks: [networkOf('red', 0, { macCount: 6, dhcpServerCount: 1 })] }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 20_000, (atMs) => {
      const via = () => chance.below(setup.servers.length);
      const repeats = (sinceMs: number): readonly Action[] =>
        upTo(4).map((nth) =>
          at(sinceMs + 300 * nth, { kind: 'repeat', network: 0, nth: chance.below(1_000), via: via() }),
        );
      const some = (sinceMs: number, ask: (mac: number) => Request): readonly Action[] =>
        upTo(4).map((nth) => at(sinceMs + 100 * nth, ask(chance.below(6))));
      return [
        ...some(atMs, (mac) => reserve(mac, { hasRequestId: true, via: via() })),
        at(atMs + 1_000, { kind: 'kill-server', server: chance.pick(setup.servers), forMs: 1_000 }),
        ...repeats(atMs + 3_000),
        ...some(atMs + 6_000, (mac) => release(mac, true, { via: via() })),
        ...repeats(atMs + 8_000),
        ...some(atMs + 11_000, (mac) => reserve(mac, { hasRequestId: true, via: via() })),
        ...repeats(atMs + 13_000),
      ];
    }),
};

/** Many reservations at once, at every server. */
export const BATCHES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ watchLagMs: chance.pick([20, 200]), vainShare: 0.25, awaitsRest: false },
      networks: [networkOf('red', 0, { macCount: 120, cidr: '10.0.0.0/23', dhcpServerCount: 1 })],
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 20_000, (atMs, nth) => {
      const size = 12;
      return upTo(size).map((i) =>
        at(atMs + chance.between(0, 40), reserve(nth * size + i, { via: i % setup.servers.length })),
      );
    }),
};

/** Addresses go from hand to hand, and the store is away whenever they may become free. */
export const FREES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, { networks: [networkOf('red', 0, { macCount: 60, cidr: '10.0.0.0/28' })] }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 4_000, (atMs) => {
      const via = () => chance.below(setup.servers.length);
      const troubles: readonly Fault[] = [
        { kind: 'store-trouble', brokenShare: chance.between(0.3, 0.8), lateShare: chance.random(), forMs: 3_000 },
        { kind: 'cut', of: setup.servers, from: ['store'], way: chance.pick(['both', 'back']), forMs: 1_500 },
        { kind: 'lose-watch', server: chance.pick(setup.servers) },
      ];
      return [
        at(atMs, reserve(chance.below(60), { isNew: true, via: via() })),
        at(atMs + 1_000, release(chance.below(60), chance.chance(0.8), { via: via() })),
        at(atMs + chance.between(0, 4_000), chance.pick(troubles)),
      ];
    }),
};

/** Releases come again when the address has gone to another MAC. */
export const LATE_RELEASES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      networks: [networkOf('red', 0, { macCount: 24, cidr: '10.0.0.0/29', dhcpServerCount: 1 })],
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 2_500, (atMs) => {
      const via = () => chance.below(setup.servers.length);
      const by = chance.pick(['request', 'guarded-address'] as const);
      const again = (afterMs: number) =>
        at(atMs + afterMs, { kind: 'repeat-release', network: 0, nth: chance.below(1_000), via: via() });
      return [
        at(atMs, reserve(chance.below(24), { isNew: true, via: via() })),
        at(atMs + 2_000, release(chance.below(24), true, { by, via: via() })),
        again(600),
        again(1_200),
      ];
    }),
};
