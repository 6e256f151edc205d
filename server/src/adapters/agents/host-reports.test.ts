import { expect, test } from 'vitest';
import { MemoryLog } from '../../../../test/fakes/memory-log.js';
import { VirtualClock } from '../../../../test/fakes/virtual-clock.js';
import type { HostId, NetworkId } from '../../domain/ids.js';
import type { HostReport } from '../../ports/host-directory.js';
import { HostReports, STORE_AGAIN_MS, STORE_EVERY_MS } from './host-reports.js';

function makeReports() {
  const clock = new VirtualClock();
  const host = { isAway: false, isCurrent: true, stored: [] as string[] };
  const directory = {
    async reported({ attachments }: HostReport): Promise<void> {
      await Promise.resolve();
      if (host.isAway) throw new Error('The store is away');
      host.stored.push(attachments.map((each) => each.interface).join());
    },
  };
  const reports = new HostReports(directory, clock, new MemoryLog());
  const report = (name: string) => {
    const attachments = [{ networkId: 'red' as NetworkId, interface: name }];
    const about = { hostId: 'h1' as HostId, failureDomain: '', backend: 'builtin', agentVersion: '0' };
    reports.store({ ...about, attachments }, () => host.isCurrent);
  };
  return { clock, host, report };
}

test('of reports that come while one is being stored the newest is stored', async () => {
  const { clock, host, report } = makeReports();
  report('br0');
  report('br1');
  report('br2');
  await clock.advance(0);
  expect(host.stored).toEqual(['br0']);
  await clock.advance(STORE_EVERY_MS);
  expect(host.stored).toEqual(['br0', 'br2']);
});

test('while the store is away it is tried again, and a newer one takes its place', async () => {
  const { clock, host, report } = makeReports();
  host.isAway = true;
  report('br0');
  await clock.advance(3 * STORE_AGAIN_MS);
  report('br1');
  host.isAway = false;
  await clock.advance(STORE_AGAIN_MS);
  expect(host.stored).toEqual(['br1']);
  report('br2');
  await clock.advance(STORE_EVERY_MS);
  expect(host.stored).toEqual(['br1', 'br2']);
});

test('of a session that is over nothing is stored any more', async () => {
  const { clock, host, report } = makeReports();
  host.isAway = true;
  report('br0');
  await clock.advance(0);
  host.isAway = false;
  host.isCurrent = false;
  await clock.advance(10 * STORE_AGAIN_MS);
  expect(host.stored).toEqual([]);
  host.isCurrent = true;
  report('br1');
  await clock.advance(0);
  expect(host.stored).toEqual(['br1']);
});
