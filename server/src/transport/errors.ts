// Every refusal on the wire: its gRPC status code and its reason, in one exhaustive table (AIP-193). docs/errors.md
// lists them for users, and a test holds the two together.

import { Metadata, status } from '@grpc/grpc-js';
import type { Any } from '@leasehold/proto/google/protobuf/any';
import { BadRequest, ErrorInfo } from '@leasehold/proto/google/rpc/error_details';
import { Status } from '@leasehold/proto/google/rpc/status';
import type { IpamError, IpamErrorKind, Result } from '../domain/errors.js';

/** What a refusal looks like on the wire. */
export interface WireRefusal {
  readonly code: status;
  readonly reason: string;
}

/** Code and reason of every refusal. Clients decide by the reason. */
export const REFUSALS = {
  'invalid-field': { code: status.INVALID_ARGUMENT, reason: 'INVALID_FIELD' },
  'invalid-page-token': { code: status.INVALID_ARGUMENT, reason: 'INVALID_PAGE_TOKEN' },
  'request-id-reused': { code: status.INVALID_ARGUMENT, reason: 'REQUEST_ID_REUSED' },
  'network-not-found': { code: status.NOT_FOUND, reason: 'NETWORK_NOT_FOUND' },
  'subnet-not-found': { code: status.NOT_FOUND, reason: 'SUBNET_NOT_FOUND' },
  'host-not-found': { code: status.NOT_FOUND, reason: 'HOST_NOT_FOUND' },
  'reservation-not-found': { code: status.NOT_FOUND, reason: 'RESERVATION_NOT_FOUND' },
  'network-exists': { code: status.ALREADY_EXISTS, reason: 'NETWORK_EXISTS' },
  'subnet-exists': { code: status.ALREADY_EXISTS, reason: 'SUBNET_EXISTS' },
  'subnet-overlap': { code: status.ALREADY_EXISTS, reason: 'SUBNET_OVERLAP' },
  'network-in-use': { code: status.FAILED_PRECONDITION, reason: 'NETWORK_IN_USE' },
  'subnet-in-use': { code: status.FAILED_PRECONDITION, reason: 'SUBNET_IN_USE' },
  'range-in-use': { code: status.FAILED_PRECONDITION, reason: 'RANGE_IN_USE' },
  'host-connected': { code: status.FAILED_PRECONDITION, reason: 'HOST_CONNECTED' },
  'host-liveness-unknown': { code: status.FAILED_PRECONDITION, reason: 'HOST_LIVENESS_UNKNOWN' },
  'host-may-answer-anywhere': { code: status.FAILED_PRECONDITION, reason: 'HOST_MAY_ANSWER_ANYWHERE' },
  'ipam-disabled': { code: status.FAILED_PRECONDITION, reason: 'IPAM_DISABLED' },
  'subnet-closing': { code: status.FAILED_PRECONDITION, reason: 'SUBNET_CLOSING' },
  // A full subnet stays full: clients never retry it.
  'subnet-exhausted': { code: status.RESOURCE_EXHAUSTED, reason: 'SUBNET_EXHAUSTED' },
  'addresses-in-use': { code: status.RESOURCE_EXHAUSTED, reason: 'ADDRESSES_IN_USE' },
  'address-reserved': { code: status.ALREADY_EXISTS, reason: 'ADDRESS_RESERVED' },
  'address-quarantined': { code: status.FAILED_PRECONDITION, reason: 'ADDRESS_QUARANTINED' },
  'mac-reserved': { code: status.ALREADY_EXISTS, reason: 'MAC_RESERVED' },
  'reservation-mismatch': { code: status.FAILED_PRECONDITION, reason: 'RESERVATION_MISMATCH' },
  'reservation-released': { code: status.FAILED_PRECONDITION, reason: 'RESERVATION_RELEASED' },
  'etag-mismatch': { code: status.ABORTED, reason: 'ETAG_MISMATCH' },
  'too-busy': { code: status.ABORTED, reason: 'TOO_BUSY' },
  'holding-still': { code: status.FAILED_PRECONDITION, reason: 'HOLDING_STILL' },
  'store-unavailable': { code: status.UNAVAILABLE, reason: 'STORE_UNAVAILABLE' },
  'outcome-unknown': { code: status.UNAVAILABLE, reason: 'OUTCOME_UNKNOWN' },
  'no-holder': { code: status.UNAVAILABLE, reason: 'NO_HOLDER' },
  'watch-compacted': { code: status.OUT_OF_RANGE, reason: 'WATCH_COMPACTED' },
  'watch-too-slow': { code: status.RESOURCE_EXHAUSTED, reason: 'WATCH_TOO_SLOW' },
  'rate-limited': { code: status.RESOURCE_EXHAUSTED, reason: 'RATE_LIMITED' },
  // As broad the next time: clients never retry it.
  'filter-too-broad': { code: status.RESOURCE_EXHAUSTED, reason: 'FILTER_TOO_BROAD' },
  'session-superseded': { code: status.ABORTED, reason: 'SESSION_SUPERSEDED' },
  unauthenticated: { code: status.UNAUTHENTICATED, reason: 'UNAUTHENTICATED' },
  'permission-denied': { code: status.PERMISSION_DENIED, reason: 'PERMISSION_DENIED' },
  'session-too-slow': { code: status.RESOURCE_EXHAUSTED, reason: 'SESSION_TOO_SLOW' },
} as const satisfies Record<IpamErrorKind, WireRefusal>;

