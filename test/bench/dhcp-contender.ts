// Programs that answer DHCP, each on a wire of its own, and how many four-way exchanges (DISCOVER, OFFER, REQUEST, ACK)
// guests on that wire have with it.
//
// The guests run on the same machine and take most of it, so a program is judged by its processor time: exchanges per
// second of one core that it used. The rate on the wire stands beside it.

import type { Cluster } from '../support/cluster.js';
import { acceptAnySource } from '../support/guest-socket.js';
import type { Nic } from '../support/netns.js';
import type { WatchedProcess } from '../support/processes.js';
import { cpuSeconds, runChild } from './child.js';

/** How many exchanges a round has. */
export const EXCHANGES = 10_000;
const OUTSTANDING = 32;

/** What the guests' program is told. */
export interface ExchangeTask {
  readonly interfaceName: string;
  /** MACs 0 to this, less one, take turns. */
  readonly macs: number;
  readonly exchanges: number;
  readonly outstanding: number;
  /** Between an exchange and the next of the same guest; 0 without it. */
  readonly pauseMs?: number;
}

/** What the guests saw. */
export interface ExchangeResult {
  readonly seconds: number;
  /** Messages that had to be sent again. */
  readonly repeated: number;
  /** From the DISCOVER to the ACK, repetitions and all. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

/** A program, its guests, and how it did so far. */
export interface Contender {
  readonly responder: WatchedProcess;
  readonly guest: Nic;
  readonly macs: number;
  readonly perSecond: number[];
  readonly perCoreSecond: number[];
  repeated: number;
}

/** Makes the guests of a program that answers on a wire; MACs 0 to `macs`, less one, are known to it. */
export async function contender(
  cluster: Cluster,
  wire: string,
  program: WatchedProcess,
  macs: number,
): Promise<Contender> {
  const guest = await cluster.guest(wire, `guests-${wire}`, '52:54:00:00:00:01');
  await acceptAnySource(guest.namespace);
  return { responder: program, guest, macs, perSecond: [], perCoreSecond: [], repeated: 0 };
}

/** One round; one that does not count warms up. */
export async function exchange(each: Contender, counts: boolean): Promise<void> {
  const task: ExchangeTask = {
    interfaceName: each.guest.name,
    macs: each.macs,
    exchanges: EXCHANGES,
    outstanding: OUTSTANDING,
  };
  const before = cpuSeconds(each.responder.pid);
  const { seconds, repeated } = await runChild<ExchangeResult>('exchange-program', task, each.guest.namespace);
  const used = cpuSeconds(each.responder.pid) - before;
  if (!counts) return;
  each.perSecond.push(EXCHANGES / seconds);
  each.perCoreSecond.push(EXCHANGES / used);
  each.repeated += repeated;
}
