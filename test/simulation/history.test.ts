// Who had which address, changes of reservations, and how long what is over is remembered.

import { formatIpv4 } from '@leasehold/proto/values';
import { listHistory } from '@leasehold/server/app/history';
import type { UpdateGuards } from '@leasehold/server/app/reservations';
import { reservationEtag } from '@leasehold/server/domain/etag';
import type { ReservationId, SubnetId } from '@leasehold/server/domain/ids';
import type { HistoryFilter } from '@leasehold/server/ports/store';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CALL } from './commands.js';
import { accepted, Installation } from './installation.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let installation: Installation;

beforeEach(async () => {
  installation = await Installation.start({}, { historyRetentionMs: DAY_MS });
  await installation.createNetwork('red');
  await installation.createSubnet('red', 'tiny', '10.0.0.0/29');
});

afterEach(async () => {
  await installation.stop();
});

const mac = (n: number) => `52:54:00:00:00:0${n}`;

/** The tenures that fit, in words, in pages of two. */
async function listed(filter: HistoryFilter): Promise<readonly string[]> {
  const words: string[] = [];
  let token = '';
  do {
    const page = accepted(await listHistory(installation.plane.useCases.context, filter, { size: 2, token }));
    for (const tenure of page.items) {
      const state = 'state' in tenure ? tenure.state : 'ended';
      words.push(`${formatIpv4(tenure.address)} ${tenure.mac.at(-1)} ${state}`);
    }
    token = page.nextToken;
  } while (token !== '');
  return words;
}

/** Reserves and releases `.3` for each of these MACs, and lets the last one keep it. */
async function tenants(...macs: readonly number[]): Promise<void> {
  for (const [i, n] of macs.entries()) {
    await installation.reserve('tiny', mac(n), '10.0.0.3');
    await installation.advance(60_000);
    if (i === macs.length - 1) return;
    accepted(await installation.tryRelease('tiny', '10.0.0.3', { guestStopped: true }));
    await installation.advance(2 * HOUR_MS);
  }
}

describe('history', () => {
  const place = { subnetId: 'tiny' as SubnetId, address: 0x0a000003 as never };

  test('tells who had an address, the newest first, the present tenant included', async () => {
    await tenants(1, 2, 3);
    expect(await listed({ place })).toEqual(['10.0.0.3 3 reserved', '10.0.0.3 2 ended', '10.0.0.3 1 ended']);
  });

  test('tells what a MAC had, also while that rests', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    accepted(await installation.tryRelease('tiny', '10.0.0.3'));
    await installation.reserve('tiny', mac(1), '10.0.0.4');
    expect((await listed({ mac: mac(1) as never })).toSorted()).toEqual([
      '10.0.0.3 1 quarantined',
      '10.0.0.4 1 reserved',
    ]);
  });

  test('is forgotten when its time is over, and only then', async () => {
    await tenants(1, 2);
    const [first] = installation.disk.history.values();
    expect(await listed({ mac: mac(1) as never })).toEqual(['10.0.0.3 1 ended']);
    await installation.advance(DAY_MS - 2 * HOUR_MS);
    expect(await listed({ mac: mac(1) as never })).toEqual(['10.0.0.3 1 ended']);
    await installation.advance(2 * HOUR_MS);
    expect(await listed({ mac: mac(1) as never })).toEqual([]);
    expect(await listed({ mac: mac(2) as never })).toEqual(['10.0.0.3 2 reserved']);
    const gone = await installation.plane.useCases.reservations.get({
      kind: 'id',
      reservationId: first?.reservationId as ReservationId,
    });
    expect(gone).toMatchObject({ ok: false, error: { kind: 'reservation-not-found' } });
  });

  test('refuses a page token that is not its own', async () => {
    const refused = await listHistory(installation.plane.useCases.context, { place }, { size: 2, token: 'nonsense' });
    expect(refused).toMatchObject({ ok: false, error: { kind: 'invalid-page-token' } });
  });
});

describe('a reservation is changed', () => {
  const update = (patch: object, guards: Partial<UpdateGuards> = {}, address = 0x0a000003) =>
    installation.plane.useCases.reservations.update(
      { kind: 'address', subnetId: 'tiny' as SubnetId, address: address as never },
      patch,
      { reservationId: undefined, etag: '', ...guards },
      CALL,
    );

  test('in what is named, and in nothing else', async () => {
    const before = await installation.reserve('tiny', mac(1), '10.0.0.3');
    const after = accepted(await update({ hostname: 'vm-1', labels: { tier: 'gold' } }));
    expect(after).toEqual({ ...before, hostname: 'vm-1', labels: { tier: 'gold' }, revision: before.revision + 1 });
    expect(accepted(await update({ hostname: 'vm-1' }))).toEqual(after);
  });

  test('by whoever saw it as it is', async () => {
    const before = await installation.reserve('tiny', mac(1), '10.0.0.3');
    const etag = reservationEtag(before);
    accepted(await update({ hostname: 'a' }, { etag }));
    expect(await update({ hostname: 'b' }, { etag })).toMatchObject({ ok: false, error: { kind: 'etag-mismatch' } });
    const both = await Promise.all([update({ hostname: 'c' }), update({ owner: 'd' })]);
    expect(both.map(({ ok }) => ok)).toEqual([true, true]);
    const [slot] = installation.disk.slots.values().next().value?.values() ?? [];
    expect(slot).toMatchObject({ hostname: 'c', owner: 'd' });
  });

  test('only if it is the one that is named beside its address', async () => {
    const first = await installation.reserve('tiny', mac(1), '10.0.0.3');
    accepted(await installation.tryRelease('tiny', '10.0.0.3'));
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    const refused = await update({ hostname: 'x' }, { reservationId: first.reservationId });
    expect(refused).toMatchObject({ ok: false, error: { kind: 'reservation-mismatch' } });
  });

  test('only while it is RESERVED', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    accepted(await installation.tryRelease('tiny', '10.0.0.3'));
    expect(await update({ hostname: 'x' })).toMatchObject({ ok: false, error: { kind: 'reservation-released' } });
    expect(await update({ hostname: 'x' }, {}, 0x0a000004)).toMatchObject({
      ok: false,
      error: { kind: 'reservation-not-found' },
    });
  });
});
