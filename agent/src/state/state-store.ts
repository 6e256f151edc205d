// What an agent knows, on disk: one record of itself, and per network an image of its table and a journal.
//
//   D1. Calls for one file take effect in the order they were made.
//   D2. A file that is not as it was written is set aside as `.corrupt` and said so in one line; never half read.
//   D3. A table whose store or incarnation is not the agent's is not restored.

import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import type { Delivery } from '@leasehold/proto/ipam/v1/session';
import type { StoreIdentity } from '../session/session.js';
import { type AgentRecord, decodeAgentRecord, encodeAgentRecord } from './agent-record.js';
import { sha256 } from './records.js';
import type { StateFiles } from './state-files.js';
import {
  decodeTable,
  encodeDeliveries,
  encodeImage,
  encodeJournalHead,
  type RestoredTable,
  type TableImage,
} from './table-image.js';

const AGENT_FILE = 'agent.json';
const IMAGE = '.table';
const JOURNAL = '.journal';
const CORRUPT = '.corrupt';

// Below this a journal is not worth rewriting the table for.
const MIN_OUTGROWN_BYTES = 64 * 1024;

/** What was on the disk when the agent started. */
export interface LoadedState {
  readonly agent: AgentRecord | undefined;
  readonly tables: readonly RestoredTable[];
}

interface Written {
  readonly imageId: string;
  readonly imageBytes: number;
  journalBytes: number;
}

/** The agent's memory across restarts. */
export class StateStore {
  readonly #files: StateFiles;
  readonly #entropy: Entropy;
  readonly #log: Log;
  readonly #written = new Map<string, Written>();
  /** The last call of each file: the next one waits for it. */
  readonly #last = new Map<string, Promise<unknown>>();

  constructor({ files, entropy, log }: { files: StateFiles; entropy: Entropy; log: Log }) {
    this.#files = files;
    this.#entropy = entropy;
    this.#log = log;
  }

  /** Reads everything. Called once, first. */
  async load(): Promise<LoadedState> {
    const agent = await this.#loadAgent();
    const tables: RestoredTable[] = [];
    const names = await this.#files.list();
    for (const name of names.filter((name) => name.endsWith(IMAGE)).toSorted()) {
      const table = await this.#loadTable(name, agent?.identity);
      if (table) tables.push(table);
    }
    for (const name of names.filter((name) => name.endsWith(JOURNAL))) {
      // Left by a removal that a crash interrupted after the image was gone.
      if (!names.includes(name.replace(JOURNAL, IMAGE))) await this.#files.remove(name);
    }
    return { agent, tables };
  }

  /** Writes the agent's record; resolves when it is on the disk. */
  saveAgent(record: AgentRecord): Promise<void> {
    const bytes = encodeAgentRecord(record);
    return this.#inOrder(AGENT_FILE, () => this.#files.write(AGENT_FILE, bytes));
  }

