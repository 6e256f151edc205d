// What to do about a failure, where its message does not say it: one table, by reason.

import type { LeaseholdError } from '../errors.js';

type NextStep = string | ((metadata: Readonly<Record<string, string>>) => string);

const STEPS: Readonly<Record<string, NextStep>> = {
  NETWORK_NOT_FOUND: 'leasehold network list shows those that there are',
  SUBNET_NOT_FOUND: 'leasehold subnet list shows those that there are',
  HOST_NOT_FOUND: 'leasehold host list shows those that there are',
  RESERVATION_NOT_FOUND: 'leasehold reservation list shows what is there, leasehold history what was',
  SUBNET_OVERLAP: 'Choose another CIDR: leasehold subnet list shows those that are taken',
  RANGE_IN_USE: 'Release it and wait until it is free, or choose another',
  IPAM_DISABLED: ({ network_id: network = 'NETWORK' }) => `leasehold network update ${network} --ipam-enabled`,
  SUBNET_CLOSING: 'Reserve elsewhere; if the delete is refused, try again',
  SUBNET_EXHAUSTED: 'Widen its ranges (leasehold subnet update --range), add a subnet, or wait for what rests',
  ADDRESS_RESERVED: 'Name another address, or none and let the system choose',
  ADDRESS_QUARANTINED: 'Wait until then, name another address, or none and let the system choose',
  RESERVATION_MISMATCH: "The address is somebody else's by now: look at it by leasehold reservation get",
  RESERVATION_RELEASED: 'Reserve again: what is new has its own settings',
  STORE_UNAVAILABLE: 'leasehold doctor says what is known of the store',
  NO_HOLDER: 'One leads within seconds: try again; leasehold status says who',
  WATCH_COMPACTED: 'Begin again with --snapshot',
  WATCH_TOO_SLOW: 'Go on with the last --resume-token, and read faster',
  RATE_LIMITED: 'Try again later, or at another server',
  UNAUTHENTICATED: "Show a certificate of this installation's CA",
  PERMISSION_DENIED: 'Ask with a certificate whose role may do this',
  DEADLINE_EXCEEDED: 'Wait longer by --timeout; before a change is repeated, look at what is there',
  NO_CONNECTION:
    'Is it the right server, reachable from here, and does it speak what this side does (plaintext or TLS)?',
  UNIMPLEMENTED: 'Is it a listener for operators (--listen, 7067), not for agents, of a server not older than this?',
  MALFORMED_RESPONSE: "Ask with the leasehold of the server's version",
};

/** Reasons whose messages say what to do. */
const SAY_IT_THEMSELVES: ReadonlySet<string> = new Set([
  ...['INVALID_FIELD', 'INVALID_PAGE_TOKEN', 'REQUEST_ID_REUSED', 'NETWORK_EXISTS', 'SUBNET_EXISTS', 'NETWORK_IN_USE'],
  ...['SUBNET_IN_USE', 'HOST_CONNECTED', 'HOST_LIVENESS_UNKNOWN', 'HOST_MAY_ANSWER_ANYWHERE', 'ADDRESSES_IN_USE'],
  ...['MAC_RESERVED', 'ETAG_MISMATCH', 'TOO_BUSY', 'FILTER_TOO_BROAD', 'HOLDING_STILL', 'OUTCOME_UNKNOWN'],
]);

// What the system says of a connection that could not be made.
const ERRNOS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there: is leasehold-server running, with this --listen?',
  ENOENT: 'There is no such socket: is leasehold-server running, with this --listen?',
  EACCES: 'This user may not open the socket: its directory and mode say who may',
  ENOTFOUND: 'This name is not known here: is --server spelled right?',
  EHOSTUNREACH: 'There is no way to that machine from here: is --server right?',
};

/** What to do about a failure; undefined: its message says it. */
export function nextStep({ reason, message, metadata }: LeaseholdError): string | undefined {
  const errno = /\((E[A-Z]+)\)/.exec(message)?.[1];
  if (reason === 'NO_CONNECTION' && errno !== undefined && ERRNOS[errno] !== undefined) return ERRNOS[errno];
  const step = STEPS[reason];
  return typeof step === 'function' ? step(metadata) : step;
}

/** Whether somebody thought of what to do about this reason. */
export function isConsidered(reason: string): boolean {
  return STEPS[reason] !== undefined || SAY_IT_THEMSELVES.has(reason);
}
