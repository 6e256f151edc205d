// The table of refusals, what docs/errors.md says of it, and what a refusal is on the wire.

import { readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo } from '@leasehold/proto/google/rpc/error_details';
import { Status } from '@leasehold/proto/google/rpc/status';
import type { Cidr, Ipv4, Mac } from '@leasehold/proto/values';
import { describe, expect, test } from 'vitest';
import {
  addressesInUse,
  addressQuarantined,
  addressReserved,
  etagMismatch,
  filterTooBroad,
  holdingStill,
  hostConnected,
  hostMayAnswerAnywhere,
  hostNotFound,
  hostNotKnownAway,
  type IpamError,
  type IpamErrorKind,
  invalidFields,
  invalidPageToken,
  ipamDisabled,
  macReserved,
  networkExists,
  networkInUse,
  networkNotFound,
  noHolder,
  noHolderOf,
  type Obstacle,
  outcomeUnknown,
  permissionDenied,
  type Refused,
  rangeInUse,
  rateLimited,
  requestIdReused,
  reservationMismatch,
  reservationNotFound,
  reservationReleased,
  sessionSuperseded,
  sessionTooSlow,
  storeOlder,
  storeUnavailable,
  subnetClosing,
  subnetExhausted,
  subnetExists,
  subnetInUse,
  subnetNotFound,
  subnetOverlap,
  success,
  tooBusy,
  tooManyCalls,
  unauthenticated,
  watchCompacted,
  watchTooSlow,
} from '../domain/errors.js';
import type { HostId, NetworkId, ReservationId, SubnetId } from '../domain/ids.js';
import { orThrow, REFUSALS, RefusedError, toWireError } from './errors.js';

const NETWORK = 'red' as NetworkId;
const SUBNET = 'red-a' as SubnetId;
const HOST = 'h1' as HostId;
const RESERVATION = 'r1' as ReservationId;
const ADDRESS = 0x0a000007 as Ipv4;
const CIDR: Cidr = { base: 0x0a000000 as Ipv4, prefixLength: 24 };
const SOON = new Date(1_767_225_600_000);
const SLOT: Obstacle = {
  reservationId: RESERVATION,
  networkId: NETWORK,
  subnetId: SUBNET,
  address: ADDRESS,
  mac: '52:54:00:aa:bb:cc' as Mac,
};

