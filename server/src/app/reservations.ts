// Reservations read: one by a key, or a list in address order. Made and ended in reserve.ts and release.ts.

import {
  type Cidr,
  firstAddress,
  formatIpv4,
  type Ipv4,
  lastAddress,
  type Mac,
  parseIpv4,
  parseResourceId,
} from '@leasehold/proto/values';
import { invalidPageToken, type Result, success } from '../domain/errors.js';
import type { NetworkId, SubnetId } from '../domain/ids.js';
import type { Slot } from '../domain/slot.js';
import type { Context } from './context.js';
import { makeToken, type Page, type PageRequest, pageSize, readToken } from './paging.js';

/** Which reservations to list; what is undefined does not matter. */
export interface ReservationFilter {
  readonly networkId: NetworkId | undefined;
  readonly subnetId: SubnetId | undefined;
  readonly mac: Mac | undefined;
  readonly owner: string | undefined;
  readonly state: Slot['state'] | undefined;
}

interface Position {
  readonly networkId: NetworkId;
  readonly address: Ipv4;
}

// How many slots one page looks at: a filter that fits few must not hold a call for the whole store.
const MAX_LOOKED_AT = 20_000;

/** Lists reservations, by network and in address order. When the caller is gone it ends with what it has. */
export async function listReservations(
  { store, view }: Pick<Context, 'store' | 'view'>,
  filter: ReservationFilter,
  page: PageRequest,
  signal: AbortSignal,
): Promise<Result<Page<Slot>>> {
  const list = ['reservations', filter];
  const token = readToken(list, page.token);
  if (!token.ok) return token;
  const after = token.value === undefined ? undefined : parsePosition(token.value);
  if (token.value !== undefined && !after) return invalidPageToken();
  const items: Slot[] = [];
  let lookedAt = 0;
  for (const range of rangesToScan({ view }, filter, after)) {
    const batches = filter.mac === undefined ? store.slots.scan(range) : [await ofMac({ store }, range, filter.mac)];
    for await (const slots of batches) {
      for (const slot of slots) {
        lookedAt++;
        if (fits(slot, filter)) items.push(slot);
        if (items.length < pageSize(page) && lookedAt < MAX_LOOKED_AT) continue;
        return success({ items, nextToken: makeToken(list, formatPosition(slot)) });
      }
      if (signal.aborted) return success({ items, nextToken: '' });
    }
  }
  return success({ items, nextToken: '' });
}

/** Addresses of a network, both ends included. */
interface Range {
  readonly networkId: NetworkId;
  readonly from: Ipv4;
  readonly to: Ipv4;
}

const EVERYWHERE: Cidr = { base: 0 as Ipv4, prefixLength: 0 };

// A subnet keeps its CIDR for life: what is outside of it belongs to an earlier subnet of the same id.
function rangesToScan(
  { view }: Pick<Context, 'view'>,
  filter: ReservationFilter,
  after: Position | undefined,
): readonly Range[] {
  const found = filter.subnetId === undefined ? undefined : view.subnet(filter.subnetId);
  if (filter.subnetId !== undefined && !found) return [];
  const cidr = found?.subnet.cidr ?? EVERYWHERE;
  const [first, to] = [firstAddress(cidr), lastAddress(cidr)];
  return [...(found ? [found.network.networkId] : view.networks.keys())]
    .filter(
      (networkId) => (!filter.networkId || networkId === filter.networkId) && (!after || networkId >= after.networkId),
    )
    .sort()
    .map((networkId) => {
      const from = after?.networkId === networkId ? Math.max(first, after.address + 1) : first;
      return { networkId, from: from as Ipv4, to };
    })
    .filter(({ from }) => from <= to);
}

async function ofMac({ store }: Pick<Context, 'store'>, { networkId, from, to }: Range, mac: Mac) {
  const slots = await store.slots.findByMac(networkId, mac);
  return slots.filter(({ address }) => address >= from && address <= to);
}

function fits(slot: Slot, { subnetId, mac, owner, state }: ReservationFilter): boolean {
  return (
    (subnetId === undefined || slot.subnetId === subnetId) &&
    (mac === undefined || slot.mac === mac) &&
    (owner === undefined || slot.owner === owner) &&
    (state === undefined || slot.state === state)
  );
}

function formatPosition({ networkId, address }: Position): string {
  return `${networkId}/${formatIpv4(address)}`;
}

function parsePosition(text: string): Position | undefined {
  const slash = text.indexOf('/');
  const networkId = parseResourceId(text.slice(0, slash));
  const address = parseIpv4(text.slice(slash + 1));
  if (!networkId.ok || !address.ok) return undefined;
  return { networkId: networkId.value as NetworkId, address: address.value };
}
