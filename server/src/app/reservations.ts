// Reservations read: one by a key, or a list in address order. Made and ended in reserve.ts and release.ts.

import { formatIpv4, type Ipv4, type Mac, parseIpv4 } from '@leasehold/proto/values';
import { type Result, success } from '../domain/errors.js';
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

/** Lists reservations, by network and in address order. */
export async function listReservations(
  { store, view }: Pick<Context, 'store' | 'view'>,
  filter: ReservationFilter,
  page: PageRequest,
): Promise<Result<Page<Slot>>> {
  const list = ['reservations', filter];
  const token = readToken(list, page.token);
  if (!token.ok) return token;
  const after = token.value === undefined ? undefined : parsePosition(token.value);
  const items: Slot[] = [];
  let lookedAt = 0;
  for (const networkId of networksToScan({ view }, filter, after)) {
    const from = after?.networkId === networkId ? ((after.address + 1) as Ipv4) : undefined;
    const batches =
      filter.mac === undefined
        ? store.slots.scan({ networkId, ...(from === undefined ? {} : { from }) })
        : [await ofMac({ store }, networkId, filter.mac, from)];
    for await (const slots of batches) {
      for (const slot of slots) {
        lookedAt++;
        if (fits(slot, filter)) items.push(slot);
        if (items.length < pageSize(page) && lookedAt < MAX_LOOKED_AT) continue;
        return success({ items, nextToken: makeToken(list, formatPosition(slot)) });
      }
    }
  }
  return success({ items, nextToken: '' });
}

function networksToScan(
  { view }: Pick<Context, 'view'>,
  filter: ReservationFilter,
  after: Position | undefined,
): readonly NetworkId[] {
  const ofSubnet = filter.subnetId && view.subnet(filter.subnetId)?.network.networkId;
  if (filter.subnetId && !ofSubnet) return [];
  const wanted = [...view.networks.keys()].filter(
    (networkId) =>
      (!filter.networkId || networkId === filter.networkId) &&
      (!ofSubnet || networkId === ofSubnet) &&
      (!after || networkId >= after.networkId),
  );
  return wanted.sort();
}

async function ofMac({ store }: Pick<Context, 'store'>, networkId: NetworkId, mac: Mac, from: Ipv4 | undefined) {
  const slots = await store.slots.findByMac(networkId, mac);
  return slots.filter(({ address }) => from === undefined || address >= from);
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
  const address = parseIpv4(text.slice(slash + 1));
  return address.ok ? { networkId: text.slice(0, slash) as NetworkId, address: address.value } : undefined;
}
