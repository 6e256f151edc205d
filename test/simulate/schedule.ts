// What happens in a run, as data drawn from a seed: leaving an action out leaves the others as they are.

import { type GuestDeed, guestDeeds } from './guest-schedule.js';
import { macsOf } from './macs.js';
import { type SceneName, sceneOf } from './scenes.js';
import { Seeded } from './seeded.js';

/**
 * What goes wrong in a run: anything; or hosts are well, nobody changes what is wanted of them, and nothing may move:
 * while servers are restarted (S7), or while whatever else of the control plane is sick (S8).
 */
export const MOODS = ['any', 'restarts', 'sick'] as const;
/** One of them. */
export type Mood = (typeof MOODS)[number];

/** How an installation is made. */
export interface Setup {
  readonly mood: Mood;
  readonly servers: readonly string[];
  /** Whether the only server has the store to itself. */
  readonly isEmbedded: boolean;
  readonly hosts: readonly string[];
  readonly networks: readonly NetworkSetup[];
  /** S. */
  readonly authorityS: number;
  readonly watchLagMs: number;
  readonly usualLatencyMs: number;
  /** How many packets are slow. */
  readonly slowShare: number;
  readonly slowLatencyMs: number;
  /** Whether messages go through their encoding. */
  readonly isEncoded: boolean;
  /** How far wrong clocks go, either way. */
  readonly drift: number;
  /** Whether there are guests, on wires, and hosts answer them with packets. */
  readonly hasGuests: boolean;
  /** Whether the clocks of servers go as much too fast as they may, and all others as much too slow. */
  readonly isApart?: boolean;
  /** Whether a guest that nobody says to be stopped lives on its lease alone, and its MAC goes to another one. */
  readonly leavesGuests?: boolean;
  /** Whether after all is healed every address that rests must become free. */
  readonly awaitsRest?: boolean;
  /** How long an address may rest though hosts are away; absent: nobody looks. */
  readonly restsAtMostMs?: number;
  /** Within which time a network is placed anew whose only server lost its power; absent: nobody looks. */
  readonly helpsWithinMs?: number;
  /** Of the reservations that were made, how many more addresses may be tried in vain; absent: nobody looks. */
  readonly vainShare?: number;
}

/** A network with one subnet, of the same name. */
export interface NetworkSetup {
  readonly name: string;
  readonly cidr: string;
  readonly dhcpServerCount: number;
  readonly leaseTimeS: number;
  readonly reuseDelayS: number;
  readonly macs: readonly string[];
}

/** What happens at some time. A fault ends by itself after `forMs`. */
export type Action = { readonly atMs: number } & Deed;

/** Something that happens. */
export type Deed = Fault | GuestDeed | Request;

/** What goes wrong, until it does not any more. */
export type Fault =
  | { readonly kind: 'kill-server' | 'stop-server' | 'stall-server'; readonly server: string; readonly forMs: number }
  | { readonly kind: 'kill-servers'; readonly forMs: number }
  | {
      readonly kind: 'kill-host' | 'reboot-host' | 'stall-host' | 'unplug-host';
      readonly host: string;
      readonly forMs: number;
    }
  | { readonly kind: 'disk'; readonly host: string; readonly disk: 'full' | 'slow'; readonly forMs: number }
  /** Ways between every one of some machines and every one of others. */
  | {
      readonly kind: 'cut';
      readonly of: readonly string[];
      readonly from: readonly string[];
      readonly way: 'both' | 'there' | 'back';
      readonly forMs: number;
    }
  | { readonly kind: 'store-trouble'; readonly brokenShare: number; readonly lateShare: number; readonly forMs: number }
  | { readonly kind: 'lose-watch'; readonly server: string }
  /** The watch of a server shows nothing, and everything later. */
  | { readonly kind: 'hold-watch'; readonly server: string; readonly forMs: number }
  /**
   * All servers start anew on a copy of the store in which the lead is some terms older; then on what was exported and
   * imported, which is how such a copy is put right.
   */
  | { readonly kind: 'old-lead'; readonly terms: number; readonly forMs: number }
  /** A server is killed, and started with another S. */
  | { readonly kind: 'new-authority'; readonly server: string; readonly authorityS: number; readonly forMs: number }
  /** Another fault, so long after the store shows something next: a mark that is set, or an address that is reserved. */
  | { readonly kind: 'when'; readonly seen: 'mark' | 'reserved'; readonly afterMs: number; readonly fault: Fault }
  | { readonly kind: 'step-clock'; readonly machine: string; readonly byMs: number };

