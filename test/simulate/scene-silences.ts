// How long a host that is not heard may go on answering, as different holders reckon it. Everywhere all hosts serve the
// network, so that who is cut off keeps its placement and its authority; and what is released is vouched for, so that nothing
// but the host is waited for.

import { serverOf } from './roles.js';
import { at, cutOff, networkOf, plainSetup, release, reserve, rounds, upTo } from './scene-parts.js';
import type { Scene } from './scenes.js';
import type { Action } from './schedule.js';
import type { Seeded } from './seeded.js';

const ADDRESSES = 6;

function reserveAll(atMs: number): readonly Action[] {
  return upTo(ADDRESSES).map((mac) => at(atMs + mac * 50, reserve(mac, { via: mac })));
}

function releaseAll(atMs: number, chance: Seeded): readonly Action[] {
  return upTo(ADDRESSES).map((mac) => at(atMs + chance.between(0, 8_000), release(mac, true, { via: mac })));
}

/** A host was silent for long, was heard again, and is cut off while the holder changes. */
export const SILENCES: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, { authorityS: 90, networks: [networkOf('red', 0, { macCount: ADDRESSES })] }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 270_000, (atMs) => {
      const host = chance.pick(setup.hosts);
      const againMs = atMs + 100_000 + chance.between(20_000, 30_000);
      return [
        ...reserveAll(atMs),
        at(atMs + 2_000, cutOff(setup, host, chance.between(88_000, 98_000))),
        at(againMs, cutOff(setup, host, 110_000)),
        at(againMs + chance.between(0, 500), { kind: 'kill-servers', forMs: chance.between(500, 3_000) }),
        ...releaseAll(againMs + 5_000, chance),
      ];
    }),
};

/** A server leads, another one does, and then it leads again, while hosts are cut off that serve since the other one led. */
export const TERMS: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      authorityS: 100,
      networks: [networkOf('red', 0, { macCount: ADDRESSES, dhcpServerCount: 1 })],
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 240_000, (atMs) => {
      const spared = chance.pick(setup.hosts);
      // One of the two did not serve when there was one server.
      const away = setup.hosts.filter((each) => each !== spared);
      const stall = (sinceMs: number, server: string) =>
        at(sinceMs, { kind: 'stall-server', server, forMs: chance.between(9_000, 12_000) });
      const cutMs = atMs + 75_000;
      return [
        stall(atMs, 's2'),
        stall(atMs + 25_000, 's1'),
        at(atMs + 45_000, { kind: 'count', network: 0, dhcpServerCount: 3, via: 0 }),
        ...reserveAll(atMs + 55_000),
        at(cutMs, { kind: 'cut', of: away, from: setup.servers, way: 'both', forMs: 130_000 }),
        stall(cutMs + chance.between(0, 500), 's2'),
        ...releaseAll(cutMs + 5_000, chance),
        at(atMs + 230_000, { kind: 'count', network: 0, dhcpServerCount: 1, via: 0 }),
      ];
    }),
};

/** S is raised by one server, which leads for a while; another one that was there before leads after it. */
export const SETTINGS: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, { authorityS: 60, networks: [networkOf('red', 0, { macCount: ADDRESSES })] }),
  actionsOf: (setup, beginMs, _endMs, chance) => {
    const host = chance.pick(setup.hosts);
    const cutMs = beginMs + 65_000;
    return [
      at(beginMs, { kind: 'new-authority', server: 's1', authorityS: 125, forMs: 8_000 }),
      at(beginMs + 25_000, { kind: 'stall-server', server: 's2', forMs: chance.between(9_000, 12_000) }),
      ...reserveAll(beginMs + 50_000),
      at(cutMs, cutOff(setup, host, 150_000)),
      at(cutMs + chance.between(0, 500), { kind: 'stall-server', server: 's1', forMs: chance.between(9_000, 12_000) }),
      ...releaseAll(cutMs + 5_000, chance),
    ];
  },
};

/** A host whose clock is slow is cut off from servers whose clocks are fast. */
export const SPANS: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ authorityS: 120, isApart: true, usualLatencyMs: 1 },
      networks: [networkOf('red', 0, { macCount: ADDRESSES })],
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 150_000, (atMs) => [
      ...reserveAll(atMs),
      at(atMs + chance.between(5_000, 8_000), cutOff(setup, chance.pick(setup.hosts), 135_000)),
      ...releaseAll(atMs + 10_000, chance),
    ]),
};

