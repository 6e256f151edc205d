// A place for one store of either kind, to move out of and into.

import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@leasehold/program/clock';
import { systemClock } from '@leasehold/program/system-clock';
import { openEmbeddedStore } from '@leasehold/server/adapters/embedded/embedded-store';
import type { WallTime } from '@leasehold/server/domain/ids';
import { openSource, targetOf } from '@leasehold/server/open-transfer';
import type { Store } from '@leasehold/server/ports/store';
import type { Documents, ExportSource, ImportTarget, StoreIdentity } from '@leasehold/server/ports/transfer';
import type { StoreTarget } from '@leasehold/server/store-target';
import { ExportPrinter, exportLines } from '@leasehold/server/transfer/export';
import { checkExport, type ExportFile, importExport } from '@leasehold/server/transfer/import';
import { mongodbPlace } from '../conformance/mongodb-place.js';
import { temporaryDirectory } from './sandbox.js';

const entropy = { random: Math.random, bytes: (length: number) => randomBytes(length) };
const clock = systemClock();
// An export waits for seconds whether somebody leads.
const HURRY = 20;
const hurried: Clock = {
  now: () => HURRY * clock.now(),
  wallTime: () => clock.wallTime(),
  after: (delayMs, run) => clock.after(delayMs / HURRY, run),
};

/** Where a store is, or will be. */
export interface MovingPlace extends AsyncDisposable {
  readonly store: StoreTarget;
  target(): ImportTarget;
  source(): Promise<ExportSource>;
  /** As a server opens it. */
  open(): Promise<Store>;
}

/** A place in a directory that is not there yet. */
export function embeddedMovingPlace(): MovingPlace {
  const temporary = temporaryDirectory('moving-');
  const path = join(temporary.path, 'store');
  const broken = (error: unknown) => {
    throw error;
  };
  return {
    ...placeOf({ kind: 'embedded', path }),
    open: () => openEmbeddedStore(path, { clock, entropy, onFatal: broken, onDefect: broken }),
    async [Symbol.asyncDispose]() {
      rmSync(temporary.path, { recursive: true });
    },
  };
}

/** A place in a database that is not there yet. */
export function mongodbMovingPlace(uri: string): MovingPlace {
  const place = mongodbPlace(uri, { clock });
  return { ...placeOf({ kind: 'mongodb', uri }), open: place.open, [Symbol.asyncDispose]: place.remove };
}

function placeOf(store: StoreTarget) {
  return { store, target: () => targetOf(store, entropy), source: () => openSource(store, hurried) };
}

/** An export of documents. */
export function printExport(identity: StoreIdentity, all: readonly Documents[]): readonly string[] {
  const printer = new ExportPrinter(identity, 0 as WallTime);
  for (const documents of all) printer.add(documents);
  printer.end();
  return printer.take().trimEnd().split('\n');
}

/** What `leasehold-server export` writes, as lines. */
export async function exportFrom(place: MovingPlace): Promise<readonly string[]> {
  const source = await place.source();
  try {
    let text = '';
    for await (const chunk of exportLines(source, 0 as WallTime, () => undefined)) text += chunk;
    return text.trimEnd().split('\n');
  } finally {
    await source.close();
  }
}

/** Does what `leasehold-server import` does. `told` hears how many documents were written. */
export async function importInto(
  place: Pick<MovingPlace, 'target'>,
  lines: readonly string[],
  told: (documents: number) => void = () => undefined,
): Promise<void> {
  const target = place.target();
  try {
    await target.look();
    const file = fileOf(lines);
    const checked = await checkExport(file, () => undefined);
    if (!checked.ok) throw new Error(checked.problem);
    const imported = await importExport(file, checked.value, target, told);
    if (!imported.ok) throw new Error(imported.problem);
  } finally {
    await target.close();
  }
}

/** Lines as a file; each time it is read, those of that time. */
export function fileOf(...readings: readonly (readonly string[])[]): ExportFile {
  let times = 0;
  return {
    async *read() {
      const lines = readings[Math.min(times++, readings.length - 1)] ?? [];
      // In two parts, wherever that cuts.
      const middle = lines.length >> 1;
      yield { lines: lines.slice(0, middle), share: 0.5 };
      yield { lines: lines.slice(middle), share: 1 };
    },
  };
}
