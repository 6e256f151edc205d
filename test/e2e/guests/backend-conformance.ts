// What guests get is the same whatever answers on the host: one suite for every DHCP backend, with three real clients. The
// wire is heard throughout, and nothing may be said on it that is not promised (wire-invariants.ts).

import { join } from 'node:path';
import { killIdentified } from '@leasehold/agent/backends/dnsmasq/system-process';
import type { Leasehold } from '@leasehold/sdk';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, servingHosts, type TestHost } from '../../support/cluster.js';
import { DhclientGuest } from '../../support/dhclient.js';
import { DhcpcdGuest } from '../../support/dhcpcd.js';
import { keeperOf } from '../../support/keeper-of.js';
import { hasTool } from '../../support/tools.js';
import { runUdhcpc, startUdhcpc } from '../../support/udhcpc.js';
import { WireListener } from '../../support/wire-listener.js';

const withDhclient = await hasTool('dhclient');
const withDhcpcd = await hasTool('dhcpcd');
const MANY = 100;

/** Runs the suite for a backend that is `present` here. */
export function backendConformance(backend: 'builtin' | 'dnsmasq', present: boolean): void {
  describe.skipIf(!present)(`guests of ${backend}`, () => {
    let cluster: Cluster;
    let leasehold: Leasehold;
    let wire: WireListener;
    let host: TestHost;

    beforeAll(async () => {
      cluster = await Cluster.start();
      leasehold = cluster.client();
      await leasehold.networks.create({ networkId: 'red' });
      await leasehold.subnets.create({
        subnetId: 'red-a',
        networkId: 'red',
        cidr: '10.1.0.0/23',
        gateway: '10.1.0.1',
        // What a test names lies outside.
        allocationRanges: [{ first: '10.1.0.10', last: '10.1.0.250' }],
        dnsServers: ['10.1.0.2'],
      });
      wire = await WireListener.start(await cluster.wire('red'));
      host = await cluster.host('h1', ['red'], ['--backend', backend]);
      await servingHosts(leasehold, 'red', 1);
    });

    afterEach(() => expect(wire.violations()).toEqual([]));

    afterAll(async () => {
      const keeper = keeperOf(host);
      await wire[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
      if (keeper !== undefined) killIdentified(keeper, []);
    });

    test('udhcpc gets exactly its address, and again by a renewal', async () => {
      const mac = '52:54:00:00:09:01';
      const address = await reserve(mac);
      await using guest = await startUdhcpc(await cluster.guest('red', 'udhcpc', mac));
      expect((await guest.bound()).ip).toBe(address);
      expect(await guest.renew()).toMatchObject({ kind: 'renew', lease: { ip: address } });
      expect(wire.heard(mac).map(({ kind }) => kind)).toContain('offer');
    });

    test.skipIf(!withDhclient)('dhclient gets exactly its address, and again after a reboot', async () => {
      const mac = '52:54:00:00:09:02';
      const address = await reserve(mac);
      const guest = new DhclientGuest(await cluster.guest('red', 'dhclient', mac), join(cluster.directory, 'dhclient'));
      expect((await guest.boot()).address).toBe(address);
      expect(await guest.boot()).toEqual({ address, messages: ['DHCPREQUEST', 'DHCPACK'] });
      await guest.powerOff();
    });

    test.skipIf(!withDhcpcd)('dhcpcd gets exactly its address, and again after a reboot', async () => {
      const mac = '52:54:00:00:09:03';
      const address = await reserve(mac);
      const guest = new DhcpcdGuest(await cluster.guest('red', 'dhcpcd', mac), join(cluster.directory, 'dhcpcd'));
      expect(await guest.boot()).toMatchObject({ reason: 'BOUND', address, dns: ['10.1.0.2'] });
      await guest.powerOff();
      expect(await guest.boot()).toMatchObject({ reason: 'REBOOT', address });
      await guest.powerOff();
    });

    test('a MAC that has got another address takes it, whatever it remembers', async () => {
      const mac = '52:54:00:00:09:05';
      const old = await reserve(mac, '10.1.1.5');
      await using guest = await startUdhcpc(await cluster.guest('red', 'moved', mac));
      expect((await guest.bound()).ip).toBe(old);
      wire.expectNak(mac);
      await leasehold.reservations.release({ subnetId: 'red-a', address: old });
      const address = await reserve(mac, '10.1.1.6');
      const from = guest.process.lines.length;
      guest.process.signal('SIGUSR1');
      expect((await guest.waitFor(['bound'], from)).lease?.ip).toBe(address);
    });

    test('an unknown MAC hears nothing', async () => {
      const mac = '52:54:00:00:09:04';
      expect(await runUdhcpc(await cluster.guest('red', 'stranger', mac), { tries: 2 })).toBeUndefined();
      expect(wire.heard(mac)).toEqual([]);
    });

    test(`${MANY} guests at once get each its own address`, async () => {
      const macs = Array.from({ length: MANY }, (_, i) => `52:54:00:00:0a:${i.toString(16).padStart(2, '0')}`);
      const addresses = await Promise.all(macs.map((mac) => reserve(mac)));
      const nics = await cluster.lab.guests(await cluster.wire('red'), 'many', macs);
      const leases = await Promise.all(nics.map((nic) => runUdhcpc(nic, { tries: 10 })));
      expect(leases.map((lease) => lease?.ip)).toEqual(addresses);
    });

    async function reserve(mac: string, address?: string): Promise<string> {
      const { reservation } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac, address, waitReady: {} });
      wire.promise(mac, reservation.address);
      return reservation.address;
    }
  });
}
