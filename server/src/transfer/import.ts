// Puts an export into a store: read once to know that it is whole, and once more to write it.
//
//   I1. Nothing is written before the last line was checked.
//   I2. What is written is checked again while it is: a file that changes between the two readings is never finished.
//   I3. The store is the one that was exported, one incarnation later: agents take over its tables and its lower session
//       epochs, positions and tokens of watches are those of another one (protocol.md §7).
//   I4. It forgets who was silent or fenced: since the export a host may have come back, and be away again with what nobody
//       knows of. Hosts that are back after a move need neither.

import type { Parsed } from '@leasehold/proto/values';
import type { Counts, Documents, ImportTarget } from '../ports/transfer.js';
import { Ledger } from './ledger.js';
import { documentKind, type Header, type Line } from './lines.js';

/** An export, to be read more than once. */
export interface ExportFile {
  /** Its lines, some at a time; `share`: how much of it was read with them, from 0 to 1. */
  read(): AsyncIterable<{ readonly lines: readonly string[]; readonly share: number }>;
}

/** An export that is whole. */
export interface CheckedExport {
  readonly header: Header;
  readonly counts: Counts;
}

/** Reads an export to its end; what it is, or which line is wrong. `told` hears how much was read, from 0 to 1. */
export async function checkExport(file: ExportFile, told: (share: number) => void): Promise<Parsed<CheckedExport>> {
  const ledger = new Ledger();
  for await (const { lines, share } of file.read()) {
    for (const line of lines) {
      const taken = ledger.take(line);
      if (!taken.ok) return taken;
    }
    told(share);
  }
  const end = ledger.end();
  return end.ok ? { ok: true, value: { header: end.value, counts: ledger.counts } } : end;
}

/** Writes an export that was checked. `told` hears how many documents were written. */
export async function importExport(
  file: ExportFile,
  { header, counts }: CheckedExport,
  target: ImportTarget,
  told: (documents: number) => void,
): Promise<Parsed<undefined>> {
  const { storeUid, incarnation, authorityS, authorityCeilingS, holderEpoch } = header;
  await target.begin({ storeUid, incarnation: incarnation + 1, authorityS, authorityCeilingS, holderEpoch });
  let written = 0;
  let writing: Promise<void> = Promise.resolve();
  const write = async (batch: Documents) => {
    await target.write(asHeard(batch));
    written += batch.documents.length;
    told(written);
  };
  // The next batch is read while one is written.
  for await (const batch of batchesOf(file)) {
    await writing;
    if (!batch.ok) return { ok: false, problem: `the file changed while it was read: ${batch.problem}` };
    writing = write(batch.value);
    writing.catch(() => undefined);
  }
  await writing;
  await target.finish(counts);
  return { ok: true, value: undefined };
}

/** The same without what was known of anybody's silence (I4). */
function asHeard(batch: Documents): Documents {
  if (batch.kind === 'hosts') {
    return { kind: 'hosts', documents: batch.documents.map(({ silentForS: _s, fence: _f, ...host }) => host) };
  }
  if (batch.kind !== 'networks') return batch;
  const documents = batch.documents.map((network) => ({
    ...network,
    formerServers: network.formerServers.map(({ silentForS: _s, fenced: _f, ...former }) => former),
  }));
  return { kind: 'networks', documents };
}

const AT_ONCE = 10_000;

/** The documents of an export, some at a time; a refusal is the last. */
async function* batchesOf(file: ExportFile): AsyncGenerator<Parsed<Documents>> {
  const ledger = new Ledger(false);
  let kind: Documents['kind'] | undefined;
  let documents: Line['content'][] = [];
  for await (const { lines } of file.read()) {
    for (const line of lines) {
      const taken = ledger.take(line);
      if (!taken.ok) {
        yield taken;
        return;
      }
      const next = documentKind(taken.value);
      if (documents.length > 0 && (next !== kind || documents.length >= AT_ONCE)) {
        yield { ok: true, value: { kind, documents } as Documents };
        documents = [];
      }
      kind = next;
      if (kind !== undefined) documents.push(taken.value.content);
    }
  }
  const end = ledger.end();
  if (!end.ok) yield end;
}
