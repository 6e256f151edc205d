// One network on this host: its table, its place on the disk, its DHCP server and its authority.
//
//   N1. An acknowledgement is sent after the table answers so and the disk says so, and only while the DHCP server is
//       open; one that is withheld is sent when it opens.
//   N2. Acknowledgements are cumulative: one covers everything that was delivered while the last was on its way.
//   N3. Sequence and digest are reported of one and the same moment, the last one that is on the disk.
//   N4. Trouble of the disk withholds acknowledgements and nothing else; the whole table is written again until it is.
//   N5. Authority that began or came back is not stored before the table it is for: with the table that was on the disk
//       before, a restart would answer what others may have been given since.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import type { Delivery, TableState } from '@leasehold/proto/ipam/v1/session';
import type { DhcpBackend, DhcpServer, Link, Standing } from './backends/dhcp-backend.js';
import type { Replica } from './domain/replica.js';
import {
  type Acknowledged,
  type Authority,
  acknowledge,
  isRunning,
  NO_AUTHORITY,
  standing,
} from './session/authority.js';
import type { StoreIdentity } from './session/session.js';
import type { StateStore } from './state/state-store.js';

const DISK_RETRY_MS = 5_000;

// Thousands of tables are reported at a time, into messages of limited size.
const MAX_REASON_LENGTH = 128;

/** What the networks of an agent share. */
export interface NetworkPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly backend: DhcpBackend;
  readonly state: StateStore;
}

/** How a network sees the session. */
export interface NetworkContext {
  /** Whose tables these are. */
  readonly identity: () => StoreIdentity | undefined;
  /** Between heartbeats, in milliseconds; of the last session when there is none. */
  readonly intervalMs: () => number;
  /** The last acknowledged heartbeat. By the first delivery it is of the present session: the welcome acknowledges the hello. */
  readonly acknowledged: () => Acknowledged | undefined;
  /** There is authority to be stored that was not there before: worth writing down at once. */
  readonly authorityBegan: () => void;
  /** Sends an acknowledgement in the present session. */
  readonly sendAck: (table: TableState) => void;
}

/** A moment of the table that is on the disk. */
interface Reached {
  readonly sequence: bigint;
  readonly digest: Buffer;
  readonly entries: number;
}

/** A network that was assigned to this host. */
export class ServedNetwork {
  readonly replica: Replica;
  readonly #ports: NetworkPorts;
  readonly #context: NetworkContext;
  readonly #log: Log;
  #authority: Authority;
  /** What must be reached on the disk before the authority is stored. */
  #unbacked: bigint | undefined;
  #server: DhcpServer | undefined;
  #link: Link | undefined;
  /** Why there is no link. */
  #absence = 'The host has no interface for this network';
  /** The delivery that broke the chain last, until a snapshot mends it. */
  #refused: { readonly sequence: bigint; readonly problem: string } | undefined;
  #closed: Promise<void> | undefined;
  /** What kept it from answering when it was looked at last; empty: nothing. */
  #observed: string | undefined;
  #isAnswering = false;
  /** Logged since it answered last. */
  readonly #said = new Set<string>();
  // Counts sessions: work of an older one must not count in a newer.
  #session = 0;
  #applied = 0n;
  #acked = 0n;
  #reached: Reached;
  #unwritten: Delivery[] = [];
  #needsImage: boolean;
  /** Ends when there is nothing to write or to acknowledge any more. */
  #pumping: Promise<void> | undefined;
  #pumpAgain = false;
  #retry: Timer | undefined;

  constructor(
    replica: Replica,
    ports: NetworkPorts,
    context: NetworkContext,
    restored?: { readonly authority: Authority; readonly needsImage: boolean },
  ) {
    this.replica = replica;
    this.#ports = ports;
    this.#context = context;
    this.#log = ports.log.with({ network: replica.networkId });
    this.#authority = restored?.authority ?? NO_AUTHORITY;
    this.#needsImage = restored?.needsImage ?? false;
    this.#reached = { sequence: 0n, digest: replica.digest(), entries: replica.table.size };
  }

  get networkId(): string {
    return this.replica.networkId;
  }

  /** Authority as far as it is for the table that is on the disk. */
  get storableAuthority(): Authority {
    return this.#unbacked === undefined ? this.#authority : NO_AUTHORITY;
  }

