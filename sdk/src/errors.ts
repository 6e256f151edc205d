// What a refused or failed call looks like to people, decoded from the gRPC status in this one place.
//
// Every error carries a reason, which is what to decide by. Errors made here, where no server answered, have reasons
// too: NO_CONNECTION, DEADLINE_EXCEEDED, CLIENT_CLOSED, MALFORMED_RESPONSE, and OUTCOME_UNKNOWN, which servers say, too.

import { type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RetryInfo } from './gen/google/rpc/error_details.js';
import { Status } from './gen/google/rpc/status.js';
import { tlsProblem } from './tls.js';

/** Name of a gRPC status code. */
export type StatusCode = Exclude<keyof typeof status, 'OK'>;

/** What is wrong with one field of a request. */
export interface FieldViolation {
  /** Path of the field as in the API, `subnet.cidr`. */
  readonly field: string;
  /** What is wrong with it, for people. */
  readonly description: string;
}

/** Everything an error tells. */
export interface ErrorFacts {
  readonly code: StatusCode;
  readonly reason: string;
  readonly message: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly fieldViolations?: readonly FieldViolation[];
  readonly retryable?: boolean;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A call that was refused or failed. Decide by `reason` (docs/errors.md), or by the subclass. */
export class LeaseholdError extends Error {
  override readonly name: string = 'LeaseholdError';
  /** The gRPC status code. */
  readonly code: StatusCode;
  /** Why, for programs: `SUBNET_EXHAUSTED`, `NO_CONNECTION`; the name of the code when nobody said more. */
  readonly reason: string;
  /** What the reason is about, such as ids and addresses; keys by reason. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Which fields of the request are at fault. Empty: none in particular. */
  readonly fieldViolations: readonly FieldViolation[];
  /** Whether the very same call may be repeated without harm and may then succeed. */
  readonly retryable: boolean;
  /** How long the server asks to wait before a repetition, in milliseconds. Undefined: it did not say. */
  readonly retryAfterMs: number | undefined;