  /** Writes a whole table as it is now, in the place of everything that was written of it. */
  saveTable(identity: StoreIdentity, networkId: string, { placementEpoch, table }: TableImage): Promise<void> {
    const imageId = Buffer.from(this.#entropy.bytes(16)).toString('hex');
    const { storeUid, incarnation } = identity;
    const header = { networkId, storeUid, imageId };
    const image = encodeImage(
      { ...header, placementEpoch: String(placementEpoch), incarnation: String(incarnation) },
      table,
    );
    const name = fileName(networkId);
    return this.#inOrder(name, async () => {
      this.#written.delete(networkId);
      await this.#files.write(name + IMAGE, image);
      // The old journal names the old image: after a crash right here it counts for nothing.
      await this.#files.remove(name + JOURNAL);
      this.#written.set(networkId, { imageId, imageBytes: image.length, journalBytes: 0 });
    });
  }

  /** Adds applied deliveries to a table that was saved. Resolves with whether it is time to save it whole again. */
  append(networkId: string, deliveries: readonly Delivery[]): Promise<{ readonly outgrown: boolean }> {
    const records = encodeDeliveries(deliveries);
    const name = fileName(networkId);
    return this.#inOrder(name, async () => {
      const written = this.#written.get(networkId);
      if (!written) throw new Error(`agent: the table of ${networkId} was not saved before its journal`);
      const bytes = written.journalBytes > 0 ? records : Buffer.concat([encodeJournalHead(written.imageId), records]);
      // When it fails there may be half a record: only a new image makes the journal good again.
      this.#written.delete(networkId);
      await this.#files.append(name + JOURNAL, bytes);
      this.#written.set(networkId, written);
      written.journalBytes += bytes.length;
      return { outgrown: written.journalBytes > Math.max(written.imageBytes, MIN_OUTGROWN_BYTES) };
    });
  }

  /** Forgets a table. */
  removeTable(networkId: string): Promise<void> {
    const name = fileName(networkId);
    return this.#inOrder(name, async () => {
      // The image first: a journal alone is nothing.
      await this.#files.remove(name + IMAGE);
      await this.#files.remove(name + JOURNAL);
      this.#written.delete(networkId);
    });
  }

  async #loadAgent(): Promise<AgentRecord | undefined> {
    const bytes = await this.#files.read(AGENT_FILE);
    if (!bytes) return undefined;
    const record = decodeAgentRecord(bytes);
    if (!record) await this.#setAside(AGENT_FILE, 'it is damaged or cut short', [AGENT_FILE]);
    return record;
  }

  async #loadTable(imageName: string, identity: StoreIdentity | undefined): Promise<RestoredTable | undefined> {
    const name = imageName.slice(0, -IMAGE.length);
    const image = (await this.#files.read(imageName)) ?? Buffer.alloc(0);
    const journal = await this.#files.read(name + JOURNAL);
    const table = decodeTable(image, journal);
    if (typeof table === 'string' || fileName(table.header.networkId) !== name) {
      const problem = typeof table === 'string' ? table : 'it is of another network';
      await this.#setAside(imageName, problem, journal ? [imageName, name + JOURNAL] : [imageName]);
      return undefined;
    }
    const { networkId, imageId, storeUid, incarnation } = table.header;
    if (storeUid !== identity?.storeUid || incarnation !== String(identity.incarnation)) {
      const why = identity ? 'is of another store' : 'cannot be used: the record of its agent is missing or damaged';
      this.#log.warn(`Table on disk ${why}, dropping it`, { network: networkId });
      await this.removeTable(networkId);
      return undefined;
    }
    if (table.journal === 'foreign') await this.#files.remove(name + JOURNAL);
    if (table.journal === 'torn') {
      // What follows a whole record was never acknowledged. But a file cut by other hands looks the same, and nothing
      // may be appended to a torn record: no authority, and a new image.
      const what = 'Journal ends in the middle of a record: silent until the control plane confirms the table';
      this.#log.warn(what, { network: networkId, file: name + JOURNAL });
    } else {
      const journalBytes = table.journal === 'whole' ? (journal?.length ?? 0) : 0;
      this.#written.set(networkId, { imageId, imageBytes: image.length, journalBytes });
    }
    return table;
  }

  async #setAside(file: string, problem: string, names: readonly string[]): Promise<void> {
    this.#log.error(`State file ${file} is set aside, its content is fetched again`, { file, problem });
    for (const name of names) await this.#files.rename(name, name + CORRUPT);
  }

  #inOrder<T>(key: string, run: () => Promise<T>): Promise<T> {
    const done = (this.#last.get(key) ?? Promise.resolve()).then(run, run);
    const settled = done.catch(() => undefined);
    this.#last.set(key, settled);
    void settled.then(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    });
    return done;
  }
}

// Network ids are free to hold dots and dashes; a hash is a harmless file name.
function fileName(networkId: string): string {
  return sha256(Buffer.from(networkId)).toString('hex').slice(0, 32);
}
