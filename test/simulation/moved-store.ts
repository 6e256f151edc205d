// A store in memory that is exported, and imported in another place, by the product's own export and import.

import { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { Revision, WallTime } from '@leasehold/server/domain/ids';
import type { Documents, ImportTarget } from '@leasehold/server/ports/transfer';
import { ExportPrinter } from '@leasehold/server/transfer/export';
import { checkExport, importExport } from '@leasehold/server/transfer/import';

/** What `leasehold-server export` would write of a store that only one server used. */
export function exported(disk: MemoryDisk): readonly string[] {
  const { incarnation, authorityS = 0, authorityCeilingS, starts } = disk;
  const identity = { storeUid: 'memory', incarnation, authorityS, authorityCeilingS, holderEpoch: starts };
  const printer = new ExportPrinter(identity, 0 as WallTime);
  printer.add({ kind: 'networks', documents: byId(disk.networks) });
  printer.add({ kind: 'hosts', documents: byId(disk.hosts) });
  printer.add({ kind: 'slots', documents: disk.slotsInOrder() });
  printer.add({ kind: 'history', documents: byId(disk.history) });
  printer.end();
  return printer.take().trimEnd().split('\n');
}

/** What `leasehold-server import` makes of it. */
export async function imported(lines: readonly string[]): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const target: ImportTarget = {
    look: async () => 'empty',
    async begin({ incarnation, authorityS, authorityCeilingS, holderEpoch }) {
      Object.assign(disk, { incarnation, authorityS, authorityCeilingS, starts: holderEpoch });
    },
    write: async (documents) => write(disk, documents),
    finish: async () => undefined,
    close: async () => undefined,
  };
  const file = {
    async *read() {
      yield { lines, share: 1 };
    },
  };
  const checked = await checkExport(file, () => undefined);
  if (!checked.ok) throw new Error(checked.problem);
  const done = await importExport(file, checked.value, target, () => undefined);
  if (!done.ok) throw new Error(done.problem);
  return disk;
}

function byId<T>(documents: ReadonlyMap<string, T>): readonly T[] {
  return [...documents].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, document]) => document);
}

function write(disk: MemoryDisk, { kind, documents }: Documents): void {
  if (kind === 'networks') for (const network of documents) disk.networks.set(network.networkId, network);
  if (kind === 'hosts') for (const host of documents) disk.hosts.set(host.hostId, host);
  if (kind === 'slots') {
    for (const slot of documents) disk.putSlot({ ...slot, revision: (slot.revision - 1) as Revision }, []);
  }
  if (kind === 'history') for (const ended of documents) disk.putEnded(ended);
}