/** Every refusal there is, with all the metadata it can have. */
const SAMPLES: Readonly<Record<IpamErrorKind, readonly Refused[]>> = {
  'invalid-field': [
    invalidFields([
      { field: 'subnet.cidr', description: 'Required' },
      { field: 'subnet.mtu', description: '5 is not between 576 and 65535' },
    ]),
  ],
  'invalid-page-token': [invalidPageToken()],
  'request-id-reused': [requestIdReused('q1', RESERVATION)],
  'network-not-found': [networkNotFound(NETWORK)],
  'subnet-not-found': [subnetNotFound(SUBNET)],
  'host-not-found': [hostNotFound(HOST)],
  'reservation-not-found': [
    reservationNotFound('id r1', { reservation_id: RESERVATION }),
    reservationNotFound('address 10.0.0.7 of subnet red-a', { subnet_id: SUBNET, address: '10.0.0.7' }),
    reservationNotFound('MAC 52:54:00:aa:bb:cc in network red', { network_id: NETWORK, mac: SLOT.mac }),
  ],
  'network-exists': [networkExists(NETWORK)],
  'subnet-exists': [subnetExists(SUBNET, NETWORK)],
  'subnet-overlap': [subnetOverlap(CIDR, { subnetId: SUBNET, cidr: CIDR })],
  'network-in-use': [networkInUse(NETWORK, SUBNET)],
  'subnet-in-use': [subnetInUse(SUBNET, ADDRESS)],
  'range-in-use': [rangeInUse(SUBNET, ADDRESS, 'reserved')],
  'host-connected': [hostConnected(HOST)],
  'host-liveness-unknown': [hostNotKnownAway(HOST)],
  'host-may-answer-anywhere': [hostMayAnswerAnywhere(HOST)],
  'ipam-disabled': [ipamDisabled(NETWORK)],
  'subnet-closing': [subnetClosing(SUBNET)],
  'addresses-in-use': [addressesInUse({ networkId: NETWORK, subnetId: SUBNET }, [0x0a000005 as Ipv4])],
  'subnet-exhausted': [subnetExhausted({ networkId: NETWORK, subnetId: SUBNET }, 3, SOON)],
  'address-reserved': [addressReserved(SLOT)],
  'address-quarantined': [addressQuarantined(SLOT, SOON)],
  'mac-reserved': [macReserved(SLOT)],
  'reservation-mismatch': [reservationMismatch(SLOT, 'mac')],
  'etag-mismatch': [etagMismatch('Network red', 'abc')],
  'too-busy': [tooBusy('Network red')],
  'reservation-released': [reservationReleased(SLOT)],
  'outcome-unknown': [outcomeUnknown()],
  'no-holder': [
    noHolder(undefined),
    noHolderOf({ storeUid: 'u', incarnation: 2 }, { server: 's1', epoch: 7, agentAdvertise: '10.0.0.1:7069' }),
  ],
  'holding-still': [holdingStill('An old copy was restored'), storeOlder(HOST, 'An old copy was restored')],
  'watch-compacted': [watchCompacted()],
  'watch-too-slow': [watchTooSlow()],
  'rate-limited': [rateLimited('This server has 128 watches already'), tooManyCalls('engine/ovirt', 20_000, 40)],
  'filter-too-broad': [filterTooBroad()],
  'store-unavailable': [storeUnavailable('The store is closed')],
  'session-superseded': [sessionSuperseded(HOST)],
  'session-too-slow': [sessionTooSlow()],
  unauthenticated: [unauthenticated('it has no certificate')],
  'permission-denied': [permissionDenied('viewer/ann', 'call CreateNetwork', 'that is for engine')],
};

const ERRORS: readonly IpamError[] = Object.values(SAMPLES).flatMap((refusals) => refusals.map(({ error }) => error));

/** A row of the table in docs/errors.md. */
interface Row {
  readonly code: string | undefined;
  readonly metadata: readonly string[];
}

/** The rows, by reason. */
function documented(): ReadonlyMap<string, Row> {
  const text = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
  const section = /^## Reasons$(.*?)^## /ms.exec(text)?.[1] ?? '';
  const rows = section.split('\n').flatMap((line): readonly (readonly [string, Row])[] => {
    const [, reason, code, , metadata] = line.split('|').map((cell) => cell.trim());
    const name = /^`([A-Z_]+)`$/.exec(reason ?? '')?.[1];
    if (name === undefined) return [];
    const keys = [...(metadata ?? '').matchAll(/`([a-z_]+)`/g)].flatMap(([, key]) => key ?? []);
    return [[name, { code, metadata: keys.sort() }]];
  });
  return new Map(rows);
}

function unpack(error: IpamError) {
  const wire = toWireError(error);
  const [bytes] = wire.metadata.get('grpc-status-details-bin');
  const decoded = Status.decode(bytes as Buffer);
  const of = (type: string) => decoded.details.filter(({ typeUrl }) => typeUrl === `type.googleapis.com/${type}`);
  return {
    wire,
    decoded,
    infos: of('google.rpc.ErrorInfo').map(({ value }) => ErrorInfo.decode(value)),
    badRequests: of('google.rpc.BadRequest').map(({ value }) => BadRequest.decode(value)),
  };
}

describe('docs/errors.md', () => {
  test('lists every reason once, and no other', () => {
    const reasons = Object.values(REFUSALS).map(({ reason }) => reason as string);
    expect([...documented().keys()].sort()).toEqual(reasons.sort());
  });

  test('is in the order of the table', () => {
    expect([...documented().keys()]).toEqual(Object.values(REFUSALS).map(({ reason }) => reason));
  });

  test.each(Object.entries(REFUSALS))('names the code of %s', (_kind, { code, reason }) => {
    expect(documented().get(reason)?.code).toBe(status[code]);
  });

  test.each(Object.entries(SAMPLES))('names the metadata of %s', (kind, refusals) => {
    const keys = new Set(refusals.flatMap(({ error }) => Object.keys(error.metadata)));
    expect(documented().get(REFUSALS[kind as IpamErrorKind].reason)?.metadata).toEqual([...keys].sort());
  });
});

