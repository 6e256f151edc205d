// Listing reservations: what is read for a page, and where a page begins.

import { formatIpv4, parseIpv4 } from '@leasehold/proto/values';
import type { ReservationFilter } from '@leasehold/server/app/reservations';
import type { NetworkId, SubnetId } from '@leasehold/server/domain/ids';
import type { Slot } from '@leasehold/server/domain/slot';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { accepted, Installation } from './installation.js';

let installation: Installation;

beforeEach(async () => {
  installation = await Installation.start();
  for (const networkId of ['blue', 'red']) await installation.createNetwork(networkId);
  await installation.createSubnet('red', 'low', '10.0.0.0/29');
  await installation.createSubnet('red', 'high', '10.0.1.0/29');
  await installation.createSubnet('blue', 'other', '10.0.0.0/29');
  for (const [i, subnetId] of ['low', 'high', 'other'].entries()) {
    for (let n = 0; n < 5; n++) await installation.reserve(subnetId, `52:54:00:00:0${i}:0${n}`);
  }
});

afterEach(async () => {
  await installation.stop();
});

function list(filter: Partial<ReservationFilter>, page = { size: 0, token: '' }) {
  const none = { networkId: undefined, subnetId: undefined, mac: undefined, owner: undefined, state: undefined };
  return installation.plane.useCases.reservations.list({ ...none, ...filter }, page);
}

function ip(text: string) {
  const parsed = parseIpv4(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}

const placesOf = (slots: readonly Slot[]) =>
  slots.map(({ networkId, address }) => `${networkId} ${formatIpv4(address)}`);

/** Walks through a list by pages. */
async function listAll(filter: Partial<ReservationFilter>, size: number): Promise<readonly string[]> {
  const places: string[] = [];
  let token = '';
  do {
    const page = accepted(await list(filter, { size, token }));
    expect(page.items.length).toBeLessThanOrEqual(size);
    places.push(...placesOf(page.items));
    token = page.nextToken;
  } while (token !== '');
  return places.sort();
}

describe('ListReservations', () => {
  test.each([1, 2, 5, 100])('finds everything once, in pages of %i', async (size) => {
    expect((await listAll({}, size)).length).toBe(15);
    expect(new Set(await listAll({}, size)).size).toBe(15);
    expect(await listAll({ networkId: 'red' as NetworkId }, size)).toHaveLength(10);
  });

  test.each([1, 2, 100])('of a subnet reads its addresses only, in pages of %i', async (size) => {
    const { slots } = installation.plane.useCases.context.store;
    const asked = vi.spyOn(slots, 'list');
    expect(await listAll({ subnetId: 'high' as SubnetId }, size)).toHaveLength(5);
    const range = { networkId: 'red', from: ip('10.0.1.0'), to: ip('10.0.1.7') };
    for (const [filter] of asked.mock.calls) expect(filter).toMatchObject(range);
    expect(asked).toHaveBeenCalled();
  });

  test('a token with a position that is none is refused, and does not begin again', async () => {
    const { nextToken } = accepted(await list({}, { size: 1, token: '' }));
    const mark = Buffer.from(nextToken, 'base64url').toString().slice(0, 8);
    for (const position of ['', 'red', 'red/', 'red/10.0.0', '/10.0.0.1', 'RED/10.0.0.1']) {
      const token = Buffer.from(`${mark}${position}`).toString('base64url');
      expect(await list({}, { size: 1, token })).toMatchObject({ ok: false, error: { kind: 'invalid-page-token' } });
    }
  });
});
