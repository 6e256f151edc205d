// Whose hello may become a session, and what the others are told.
//
//   D1. Only after this server made sure that it leads (protocol.md §3.4), and has read the settings of its term.
//   D2. While the lead goes from one server to another hellos wait for who has it then (waiting-hellos.ts); those of one host
//       that comes again and again wait for their turn (beginnings.ts).
//   D3. Tables of another store or incarnation are none that an agent goes on with: it drops them at its welcome. Until it
//       said so they are there.
//   D4. An agent that knows more of this store than the store does is refused, and told of (domain/hold-still.ts).

import { type Clock, delay } from '@leasehold/program/clock';
import type { Hello, TableState } from '@leasehold/proto/ipam/v1/session';
import {
  noHolderOf,
  type Refused,
  type Result,
  sessionSuperseded,
  storeOlder,
  storeUnavailable,
  success,
} from '../../domain/errors.js';
import { knewMore, type Seen, whyOlder } from '../../domain/hold-still.js';
import type { HostId, NetworkId } from '../../domain/ids.js';
import type { ObservedAttachment } from '../../ports/dhcp-provider.js';
import type { HolderLease } from '../../ports/holder-lease.js';
import type { StoreSettings } from '../../ports/store.js';
import { Beginnings } from './beginnings.js';
import { NamedHolders } from './named-holders.js';
import { WaitingHellos } from './waiting-hellos.js';
import { fromAttachments, fromHostId, fromSeen } from './wire.js';

/** What decides. */
export interface AdmissionOptions {
  readonly clock: Clock;
  readonly lease: HolderLease;
  /** Which store it is. */
  readonly store: Pick<StoreSettings, 'storeUid' | 'incarnation'>;
  /** As they were read in this term; undefined: not yet. */
  readonly settings: () => StoreSettings | undefined;
  /** A host knows more than the store does: it is an older copy of itself. `incarnation`: the one that the host knows. */
  readonly knowsMore: (hostId: HostId, incarnation: number, reason: string) => void;
  /** The hosts that did. */
  readonly knewMore: () => readonly HostId[];
}

/** What only who has the sessions knows. */
export interface Sessions {
  /** This server stops. */
  readonly isClosed: boolean;
  /** How many sessions it ever began. */
  readonly begun: number;
}

/** A hello that may become a session. */
export interface Admitted {
  readonly hostId: HostId;
  readonly attachments: readonly (readonly [NetworkId, ObservedAttachment])[];
  /** What it has, and with what digest it goes on. */
  readonly tables: readonly TableState[];
  /** Under which this server leads. */
  readonly holderEpoch: number;
}

// Longer than any renewal that a server needs to go on acting: one that takes more may be cut off from the store alone, and
// its agents shall look elsewhere.
const CONFIRM_WITHIN_MS = 5_000;

/** See the top of the file. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #sessions: Sessions;
  readonly #beginnings: Beginnings;
  readonly #waitingHellos: WaitingHellos;
  readonly #named = new NamedHolders();

  constructor(options: AdmissionOptions, sessions: Sessions) {
    this.#options = options;
    this.#sessions = sessions;
    this.#beginnings = new Beginnings(options.clock);
    this.#waitingHellos = new WaitingHellos(options.clock);
  }

  /** Resolves when it is decided; `isOpen`: whether the stream of the hello still is. */
  async admit(hello: Hello, isOpen: () => boolean): Promise<Result<Admitted>> {
    const { lease, settings } = this.#options;
    const hostId = fromHostId(hello.hostId);
    if (!hostId.ok) return hostId;
    const attachments = fromAttachments(hello.attachments);
    if (!attachments.ok) return attachments;
    const seen = fromSeen(hello);
    if (!seen.ok) return seen;
    if (!(await this.#beginnings.turn(hostId.value))) return sessionSuperseded(hostId.value);
    await this.#leadKnown(hostId.value, 1 + hello.attachments.length + hello.tables.length, isOpen);
    if (this.#sessions.isClosed || !isOpen()) return storeUnavailable('The server stops');
    if (!lease.isSelf) return this.#notHere(hostId.value);
    if (!settings()) return storeUnavailable('This server just began to lead');
    if (!(await this.#confirmed())) return storeUnavailable('This server cannot confirm that it leads');
    const { epoch: holderEpoch } = lease;
    if (holderEpoch === undefined) return this.noHolder();
    const older = this.#whyOlder(hostId.value, seen.value, holderEpoch);
    const tables = this.#isOfThisStore(seen.value) ? hello.tables : hello.tables.map(withoutDigest);
    return older ?? success({ hostId: hostId.value, attachments: attachments.value, tables, holderEpoch });
  }

  /** The refusal of a server that does not lead. */
  noHolder(): Refused {
    const { lease, store } = this.#options;
    // One whose beat is overdue is most likely dead.
    return noHolderOf(store, lease.isChanging ? undefined : lease.holder);
  }

  /** Waits until it is known who leads, as far as a host that comes shows that it is in doubt. */
  #leadKnown(hostId: HostId, entries: number, isOpen: () => boolean): Promise<void> {
    const { lease, settings } = this.#options;
    const isNamed = () => lease.holder !== undefined && this.#named.wasNamed(hostId, lease.holder);
    // Who cannot see learns nothing by waiting: the host had better ask the next server.
    const isInDoubt = () => !lease.isBlind && isNamed();
    return this.#waitingHellos.wait(entries, isOpen, () => {
      if (this.#sessions.isClosed) return true;
      return lease.isSelf ? settings() !== undefined : !lease.isChanging && !isInDoubt();
    });
  }

  #notHere(hostId: HostId): Refused {
    const { holder } = this.#options.lease;
    if (holder) this.#named.named(hostId, holder);
    return this.noHolder();
  }

  /** Whether it is sure within seconds that this server leads. */
  #confirmed(): Promise<boolean> {
    const { clock, lease } = this.#options;
    const waiting = new AbortController();
    const confirmed = lease.confirm().then(() => true);
    const late = delay(clock, CONFIRM_WITHIN_MS, waiting.signal).then(() => false);
    return Promise.race([confirmed, late]).finally(() => waiting.abort());
  }

  #isOfThisStore(seen: Seen | undefined): boolean {
    const { storeUid, incarnation } = this.#options.store;
    return seen === undefined || (seen.storeUid === storeUid && seen.incarnation === incarnation);
  }

  /** Refuses an agent that knows more than the store: what it has would be replaced by what is older. */
  #whyOlder(hostId: HostId, seen: Seen | undefined, holderEpoch: number): Refused | undefined {
    const { store, knowsMore } = this.#options;
    const { storeUid, incarnation } = store;
    const here = { storeUid, incarnation, holderEpoch, counter: BigInt(this.#sessions.begun) };
    const reason = whyOlder(hostId, seen, here);
    if (reason === undefined) {
      if (!knewMore(hostId, seen, here, this.#options.knewMore())) return undefined;
      return storeOlder(hostId, `Host ${hostId} knew more of this store than it has`);
    }
    knowsMore(hostId, seen?.incarnation ?? incarnation, reason);
    return storeOlder(hostId, reason);
  }
}

function withoutDigest(table: TableState): TableState {
  return { ...table, digest: Buffer.alloc(0) };
}
