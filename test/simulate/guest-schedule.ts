// What happens to guests and to the wires between hosts, as data drawn from a seed.

import type { Setup } from './schedule.js';
import type { Seeded } from './seeded.js';
import type { WireConditions } from './segment.js';

/** Something that happens to guests or wires; what has `forMs` ends by itself. `network`: which one of the setup's. */
export type GuestDeed = { readonly network: number } & (
  | { readonly kind: 'reboot-guest'; readonly mac: number }
  | { readonly kind: 'move-guest'; readonly mac: number; readonly host: string }
  /** In this direction alone. */
  | { readonly kind: 'cut-wire'; readonly from: string; readonly to: readonly string[]; readonly forMs: number }
  | { readonly kind: 'bad-wire'; readonly conditions: WireConditions; readonly forMs: number }
  /** A machine says this many things: one that nobody knows, or one that says to be a guest. */
  | {
      readonly kind: 'strange-talk';
      readonly host: string;
      readonly times: number;
      readonly as?: number;
      readonly forMs: number;
    }
);

const APART_MS = 5_000;
const LENGTHS_MS = [3_000, 20_000, 100_000];

/** The deeds of a seed, in order. */
export function guestDeeds(
  setup: Setup,
  beginMs: number,
  endMs: number,
  chance: Seeded,
): readonly ({ readonly atMs: number } & GuestDeed)[] {
  const deeds: ({ readonly atMs: number } & GuestDeed)[] = [];
  for (let atMs = beginMs; atMs < endMs; atMs += chance.between(0, 2 * APART_MS)) {
    deeds.push({ atMs, ...deedOf(setup, chance) });
  }
  return deeds;
}

function deedOf(setup: Setup, chance: Seeded): GuestDeed {
  const network = chance.below(setup.networks.length);
  const mac = chance.below(setup.networks[network]?.macs.length ?? 1);
  const host = chance.pick(setup.hosts);
  const forMs = chance.pick(LENGTHS_MS) * chance.between(0.5, 1.5);
  const others = setup.hosts.filter((each) => each !== host);
  const delayMs = [0.1, chance.pick([2, 20, 200])] as const;
  return chance.pick<GuestDeed>([
    { kind: 'reboot-guest', network, mac },
    { kind: 'reboot-guest', network, mac },
    { kind: 'move-guest', network, mac, host },
    { kind: 'cut-wire', network, from: host, to: others, forMs },
    { kind: 'cut-wire', network, from: host, to: [chance.pick(setup.hosts)], forMs },
    {
      ...{ kind: 'bad-wire', network, forMs },
      conditions: { delayMs, loss: chance.between(0, 0.3), duplication: chance.between(0, 0.3) },
    },
    { kind: 'strange-talk', network, host, times: 1 + chance.below(10), forMs: 5_000 },
    { kind: 'strange-talk', network, host, times: 1 + chance.below(10), as: mac, forMs: 5_000 },
  ]);
}
