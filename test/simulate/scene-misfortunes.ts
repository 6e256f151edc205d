// Misfortunes: sequences of faults that chance alone brings together in one run of hundreds, and that one rule is for. They
// come again and again, beside what engines always ask for.

import { macsOf } from './macs.js';
import { ROLES } from './roles.js';
import { release as releaseOf, reserve as reserveOf } from './scene-parts.js';
import type { Scene } from './scenes.js';
import type { Action, Fault, Request, Setup } from './schedule.js';
import type { Seeded } from './seeded.js';

const S_MS = 60_000;
// A MAC is soon given again what it released.
const FEW_MACS = macsOf(0, 7);
// Another one is.
const MANY_MACS = 24;
const { leading, other, serving, spare } = ROLES;

/** What happens, each so long after the first moment, and when the next misfortune may come. */
interface Misfortune {
  readonly deeds: readonly (readonly [afterMs: number, deed: Fault | Request])[];
  readonly lengthMs: number;
}

/** One after the other, in an installation in which they matter: several servers, and addresses that are never enough. */
function misfortunes(
  next: (setup: Setup, chance: Seeded) => Misfortune,
  macs: readonly string[] = macsOf(0, MANY_MACS),
): Scene {
  return {
    hasRequests: true,
    setupOf(drawn: Setup): Setup {
      const networks = drawn.networks
        .slice(0, 1)
        .map((network) => ({ ...network, cidr: '10.0.0.0/29', dhcpServerCount: 2, macs }));
      return {
        ...drawn,
        servers: ['s1', 's2'],
        isEmbedded: false,
        hasGuests: false,
        authorityS: S_MS / 1_000,
        networks,
      };
    },
    actionsOf(setup: Setup, beginMs: number, endMs: number, chance: Seeded): readonly Action[] {
      const actions: Action[] = [];
      for (let atMs = beginMs; atMs < endMs; ) {
        const { deeds, lengthMs } = next(setup, chance);
        for (const [afterMs, deed] of deeds) actions.push({ atMs: atMs + afterMs, ...deed });
        atMs += lengthMs;
      }
      return actions;
    },
  };
}

/** The server that leads is cut off from the store alone, for longer than S: its hosts reach it, another one leads. */
export const DEPOSED = misfortunes((_, chance) => {
  const forMs = S_MS + chance.between(40_000, 120_000);
  const cut: Fault = { kind: 'cut', of: [leading], from: ['store'], way: 'both', forMs };
  return { deeds: [[0, cut]], lengthMs: forMs + 20_000 };
});

/** It stands still for about as long as another needs to take the lead, with a renewal under way. */
export const STALLED = misfortunes((_, chance) => {
  const forMs = chance.between(4_000, 15_000);
  const stall: Fault = { kind: 'stall-server', server: leading, forMs };
  return { deeds: [[0, stall]], lengthMs: forMs + chance.between(5_000, 15_000) };
});

/** A server begins to lead whose watch shows nothing of what became of addresses meanwhile; or it is lost, and read anew. */
export const BEHIND = misfortunes((_, chance) => {
  const soonMs = chance.between(45_000, 60_000);
  const forMs = soonMs + chance.between(20_000, 40_000);
  const ending: Fault = { kind: 'stop-server', server: leading, forMs: chance.between(1_000, 60_000) };
  const held: Misfortune['deeds'] = [
    [0, { kind: 'hold-watch', server: other, forMs }],
    ...several(4, 500, 8_000, release, chance),
    ...several(4, 40_000, soonMs, reserve, chance),
    [soonMs, ending],
  ];
  const lost: Fault = { kind: 'lose-watch', server: leading };
  const deeds = chance.chance(0.7) ? [...held, [soonMs + chance.between(2_000, 4_000), lost] as const] : held;
  return { deeds, lengthMs: forMs + 15_000 };
});

/** The server that leads sees, and tells, at once what happened in many seconds. */
export const REREADING = misfortunes((_, chance) => {
  const soonMs = chance.between(2_000, 25_000);
  return {
    deeds: [
      [0, { kind: 'hold-watch', server: leading, forMs: soonMs + 1_000 }],
      [
        soonMs,
        chance.pick<Fault>([
          { kind: 'lose-watch', server: leading },
          { kind: 'hold-watch', server: leading, forMs: 1 },
        ]),
      ],
    ],
    lengthMs: soonMs + chance.between(3_000, 10_000),
  };
}, FEW_MACS);

