// Who changed what: settings by events that are stored with their changes, reservations by their tenures.

import { Audit } from '@leasehold/server/app/audit';
import type { Call } from '@leasehold/server/app/context';
import type { AuditEvent } from '@leasehold/server/domain/audit';
import type { HostId, NetworkId, SubnetId } from '@leasehold/server/domain/ids';
import type { RequestKey } from '@leasehold/server/domain/slot';
import type { AuditFilter } from '@leasehold/server/ports/store';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CALL, releaseCommand, subnetSettings } from './commands.js';
import { accepted, Installation, type InstallationOptions } from './installation.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const RED = 'red' as NetworkId;
const ALICE: Call = { ...CALL, caller: 'engine/alice', requestId: 'r-1' };

let installation: Installation;

async function begin(options: InstallationOptions = {}): Promise<void> {
  installation = await Installation.start({}, { historyRetentionMs: DAY_MS, ...options });
  const settings = { displayName: '', labels: {}, dhcpServerCount: 1, ipamEnabled: true };
  accepted(await installation.plane.useCases.networks.create(RED, settings, ALICE));
  await installation.advance(1_000);
  await installation.createSubnet('red', 'tiny', '10.0.0.0/29');
}

beforeEach(() => begin());
afterEach(() => installation.stop());

const mac = (n: number) => `52:54:00:00:00:0${n}`;
const request = (rpc: RequestKey['rpc'], id: string): RequestKey => ({ caller: 'test', rpc, id, contentHash: 'h' });

/** The events that fit, in pages. `between`: what happens after each page. */
async function listed(filter: AuditFilter = {}, size = 2, between?: () => Promise<unknown>): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  let token = '';
  do {
    const page = accepted(await installation.plane.useCases.audit.list(filter, { size, token }, CALL));
    expect(page.items.length).toBeLessThanOrEqual(size);
    events.push(...page.items);
    token = page.nextToken;
    await between?.();
  } while (token !== '');
  return events;
}

const inWords = ({ method, resourceId, caller }: AuditEvent) => `${method} ${resourceId} ${caller}`;
const deeds = async (filter?: AuditFilter, size?: number) => (await listed(filter, size)).map(({ method }) => method);

/** A life of an address: reserved, released, freed. */
async function live(n: number, address: string, requestId: string): Promise<void> {
  const ids = { request: request('ReserveAddress', requestId) };
  accepted(await installation.tryReserve('tiny', mac(n), address, ids));
  await installation.advance(MINUTE_MS);
  const release = { guestStopped: true, request: request('ReleaseAddress', requestId) };
  accepted(await installation.tryRelease('tiny', address, release));
  await installation.advance(MINUTE_MS);
}