describe('a refusal on the wire', () => {
  test.each(ERRORS)('$kind has its code and message, once for gRPC and once in the details', (error) => {
    const { wire, decoded } = unpack(error);
    const { code } = REFUSALS[error.kind];
    expect([wire.code, decoded.code]).toEqual([code, code]);
    expect([wire.details, decoded.message]).toEqual([error.message, error.message]);
  });

  test.each(ERRORS)('$kind has exactly one ErrorInfo, with its reason and metadata', (error) => {
    const { reason } = REFUSALS[error.kind];
    expect(unpack(error).infos).toEqual([{ reason, domain: 'leasehold', metadata: error.metadata }]);
  });

  test.each(ERRORS)('$kind has a BadRequest only when a field is at fault', (error) => {
    const { decoded, badRequests } = unpack(error);
    expect(badRequests.length).toBe(error.kind === 'invalid-field' ? 1 : 0);
    expect(decoded.details.length).toBe(1 + badRequests.length);
  });

  test('every violation is in the BadRequest, in its order', () => {
    const [refused] = SAMPLES['invalid-field'];
    const { badRequests } = unpack((refused as Refused).error);
    const violations = badRequests.flatMap(({ fieldViolations }) => fieldViolations);
    expect(violations.map(({ field, description }) => ({ field, description }))).toEqual(refused?.error.violations);
  });

  test('names at most 20 violations, and says how many it leaves out', () => {
    const { error } = invalidFields(
      Array.from({ length: 500 }, (_, i) => ({ field: `f[${i}]`, description: 'Wrong' })),
    );
    expect(unpack(error).badRequests.flatMap(({ fieldViolations }) => fieldViolations)).toHaveLength(20);
    expect(error.message).toMatch(/^f\[0\]: Wrong; .*; f\[19\]: Wrong; and 480 more$/);
  });

  const long = 'ü'.repeat(100_000);
  const sizes: readonly (readonly [string, IpamError])[] = [
    ['many violations', invalidFields(Array.from({ length: 500 }, () => ({ field: long, description: long }))).error],
    ['long metadata', reservationNotFound(long, { a: long, b: long, c: `x${long}` }).error],
    [
      'much metadata',
      reservationNotFound('x', Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${i}`, long]))).error,
    ],
    ['half a character', reservationNotFound(`${'x'.repeat(1_023)}\ud83d`, { a: '\ud83d' }).error],
  ];

  test.each(sizes)('stays under 6 KiB on the wire: %s', (_name, error) => {
    const { wire, infos } = unpack(error);
    const [details] = wire.metadata.get('grpc-status-details-bin');
    // As grpc-js sends them.
    const bytes = encodeURI(wire.details).length + Buffer.from(details as Buffer).toString('base64').length;
    expect(bytes).toBeLessThan(6 * 1024);
    expect(infos[0]?.reason).toBe(REFUSALS[error.kind].reason);
  });

  test.each(ERRORS)('$kind says when to try again only if it is UNAVAILABLE, or that is known', (error) => {
    const { wire } = unpack(error);
    const expected = wire.code === status.UNAVAILABLE ? ['500'] : [error.retryAfterMs ?? []].flat().map(String);
    expect(wire.metadata.get('grpc-retry-pushback-ms')).toEqual(expected);
  });
});

describe('orThrow', () => {
  test('answers the value of a success', () => {
    expect(orThrow(success(7))).toBe(7);
  });

  test('throws the very refusal', () => {
    const refused = networkNotFound('red');
    expect(() => orThrow(refused)).toThrow(RefusedError);
    expect(() => orThrow(refused)).toThrow(expect.objectContaining({ refusal: refused.error }));
  });
});
