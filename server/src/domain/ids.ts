// Ids as branded strings: a subnet's id cannot be passed where a network's is meant.

/** Id of a network, chosen by the caller or made as a UUID. */
export type NetworkId = string & { readonly __brand: 'NetworkId' };
/** Id of a subnet, unique for the whole installation. */
export type SubnetId = string & { readonly __brand: 'SubnetId' };
/** Id of a host. */
export type HostId = string & { readonly __brand: 'HostId' };
/** Id of one tenure; opaque to callers, carries network and address. */
export type ReservationId = string & { readonly __brand: 'ReservationId' };
/** Made by the server for every resource: a deleted and re-created id is another thing. */
export type Uid = string & { readonly __brand: 'Uid' };
/** Counts the writes of one document; compared by every later write. 0: the document must not exist. */
export type Revision = number & { readonly __brand: 'Revision' };
/** Milliseconds since 1970, for people. Never decides anything. */
export type WallTime = number & { readonly __brand: 'WallTime' };

/** Lays 16 bytes out as a UUID of the given version (RFC 9562). */
export function uuid(bytes: Uint8Array, version: 4 | 7 | 8): Uid {
  const laid = Buffer.from(bytes);
  laid.writeUInt8((laid.readUInt8(6) & 0x0f) | (version << 4), 6);
  laid.writeUInt8((laid.readUInt8(8) & 0x3f) | 0x80, 8);
  return laid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') as Uid;
}

/** Which state of which document of a name: revisions begin anew with every document. */
export interface Incarnation {
  readonly uid: Uid;
  readonly revision: Revision;
}

/** Whether a document still is the one that was seen; revision 0: there was none. */
export function isStill(document: Incarnation | undefined, seen: Incarnation): boolean {
  if (seen.revision === 0) return document === undefined;
  return document?.revision === seen.revision && document.uid === seen.uid;
}