/** What engines and operators ask for, at one of the servers first. */
export type Request = { readonly via: number } & (
  | {
      readonly kind: 'reserve';
      readonly network: number;
      readonly mac: number;
      /** Whether it is the next MAC that has no address, from that one on. */
      readonly isNew: boolean;
      /** Which address of the subnet, the first one being 1; undefined: any. */
      readonly address?: number;
      readonly hasRequestId: boolean;
      /** Whether it is asked of two servers at once. */
      readonly isTwice: boolean;
    }
  | {
      readonly kind: 'release';
      readonly network: number;
      /** Of the next MAC that has an address, from this one on. */
      readonly mac: number;
      readonly guestStopped: boolean;
      readonly by: 'id' | 'request' | 'guarded-address';
    }
  /** The next MAC that has an address, from this one on, gets another hostname. */
  | { readonly kind: 'rename'; readonly network: number; readonly mac: number; readonly hostname: string }
  | { readonly kind: 'count'; readonly network: number; readonly dhcpServerCount: number }
  | {
      readonly kind: 'subnet';
      readonly network: number;
      readonly change:
        | 'lease-time'
        | 'least-lease-time'
        | 'exclude'
        | 'include'
        | 'gateway'
        | 'no-gateway'
        | 'delete'
        | 'create';
    }
  | { readonly kind: 'host'; readonly host: string; readonly patch: { maintenance?: boolean; managed?: boolean } }
  | { readonly kind: 'delete-host'; readonly host: string }
  | { readonly kind: 'fence'; readonly host: string }
  /** The network itself; only one without a subnet can be deleted. */
  | { readonly kind: 'network'; readonly network: number; readonly change: 'delete' | 'create' }
  /** One of the reservations that requests with an id made, or of the releases that were answered, once more. */
  | { readonly kind: 'repeat' | 'repeat-release'; readonly network: number; readonly nth: number }
  /** What can only be refused. */
  | {
      readonly kind: 'bad';
      readonly network: number;
      readonly mistake: 'far-address' | 'short-lease' | 'wide-exclusion';
    }
);

/** What a run is. */
export interface Schedule {
  readonly seed: number;
  readonly setup: Setup;
  readonly actions: readonly Action[];
  /** When everything is healed. */
  readonly endMs: number;
}

const MINUTE_MS = 60_000;
/** Until then networks are made and placed. */
export const WARM_MS = 20_000;

// Denser and shorter finds more in its time, down to the minutes that it takes a host to be silent for S, and an address to
// rest for L after that.
const LENGTH_MINUTES = { least: 5, most: 11 };
const FAULTS_APART_MS = 8_000;
const MISFORTUNE_MS = 15_000;
const REQUESTS_APART_MS = 2_000;
/** Of the requests, how many a change of a reservation comes after, and how soon. */
const RENAMED_SHARE = 0.15;
const RENAMED_WITHIN_MS = 1_000;
/** They cost time: some runs do without. */
const GUESTS_SHARE = 0.5;
const LENGTHS_MS = [500, 3_000, 8_000, 30_000, 100_000, 250_000];

/** What is not left to the seed. */
export interface ScheduleOptions {
  readonly minutes?: number | undefined;
  readonly mood?: Mood | undefined;
  readonly hasGuests?: boolean | undefined;
  /** What alone happens: not what chance brings about, but what one rule is for. */
  readonly scene?: SceneName | undefined;
}

/** The schedule of a seed. */
export function scheduleOf(seed: number, options: ScheduleOptions = {}): Schedule {
  const { minutes, mood, hasGuests, scene } = options;
  const chance = new Seeded(seed).of('schedule');
  const drawn: Setup = {
    ...setupOf(chance.of('setup')),
    ...(mood && { mood }),
    ...(hasGuests !== undefined && { hasGuests }),
  };
  const endMs = (minutes ?? chance.between(LENGTH_MINUTES.least, LENGTH_MINUTES.most)) * MINUTE_MS;
  const staged = scene && sceneOf(scene);
  const setup = staged ? staged.setupOf(drawn, chance.of('scene setup')) : drawn;
  const actions = staged
    ? staged.actionsOf(setup, WARM_MS, endMs, chance.of(`scene ${scene}`))
    : [
        ...faults(setup, endMs, chance.of('faults')),
        ...(setup.hasGuests ? guestDeeds(setup, WARM_MS, endMs, chance.of('guest deeds')) : []),
      ];
  const asked = staged && !staged.hasRequests ? [] : requests(setup, endMs, chance.of('requests'));
  return { seed, setup, actions: inTime([...actions, ...asked], endMs), endMs };
}

/** Those that begin before the end, in their order. */
function inTime(actions: readonly Action[], endMs: number): readonly Action[] {
  return actions.filter(({ atMs }) => atMs < endMs).sort((a, b) => a.atMs - b.atMs);
}

