// Hosts and placements, as far as the API tells of them.

import { expect } from 'vitest';
import { eventually } from '../../support/eventually.js';
import type { ApiCheck, ApiStage } from './stage.js';

/** The claims. */
export const HOST_CHECKS: readonly ApiCheck[] = [
  {
    name: 'a host that has a network serves it, a reserve waits for it, and the network says so',
    async run(stage) {
      const { networkId, subnetId, hostId } = await served(stage);
      const waitReady = { servers: 1, timeoutMs: 20_000 };
      const result = await stage.api.reserve({ subnetId, mac: stage.mac(), waitReady });
      expect(result).toMatchObject({ ready: true, readyServers: 1, reservation: { readyServers: 1 } });
      const { items } = await stage.api.listPlacements({ networkId });
      expect(items).toMatchObject([{ networkId, hostId, state: 'serving' }]);
      expect((await stage.api.getNetwork(networkId)).status).toMatchObject({
        subnets: 1,
        serversWanted: 1,
        serversServing: 1,
      });
      expect((await stage.api.listHosts(networkId)).items).toMatchObject([{ hostId, liveness: 'up', managed: true }]);
    },
  },
  {
    name: 'a wait that nobody meets ends in time, with the reservation made',
    async run(stage) {
      const subnetId = await stage.subnet(await stage.network());
      const waitReady = { servers: 1, timeoutMs: 50 };
      const result = await stage.api.reserve({ subnetId, mac: stage.mac(), waitReady });
      expect(result).toMatchObject({
        created: true,
        ready: false,
        readyServers: 0,
        reservation: { state: 'reserved' },
      });
    },
  },
  {
    name: 'a host that is not managed serves nothing, over restarts, until it is again',
    async run(stage) {
      const { networkId, hostId } = await served(stage);
      const { etag } = await stage.api.getHost(hostId);
      expect(await stage.api.updateHost(hostId, { managed: false }, etag)).toMatchObject({ managed: false });
      await eventually('it serves nothing', async () => (await servers(stage, networkId)).length === 0);
      expect(await stage.refused(stage.api.updateHost(hostId, { managed: true }, etag))).toMatchObject({
        code: 'ABORTED',
        reason: 'ETAG_MISMATCH',
      });
      await stage.place.restart();
      expect(await stage.api.getHost(hostId)).toMatchObject({ managed: false });
      await stage.api.updateHost(hostId, { managed: true });
      await eventually('it serves', async () => (await servers(stage, networkId)).length === 1);
    },
  },
  {
    name: 'a host that is connected is neither deleted nor fenced',
    async run(stage) {
      const { networkId, hostId } = await served(stage);
      const connected = { code: 'FAILED_PRECONDITION', reason: 'HOST_CONNECTED', metadata: { host_id: hostId } };
      await stage.expectRefused(networkId, () => stage.api.deleteHost(hostId), connected);
      await stage.expectRefused(networkId, () => stage.api.fenceHost(hostId, 'it looked dead'), connected);
    },
  },
  {
    name: 'a host that is gone is fenced and forgotten',
    async run(stage) {
      const { hostId, host } = await served(stage);
      await host.stop();
      const fenced = await eventually('it is not connected', () =>
        stage.api.fenceHost(hostId, 'power is off').catch(() => undefined),
      );
      expect(fenced.fence).toMatchObject({ reason: 'power is off' });
      await stage.api.deleteHost(hostId);
      const gone = { code: 'NOT_FOUND', reason: 'HOST_NOT_FOUND', metadata: { host_id: hostId } };
      expect(await stage.refused(stage.api.getHost(hostId))).toMatchObject(gone);
    },
  },
  {
    name: 'a preview of a rebalance moves nothing, and an even network has nothing to move',
    async run(stage) {
      const { networkId } = await served(stage);
      expect(await stage.api.rebalance(networkId, true)).toEqual([]);
      expect(await stage.api.rebalance(networkId, false)).toEqual([]);
    },
  },
  {
    name: 'the status counts what there is, and who leads',
    async run(stage) {
      const { networkId } = await served(stage);
      const { counts, holder, version, store } = await stage.api.status();
      expect(version).not.toBe('');
      expect(store?.uid).not.toBe('');
      expect(holder).toMatchObject({ isSelf: true });
      expect(counts?.networks).toBeGreaterThan(0);
      expect(counts?.placements).toBeGreaterThan(0);
      expect(await servers(stage, networkId)).toHaveLength(1);
    },
  },
];

/** A network with a subnet, and a host that serves it. */
async function served(stage: ApiStage) {
  const networkId = await stage.network();
  const subnetId = await stage.subnet(networkId);
  const hostId = stage.name('host');
  const host = await stage.place.addHost(hostId, [networkId]);
  await eventually('it serves', async () => (await servers(stage, networkId)).length === 1);
  return { networkId, subnetId, hostId, host };
}

async function servers({ api }: ApiStage, networkId: string): Promise<readonly string[]> {
  const { items } = await api.listPlacements({ networkId });
  return items.filter(({ state }) => state === 'serving').map(({ hostId }) => hostId);
}
