// How long a host that is not heard may go on answering, as different holders reckon it. Everywhere all hosts serve the
// network, so that who is cut off keeps its placement and its authority; and what is released is vouched for, so that nothing
// but the host is waited for.

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

/** A server leads, another one does, and then it leads again, while a host is cut off to which the other one told more. */
export const TERMS: Scene = {
  setupOf: (drawn, chance) =>
    plainSetup(drawn, chance, { authorityS: 100, networks: [networkOf('red', 0, { macCount: ADDRESSES })] }),
  actionsOf: (setup, beginMs, endMs, chance) =>
    rounds(beginMs, endMs, 240_000, (atMs) => {
      const host = chance.pick(setup.hosts);
      const stall = (sinceMs: number, server: string) =>
        at(sinceMs, { kind: 'stall-server', server, forMs: chance.between(9_000, 12_000) });
      const cutMs = atMs + 75_000;
      return [
        stall(atMs, 's2'),
        stall(atMs + 25_000, 's1'),
        ...reserveAll(atMs + 50_000),
        at(cutMs, cutOff(setup, host, 130_000)),
        stall(cutMs + chance.between(0, 500), 's2'),
        ...releaseAll(cutMs + 5_000, chance),
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