  /** Makes the DHCP server, once what used the interface before has closed. */
  async open(after: Promise<void> | undefined): Promise<void> {
    if (after) await after;
    if (this.#closed) return;
    const gate = { standing: () => this.standing(), untilMs: () => this.#authority.untilMs };
    this.#server = this.#ports.backend.open(this.networkId, this.replica.table, gate);
    this.#server.onStateChange(() => this.#pump());
    this.#server.attach(this.#link);
    this.#pump();
  }

  /** The interface to serve on, or why there is none. */
  attach(link: Link | undefined, absence: string): void {
    this.#link = link;
    this.#absence = absence;
    this.#server?.attach(link);
  }

  /** Answers nobody from now on; resolves when the server is closed. */
  close(): Promise<void> {
    this.#authority = NO_AUTHORITY;
    this.#retry?.cancel();
    this.#closed ??= this.#server?.close() ?? Promise.resolve();
    return this.#closed;
  }

  /** Stops for a restart of the agent: as `close`, but the authority goes on, and what is being written is finished. */
  async suspend(): Promise<void> {
    this.#retry?.cancel();
    this.#closed ??= this.#server?.suspend() ?? Promise.resolve();
    // A journal that ends in the middle of a record makes the next start silent.
    await Promise.all([this.#closed, this.#pumping]);
  }

  /** A session begins; its hello tells of this table. */
  beginSession(): void {
    this.#session += 1;
    this.replica.beginSession();
    this.#refused = undefined;
    this.#applied = 0n;
    this.#acked = 0n;
    this.#reached = { sequence: 0n, digest: this.replica.digest(), entries: this.replica.table.size };
  }

  /** Takes a delivery other than an unassignment. */
  deliver(delivery: Delivery): void {
    const { placementEpoch, confirmed } = this.replica;
    const outcome = this.replica.deliver(delivery);
    // Another placement: what was promised to the old one says nothing about a table that may have missed the time
    // between. In a table that followed all along nothing was missed.
    if (this.replica.placementEpoch > placementEpoch && !confirmed) this.#authority = NO_AUTHORITY;
    this.#server?.changed();
    if (outcome.kind === 'refused') {
      const { sequence, action } = delivery;
      this.#refused = { sequence, problem: outcome.problem };
      this.#log.warn('Delivery refused', { sequence: String(sequence), kind: action?.$case, problem: outcome.problem });
    }
    if (outcome.kind !== 'applied') return;
    this.#refused = undefined;
    this.#applied = delivery.sequence;
    if (outcome.disk === 'image') this.#needsImage = true;
    if (outcome.disk === 'append' && !this.#needsImage) this.#unwritten.push(delivery);
    const ack = this.#context.acknowledged();
    if (!confirmed && ack) {
      // Left from a session that ended before the disk was brought up to it.
      if (this.#unbacked !== undefined) this.#unbacked = this.#applied;
      this.acknowledge(ack);
    }
    this.#pump();
  }

  /** A heartbeat was acknowledged for this placement, or the table was confirmed after one was. */
  acknowledge(ack: Acknowledged): void {
    const now = this.#ports.clock.now();
    const wasRunning = isRunning(this.#authority, now);
    this.#authority = acknowledge(this.#authority, ack, this.replica.confirmed, now);
    this.#server?.changed();
    if (wasRunning || !isRunning(this.#authority, now)) return;
    this.#unbacked = this.#applied;
    this.#back();
  }

  #back(): void {
    if (this.#unbacked === undefined || this.#reached.sequence < this.#unbacked) return;
    this.#unbacked = undefined;
    this.#context.authorityBegan();
  }

  /** Asked before every answer. */
  standing(): Standing {
    return standing(this.#authority, this.#ports.clock.now(), this.#context.intervalMs());
  }

  /** Logs when guests begin to be answered, and why they are not; looks at it again and again. */
  observe(): void {
    const reason = this.#reason();
    const before = this.#observed;
    this.#observed = reason;
    if (reason === '') {
      if (!this.#isAnswering) this.#log.info('Answering DHCP', { entries: this.replica.table.size });
      this.#isAnswering = true;
      this.#said.clear();
    } else if (reason === before && !this.#said.has(reason)) {
      // Not what is over at the next look, as the wait for a table that is on its way.
      this.#log.warn('Not answering DHCP', { reason });
      this.#isAnswering = false;
      this.#said.add(reason);
    }
  }

  /** As reported in hellos, heartbeats and acknowledgements. */
  tableState(): TableState {
    const reason = this.#reason();
    const { networkId, networkUid, placementEpoch } = this.replica;
    return {
      networkId,
      networkUid,
      placementEpoch,
      // Without a table nothing is claimed to be in it. The server compares digests only of the sequence it sent last,
      // and must learn that this one needs a snapshot.
      sequence: this.#refused?.sequence ?? this.#reached.sequence,
      digest: this.replica.digest().length === 0 ? Buffer.alloc(0) : this.#reached.digest,
      entries: BigInt(this.#reached.entries),
      serving: reason === '',
      reason: reason.slice(0, MAX_REASON_LENGTH),
    };
  }

  #reason(): string {
    return this.#isServing() ? '' : this.#whyNotServing();
  }

  #isServing(): boolean {
    return this.#server?.state().kind === 'open' && isRunning(this.#authority, this.#ports.clock.now());
  }

  #whyNotServing(): string {
    if (this.replica.digest().length === 0) return this.#refused?.problem ?? 'Waiting for the table';
    if (!this.#link) return this.#absence;
    const state = this.#server?.state() ?? { kind: 'closed', reason: 'The DHCP server is starting' };
    if (state.kind === 'closed') return state.reason;
    const wasHeard = this.#authority.untilMs !== NO_AUTHORITY.untilMs;
    return wasHeard ? 'Authority lapsed: the control plane is away' : 'No authority: the table is not confirmed';
  }

  #pump(): void {
    this.#pumpAgain = true;
    this.#pumping ??= this.#pumpAll();
  }

  async #pumpAll(): Promise<void> {
    while (this.#pumpAgain && !this.#closed) {
      this.#pumpAgain = false;
      // What else is delivered in this turn shares the write and the acknowledgement.
      await Promise.resolve();
      await this.#write();
      await this.#acknowledgeTable();
    }
    this.#pumping = undefined;
  }

  /** Brings the disk up to the table. */
  async #write(): Promise<void> {
    const identity = this.#context.identity();
    const isNew = this.#needsImage || this.#unwritten.length > 0;
    // Before the server is made, the files may still be those of a network of the same id that leaves.
    if (!this.#server || !identity || this.#retry || (!isNew && this.#reached.sequence === this.#applied)) return;
    const session = this.#session;
    const { table, placementEpoch } = this.replica;
    const reached = { sequence: this.#applied, digest: this.replica.digest(), entries: table.size };
    const [needsImage, deliveries] = [this.#needsImage, this.#unwritten];
    this.#needsImage = false;
    this.#unwritten = [];
    try {
      // Both take their bytes before they return: what is delivered while they write goes into the next round.
      if (needsImage) await this.#ports.state.saveTable(identity, this.networkId, { placementEpoch, table });
      else if (deliveries.length > 0) await this.#append(deliveries);
    } catch (error) {
      return this.#diskFailed(error);
    }
    if (session !== this.#session) return;
    this.#reached = reached;
    this.#back();
  }

  async #append(deliveries: readonly Delivery[]): Promise<void> {
    const { outgrown } = await this.#ports.state.append(this.networkId, deliveries);
    if (!outgrown) return;
    this.#needsImage = true;
    this.#pumpAgain = true;
  }

  #diskFailed(error: unknown): void {
    this.#needsImage = true;
    const problem = error instanceof Error ? error.message : String(error);
    this.#log.error('Table could not be written to the state directory: acknowledging nothing', { problem });
    if (this.#closed) return;
    this.#retry = this.#ports.clock.after(DISK_RETRY_MS, () => {
      this.#retry = undefined;
      this.#pump();
    });
  }

  /** Acknowledges what is on the disk, if guests get it. */
  async #acknowledgeTable(): Promise<void> {
    const server = this.#server;
    const session = this.#session;
    const { sequence } = this.#reached;
    if (!server || !this.replica.confirmed || sequence <= this.#acked) return;
    if (!(await server.flush()) || server.state().kind !== 'open') return;
    // Meanwhile the session may have ended, or a delivery may have been refused.
    if (this.#closed || session !== this.#session || !this.replica.confirmed) return;
    this.#acked = sequence;
    this.#context.sendAck(this.tableState());
  }
}