  constructor(facts: ErrorFacts) {
    super(facts.message, { cause: facts.cause });
    this.code = facts.code;
    this.reason = facts.reason;
    this.metadata = facts.metadata ?? {};
    this.fieldViolations = facts.fieldViolations ?? [];
    this.retryable = facts.retryable ?? false;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

/** Something in the request is wrong: see `fieldViolations`. */
export class InvalidArgumentError extends LeaseholdError {
  override readonly name = 'InvalidArgumentError';
}

/** It is not known who calls: there is no certificate, or none that the server takes. */
export class UnauthenticatedError extends LeaseholdError {
  override readonly name = 'UnauthenticatedError';
}

/** Who calls may not do this. */
export class PermissionDeniedError extends LeaseholdError {
  override readonly name = 'PermissionDeniedError';
}

/** What was named does not exist. */
export class NotFoundError extends LeaseholdError {
  override readonly name = 'NotFoundError';
}

/** The id, address, MAC or range is taken: `ADDRESS_RESERVED`, `MAC_RESERVED`, `SUBNET_OVERLAP`, `NETWORK_EXISTS`, `SUBNET_EXISTS`. */
export class AlreadyExistsError extends LeaseholdError {
  override readonly name = 'AlreadyExistsError';
}

/** Not in the present state of things: `ADDRESS_QUARANTINED`, `RESERVATION_MISMATCH`, `RESERVATION_RELEASED`, `IPAM_DISABLED`, … */
export class FailedPreconditionError extends LeaseholdError {
  override readonly name = 'FailedPreconditionError';
}

/** Somebody else changed it meanwhile: read it again and decide anew (`ETAG_MISMATCH`), or just repeat (`TOO_BUSY`). */
export class AbortedError extends LeaseholdError {
  override readonly name = 'AbortedError';
}

/**
 * There is no more: `SUBNET_EXHAUSTED` (metadata: `quarantined`, `next_reusable_time`); or it goes too fast:
 * `RATE_LIMITED`, `WATCH_TOO_SLOW`; or too much would have to be looked at: `FILTER_TOO_BROAD`.
 */
export class ExhaustedError extends LeaseholdError {
  override readonly name = 'ExhaustedError';
}

/** It is older than what is kept: the position of a watch (`WATCH_COMPACTED`). Begin again, with a snapshot. */
export class OutOfRangeError extends LeaseholdError {
  override readonly name = 'OutOfRangeError';
}

/**
 * No server was reached (`NO_CONNECTION`); one cannot now (`STORE_UNAVAILABLE`, `NO_HOLDER`); or it may have acted
 * (`OUTCOME_UNKNOWN`): its store did not say in time, or its answer was lost to a call that must not just be repeated.
 */
export class UnavailableError extends LeaseholdError {
  override readonly name = 'UnavailableError';
}

/** No answer came in time. Whether the server acted is not known. */
export class DeadlineExceededError extends LeaseholdError {
  override readonly name = 'DeadlineExceededError';
}

const CLASSES: Partial<Record<StatusCode, new (facts: ErrorFacts) => LeaseholdError>> = {
  INVALID_ARGUMENT: InvalidArgumentError,
  UNAUTHENTICATED: UnauthenticatedError,
  PERMISSION_DENIED: PermissionDeniedError,
  NOT_FOUND: NotFoundError,
  ALREADY_EXISTS: AlreadyExistsError,
  FAILED_PRECONDITION: FailedPreconditionError,
  ABORTED: AbortedError,
  RESOURCE_EXHAUSTED: ExhaustedError,
  OUT_OF_RANGE: OutOfRangeError,
  UNAVAILABLE: UnavailableError,
  DEADLINE_EXCEEDED: DeadlineExceededError,
};

/** Makes the error of the class that belongs to its code. */
export function makeError(facts: ErrorFacts): LeaseholdError {
  return new (CLASSES[facts.code] ?? LeaseholdError)(facts);
}

/** The server broke its contract: an answer without what it must hold. */
export function malformedResponse(missing: string): LeaseholdError {
  return makeError({
    code: 'INTERNAL',
    reason: 'MALFORMED_RESPONSE',
    message: `The server's answer lacks ${missing}, is it a Leasehold server of this version?`,
  });
}

/** What the caller of a failed call knows about it. */
export interface CallFacts {
  /** Name of the RPC. */
  readonly method: string;
  /** Who was called. */
  readonly server: string;
  /** How long the caller was willing to wait. */
  readonly timeoutMs: number;
  /** Whether repeating the call does no harm. */
  readonly repeatable: boolean;
}

/** Whether a server of ours said so: neither gRPC itself, nor somebody on the way. */
export function isOfServer(error: ServiceError): boolean {
  return detailsOf(error.metadata).info !== undefined;
}

/** Decodes what gRPC reports. */
export function fromServiceError(error: ServiceError, given: CallFacts): LeaseholdError {
  const details = detailsOf(error.metadata);
  const code = details.info ? codeName(error.code) : codeOfGrpc(error);
  const call = { ...given, repeatable: given.repeatable || (code === 'UNAVAILABLE' && NEVER_SENT.test(error.details)) };
  const tls = code === 'UNAVAILABLE' && !details.info ? tlsProblem(error.details) : undefined;
  return fromDetails(details, {
    code,
    reason: reasonWithoutInfo(code, call),
    message: details.info ? error.details : messageWithoutInfo(code, error.details, call, tls),
    repeatable: call.repeatable,
    // Nobody's certificate becomes another one by waiting.
    pushbackMs: tls === undefined ? pushback(error.metadata) : 'never',
    cause: error,
  });
}

/** Decodes how the server refused one item of a batch; `repeatable`: whether repeating that item does no harm. */
export function fromItemStatus(item: Status, repeatable: boolean): LeaseholdError {
  const code = codeName(item.code);
  const message = item.message || `The server refused it with ${code}`;
  return fromDetails(
    decodeDetails(() => item),
    { code, reason: code, message, repeatable },
  );
}

/** What is known of a failure besides its details; `reason` is for when these hold none. */
interface Failure {
  readonly code: StatusCode;
  readonly reason: string;
  readonly message: string;
  readonly repeatable: boolean;
  readonly pushbackMs?: number | 'never' | undefined;
  readonly cause?: unknown;
}

function fromDetails(details: Details, failure: Failure): LeaseholdError {
  const { code, reason, message, repeatable, pushbackMs, cause } = failure;
  return makeError({
    code,
    reason: details.info?.reason ?? reason,
    message,
    metadata: details.info?.metadata ?? {},
    fieldViolations: details.fieldViolations,
    retryable: pushbackMs !== 'never' && isRetryable(code, details.info?.reason, repeatable),
    retryAfterMs: pushbackMs === 'never' ? undefined : (pushbackMs ?? details.retryAfterMs),
    cause,
  });
}

// What gRPC says of a call that no server ever saw: harmless to repeat, whatever was asked. Of everything else it says
// of a connection, one must assume that the server may have acted.
const NEVER_SENT =
  /^(?:No connection established|Name resolution failed|Stream refused by server|Channel closed before call started)/;

// Nothing was done, or only read: harmless to repeat, whatever was asked.
const NOTHING_DONE: ReadonlySet<string> = new Set(['RATE_LIMITED', 'TOO_BUSY', 'WATCH_TOO_SLOW']);

function isRetryable(code: StatusCode, reason: string | undefined, repeatable: boolean): boolean {
  if (reason !== undefined && NOTHING_DONE.has(reason)) return true;
  return repeatable && (code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED');
}

// Two of gRPC's codes hide that the connection broke: a server that ends its connections while it stops looks as if we
// had cancelled (who cancels here is told so by its signal), and a socket that fails while it is written is INTERNAL.
function codeOfGrpc({ code, details }: ServiceError): StatusCode {
  const name = codeName(code);
  const broken =
    name === 'CANCELLED' || (name === 'INTERNAL' && details.includes('triggered by internal client error'));
  return broken ? 'UNAVAILABLE' : name;
}

function reasonWithoutInfo(code: StatusCode, { repeatable }: CallFacts): string {
  if (code !== 'UNAVAILABLE') return code;
  return repeatable ? 'NO_CONNECTION' : 'OUTCOME_UNKNOWN';
}

// Texts that gRPC makes itself show its insides (subchannels, name resolution, remote addresses): they stay in `cause`.
function messageWithoutInfo(code: StatusCode, details: string, call: CallFacts, tls: string | undefined): string {
  if (code === 'DEADLINE_EXCEEDED') return unansweredMessage(call);
  if (code !== 'UNAVAILABLE') return details || `${call.method} failed with ${code}`;
  if (!call.repeatable)
    return `The connection to ${call.server} broke before ${call.method} was answered, so it may have been done or not: look at what is there before you repeat it`;
  if (tls !== undefined) return `No connection to ${call.server}: ${tls}`;
  if (ENDED_AT_ONCE.test(details))
    return `No connection to ${call.server}: it ended it at once, as one that speaks TLS does: set tls`;
  const [errno] = /\bE[A-Z]{4,}\b/.exec(details) ?? [];
  return `No connection to ${call.server}${errno ? ` (${errno})` : ''}`;
}

// What becomes of HTTP/2 that is sent to a server of TLS; gRPC says no more of it.
const ENDED_AT_ONCE = /^No connection established\. Last error: Failed to connect/;

function unansweredMessage({ method, server, timeoutMs }: UnansweredCall): string {
  const what = server === undefined ? 'reached no server' : `got no answer from ${server}`;
  return `${method} ${what} within ${timeoutMs} ms`;
}

/** A call that nobody may have been asked for. */
type UnansweredCall = Omit<CallFacts, 'server'> & { readonly server: string | undefined };

/** No answer came in time. */
export function unansweredError(call: UnansweredCall): LeaseholdError {
  const code = 'DEADLINE_EXCEEDED';
  return makeError({ code, reason: code, message: unansweredMessage(call), retryable: call.repeatable });
}

function codeName(code: number): StatusCode {
  const name = (status as Readonly<Record<number, string>>)[code];
  return name === undefined || name === 'OK' ? 'UNKNOWN' : (name as StatusCode);
}

interface Details {
  readonly info?: ErrorInfo;
  readonly fieldViolations: readonly FieldViolation[];
  readonly retryAfterMs?: number;
}

const NO_DETAILS: Details = { fieldViolations: [] };
const DETAILS_KEY = 'grpc-status-details-bin';
const TYPE_PREFIX = 'type.googleapis.com/google.rpc.';

function detailsOf(metadata: Metadata): Details {
  const [bytes] = metadata.get(DETAILS_KEY);
  return bytes instanceof Uint8Array ? decodeDetails(() => Status.decode(bytes)) : NO_DETAILS;
}

function decodeDetails(read: () => Status): Details {
  try {
    let found = NO_DETAILS;
    for (const { typeUrl, value } of read().details) found = { ...found, ...decodeDetail(typeUrl, value) };
    return found;
  } catch {
    // Details are an extra: bytes that something between mangled must not hide the status itself.
    return NO_DETAILS;
  }
}

function decodeDetail(typeUrl: string, value: Uint8Array): Partial<Details> {
  switch (typeUrl) {
    case `${TYPE_PREFIX}ErrorInfo`: {
      const info = ErrorInfo.decode(value);
      // A proxy's reasons are not ours, and may be spelled the same.
      return info.domain === 'leasehold' ? { info } : {};
    }
    case `${TYPE_PREFIX}BadRequest`: {
      const { fieldViolations } = BadRequest.decode(value);
      return { fieldViolations: fieldViolations.map(({ field, description }) => ({ field, description })) };
    }
    case `${TYPE_PREFIX}RetryInfo`: {
      const { retryDelay } = RetryInfo.decode(value);
      return retryDelay ? { retryAfterMs: Number(retryDelay.seconds) * 1_000 + retryDelay.nanos / 1e6 } : {};
    }
    default:
      return {};
  }
}

/** Server pushback (gRFC A6): a negative or unreadable value forbids a repetition. */
function pushback(metadata: Metadata): number | 'never' | undefined {
  const [text] = metadata.get('grpc-retry-pushback-ms');
  if (text === undefined) return undefined;
  return /^[0-9]{1,9}$/.test(String(text)) ? Number(text) : 'never';
}
