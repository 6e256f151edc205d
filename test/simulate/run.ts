// Runs one schedule and looks after every turn whether all invariants hold.

import { formatIpv4 } from '@leasehold/proto/values';
import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import { serversWanted } from '@leasehold/server/domain/placement';
import type { Slot } from '@leasehold/server/domain/slot';
import { Installation, type Parts } from './installation.js';
import { disagreementOf } from './invariants/agreement.js';
import { wrongAnswerAt, wrongAnswerOf, wrongAuthorityOf, wrongFreedAt } from './invariants/answers.js';
import { MoveInvariants } from './invariants/moves.js';
import { longestRestMs, Rests, resting } from './invariants/rest.js';
import { SessionInvariants } from './invariants/sessions.js';
import { Stillness } from './invariants/stillness.js';
import { StoreInvariants } from './invariants/store.js';
import { type Schedule, type Setup, WARM_MS } from './schedule.js';
import type { Trace } from './trace.js';

/** What is broken. */
export interface Violation {
  readonly invariant: string;
  readonly what: string;
  readonly atMs: number;
}

/** What came of a schedule. */
export interface Outcome {
  readonly seed: number;
  readonly violation: Violation | undefined;
  /** The last lines of what happened. */
  readonly trace: readonly string[];
  /** The same for two runs in which the same happened. */
  readonly digest: string;
  readonly turns: number;
  readonly virtualMs: number;
  /** How often what happened: faults, requests with what came of them, what servers and agents logged, and what was seen. */
  readonly counts: ReadonlyMap<string, number>;
}

// Long enough for backoffs, for brakes to let go, for breakers to close, and for hosts that did not confirm to be tried
// again.
const HEALED_MS = 420_000;
const AFTERWARDS_MS = 1_500;
const SETTLES_MS = 5_000;
const LOOKS_EVERY_MS = 10_000;

/** Runs it. */
export async function runSchedule(schedule: Schedule, parts: Parts = {}): Promise<Outcome> {
  const { seed, setup, actions, endMs } = schedule;
  let violation: Violation | undefined;
  const report = (invariant: string, what: string) => {
    if (violation) return;
    violation = { invariant, what, atMs: installation.world.nowMs };
    installation.trace.say('BROKEN', `${invariant}: ${what}`);
  };
  const promises: StoreInvariants[] = [];
  const installation: Installation = new Installation(seed, setup, parts, {
    witness: new SessionInvariants(
      report,
      (hostId) => installation.hosts.find((host) => host.hostId === hostId)?.files,
    ),
    promises: (disk) => {
      const mayMove = (): boolean => setup.mood === 'any' || installation.world.nowMs < WARM_MS;
      const invariants = new StoreInvariants(disk, report, mayMove, {
        reserved(networkId, address) {
          for (const host of installation.hosts) {
            const wrong = wrongAnswerAt(host, disk, networkId, address);
            if (wrong) report('S4', wrong);
          }
        },
        freed({ networkId, address }) {
          for (const host of installation.hosts) {
            const wrong = wrongFreedAt(host, networkId, address);
            if (wrong) report('S4', wrong);
          }
          const user = installation.guests?.userOf(networkId, address);
          if (user) report('S2', `${user} has ${formatIpv4(address)} of ${networkId}, and it is free`);
        },
      });
      promises.push(invariants);
      return invariants;
    },
    report,
  });
  const { world, disk, trace, hosts, servers, engine } = installation;
  countHandovers(disk, trace);
  const stillness = new Stillness(disk, world, report);
  const afterTurn = () => {
    stillness.look();
    if (servers.some((server) => server.isTouched)) {
      const acting = servers.filter((server) => server.isActing);
      if (acting.length > 1) report('S6', `${acting.map(({ name }) => name).join(' and ')} act as the holder`);
      for (const server of servers) server.isTouched = false;
    }
    if (hosts.some((host) => host.isTouched)) {
      const leading = servers.find((server) => server.isActing);
      const disagreement = disagreementOf(leading, hosts, disk, () =>
        trace.count('seen: servers of a network compared'),
      );
      if (disagreement) report('S5', disagreement);
    }
    for (const host of hosts) {
      if (!host.isTouched) continue;
      host.isTouched = false;
      const unauthorised = wrongAuthorityOf(host, installation.authority);
      if (unauthorised) report('A1', unauthorised);
      const wrong = wrongAnswerOf(host, disk);
      if (wrong) report('S4', wrong);
    }
    // A little longer, for what is logged of it.
    return violation === undefined || world.nowMs < violation.atMs + AFTERWARDS_MS;
  };
  const moves = new MoveInvariants({
    ...{ world, disk, report, troubles: installation.troubles, machines: setup },
    isRunning: (hostId) => hosts.some((host) => host.hostId === hostId && host.process !== undefined),
  });
  if (setup.helpsWithinMs !== undefined) moves.lookForHelp(setup.helpsWithinMs);
  const rests = new Rests(world, disk);
  installation.start();
  for (const action of actions) {
    world.at(action.atMs, () => {
      if ('via' in action) engine.ask(action);
      else installation.suffer(action);
    });
  }
  await world.runUntil(endMs, afterTurn);
  if (setup.restsAtMostMs !== undefined) for (const what of rests.longerThan(setup.restsAtMostMs)) report('L4', what);
  if (!violation) {
    installation.heal();
    world.after(SETTLES_MS, () => {
      for (const hostId of setup.hosts) {
        engine.ask({ kind: 'host', host: hostId, patch: { managed: true, maintenance: false }, via: 0 });
      }
    });
    while (!violation && world.nowMs < endMs + HEALED_MS) {
      await world.runUntil(world.nowMs + LOOKS_EVERY_MS, afterTurn);
      if (world.nowMs > endMs + 2 * SETTLES_MS && unhealed(installation).length === 0) break;
    }
    if (setup.awaitsRest) {
      await world.runUntil(endMs + longestRestMs(disk), afterTurn);
      for (const what of resting(disk)) report('L4', what);
    }
    const vain = vainTries(setup, trace.counts);
    if (vain) report('C1', vain);
    for (const each of promises) each.check();
    for (const what of unhealed(installation)) report('L', what);
  }
  trace.count('seen: events of a watch', installation.watcher.heard);
  return {
    seed,
    violation,
    trace: trace.lines,
    digest: trace.digest(),
    turns: world.turns,
    virtualMs: world.nowMs,
    counts: trace.counts,
  };
}