function setupOf(chance: Seeded): Setup {
  const count = chance.pick([3, 3, 4, 5]);
  const servers = ['s1', 's2', 's3'].slice(0, chance.pick([1, 2, 2, 3, 3]));
  return {
    mood: 'any',
    servers,
    isEmbedded: servers.length === 1 && chance.chance(0.7),
    hosts: Array.from({ length: count }, (_, i) => `h${i + 1}`),
    networks: ['red', 'blue'].slice(0, chance.pick([1, 2])).map((name, i) => ({
      name,
      // Fewer addresses than MACs want: each goes from one to the other.
      cidr: `10.0.${i}.0/${chance.pick([28, 29, 29, 29])}`,
      dhcpServerCount: chance.pick([1, 2, 2, 3]),
      leaseTimeS: 120,
      reuseDelayS: 30,
      macs: macsOf(i, chance.pick([3, 24, 40, 60])),
    })),
    authorityS: Math.round(chance.between(60, 120)),
    watchLagMs: chance.pick([2, 20, 200, 1_500]),
    usualLatencyMs: chance.pick([1, 5, 20]),
    slowShare: chance.pick([0, 0.01, 0.05]),
    slowLatencyMs: chance.pick([100, 500]),
    isEncoded: chance.chance(0.2),
    drift: 0.01,
    hasGuests: chance.of('guests').chance(GUESTS_SHARE),
  };
}

function faults(setup: Setup, endMs: number, chance: Seeded): readonly Action[] {
  const actions: Action[] = [];
  // Some runs are calm, so that what takes minutes of nothing else happens too.
  const calm = chance.pick([0.5, 1, 2, 5, 10]);
  const apartMs = FAULTS_APART_MS * calm;
  const misfortune = calm < 5 ? 0.25 : 0.7;
  for (let atMs = WARM_MS; atMs < endMs; atMs += chance.between(0, 2 * apartMs)) {
    const next =
      setup.mood === 'any' && chance.chance(misfortune) ? misfortunes(setup, chance) : [fault(setup, chance)];
    for (const each of next) actions.push({ atMs: atMs + chance.between(0, MISFORTUNE_MS), ...each });
  }
  return actions;
}

/**
 * Most schedules that matter take several faults of the same machine: a host is cut off for long, or the server that may
 * lead, and more happens to it meanwhile.
 */
function misfortunes(setup: Setup, chance: Seeded): readonly Fault[] {
  const forMs = chance.between(60_000, 400_000);
  const shortMs = chance.between(200, 10_000);
  const way = chance.pick(['both', 'both', 'there', 'back'] as const);
  const server = chance.pick(setup.servers);
  const host = chance.pick(setup.hosts);
  if (chance.chance(0.2)) {
    const others: readonly Fault[] = [
      { kind: 'cut', of: [server], from: ['store'], way: chance.pick(['both', 'there', 'back']), forMs },
      { kind: 'cut', of: [server], from: setup.hosts, way, forMs },
      { kind: 'stall-server', server, forMs: chance.between(3_000, 30_000) },
      { kind: 'cut', of: setup.hosts.filter((each) => each !== host), from: [server], way, forMs: forMs / 2 },
      { kind: 'lose-watch', server },
    ];
    // All of them, for longer than S: then every host is silent, and a new holder knows nobody.
    const first: Fault = chance.chance(0.3) ? { kind: 'kill-servers', forMs: forMs / 2 } : (others[0] as Fault);
    return [first, chance.pick(others.slice(1)), chance.pick(others.slice(1))];
  }
  const more: readonly Fault[] = [
    { kind: 'kill-host', host, forMs: shortMs },
    { kind: 'reboot-host', host, forMs: shortMs },
    { kind: 'stall-host', host, forMs: chance.between(1_000, 200_000) },
    { kind: 'unplug-host', host, forMs: shortMs },
    { kind: 'disk', host, disk: chance.pick(['full', 'slow']), forMs: shortMs },
    { kind: 'kill-servers', forMs: shortMs },
  ];
  const cut: Fault = { kind: 'cut', of: [host], from: setup.servers, way, forMs };
  return [cut, chance.pick(more), chance.pick(more)].slice(0, 1 + chance.below(3));
}

