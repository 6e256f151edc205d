// Makes the lines of an export.

import type { WallTime } from '../domain/ids.js';
import type { Counts, Documents, ExportSource, StoreIdentity } from '../ports/transfer.js';
import { Checksum } from './checksum.js';
import { LINE_KINDS, type Line, printLine, VERSION } from './lines.js';

// Long enough that writing it costs little, short enough to be held by the dozen.
const CHUNK_LENGTH = 262_144;

/** Prints what a source holds, in chunks of whole lines; `told` hears how many documents were printed so far. */
export async function* exportLines(
  source: ExportSource,
  exportTime: WallTime,
  told: (counts: Counts) => void,
): AsyncGenerator<string> {
  const printer = new ExportPrinter(source.identity, exportTime);
  for await (const documents of source.documents()) {
    printer.add(documents);
    told(printer.counts);
    if (printer.length >= CHUNK_LENGTH) yield printer.take();
  }
  // Before the line without which the rest is nothing.
  await source.confirm();
  printer.end();
  yield printer.take();
}

/** The text of an export, as it grows. */
export class ExportPrinter {
  readonly #checksum = new Checksum();
  readonly #counts = { networks: 0, hosts: 0, slots: 0, history: 0, audit: 0 };
  #text = '';

  constructor(identity: StoreIdentity, exportTime: WallTime) {
    this.#print({ kind: 'header', content: { version: VERSION, ...identity, exportTime } });
  }

  /** How many documents were printed. */
  get counts(): Counts {
    return { ...this.#counts };
  }

  /** How long the text is that was not taken yet. */
  get length(): number {
    return this.#text.length;
  }

  /** Prints documents. Their order is the caller's part (ledger.ts, L1). */
  add({ kind, documents }: Documents): void {
    for (const content of documents) this.#print({ kind: LINE_KINDS[kind], content } as Line);
    this.#counts[kind] += documents.length;
  }

  /** Prints the last line. */
  end(): void {
    this.#print({ kind: 'trailer', content: { ...this.#counts, sha256: this.#checksum.value() } });
  }

  /** The text since it was taken last: whole lines. */
  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  #print(line: Line): void {
    const text = printLine(line);
    this.#checksum.add(text);
    this.#text += `${text}\n`;
  }
}
