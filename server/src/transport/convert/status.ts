// The status of the installation on the wire.

import type { GetStatusResponse } from '@leasehold/proto/ipam/v1/ipam_service';
import type { StatusReport } from '../../app/status.js';
import { toWireBreaker } from './host.js';

/** Writes GetStatusResponse. */
export function toWireStatus(status: StatusReport): GetStatusResponse {
  const { counts } = status;
  return {
    version: status.version,
    server: status.server,
    startTime: status.startTime,
    store: {
      kind: status.store.kind,
      uid: status.store.uid,
      incarnation: BigInt(status.store.incarnation),
      breaker: toWireBreaker(status.store.breaker),
      unavailableSince:
        status.store.unavailableSince === undefined ? undefined : new Date(status.store.unavailableSince),
    },
    holder: status.holder && {
      server: status.holder.server,
      epoch: BigInt(status.holder.epoch),
      isSelf: status.isHolder,
      advertise: status.holder.advertise,
      agentAdvertise: status.holder.agentAdvertise,
    },
    brakes: status.brakes.map(({ kind, reason, since }) => ({ kind, reason, since })),
    insecureListeners: [...status.insecureListeners],
    counts: {
      networks: BigInt(counts.networks),
      subnets: BigInt(counts.subnets),
      reservations: BigInt(counts.reservations),
      quarantined: BigInt(counts.quarantined),
      hosts: BigInt(counts.hosts),
      hostsUp: BigInt(counts.hostsUp),
      placements: BigInt(counts.placements),
      placementsServing: BigInt(counts.placementsServing),
    },
    authority: { seconds: BigInt(status.authorityS), nanos: 0 },
    time: status.time,
    certificateEndTime: status.certificateEndTime,
  };
}
