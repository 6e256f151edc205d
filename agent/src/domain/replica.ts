// One network's table as the control plane delivers it, session by session.
//
//   R1. Deliveries take effect in their order. One that cannot breaks the chain: nothing after it is applied or
//       acknowledged until a whole snapshot mends it.
//   R2. A snapshot is collected aside, part by part, so that no part holds up other networks for long. The table
//       changes at its end, when the digest is the announced one, or not at all.
//   R3. Deltas are applied only to a table that was confirmed in this session: a delta to another table means nothing.
//   R4. The placement epoch never decreases.

import { Assignment, type Delivery, type SnapshotPart } from '@leasehold/proto/ipam/v1/session';
import { NetworkTable } from './table.js';

/** What became of a delivery. */
export type Outcome =
  /** Nothing to acknowledge yet: more follows. */
  | { readonly kind: 'waiting' }
  /** The table answers so. `disk`: what must be written before it is acknowledged. */
  | { readonly kind: 'applied'; readonly disk: 'image' | 'append' | 'nothing' }
  /** Not applied, never to be acknowledged. */
  | { readonly kind: 'refused'; readonly problem: string };

interface Snapshot {
  readonly announced: bigint;
  readonly table: NetworkTable;
}

const WAITING: Outcome = { kind: 'waiting' };
const NO_DIGEST = Buffer.alloc(0);

/** The table of one network and how far it follows the control plane. */
export class Replica {
  readonly networkId: string;
  readonly networkUid: string;
  readonly table: NetworkTable;
  #placementEpoch: bigint;
  #epochOnDisk: bigint;
  /** Whether the table was ever whole. */
  #whole: boolean;
  #confirmed = false;
  #broken = false;
  #greeted: Buffer = NO_DIGEST;
  #snapshot: Snapshot | undefined;
  #pending: Assignment | undefined;

  /** With a table from disk it begins whole, otherwise empty and waiting for an assignment. */
  constructor(networkId: string, networkUid: string, placementEpoch: bigint, restored?: NetworkTable) {
    this.networkId = networkId;
    this.networkUid = networkUid;
    this.#placementEpoch = placementEpoch;
    this.#epochOnDisk = restored ? placementEpoch : -1n;
    this.table = restored ?? new NetworkTable();
    this.#whole = restored !== undefined;
  }

  get placementEpoch(): bigint {
    return this.#placementEpoch;
  }

  /** Whether, in this session, the table became the control plane's and followed it since. */
  get confirmed(): boolean {
    return this.#confirmed;
  }

  /** The digest as reported: empty while there is no whole table that follows the control plane. */
  digest(): Buffer {
    return this.#whole && !this.#broken ? this.table.digest() : NO_DIGEST;
  }

  /** A new session: nothing is confirmed in it yet. The digest of its hello is the one at this moment. */
  beginSession(): void {
    this.#confirmed = false;
    this.#broken = false;
    this.#snapshot = undefined;
    this.#pending = undefined;
    this.#greeted = this.digest();
  }

  /** Applies a delivery of this network other than an unassignment. */
  deliver(delivery: Delivery): Outcome {
    if (delivery.placementEpoch < this.#placementEpoch) {
      // Not a broken chain: it is of a placement that is over.
      const problem = `Placement epoch ${delivery.placementEpoch} is over, ${this.#placementEpoch} was seen`;
      return { kind: 'refused', problem };
    }
    this.#placementEpoch = delivery.placementEpoch;
    const action = delivery.action;
    switch (action?.$case) {
      case 'assignment':
        return this.#assign(action.value);
      case 'snapshotBegin':
        return this.#beginSnapshot(action.value.entries);
      case 'snapshotPart':
        return this.#collect(action.value);
      case 'snapshotEnd':
        return this.#endSnapshot(action.value.digest);
      case 'tableDelta': {
        if (!this.#confirmed || this.#snapshot) return this.#refuse('Delta of a table that is not confirmed');
        const applied = this.table.apply(action.value);
        return applied.ok ? this.#applied('append') : this.#refuse(applied.problem);
      }
      case 'tableConfirmation':
        return this.#confirm();
      default:
        return this.#refuse('Delivery of an unknown kind');
    }
  }

  #assign(assignment: Assignment): Outcome {
    const valid = new NetworkTable().assign(assignment);
    if (!valid.ok) return this.#refuse(valid.problem);
    if (assignment.networkUid !== this.networkUid) return this.#refuse('Assignment is of another network uid');
    if (this.#confirmed) {
      this.table.assign(assignment);
      return this.#applied('append');
    }
    // The old subnets stay with the old entries until the snapshot that goes with the new ones is whole.
    if (!this.#whole) this.table.assign(assignment);
    else this.#pending = sameAssignment(assignment, this.table.assignment) ? undefined : assignment;
    return WAITING;
  }

  #beginSnapshot(announced: bigint): Outcome {
    const assignment = this.#pending ?? this.table.assignment;
    if (!assignment) return this.#refuse('Snapshot without an assignment');
    const table = new NetworkTable();
    const assigned = table.assign(assignment);
    if (!assigned.ok) return this.#refuse(assigned.problem);
    this.#snapshot = { announced, table };
    return WAITING;
  }

  #collect(part: SnapshotPart): Outcome {
    const snapshot = this.#snapshot;
    if (!snapshot) return this.#refuse('Part of a snapshot that did not begin');
    if (BigInt(snapshot.table.size + part.entries.length) > snapshot.announced) {
      return this.#refuse(`Snapshot has more than the announced ${snapshot.announced} entries`);
    }
    const applied = snapshot.table.apply({ put: part.entries, remove: [] });
    return applied.ok ? WAITING : this.#refuse(applied.problem);
  }

  #endSnapshot(digest: Buffer): Outcome {
    const snapshot = this.#snapshot;
    if (!snapshot) return this.#refuse('End of a snapshot that did not begin');
    // An address or MAC that came twice left fewer entries than were announced.
    if (BigInt(snapshot.table.size) !== snapshot.announced || !snapshot.table.digest().equals(digest)) {
      return this.#refuse('Snapshot has another digest than announced');
    }
    this.table.takeOver(snapshot.table);
    this.#whole = true;
    this.#broken = false;
    this.#confirmed = true;
    this.#snapshot = undefined;
    this.#pending = undefined;
    return this.#applied('image');
  }

  #confirm(): Outcome {
    const same = this.#greeted.length > 0 && !this.#broken && !this.#pending && this.digest().equals(this.#greeted);
    if (!same) return this.#refuse('Confirmation of a table that is not the one of the hello');
    this.#confirmed = true;
    return this.#applied(this.#epochOnDisk === this.#placementEpoch ? 'nothing' : 'append');
  }

  #applied(disk: 'image' | 'append' | 'nothing'): Outcome {
    this.#epochOnDisk = this.#placementEpoch;
    return { kind: 'applied', disk };
  }

  #refuse(problem: string): Outcome {
    this.#confirmed = false;
    this.#broken = true;
    this.#snapshot = undefined;
    return { kind: 'refused', problem };
  }
}

function sameAssignment(a: Assignment, b: Assignment | undefined): boolean {
  return b !== undefined && Buffer.from(Assignment.encode(a).finish()).equals(Assignment.encode(b).finish());
}