function fault(setup: Setup, chance: Seeded): Fault {
  const host = chance.pick(setup.hosts);
  const server = chance.pick(setup.servers);
  const hasRest = setup.servers.length > 1;
  const forMs = chance.pick(LENGTHS_MS) * chance.between(0.5, 1.5);
  const shortMs = chance.pick(LENGTHS_MS.slice(0, 4)) * chance.between(0.5, 1.5);
  const way = chance.pick(['both', 'both', 'there', 'back'] as const);
  const ofHost: readonly Fault[] = [
    { kind: 'kill-host', host, forMs },
    { kind: 'reboot-host', host, forMs },
    { kind: 'stall-host', host, forMs },
    { kind: 'unplug-host', host, forMs: shortMs },
    { kind: 'cut', of: [host], from: setup.servers, way, forMs },
    { kind: 'cut', of: [host], from: setup.servers, way, forMs },
    { kind: 'cut', of: [host], from: [server], way, forMs },
    { kind: 'disk', host, disk: chance.pick(['full', 'slow'] as const), forMs: shortMs },
    { kind: 'step-clock', machine: host, byMs: chance.between(-86_400_000, 86_400_000) },
  ];
  const quickMs = chance.between(100, 3_000);
  const ofRestarts: readonly Fault[] = [
    { kind: 'kill-server', server, forMs: quickMs },
    { kind: 'stop-server', server, forMs: quickMs },
    { kind: 'kill-servers', forMs: quickMs },
    { kind: 'lose-watch', server },
    { kind: 'step-clock', machine: server, byMs: chance.between(-86_400_000, 86_400_000) },
  ];
  const ofOthers: readonly Fault[] = [
    { kind: 'kill-server', server, forMs: hasRest ? forMs : shortMs },
    { kind: 'stop-server', server, forMs: shortMs },
    { kind: 'stall-server', server, forMs: shortMs },
    { kind: 'kill-servers', forMs: shortMs },
    { kind: 'cut', of: [server], from: ['store'], way, forMs: hasRest ? forMs : shortMs },
    { kind: 'cut', of: setup.servers, from: ['store'], way, forMs: shortMs },
    { kind: 'cut', of: setup.hosts, from: setup.servers, way, forMs: shortMs },
    { kind: 'store-trouble', brokenShare: chance.between(0, 0.5), lateShare: chance.random(), forMs: shortMs },
    { kind: 'lose-watch', server },
    { kind: 'step-clock', machine: server, byMs: chance.between(-86_400_000, 86_400_000) },
  ];
  if (setup.mood === 'restarts') return chance.pick(ofRestarts);
  if (setup.mood === 'sick') return chance.pick(ofOthers);
  // Whenever another server leads, every wait for an address begins anew.
  return chance.pick(chance.chance(0.8) ? ofHost : ofOthers);
}

function requests(setup: Setup, endMs: number, chance: Seeded): readonly Action[] {
  const actions: Action[] = [];
  const apartMs = REQUESTS_APART_MS * chance.pick([0.5, 1, 2]);
  const renames = chance.of('renames');
  for (let atMs = WARM_MS / 2; atMs < endMs; atMs += chance.between(0, 2 * apartMs)) {
    actions.push({ atMs, via: chance.below(setup.servers.length), ...request(setup, chance) });
    if (renames.chance(RENAMED_SHARE)) actions.push(rename(setup, atMs, renames));
  }
  return actions;
}

function rename(setup: Setup, afterMs: number, chance: Seeded): Action {
  const network = chance.below(setup.networks.length);
  return {
    atMs: afterMs + chance.between(0, RENAMED_WITHIN_MS),
    via: chance.below(setup.servers.length),
    ...{ kind: 'rename', network, mac: chance.below(setup.networks[network]?.macs.length ?? 1) },
    hostname: `guest-${chance.below(1_000)}`,
  };
}

type Asked = Request extends infer R ? (R extends Request ? Omit<R, 'via'> : never) : never;

function request(setup: Setup, chance: Seeded): Asked {
  const network = chance.below(setup.networks.length);
  const mac = chance.below(setup.networks[network]?.macs.length ?? 1);
  const host = chance.pick(setup.hosts);
  const hasRequestId = chance.chance(0.5);
  const isTwice = chance.chance(0.1);
  const isNew = chance.chance(0.7);
  // More than are released: tables are full of addresses that others wait for.
  if (chance.chance(0.6)) {
    const address = chance.chance(0.2) ? 1 + chance.below(8) : undefined;
    return { kind: 'reserve', network, mac, isNew, hasRequestId, isTwice, ...(address !== undefined && { address }) };
  }
  if (setup.mood !== 'any' || chance.chance(0.75)) {
    const by = chance.pick(['id', 'request', 'guarded-address'] as const);
    return { kind: 'release', network, mac, guestStopped: chance.chance(0.5), by };
  }
  return chance.pick<Asked>([
    { kind: 'count', network, dhcpServerCount: chance.pick([1, 2, 2, 3]) },
    { kind: 'subnet', network, change: chance.pick(['lease-time', 'exclude', 'include', 'gateway', 'no-gateway']) },
    { kind: 'subnet', network, change: chance.pick(['delete', 'create', 'create']) },
    { kind: 'host', host, patch: { maintenance: chance.chance(0.4) } },
    { kind: 'host', host, patch: { managed: chance.chance(0.7) } },
    { kind: 'delete-host', host },
    { kind: 'bad', network, mistake: chance.pick(['far-address', 'short-lease', 'wide-exclusion']) },
  ]);
}