/** What a host was told last does not reach it, while what it was told before is acknowledged. */
export const HELD_UP = misfortunes(({ servers }, chance) => {
  const soonMs = chance.between(1_000, 4_000);
  const forMs = chance.between(40_000, 90_000);
  return {
    deeds: [
      [0, { kind: 'disk', host: serving, disk: 'slow', forMs: soonMs + chance.between(1_000, 4_000) }],
      ...several(3, 0, soonMs, reserve, chance),
      [soonMs, { kind: 'cut', of: [serving], from: servers, way: 'back', forMs }],
      ...several(3, soonMs, soonMs + 900, release, chance),
    ],
    lengthMs: forMs + chance.between(5_000, 20_000),
  };
});

/** A host is cut off right before another server leads, which does not know what it has taken in. */
export const UNHEARD = misfortunes(({ servers }, chance) => {
  const forMs = chance.between(50_000, 90_000);
  return {
    deeds: [
      [0, { kind: 'cut', of: [serving], from: servers, way: 'both', forMs }],
      ...several(3, 100, 900, release, chance),
      [chance.between(1_000, 15_000), { kind: 'stop-server', server: leading, forMs: chance.between(1_000, 30_000) }],
    ],
    lengthMs: forMs + chance.between(5_000, 20_000),
  };
});

/** A host that lost its authority and its network comes back to a server that does not know yet. */
export const RETURNING = misfortunes(({ servers }, chance) => {
  const forMs = S_MS + chance.between(15_000, 90_000);
  return {
    deeds: [
      [0, { kind: 'cut', of: [serving], from: servers, way: 'both', forMs }],
      [0, { kind: 'hold-watch', server: other, forMs: forMs + chance.between(10_000, 60_000) }],
      [
        forMs - chance.between(1_000, 10_000),
        { kind: 'stop-server', server: leading, forMs: chance.between(1_000, 60_000) },
      ],
    ],
    lengthMs: forMs + 80_000,
  };
});

/** A host has a newer placement than the one that the next leader knows of. */
export const OUTDATED = misfortunes(({ servers, hosts }, chance) => {
  const host = chance.pick(hosts);
  const via = chance.below(servers.length);
  const forMs = chance.between(12_000, 26_000);
  return {
    deeds: [
      [0, { kind: 'hold-watch', server: other, forMs }],
      [500, { kind: 'host', host, patch: { managed: false }, via }],
      [2_500, { kind: 'host', host, patch: { managed: true }, via }],
      [chance.between(4_000, 8_000), { kind: 'stop-server', server: leading, forMs: chance.between(1_000, 20_000) }],
    ],
    lengthMs: forMs + chance.between(10_000, 20_000),
  };
});

/** A host goes on until another one is ready, and is cut off. */
export const LEAVING = misfortunes(({ servers, hosts }, chance) => {
  const host = chance.pick(hosts);
  const via = chance.below(servers.length);
  const cutMs = chance.between(6_000, 9_000);
  const forMs = chance.between(50_000, 90_000);
  return {
    deeds: [
      [0, { kind: 'disk', host: spare, disk: 'slow', forMs: cutMs + 3_000 }],
      [500, { kind: 'host', host, patch: { maintenance: true }, via }],
      ...several(6, 1_500, cutMs - 1_500, reserve, chance),
      [cutMs, { kind: 'cut', of: [host], from: servers, way: 'both', forMs }],
      ...several(6, cutMs + 300, cutMs + 2_000, release, chance),
      [cutMs + forMs, { kind: 'host', host, patch: { maintenance: false }, via }],
    ],
    lengthMs: cutMs + forMs + chance.between(10_000, 20_000),
  };
});

/** The store is an older copy, by which some terms of leading never were. */
export const OLD_LEAD = misfortunes((_, chance) => {
  const forMs = chance.between(15_000, 130_000);
  return {
    deeds: [
      [0, { kind: 'stop-server', server: leading, forMs: 1_000 }],
      [15_000, { kind: 'old-lead', terms: chance.pick([1, 2, 3]), forMs }],
    ],
    lengthMs: forMs + chance.between(40_000, 80_000),
  };
});

/** A host without power comes back beside the session that its server still has. */
export const HALF_OPEN = misfortunes((_, chance) => {
  const reboot: Fault = { kind: 'reboot-host', host: serving, forMs: chance.between(100, 5_000) };
  return { deeds: [[0, reboot]], lengthMs: chance.between(5_000, 30_000) };
});

/** The same request several times, at moments between two. */
function several(
  times: number,
  fromMs: number,
  toMs: number,
  request: (chance: Seeded) => Request,
  chance: Seeded,
): Misfortune['deeds'] {
  return Array.from({ length: times }, () => [chance.between(fromMs, toMs), request(chance)] as const);
}

const reserve = (chance: Seeded) => reserveOf(chance.below(MANY_MACS), { isNew: true });

/** By a guest that is off: nothing but hosts keeps its address from others. */
const release = (chance: Seeded) => releaseOf(chance.below(MANY_MACS), true);