/** A host that was fenced is heard again, and is cut off. */
export const FENCED: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, { authorityS: 90, networks: [networkOf('red', 0, { macCount: ADDRESSES })] }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 190_000, (atMs) => {
      const host = chance.pick(setup.hosts);
      const cutMs = atMs + chance.between(60_000, 70_000);
      return [
        ...reserveAll(atMs),
        at(atMs + 1_000, { kind: 'reboot-host', host, forMs: chance.between(25_000, 35_000) }),
        ...[8_000, 16_000].map((afterMs) => at(atMs + afterMs, { kind: 'fence', host, via: 0 })),
        at(cutMs, cutOff(setup, host, 110_000)),
        ...releaseAll(cutMs + 1_000, chance),
      ];
    }),
};

/** A network and its subnet are deleted and made anew, while a host is cut off that served the one before. */
export const NETWORKS: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, { authorityS: 90, networks: [networkOf('red', 0, { macCount: ADDRESSES })] }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 190_000, (atMs) => {
      const cutMs = atMs + chance.between(2_000, 5_000);
      const anew = (sinceMs: number, change: 'create' | 'delete', kind: 'network' | 'subnet') =>
        at(sinceMs, { kind, network: 0, change, via: chance.below(setup.servers.length) });
      return [
        ...reserveAll(atMs),
        at(cutMs, cutOff(setup, chance.pick(setup.hosts), 120_000)),
        ...releaseAll(cutMs + 1_000, chance),
        anew(cutMs + 12_000, 'delete', 'subnet'),
        anew(cutMs + 14_000, 'delete', 'network'),
        anew(cutMs + 14_000 + chance.between(500, 5_000), 'create', 'network'),
        anew(cutMs + 21_000, 'create', 'subnet'),
        ...upTo(ADDRESSES).map((mac) => at(cutMs + 50_000 + 300 * mac, reserve(mac, { via: mac }))),
        ...releaseAll(cutMs + 110_000, chance),
      ];
    }),
};

/** A host is dead, and no server leads for as long as its silence takes. */
export const RESTARTS: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ authorityS: 100, restsAtMostMs: 220_000 },
      networks: [networkOf('red', 0, { macCount: ADDRESSES })],
    }),
  actionsOf: (setup, beginMs, endMs, chance) => [
    ...reserveAll(beginMs),
    at(beginMs + 2_000, { kind: 'reboot-host', host: chance.pick(setup.hosts), forMs: endMs }),
    ...releaseAll(beginMs + 3_000, chance),
    ...rounds(beginMs + 12_000, endMs, 88_000, (atMs) => [
      at(atMs + chance.between(0, 2_000), { kind: 'kill-servers', forMs: chance.between(200, 1_000) }),
    ]),
  ],
};

/** A MAC comes back to its address after the network was taken from a host that has it, and is cut off. */
export const CHAINS: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, {
      ...{ authorityS: 90, hosts: ['h1', 'h2', 'h3', 'h4'] },
      networks: [networkOf('red', 0, { macCount: ADDRESSES, dhcpServerCount: chance.pick([1, 2]) })],
    }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 170_000, (atMs) => [
      ...reserveAll(atMs),
      at(atMs + 5_000, cutOff(setup, serverOf('red'), 120_000)),
      ...upTo(ADDRESSES).flatMap((mac) => [
        at(atMs + 15_000 + 100 * mac, release(mac, true)),
        at(atMs + 17_000 + 100 * mac, reserve(mac)),
        at(atMs + 20_000 + chance.between(0, 5_000), release(mac, true)),
      ]),
    ]),
};

/** A host that is cut off, and may answer, is deleted. */
export const FORGOTTEN: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, { authorityS: 90, networks: [networkOf('red', 0, { macCount: ADDRESSES })] }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 170_000, (atMs) => {
      const host = chance.pick(setup.hosts);
      return [
        ...reserveAll(atMs),
        at(atMs + 5_000, cutOff(setup, host, 120_000)),
        ...[15_000, 20_000].map((afterMs) => at(atMs + afterMs, { kind: 'delete-host', host, via: 0 })),
        ...releaseAll(atMs + 10_000, chance),
      ];
    }),
};

/** S is lowered, after a host was told the longer one. */
export const LOWERED: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, { authorityS: 125, networks: [networkOf('red', 0, { macCount: ADDRESSES })] }),
  actionsOf: (setup, beginMs, _endMs, chance) => {
    const cutMs = beginMs + 30_000;
    return [
      at(beginMs, { kind: 'new-authority', server: 's1', authorityS: 60, forMs: 8_000 }),
      ...reserveAll(beginMs + 20_000),
      at(cutMs, cutOff(setup, chance.pick(setup.hosts), 160_000)),
      at(cutMs + chance.between(0, 500), { kind: 'stall-server', server: 's2', forMs: chance.between(9_000, 12_000) }),
      ...releaseAll(cutMs + 5_000, chance),
    ];
  },
};