describe('settings', () => {
  test('a change has one event with its author, and what it was before and is after', async () => {
    const { networks, subnets } = installation.plane.useCases;
    accepted(await networks.update(RED, { displayName: 'Red' }, '', ALICE));
    await installation.advance(1_000);
    const patch = { leaseTimeS: 7_200 };
    accepted(await subnets.update('tiny' as SubnetId, { networkId: undefined, patch, etag: '' }, ALICE));
    await installation.advance(1_000);
    accepted(await subnets.delete('tiny' as SubnetId, '', CALL));
    await installation.advance(1_000);
    accepted(await networks.delete(RED, '', CALL));
    const events = (await listed()).toReversed();
    expect(events.map(inWords)).toEqual([
      'CreateNetwork red engine/alice',
      'CreateSubnet tiny test',
      'UpdateNetwork red engine/alice',
      'UpdateSubnet tiny engine/alice',
      'DeleteSubnet tiny test',
      'DeleteNetwork red test',
    ]);
    const shown = events.map(({ before, after }) => [before !== undefined, after !== undefined]);
    expect(shown).toEqual([
      [false, true],
      [false, true],
      [true, true],
      [true, true],
      [true, false],
      [true, false],
    ]);
    expect(events[2]).toMatchObject({
      kind: 'network',
      networkId: 'red',
      requestId: 'r-1',
      before: { displayName: '' },
      after: { displayName: 'Red', labels: {} },
    });
    expect(events[2]?.after).not.toHaveProperty('subnets');
    expect(events[3]).toMatchObject({ before: { leaseTimeS: 3_600 }, after: { leaseTimeS: 7_200 } });
    expect(events[5]).not.toHaveProperty('requestId');
    expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(6);
  });

  test('what changes nothing, or is refused, has none, and no log line', async () => {
    const { networks, subnets, reservations } = installation.plane.useCases;
    const before = await listed();
    const lines = installation.log.lines.filter(({ message }) => message === 'audit').length;
    const same = { displayName: '', labels: {}, dhcpServerCount: 1, ipamEnabled: true };
    accepted(await networks.create(RED, same, ALICE));
    accepted(await networks.update(RED, { dhcpServerCount: 1 }, '', ALICE));
    expect((await networks.update(RED, { dhcpServerCount: 3 }, 'stale', ALICE)).ok).toBe(false);
    expect((await networks.delete(RED, '', ALICE)).ok).toBe(false);
    expect((await subnets.create(RED, 'other' as SubnetId, subnetSettings('10.0.0.0/24'), ALICE)).ok).toBe(false);
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    expect((await subnets.delete('tiny' as SubnetId, '', ALICE)).ok).toBe(false);
    const key = { kind: 'address', subnetId: 'tiny' as SubnetId, address: 0x0a000003 as never } as const;
    accepted(await reservations.update(key, { hostname: '' }, { reservationId: undefined, etag: '' }, ALICE));
    expect((await listed()).slice(1)).toEqual(before);
    expect(installation.log.lines.filter(({ message }) => message === 'audit')).toHaveLength(lines);
  });

  test('a host that is changed, fenced and forgotten', async () => {
    const { hosts } = installation.plane.useCases;
    await installation.storeHost('h1');
    accepted(await hosts.update('h1' as HostId, { maintenance: true }, '', ALICE));
    await installation.advance(MINUTE_MS);
    accepted(await hosts.fence('h1' as HostId, 'pulled its plug', ALICE));
    await installation.advance(MINUTE_MS);
    accepted(await hosts.delete('h1' as HostId, '', ALICE));
    const events = await listed({ kind: 'host' });
    expect(events.map(({ method }) => method)).toEqual(['DeleteHost', 'FenceHost', 'UpdateHost']);
    expect(events[1]).toMatchObject({ after: { fence: { reason: 'pulled its plug', by: 'engine/alice' } } });
    expect(events[1]?.before).not.toHaveProperty('fence');
    expect(events[0]).not.toHaveProperty('after');
  });

  test('a rebalance has an event for each network it changed, with who served and who shall', async () => {
    const networks = ['red', 'n1', 'n2', 'n3'];
    for (const [n, id] of networks.slice(1).entries()) {
      await installation.createNetwork(id);
      await installation.createSubnet(id, `${id}-a`, `10.${n + 1}.0.0/24`);
    }
    await installation.addHost('h1', networks);
    await installation.advance(5_000);
    await installation.addHost('h2', networks);
    await installation.advance(5_000);
    const { rebalance } = installation.plane.useCases;
    accepted(await rebalance.run(undefined, true, ALICE));
    expect(await listed({ kind: 'placements' })).toEqual([]);
    const moves = accepted(await rebalance.run(undefined, false, ALICE));
    const events = await listed({ kind: 'placements' });
    expect(events.map(({ resourceId }) => resourceId).sort()).toEqual(moves.map(({ networkId }) => networkId).sort());
    for (const event of events) {
      expect(event).toMatchObject({ before: { hostIds: ['h1'] }, after: { hostIds: ['h2'] }, caller: 'engine/alice' });
    }
  });

  test('a log line tells the same of each, in words', async () => {
    const event = (await listed({ kind: 'subnet' }))[0] as AuditEvent;
    const line = installation.log.lines.findLast(({ message }) => message === 'audit');
    expect(line).toMatchObject({
      level: 'info',
      fields: {
        event: event.eventId,
        caller: 'test',
        method: 'CreateSubnet',
        kind: 'subnet',
        resource: 'tiny',
        uid: event.uid,
        network: 'red',
        after: { cidr: '10.0.0.0/29', lease_time_s: 3_600 },
      },
    });
  });
});

