// Hosts that die, and hosts that are well but for one thing.

import { ROLES, serverOf } from './roles.js';
import { at, networkOf, plainSetup, rounds, upTo } from './scene-parts.js';
import type { Scene } from './scenes.js';
import type { Setup } from './schedule.js';
import type { Seeded } from './seeded.js';

function hostsUpTo(count: number): readonly string[] {
  return upTo(count).map((i) => `h${i + 1}`);
}

/** Several hosts of many lose their power within seconds, and are away for minutes. */
export const DEATHS: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ hosts: hostsUpTo(10), awaitsRest: false },
      networks: upTo(5).map((i) => networkOf(`n${i + 1}`, i, { macCount: 1, dhcpServerCount: 2 })),
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs + 20_000, endMs, 130_000, (atMs) =>
      someOf(setup.hosts, chance.pick([3, 4]), chance).map((host) =>
        at(atMs + chance.between(0, 10_000), { kind: 'reboot-host', host, forMs: chance.between(60_000, 100_000) }),
      ),
    ),
};

function someOf(all: readonly string[], count: number, chance: Seeded): readonly string[] {
  const rest = [...all];
  return upTo(count).map(() => rest.splice(chance.below(rest.length), 1)[0] ?? '');
}

/** One host cannot do what it is told, again and again; another one dies meanwhile. */
export const BREAKERS: Scene = {
  setupOf: (drawn: Setup, chance) =>
    plainSetup(drawn, chance, {
      ...{ hosts: hostsUpTo(5), awaitsRest: false, helpsWithinMs: 8_000 },
      networks: ['red', 'blue'].map((name, i) => networkOf(name, i, { macCount: 1, dhcpServerCount: 1 })),
    }),
  actionsOf: (_setup, beginMs, endMs, chance) =>
    rounds(beginMs + 20_000, endMs, 110_000, (atMs) => {
      const changes = ['gateway', 'lease-time', 'exclude', 'no-gateway', 'include'] as const;
      return [
        at(atMs, { kind: 'disk', host: serverOf('red'), disk: 'slow', forMs: 40_000 }),
        ...changes.map((change, i) => at(atMs + 200 + 300 * i, { kind: 'subnet', network: 0, change, via: 0 })),
        at(atMs + chance.between(6_500, 8_000), { kind: 'reboot-host', host: serverOf('blue'), forMs: 60_000 }),
      ];
    }),
};

/** Agents are restarted at once, one after another, while a server that does not lead stands still: nothing may move. */
export const UPGRADES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ mood: 'sick', hosts: hostsUpTo(3) },
      networks: ['red', 'blue'].map((name, i) => networkOf(name, i, { macCount: 1, dhcpServerCount: 1 })),
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs + 20_000, endMs, 30_000, (atMs) => [
      ...(chance.chance(0.5) ? [at(atMs, { kind: 'stall-server', server: ROLES.other, forMs: 25_000 })] : []),
      ...setup.hosts.map((host, i) =>
        at(atMs + 2_000 + 7_000 * i + chance.between(0, 2_000), {
          kind: 'kill-host',
          host,
          forMs: chance.between(20, 300),
        }),
      ),
    ]),
};
