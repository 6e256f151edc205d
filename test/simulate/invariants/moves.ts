// What the manager does about hosts whose agents do not run, beside what it may and must do (docs/placement.md).
//
//   S9  Within a minute one managed host in a hundred, and at least one, loses placements because it is believed dead. What
//       a network loses that has no other live server does not count. A new holder knows nothing of the losses before it.
//   L1  A network all of whose servers are gone is placed on another host in time, if there is one.

import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { HostId, Uid } from '@leasehold/server/domain/ids';
import type { Network, Placement } from '@leasehold/server/domain/network';
import { serversWanted } from '@leasehold/server/domain/placement';
import type { World } from '../world.js';
import type { Report } from './store.js';
import type { Troubles } from './troubles.js';

/** What is looked at. */
export interface MovesParts {
  readonly world: World;
  readonly disk: MemoryDisk;
  readonly troubles: Troubles;
  readonly machines: { readonly servers: readonly string[]; readonly hosts: readonly string[] };
  /** Whether a host's agent runs. */
  readonly isRunning: (hostId: string) => boolean;
  readonly report: Report;
}

// By a clock that is fast, and with a write that comes late.
const WINDOW_MS = 57_000;
const SHARE = 0.01;
// What is decided of it by then was decided before; nobody is called down so early.
const GONE_MS = 1_500;
// By then nobody takes it for anything but well, and may not choose another before it.
const WELL_MS = 35_000;
// A host that was silent counts as such for a minute.
const FORGOTTEN_MS = 75_000;
const LOOKS_EVERY_MS = 500;

/** See the top of the file. */
export class MoveInvariants {
  readonly #parts: MovesParts;
  #losses: { readonly uid: Uid; readonly hostId: HostId; readonly atMs: number }[] = [];
  #holderEpoch = 0;

  constructor(parts: MovesParts) {
    this.#parts = parts;
    parts.disk.listen((changes) => {
      for (const change of changes) {
        if (change.kind === 'network' && change.before) this.#changed(change.network, change.before);
      }
    });
  }

  /** Looks from now on whether every network is helped in that time. */
  lookForHelp(withinMs: number): void {
    const { world } = this.#parts;
    world.after(LOOKS_EVERY_MS, () => {
      for (const network of this.#parts.disk.networks.values()) this.#checkHelp(network, withinMs);
      this.lookForHelp(withinMs);
    });
  }

  #changed(network: Network, before: Network): void {
    const { world, disk, report } = this.#parts;
    if (network.holderEpoch > this.#holderEpoch) {
      this.#holderEpoch = network.holderEpoch;
      this.#losses = [];
    }
    if (network.deleted || serversWanted(network) < before.placements.length) return;
    const epochs = new Set(network.placements.map(({ epoch }) => epoch));
    const staying = before.placements.filter(({ epoch }) => epochs.has(epoch));
    if (!staying.some(({ hostId }) => this.#isWell(hostId))) return;
    const atMs = world.nowMs;
    const isLost = (each: Placement) => !epochs.has(each.epoch) && this.#isDead(each) && !isForgotten(network, each);
    const lost = before.placements.filter(isLost);
    const recent = this.#losses.filter((each) => atMs - each.atMs < WINDOW_MS);
    this.#losses = [...recent, ...lost.map(({ hostUid: uid, hostId }) => ({ uid, hostId, atMs }))];
    const losers = new Set(this.#losses.map(({ hostId }) => hostId));
    const managed = [...disk.hosts.values()].filter((host) => host.managed).length;
    if (losers.size > Math.max(1, Math.floor(SHARE * managed))) {
      report('S9', `${[...losers].join(', ')} lost placements within a minute, ${network.networkId} the last one`);
    }
  }

  /** It is wanted, and believed dead. */
  #isDead({ hostId, hostUid }: Placement): boolean {
    const { disk, troubles, isRunning } = this.#parts;
    const host = disk.hosts.get(hostId);
    const isWanted = host?.uid === hostUid && host.managed && !host.maintenance;
    return isWanted && !isRunning(hostId) && troubles.goneForMs(hostId) >= GONE_MS;
  }

  #isWell(hostId: string): boolean {
    const { troubles, isRunning } = this.#parts;
    return isRunning(hostId) && troubles.calmForMs(hostId) >= WELL_MS;
  }

  #checkHelp({ networkId, placements }: Network, withinMs: number): void {
    const { troubles, machines, isRunning, report } = this.#parts;
    if (placements.length === 0) return;
    const isLeft = placements.every(({ hostId }) => !isRunning(hostId) && troubles.goneForMs(hostId) > withinMs);
    const areServersWell = machines.servers.every((name) => troubles.calmForMs(name) >= FORGOTTEN_MS);
    const isHelpful = machines.hosts.some((hostId) => this.#isWell(hostId));
    if (!isLeft || !areServersWell || !isHelpful) return;
    report('L1', `${networkId} is left to ${placements.map(({ hostId }) => hostId)}, and others are well`);
  }
}

/** Somebody asked to forget the host: what is known of its silence is kept in the network. */
function isForgotten({ formerServers }: Network, { epoch }: Placement): boolean {
  const entry = formerServers.find((former) => former.epoch === epoch);
  return (entry?.silentForS ?? entry?.fenced) !== undefined;
}
