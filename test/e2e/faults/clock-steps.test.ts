// Somebody sets the wall clock, of the server, of agents or of all, by hours: spans are counted on clocks that nobody sets, so
// nothing moves, guests are served, authority ends when it would have ended, and no address is free before its time.

import { join } from 'node:path';
import { boottimeNow } from '@leasehold/agent/system/boottime';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../../support/cluster.js';
import { databaseOf } from '../../support/database-looks.js';
import { eventually } from '../../support/eventually.js';
import { hasMongod } from '../../support/mongod-binary.js';
import { monotonicMs, QUESTIONS_BEFORE_RETRY } from '../../support/prober.js';
import { refusalOf } from '../../support/refusal.js';
import { sharedReplicaSet } from '../../support/shared-replica-set.js';
import { WallClock } from '../../support/wall-clock.js';
import { FaultStage } from './fault-stage.js';

const NETWORK = 'red';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const STEPS_MS = [30 * HOUR_MS, -90 * DAY_MS, 60 * DAY_MS];
const HEARTBEATS = 2;
const HALF_INTERVAL_MS = 500;
const AUTHORITY_S = 7;

describe('when the wall clock is set', () => {
  let stage: FaultStage;
  let serverClock: WallClock;
  let agentClock: WallClock;

  beforeAll(async () => {
    const cluster = new Cluster();
    serverClock = new WallClock(join(cluster.directory, 'server-clock'));
    agentClock = new WallClock(join(cluster.directory, 'agent-clock'));
    await cluster.servers[0].start([], { env: serverClock.env });
    stage = await FaultStage.start(cluster, { hosts: 3, networks: { [NETWORK]: 1 }, agentEnv: () => agentClock.env });
  });

  afterEach(() => stage.judge());

  afterAll(() => stage[Symbol.asyncDispose]());

  test.each([
    ['of the server', () => [serverClock]],
    ['of the agents', () => [agentClock]],
    ['of all', () => [serverClock, agentClock]],
  ])('%s, forward and back, nothing moves, and guests are served', async (_whose, clocks) => {
    const before = await stage.settled();
    const server = await stage.server(NETWORK);
    await using prober = await stage.prober(NETWORK);
    await using guest = await stage.bound(await stage.reserve(NETWORK));
    for (const byMs of STEPS_MS) {
      for (const clock of clocks()) clock.step(byMs);
      for (let n = 0; n < HEARTBEATS; n++) await heartbeat(server.hostId);
      const { lastHeartbeatTime, liveness } = await stage.leasehold.hosts.get(server.hostId);
      expect(liveness).toBe('up');
      // It was set: what people are told follows it.
      const offHours = ((lastHeartbeatTime?.getTime() ?? 0) - Date.now()) / HOUR_MS;
      expect(Math.round(offHours)).toBe(serverClock.offsetMs / HOUR_MS);
      expect(await guest.renew()).toMatchObject({ kind: 'renew' });
    }
    await using newcomer = await stage.bound(await stage.reserve(NETWORK));
    expect(await newcomer.renew()).toMatchObject({ kind: 'renew' });
    await prober.answerSince(monotonicMs());
    expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
    expect(await stage.settled()).toEqual(before);
    // A machine that has more to do may let a server stand still.
    const { brakes } = await stage.leasehold.status();
    expect(brakes.map(({ kind }) => kind).filter((kind) => kind !== 'STALL')).toEqual([]);
  });

  test('forward no address that rests is free before its time', async () => {
    const tenant = await stage.reserve(NETWORK);
    const { reservationId, address } = tenant;
    await stage.tap(NETWORK).tell({ kind: 'releasing', mac: tenant.mac, address });
    await stage.leasehold.reservations.release({ reservationId, guestStopped: true });
    for (const clock of [serverClock, agentClock]) clock.step(31 * DAY_MS);
    const server = await stage.server(NETWORK);
    for (let n = 0; n < HEARTBEATS; n++) await heartbeat(server.hostId);
    const take = stage.leasehold.reservations.reserve({ networkId: NETWORK, mac: stage.mac(), address });
    expect(await refusalOf(take)).toMatchObject({ reason: 'ADDRESS_QUARANTINED' });
    for (const clock of [serverClock, agentClock]) clock.step(-31 * DAY_MS);
  });

  /** The next heartbeat of a host, after the one heard last. */
  async function heartbeat(hostId: string): Promise<void> {
    const last = async () => (await stage.leasehold.hosts.get(hostId)).lastHeartbeatTime?.getTime() ?? 0;
    const before = await last();
    // Told as an age, it varies by a millisecond or so.
    await eventually('another heartbeat is heard', async () => Math.abs((await last()) - before) > HALF_INTERVAL_MS);
  }
});

describe.skipIf(!(await hasMongod()))('when the wall clock of a host is set while it is alone', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });

  test('forward or back, it answers until its authority ends, and no longer', async () => {
    const uri = mongo.freshUri();
    const cluster = await Cluster.startSeveral({ store: uri, servers: 1 });
    await cluster.server.stop();
    const node = await mongo.set.waitForPrimary();
    // The shortest that a server takes is a minute.
    const u = { $set: { authority: AUTHORITY_S, authority_ceiling: AUTHORITY_S } };
    await node.command(databaseOf(uri), { update: 'settings', updates: [{ q: {}, u }] });
    await cluster.startServer();
    const clocks = new Map(['h1', 'h2'].map((id) => [id, new WallClock(join(cluster.directory, `clock-${id}`))]));
    await using stage = await FaultStage.start(cluster, {
      hosts: 2,
      networks: { [NETWORK]: 2 },
      agentEnv: (hostId) => clocks.get(hostId)?.env ?? {},
    });
    await using prober = await stage.prober(NETWORK);

    const alone = stage.hosts.map(({ agent }) => agent.lines.length);
    const beganMs = boottimeNow();
    cluster.server.signal('SIGSTOP');
    clocks.get('h1')?.step(48 * HOUR_MS);
    clocks.get('h2')?.step(-48 * HOUR_MS);
    await Promise.all(
      stage.hosts.map(async (host, n) => {
        await host.agent.waitForLine('Not answering DHCP', alone[n]);
        // The last heartbeat that was acknowledged was sent an interval before, or a little more.
        expect(boottimeNow() - beganMs).toBeGreaterThan((AUTHORITY_S - 2) * 1_000);
        await stage.mayNotAnswer(host);
      }),
    );
    const { question = 0 } = prober.answers().at(-1) ?? {};

    for (const host of stage.hosts) await stage.mayAnswer(host);
    const together = stage.hosts.map(({ agent }) => agent.lines.length);
    cluster.server.signal('SIGCONT');
    await Promise.all(stage.hosts.map(({ agent }, n) => agent.waitForLine('Answering DHCP', together[n])));
    expect((await prober.answerSince(monotonicMs())).question).toBeGreaterThan(question);
    await stage.judge();
  });
});