const DOMAIN = 'leasehold';
const DETAILS = 'grpc-status-details-bin';
const PUSHBACK = 'grpc-retry-pushback-ms';
// Long enough that a store that is away is not stormed, short enough that an engine's VM start survives it.
const RETRY_AFTER_MS = 500;

/** What grpc-js sends as the status of a call. */
export interface WireError {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Thrown by `orThrow` to end a handler; carries the refusal to the edge. */
export class RefusedError extends Error {
  readonly refusal: IpamError;

  constructor(refusal: IpamError) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** The value of a result, or its refusal thrown. */
export function orThrow<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new RefusedError(result.error);
}

// A refusal travels in HTTP/2 headers: its message escaped, and all of it once more in base64. Trailers that are too
// large for the peer are not sent at all, and leave the whole connection hanging: with these limits they stay under
// 6 KiB, and many clients take 8 KiB.
const MAX_MESSAGE = 1_024;
const MAX_TEXT = 256;
const MAX_DETAIL = 2_048;

/** A refusal as a gRPC status with its details, cut to what can always be sent. */
export function toWireError(error: IpamError): WireError {
  const { code, reason } = REFUSALS[error.kind];
  const message = clip(error.message, MAX_MESSAGE, (character) => encodeURI(character).length);
  const info = Object.fromEntries(fitting(Object.entries(error.metadata)));
  const details = [pack('google.rpc.ErrorInfo', ErrorInfo.encode({ reason, domain: DOMAIN, metadata: info }).finish())];
  if (error.violations.length > 0) {
    const named = fitting(error.violations.map(({ field, description }) => [field, description]));
    const fieldViolations = named.map(([field, description]) => ({ field, description }));
    details.push(
      pack('google.rpc.BadRequest', BadRequest.encode(BadRequest.fromPartial({ fieldViolations })).finish()),
    );
  }
  const metadata = new Metadata();
  metadata.set(DETAILS, Buffer.from(Status.encode({ code, message, details }).finish()));
  const retryAfterMs = error.retryAfterMs ?? (code === status.UNAVAILABLE ? RETRY_AFTER_MS : undefined);
  if (retryAfterMs !== undefined) metadata.set(PUSHBACK, String(retryAfterMs));
  return { code, details: message, metadata };
}

/** Thrown with what the holder refused a call with that was passed on to it. */
export class HolderRefusedError extends Error {
  readonly wire: WireError;

  constructor(error: WireError) {
    super(error.details);
    this.wire = withoutConnection(error);
  }
}

/** A status as it came from another server, without what its connection added. */
function withoutConnection({ code, details, metadata }: WireError): WireError {
  const kept = new Metadata();
  for (const key of [DETAILS, PUSHBACK]) for (const value of metadata.get(key)) kept.set(key, value);
  return { code, details, metadata: kept };
}

/** The reason that a status gives; undefined: it is none of ours. */
export function reasonOf({ metadata }: WireError): string | undefined {
  const [bytes] = metadata.get(DETAILS);
  if (!(bytes instanceof Uint8Array)) return undefined;
  const info = Status.decode(bytes).details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.ErrorInfo'));
  return info && ErrorInfo.decode(info.value).reason;
}

/** A status as a message, for an item of a batch. */
export function toStatusMessage({ code, details, metadata }: WireError): Status {
  const [bytes] = metadata.get(DETAILS);
  return bytes instanceof Uint8Array ? Status.decode(bytes) : Status.fromPartial({ code, message: details });
}

/** The pairs that have room in a detail, each cut; the first ones count. */
function fitting(pairs: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  const cut = pairs.map(([name, text]) => [name, clip(text, MAX_TEXT, (each) => Buffer.byteLength(each))] as const);
  let used = 0;
  const overflow = cut.findIndex(([name, text]) => {
    used += Buffer.byteLength(name) + Buffer.byteLength(text);
    return used > MAX_DETAIL;
  });
  return overflow < 0 ? cut : cut.slice(0, overflow);
}

/** The text, or as much of its begin as costs at most `max`; without the halves of characters, which cannot be sent. */
function clip(text: string, max: number, cost: (character: string) => number): string {
  let used = 0;
  let kept = '';
  for (const character of text) {
    const sound = /^\p{Cs}$/u.test(character) ? '\ufffd' : character;
    used += cost(sound);
    if (used > max) return `${kept}…`;
    kept += sound;
  }
  return kept;
}

function pack(type: string, value: Uint8Array): Any {
  return { typeUrl: `type.googleapis.com/${type}`, value: Buffer.from(value) };
}
