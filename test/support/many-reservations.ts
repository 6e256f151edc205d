// An export with as many reservations as one likes, to import where filling a store by calls would take too long.

import { closeSync, openSync, writeSync } from 'node:fs';
import { formatMac, type Ipv4 } from '@leasehold/proto/values';
import type { HostId, Revision, SubnetId, Uid, WallTime } from '@leasehold/server/domain/ids';
import { makeReservationId } from '@leasehold/server/domain/reservation-id';
import type { Slot } from '@leasehold/server/domain/slot';
import { ExportPrinter } from '@leasehold/server/transfer/export';
import { host, network, networkId, subnet } from '../conformance/documents.js';

/** What is made. */
export interface ManyReservations {
  /** How many of them each network has at most, in one /16; 60,000. */
  readonly perNetwork?: number;
}

const IDENTITY = {
  storeUid: '3f0c2b1a-0000-4000-8000-000000000001',
  incarnation: 1,
  authorityS: 86_400,
  authorityCeilingS: 86_400,
  holderEpoch: 7,
};
const WHEN = 1_700_000_000_000 as WallTime;
const FIRST_NETWORK = 0x0a000000;
const ADDRESSES = 65_536;
const AT_ONCE = 1_000;

/**
 * Writes an export with so many RESERVED slots, the same at every call: networks `n000`, `n001` …, each with a subnet
 * `n000-a` (10.0.0.0/16, 10.1.0.0/16 …); the nth reservation has MAC 52:54 and n in the four bytes after it.
 */
export function writeManyReservations(
  path: string,
  count: number,
  { perNetwork = 60_000 }: ManyReservations = {},
): void {
  if (perNetwork > ADDRESSES - 2) throw new Error(`A /16 has no ${perNetwork} addresses`);
  const file = openSync(path, 'w');
  try {
    const printer = new ExportPrinter(IDENTITY, WHEN);
    const networks = Array.from({ length: Math.ceil(count / perNetwork) }, (_, n) => networkOf(n));
    printer.add({ kind: 'networks', documents: networks });
    printer.add({ kind: 'hosts', documents: [{ ...host('h1'), hostId: 'h1' as HostId, revision: 1 as Revision }] });
    for (let from = 0; from < count; from += AT_ONCE) {
      const some = Math.min(AT_ONCE, count - from);
      printer.add({ kind: 'slots', documents: Array.from({ length: some }, (_, i) => slotOf(from + i, perNetwork)) });
      writeSync(file, printer.take());
    }
    printer.end();
    writeSync(file, printer.take());
  } finally {
    closeSync(file);
  }
}

function networkOf(n: number) {
  const id = nameOf(n);
  const cidr = { base: baseOf(n), prefixLength: 16 };
  const own = { ...subnet(`${id}-a`), cidr, gateway: (baseOf(n) + 1) as Ipv4, dnsServers: [(baseOf(n) + 1) as Ipv4] };
  return { ...network(id, 1), subnets: [own] };
}

function nameOf(n: number): string {
  return `n${String(n).padStart(3, '0')}`;
}

function baseOf(n: number): Ipv4 {
  return (FIRST_NETWORK + n * ADDRESSES) as Ipv4;
}

function slotOf(n: number, perNetwork: number): Slot {
  const at = Math.floor(n / perNetwork);
  const id = networkId(nameOf(at));
  const address = (baseOf(at) + 2 + (n % perNetwork)) as Ipv4;
  const mac = Buffer.alloc(6);
  mac.writeUInt16BE(0x5254);
  mac.writeUInt32BE(n, 2);
  // No chance: the same file every time.
  const entropy = { random: () => 0, bytes: (length: number) => Buffer.from(mac.toString('hex')).subarray(0, length) };
  return {
    reservationId: makeReservationId(id, address, entropy),
    networkId: id,
    address,
    subnetId: `${id}-a` as SubnetId,
    subnetUid: `uid-${id}-a` as Uid,
    mac: formatMac(mac),
    hostname: `vm-${n}`,
    owner: `vm-${n}/nic0`,
    labels: {},
    options: [],
    createTime: WHEN,
    createdBy: 'engine',
    vouched: false,
    state: 'reserved',
    chainCounter: 1,
    reuseDelayS: 0,
    leaseTimeCeilingS: 0,
    revision: 1 as Revision,
  };
}
