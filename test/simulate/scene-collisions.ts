// Requests that meet: a change of a subnet beside a reservation of what it forbids, by different servers, while the one
// that changes may die, stand still, or lose the store in the middle.

import type { Scene } from './scenes.js';
import type { Action, Request, Setup } from './schedule.js';
import type { Seeded } from './seeded.js';

const APART_MS = 5_000;
const LONG_APART_MS = 45_000;
const BEFORE_MS = 2_000;
// Some round trips to the store.
const MIDDLE_MS = 150;
const ADDRESS = 5;

/** One after the other, by several servers, and so few MACs that a subnet is empty now and then. */
export const COLLISIONS: Scene = {
  setupOf(drawn) {
    const networks = drawn.networks
      .slice(0, 1)
      .map((network) => ({ ...network, cidr: '10.0.0.0/28', macs: network.macs.slice(0, 3) }));
    return { ...drawn, servers: ['s1', 's2', 's3'], isEmbedded: false, hasGuests: false, networks };
  },
  actionsOf(setup, beginMs, endMs, chance) {
    const actions: Action[] = [];
    for (let atMs = beginMs; atMs < endMs; ) {
      const isLong = chance.chance(0.15);
      actions.push(...collision(setup, atMs, isLong, chance));
      atMs += isLong ? LONG_APART_MS : APART_MS;
    }
    return actions;
  },
};

function collision(setup: Setup, atMs: number, isLong: boolean, chance: Seeded): readonly Action[] {
  const via = chance.below(setup.servers.length);
  const server = setup.servers[via] ?? '';
  const other = via + 1 + chance.below(setup.servers.length - 1);
  const meetMs = atMs + BEFORE_MS;
  const overMs = atMs + (isLong ? LONG_APART_MS : APART_MS);
  const change = chance.pick(['delete', 'delete', 'exclude'] as const);
  const midMs = meetMs + chance.between(0, MIDDLE_MS);
  const ask = (sinceMs: number, request: Request): Action => ({ atMs: sinceMs, ...request });
  const reserve = (mac: number, sinceMs: number): Action =>
    ask(sinceMs, {
      ...{ kind: 'reserve', network: 0, mac, isNew: false, isTwice: chance.chance(0.2), via: other },
      ...(change === 'exclude' && { address: ADDRESS }),
      hasRequestId: chance.chance(0.7),
    });
  const forLongMs = chance.between(32_000, 38_000);
  const faults: readonly Action[] = isLong
    ? [
        chance.pick<Action>([
          { atMs: midMs, kind: 'kill-server', server, forMs: forLongMs },
          { atMs: midMs, kind: 'stall-server', server, forMs: forLongMs },
          { atMs: midMs, kind: 'stall-server', server, forMs: forLongMs },
        ]),
      ]
    : chance.chance(0.3)
      ? [
          {
            atMs: midMs,
            kind: 'cut',
            of: setup.servers,
            from: ['store'],
            way: 'both',
            forMs: chance.between(500, 5_000),
          },
        ]
      : [];
  return [
    // Whoever has an address keeps the subnet from being deleted.
    ...[0, 1, 2].map((mac) =>
      ask(atMs, { kind: 'release', network: 0, mac, guestStopped: true, by: 'id', via: other }),
    ),
    ask(meetMs, { kind: 'subnet', network: 0, change, via }),
    reserve(0, meetMs + chance.between(0, MIDDLE_MS)),
    reserve(1, meetMs + chance.between(0, 4 * MIDDLE_MS)),
    ...faults,
    ...(isLong ? [reserve(2, meetMs + forLongMs - chance.between(100, 2_000))] : []),
    ask(overMs - 1_000, { kind: 'subnet', network: 0, change: 'create', via }),
    ask(overMs - 500, { kind: 'subnet', network: 0, change: 'include', via }),
  ];
}
