// The server that another one names when it does not lead itself.

import type { StoreIdentity } from './session.js';

/** Who leads, as a server that does not says. */
export interface NamedHolder {
  /** Where agents reach it. */
  readonly endpoint: string;
  /** As whose holder it is named. Absent: not said. */
  readonly of?: { readonly storeUid: string; readonly incarnation: bigint; readonly holderEpoch: bigint };
}

/** Reads the metadata of a refusal with NO_HOLDER; undefined: it names nobody. */
export function fromRefusal(metadata: Readonly<Record<string, string>>): NamedHolder | undefined {
  const { agent_endpoint: endpoint = '', store_uid: storeUid = '', incarnation = '', holder_epoch = '' } = metadata;
  if (endpoint === '') return undefined;
  if (storeUid === '' || !NUMBER.test(incarnation) || !NUMBER.test(holder_epoch)) return { endpoint };
  return { endpoint, of: { storeUid, incarnation: BigInt(incarnation), holderEpoch: BigInt(holder_epoch) } };
}

const NUMBER = /^\d{1,20}$/;

/**
 * Whether a holder is one that the agent knows to be over: who names it is cut off from its store, and following it would
 * lead away from the one that leads.
 */
export function isOver({ of }: NamedHolder, known: StoreIdentity | undefined): boolean {
  if (!of || of.storeUid !== known?.storeUid || of.incarnation > known.incarnation) return false;
  return of.incarnation < known.incarnation || of.holderEpoch < known.highestEpoch.holderEpoch;
}

/** Whether a holder leads the same store after the one whose session was the last. */
export function isLater({ of }: NamedHolder, known: StoreIdentity | undefined): boolean {
  if (of?.storeUid !== known?.storeUid || of?.incarnation !== known?.incarnation) return false;
  return of !== undefined && known !== undefined && of.holderEpoch > known.highestEpoch.holderEpoch;
}