describe('reservations', () => {
  test('are events by who reserved and released them, under which requests, wherever their tenures are', async () => {
    await live(1, '10.0.0.3', 'a');
    await installation.advance(2 * HOUR_MS);
    expect(installation.disk.history.size).toBe(1);
    await live(2, '10.0.0.4', 'b');
    await installation.reserve('tiny', mac(3), '10.0.0.5');
    const events = await listed({ kind: 'reservation' });
    expect(events.map(({ method, requestId }) => `${method} ${requestId}`)).toEqual([
      'ReserveAddress undefined',
      'ReleaseAddress b',
      'ReserveAddress b',
      'ReleaseAddress a',
      'ReserveAddress a',
    ]);
    expect(events[1]).toMatchObject({ before: { mac: mac(2) }, after: { mac: mac(2), releasedBy: 'test' } });
    expect(events[1]?.before).not.toHaveProperty('releasedBy');
    expect(events[2]).not.toHaveProperty('before');
    const one = { kind: 'reservation', resourceId: events[4]?.resourceId } as const;
    expect(await deeds(one)).toEqual(['ReleaseAddress', 'ReserveAddress']);
    expect(await deeds({ ...one, networkId: 'blue' as NetworkId })).toEqual([]);
    expect(await deeds({ kind: 'reservation', resourceId: 'nonsense' })).toEqual([]);
  });

  test('stand among the changes of settings, newest first, also the change of their own', async () => {
    await live(1, '10.0.0.3', 'a');
    accepted(await installation.plane.useCases.networks.update(RED, { displayName: 'Red' }, '', ALICE));
    await installation.advance(MINUTE_MS);
    const slot = await installation.reserve('tiny', mac(2), '10.0.0.4');
    await installation.advance(MINUTE_MS);
    const key = { kind: 'id', reservationId: slot.reservationId } as const;
    const guards = { reservationId: undefined, etag: '' };
    accepted(await installation.plane.useCases.reservations.update(key, { owner: 'vm-1' }, guards, ALICE));
    const all = ['UpdateReservation', 'ReserveAddress', 'UpdateNetwork', 'ReleaseAddress', 'ReserveAddress'];
    for (const size of [1, 2, 3, 100]) {
      expect(await deeds({}, size)).toEqual([...all, 'CreateSubnet', 'CreateNetwork']);
    }
    const events = await listed();
    expect(events[0]).toMatchObject({
      before: { owner: '' },
      after: { owner: 'vm-1' },
      resourceId: slot.reservationId,
    });
    expect(await deeds({ kind: 'reservation', resourceId: slot.reservationId }, 1)).toEqual(all.slice(0, 2));
    expect(await deeds({ caller: 'engine/alice' })).toEqual(['UpdateReservation', 'UpdateNetwork', 'CreateNetwork']);
    const [since, until] = [events[3]?.time, events[1]?.time];
    expect(await deeds({ since, until })).toEqual(['UpdateNetwork', 'ReleaseAddress']);
  });

  test('are listed once each, though their tenures end and others begin between the pages', async () => {
    for (let n = 1; n <= 4; n++) await live(n, `10.0.0.${n + 1}`, `r${n}`);
    const before = await listed({}, 100);
    let pages = 0;
    const paged = await listed({}, 1, async () => {
      if (++pages === 2) await installation.advance(2 * HOUR_MS);
      if (pages === 4) await live(5, '10.0.0.3', 'late');
    });
    expect(installation.disk.history.size).toBe(4);
    expect(paged).toEqual(before);
  });

  test('a word for a guest that comes after the release has an event of its own, and stays where it was said', async () => {
    const slot = await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.advance(MINUTE_MS);
    accepted(await installation.tryRelease('tiny', '10.0.0.3', { request: request('ReleaseAddress', 'a') }));
    await installation.advance(1_000);
    const vouch = { ...releaseCommand('tiny', '10.0.0.3'), guestStopped: true };
    for (const command of [vouch, { ...vouch, request: request('ReleaseAddress', 'b') }, vouch]) {
      accepted(await installation.plane.useCases.release.release(command, { ...ALICE, requestId: undefined }));
      await installation.advance(1_000);
    }
    const seen = async () => {
      const events = await listed({ kind: 'reservation', resourceId: slot.reservationId });
      expect(events.map(inWords)).toEqual([
        `ReleaseAddress ${slot.reservationId} engine/alice`,
        `ReleaseAddress ${slot.reservationId} test`,
        `ReserveAddress ${slot.reservationId} test`,
      ]);
      expect(events[0]).toMatchObject({ before: { releasedBy: 'test' }, after: { releasedBy: 'test', vouched: true } });
      expect(events[0]?.before).not.toHaveProperty('vouched');
      expect(events[1]?.after).not.toHaveProperty('vouched');
      expect(await deeds({ caller: 'engine/alice' })).toEqual(['ReleaseAddress', 'CreateNetwork']);
    };
    await seen();
    const line = installation.log.lines.findLast(({ message }) => message === 'audit');
    expect(line?.fields).toMatchObject({ method: 'ReleaseAddress', caller: 'engine/alice', after: { vouched: true } });
    await installation.advance(2 * HOUR_MS);
    expect(installation.disk.history.get(slot.reservationId)).toMatchObject({ vouched: true });
    await seen();
  });

  test('a word for a guest is in its release where it was said with it', async () => {
    await live(1, '10.0.0.3', 'a');
    expect((await listed({ kind: 'reservation' }))[0]).toMatchObject({ requestId: 'a', after: { vouched: true } });
  });

  test('a word that two say at once has one event, and the request of each is known afterwards', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    accepted(await installation.tryRelease('tiny', '10.0.0.3'));
    const ids = ['a', 'b'].map((id) => ({ guestStopped: true, request: request('ReleaseAddress', id) }));
    for (const answer of await Promise.all(ids.map((more) => installation.tryRelease('tiny', '10.0.0.3', more)))) {
      expect(accepted(answer)).toMatchObject({ vouched: true });
    }
    expect(await deeds({ kind: 'reservation' })).toHaveLength(3);
    expect(installation.disk.slotsInOrder()[0]?.releaseRequest?.id).toMatch(/^[ab]$/);
  });

  test('that were refused after their write are none, and their tenures were released by nobody', async () => {
    await installation.stop();
    await begin({ auditLog: 'all' });
    await installation.reserve('tiny', mac(3), '10.0.0.5');
    const { context, networks } = installation.plane.useCases;
    const { slots } = context.store;
    const before = await deeds();
    const { insert } = slots;
    slots.insert = async (slot) => {
      accepted(await networks.update(RED, { ipamEnabled: false }, '', ALICE));
      return insert(slot);
    };
    for (const n of [1, 2]) {
      const refused = await installation.tryReserve('tiny', mac(n), `10.0.0.${n + 2}`);
      expect(refused).toMatchObject({ ok: false, error: { kind: 'ipam-disabled' } });
      accepted(await networks.update(RED, { ipamEnabled: true }, '', CALL));
    }
    const [slot] = installation.disk.slotsInOrder();
    expect(slot).toMatchObject({ state: 'quarantined', createdBy: 'test' });
    expect(slot).not.toHaveProperty('releasedBy');
    const none = async () => {
      const all = [...Array<string>(4).fill('UpdateNetwork'), ...before];
      for (const size of [1, 2, 9]) expect(await deeds({}, size)).toEqual(all);
      expect(await deeds({ kind: 'reservation', resourceId: slot?.reservationId })).toEqual([]);
    };
    await none();
    const told = installation.log.lines.filter(({ message }) => message === 'audit');
    expect(told.map(({ fields }) => fields['method']).slice(-5)).toEqual(
      ['ReserveAddress', ...Array<string>(4).fill('UpdateNetwork')], // and before it those of settings
    );
    await installation.advance(2 * HOUR_MS);
    expect(installation.disk.history.size).toBe(2);
    await none();
  });

  test('have log lines where those are wanted, one for each that was made or released', async () => {
    await live(1, '10.0.0.3', 'a');
    const told = () => installation.log.lines.filter(({ message }) => message === 'audit');
    expect(told()).toHaveLength(2);
    await installation.stop();
    await begin({ auditLog: 'all' });
    const settings = told().length;
    await live(1, '10.0.0.3', 'a');
    accepted(await installation.tryReserve('tiny', mac(1), undefined, { request: request('ReserveAddress', 'a') }));
    accepted(await installation.tryRelease('tiny', '10.0.0.3', { guestStopped: true }));
    const methods = told().map(({ fields }) => fields['method']);
    expect(methods.slice(settings)).toEqual(['ReserveAddress', 'ReleaseAddress']);
  });
});