/** Whether more addresses were tried in vain than may be. */
function vainTries({ vainShare }: Setup, counts: ReadonlyMap<string, number>): string | undefined {
  const of = (what: string) => counts.get(`server: metric ${what}`) ?? 0;
  const [vain, made] = [of('reserveRetries'), of('reserves')];
  if (vainShare === undefined || vain <= vainShare * made) return undefined;
  return `${vain} addresses were tried in vain for ${made} reservations`;
}

/** Counts how often an address went from one MAC to another: without that nothing is shown. */
function countHandovers(disk: MemoryDisk, trace: Trace): void {
  const last = new Map<string, Slot>();
  disk.listen((changes) => {
    for (const change of changes) {
      if (change.kind !== 'slot' || change.slot.state !== 'reserved') continue;
      const { networkId, address, mac, reservationId } = change.slot;
      const key = `${networkId} ${address}`;
      const before = last.get(key);
      last.set(key, change.slot);
      if (before && before.reservationId !== reservationId) {
        trace.count(before.mac === mac ? 'seen: address reserved again' : 'seen: address went to another MAC');
      }
    }
  });
}

/** What is not as it should be long after everything was healed (L1, L2). */
function unhealed({ disk, hosts, guests }: Installation): readonly string[] {
  const wrong: string[] = [...(guests?.unserved() ?? [])];
  for (const network of disk.networks.values()) {
    const { networkId, placements, formerServers, mark } = network;
    const stored = disk
      .slotsInOrder(networkId)
      .filter(({ state }) => state === 'reserved')
      .map(({ address, mac, hostname }) => `${formatIpv4(address)}=${mac} ${hostname}`);
    const wanted = Math.min(serversWanted(network), hosts.length);
    if (placements.length !== wanted) wrong.push(`${networkId} has ${placements.length} placements of ${wanted}`);
    if (formerServers.length > 0) wrong.push(`${networkId} has former servers ${formerServers.map((f) => f.hostId)}`);
    if (mark) wrong.push(`${networkId} is marked`);
    for (const host of hosts) {
      const isPlaced = placements.some(({ hostId }) => hostId === host.hostId);
      const served = [...host.served].find((each) => each.networkId === networkId);
      if (!isPlaced) {
        if (served && served.gate.standing() !== 'silent') wrong.push(`${host.hostId} answers in ${networkId}`);
        continue;
      }
      if (!served) {
        wrong.push(`${host.hostId} does not serve ${networkId}`);
        continue;
      }
      const standing = served.gate.standing();
      if (standing !== 'synchronised') wrong.push(`${host.hostId} is ${standing} in ${networkId}`);
      const answered = Array.from(
        served.table.entries(),
        ({ address, mac, hostname }) => `${address}=${mac} ${hostname}`,
      );
      const missing = stored.filter((each) => !answered.includes(each));
      const more = answered.filter((each) => !stored.includes(each));
      if (missing.length + more.length > 0) {
        wrong.push(`the table of ${host.hostId} in ${networkId} lacks ${missing.join(' ')} and has ${more.join(' ')}`);
      }
    }
  }
  return wrong;
}
