// Waits until DHCP servers confirmed that they can serve a reservation, so that a VM can boot knowing that it will be
// answered.

import { invalidField, type Result, success } from '../domain/errors.js';
import type { EndedTenure, Slot } from '../domain/slot.js';
import type { Context } from './context.js';
import type { Reservations } from './reservations.js';
import type { ReserveCommand } from './reserve.js';

/** How many servers to wait for, and how long at most. */
export interface Wait {
  readonly servers: number;
  readonly timeoutMs: number;
}

/** Refuses to wait for more servers than the network wants: it would never end well. */
export async function checkWait(
  { store, view }: Pick<Context, 'store' | 'view'>,
  { subnetId, networkId }: Pick<ReserveCommand, 'subnetId' | 'networkId'>,
  servers: number,
): Promise<Result<undefined>> {
  const known = subnetId === undefined ? networkId && view.network(networkId) : view.subnet(subnetId)?.network;
  if (known && servers <= known.dhcpServerCount) return success(undefined);
  // Memory refuses nothing: it may be late.
  const network = await (subnetId === undefined
    ? networkId && store.networks.get(networkId)
    : store.networks.findBySubnet(subnetId));
  if (!network || servers <= network.dhcpServerCount) return success(undefined);
  const wanted = `network ${network.networkId} wants ${network.dhcpServerCount} (dhcp_server_count)`;
  return invalidField('wait_ready.servers', `${servers} is more than ever serve: ${wanted}`);
}

/**
 * The reservation when enough servers confirmed it, or when the time is up or the caller gone: as it is then, for it may
 * have been released meanwhile. One that is not RESERVED is not waited for: nobody will serve it.
 */
export async function waitUntilReady(
  { hosts, clock }: Pick<Context, 'hosts' | 'clock'>,
  reservations: Pick<Reservations, 'get'>,
  tenure: Slot | EndedTenure,
  wait: Wait,
  signal: AbortSignal,
): Promise<Slot | EndedTenure> {
  if (!('state' in tenure) || tenure.state !== 'reserved') return tenure;
  const { networkId, address, reservationId } = tenure;
  const timeUp = new AbortController();
  const timer = clock.after(wait.timeoutMs, () => timeUp.abort());
  try {
    const either = AbortSignal.any([signal, timeUp.signal]);
    await hosts.waitReady(networkId, address, reservationId, wait.servers, either);
  } finally {
    timer.cancel();
  }
  const now = await reservations.get({ kind: 'id', reservationId });
  return now.ok ? now.value : tenure;
}