test('events are forgotten with the history of their time', async () => {
  await live(1, '10.0.0.3', 'a');
  await installation.advance(DAY_MS);
  accepted(await installation.plane.useCases.networks.update(RED, { displayName: 'Red' }, '', ALICE));
  await installation.advance(3 * HOUR_MS);
  expect(await deeds()).toEqual(['UpdateNetwork']);
});

test('a page token of another list, or of none, is refused', async () => {
  const list = (filter: AuditFilter, token: string) =>
    installation.plane.useCases.audit.list(filter, { size: 1, token }, CALL);
  const { nextToken } = accepted(await list({}, ''));
  expect(nextToken).not.toBe('');
  for (const token of ['nonsense', nextToken]) {
    expect(await list({ kind: 'host' }, token)).toMatchObject({ ok: false, error: { kind: 'invalid-page-token' } });
  }
});

describe('a look at all reservations', () => {
  const FIRST = { size: 9, token: '' };
  const refused = (kind: string) => ({ ok: false, error: { kind } });

  test('is had by two at a time; who names a network, another kind or one resource does not wait for them', async () => {
    const { audit } = installation.plane.useCases;
    const list = (filter: AuditFilter) => audit.list(filter, FIRST, CALL);
    const filters: readonly AuditFilter[] = [
      ...[{}, { kind: 'reservation' as const }, {}, { caller: 'test' }],
      ...[{ networkId: RED }, { kind: 'network' as const }, { kind: 'reservation' as const, resourceId: 'x' }],
    ];
    const pages = await Promise.all(filters.map(list));
    expect(pages.map((page) => (page.ok ? 'ok' : page.error.kind))).toEqual(
      ['ok', 'ok', 'rate-limited', 'rate-limited', 'ok', 'ok', 'ok'], // in the order of the filters
    );
    expect(await list({})).toMatchObject({ ok: true });
  });

  test('that takes longer than the store lets it is refused, and the next one is not', async () => {
    const { store } = installation.plane.useCases.context;
    let isSlow = true;
    const newest: typeof store.slots.newest = async (...asked) => (isSlow ? 'too-long' : store.slots.newest(...asked));
    const audit = new Audit({ store: { ...store, slots: { ...store.slots, newest } } });
    for (let n = 0; n < 3; n++) expect(await audit.list({}, FIRST, CALL)).toMatchObject(refused('filter-too-broad'));
    isSlow = false;
    expect(await audit.list({}, FIRST, CALL)).toMatchObject({ ok: true });
  });

  test('ends when nobody waits for it any more', async () => {
    const { store } = installation.plane.useCases.context;
    const gone = new AbortController();
    let looks = 0;
    const newest: typeof store.slots.newest = async (...asked) => {
      looks++;
      gone.abort();
      return store.slots.newest(...asked);
    };
    const audit = new Audit({ store: { ...store, slots: { ...store.slots, newest } } });
    await audit.list({}, FIRST, { signal: gone.signal });
    expect(looks).toBe(1);
  });
});
