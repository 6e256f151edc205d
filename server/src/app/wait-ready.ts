// Waits until DHCP servers confirmed that they can serve a reservation, so that a VM can boot knowing that it will be
// answered.

import { invalidField, type Result, success } from '../domain/errors.js';
import type { EndedTenure, Slot } from '../domain/slot.js';
import type { Context } from './context.js';
import type { ReserveCommand } from './reserve.js';

/** How many servers to wait for, and how long at most. */
export interface Wait {
  readonly servers: number;
  readonly timeoutMs: number;
}

/** Refuses to wait for more servers than the network wants: it would never end well. */
export function checkWait(
  { view }: Pick<Context, 'view'>,
  { subnetId, networkId }: Pick<ReserveCommand, 'subnetId' | 'networkId'>,
  servers: number,
): Result<undefined> {
  const network = subnetId === undefined ? networkId && view.network(networkId) : view.subnet(subnetId)?.network;
  if (!network || servers <= network.dhcpServerCount) return success(undefined);
  const wanted = `network ${network.networkId} wants ${network.dhcpServerCount} (dhcp_server_count)`;
  return invalidField('wait_ready.servers', `${servers} is more than ever serve: ${wanted}`);
}

/** How many servers confirmed when enough did, or when the time is up or the caller gone. */
export async function waitUntilReady(
  { hosts, clock }: Pick<Context, 'hosts' | 'clock'>,
  { networkId, address, reservationId }: Slot | EndedTenure,
  wait: Wait,
  signal: AbortSignal,
): Promise<number> {
  const timeUp = new AbortController();
  const timer = clock.after(wait.timeoutMs, () => timeUp.abort());
  try {
    const either = AbortSignal.any([signal, timeUp.signal]);
    return await hosts.waitReady(networkId, address, reservationId, wait.servers, either);
  } finally {
    timer.cancel();
  }
}
