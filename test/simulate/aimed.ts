// Misfortunes that are aimed at one rule each: sequences of faults that chance alone brings together in one run of hundreds.
// Beside them engines ask for what they always ask for, and nothing else goes wrong.

import { ROLES } from './roles.js';
import type { Action, Fault, Setup } from './schedule.js';
import type { Seeded } from './seeded.js';

/**
 * What goes wrong, again and again: the server that leads is cut off from the store alone, for longer than S (`deposed`), or stands
 * still for as long as another needs to take the lead (`stalled`); one begins to lead whose watch stands still (`behind`), or was just
 * lost (`rereading`); what hosts are told is held up behind what they have just acknowledged (`held-up`); hosts come back
 * beside their old sessions (`half-open`).
 */
export const AIMS = ['deposed', 'stalled', 'behind', 'rereading', 'held-up', 'half-open'] as const;
/** One of them. */
export type Aim = (typeof AIMS)[number];

const S_SECONDS = 60;
const { leading, other, serving } = ROLES;

/** An installation in which they matter: several servers, and one network whose addresses are never enough. */
export function aimedSetup(setup: Setup): Setup {
  const networks = setup.networks.slice(0, 1).map((network) => ({ ...network, cidr: '10.0.0.0/29', dhcpServerCount: 2 }));
  return { ...setup, servers: ['s1', 's2'], isEmbedded: false, hasGuests: false, authorityS: S_SECONDS, networks };
}

/** What goes wrong, in order. */
export function aimed(aim: Aim, setup: Setup, beginMs: number, endMs: number, chance: Seeded): readonly Action[] {
  const actions: Action[] = [];
  for (let atMs = beginMs; atMs < endMs; ) {
    const { faults, lengthMs } = MISFORTUNES[aim](setup, chance);
    for (const [afterMs, fault] of faults) actions.push({ atMs: atMs + afterMs, ...fault });
    atMs += lengthMs;
  }
  return actions;
}

/** Faults, each so long after the first moment, and when the next misfortune may come. */
interface Misfortune {
  readonly faults: readonly (readonly [afterMs: number, fault: Fault])[];
  readonly lengthMs: number;
}

const MISFORTUNES: { readonly [aim in Aim]: (setup: Setup, chance: Seeded) => Misfortune } = {
  deposed(_, chance) {
    const forMs = S_SECONDS * 1_000 + chance.between(40_000, 120_000);
    return { faults: [[0, { kind: 'cut', of: [leading], from: ['store'], way: 'both', forMs }]], lengthMs: forMs + 20_000 };
  },
  stalled(_, chance) {
    const forMs = chance.between(4_000, 15_000);
    return { faults: [[0, { kind: 'stall-server', server: leading, forMs }]], lengthMs: forMs + chance.between(5_000, 15_000) };
  },
  behind(_, chance) {
    const soonMs = chance.between(35_000, 90_000);
    const forMs = soonMs + chance.between(20_000, 100_000);
    return {
      faults: [
        [0, { kind: 'hold-watch', server: other, forMs }],
        [soonMs, { kind: chance.pick(['stop-server', 'kill-server']), server: leading, forMs: chance.between(1_000, 60_000) }],
      ],
      lengthMs: forMs + 15_000,
    };
  },
  rereading(_, chance) {
    const soonMs = chance.between(0, 3_000);
    return {
      faults: [
        [0, { kind: 'lose-watch', server: other }],
        [soonMs, { kind: 'stop-server', server: leading, forMs: chance.between(500, 30_000) }],
        [soonMs + chance.between(0, 3_000), { kind: 'lose-watch', server: leading }],
      ],
      lengthMs: 40_000,
    };
  },
  'held-up'(_, chance) {
    const forMs = chance.between(20_000, 90_000);
    return {
      faults: [[0, { kind: 'cut', of: [serving], from: ['s1', 's2'], way: 'back', forMs }]],
      lengthMs: forMs + chance.between(5_000, 20_000),
    };
  },
  'half-open'(_, chance) {
    const reboot: Fault = { kind: 'reboot-host', host: serving, forMs: chance.between(100, 5_000) };
    return { faults: [[0, reboot]], lengthMs: chance.between(5_000, 30_000) };
  },
};
