// What befalls many hosts together says little about them: when all are cut off nothing moves, and it is said why. Hosts that
// come and go lose what they serve once, to hosts that stay.

import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, type TestHost } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { monotonicMs, QUESTIONS_BEFORE_RETRY } from '../../support/prober.js';
import { repositoryRoot } from '../../support/repository.js';
import { run } from '../../support/run.js';
import { hasTool } from '../../support/tools.js';
import { FaultStage, type Held } from './fault-stage.js';

const [RED, BLUE, GREEN] = ['red', 'blue', 'green'];
const FLAPS = 6;
const TURNS = 3;

describe.skipIf(!(await hasTool('nft')))('of six hosts', { timeout: 150_000 }, () => {
  let stage: FaultStage;

  beforeAll(async () => {
    stage = await FaultStage.start(await Cluster.startOverNetwork(), {
      hosts: 6,
      networks: { [RED]: 1, [BLUE]: 1, [GREEN]: 0 },
    });
  });

  afterEach(() => stage.judge());

  afterAll(() => stage[Symbol.asyncDispose]());

  test('two that come and go in turns lose what they serve, to hosts that stay, and never get it back', async () => {
    await stage.inContact();
    const flapping = [await stage.server(RED), await stage.server(BLUE)];
    // So that whoever is back has less to do than all that stay.
    await stage.leasehold.networks.update(GREEN, { dhcpServerCount: 4 });
    await eventually('the others serve it', async () => (await stage.placed(GREEN)).length === 4);
    expect((await stage.placed(GREEN)).filter(isOf(flapping))).toEqual([]);
    const epochs = new Set<string>();
    for (let n = 0; n < TURNS; n++) {
      for (const host of flapping) {
        await host.machine.cut('both');
        await becomes(host, 'down');
        if (n === 0) await othersServe([host]);
        await host.machine.heal();
        await becomes(host, 'up');
        const placed = [...(await stage.placed(RED)), ...(await stage.placed(BLUE))];
        for (const { networkId, epoch } of placed) epochs.add(`${networkId} ${epoch}`);
      }
    }
    await stage.leasehold.networks.update(GREEN, { dhcpServerCount: 0 });
    const after = await stage.settled();
    expect(after.filter(isOf(flapping))).toEqual([]);
    // The first may have lost it to the second, which stayed so far.
    expect(epochs.size).toBeLessThanOrEqual(3);
  });

  test('two that come and go lose what they serve once, and get nothing back', async () => {
    const [red, blue] = [await stage.server(RED), await stage.server(BLUE)];
    expect(red).not.toBe(blue);
    await stage.inContact();
    const flapping = [red, blue];
    await using prober = await stage.prober(RED);
    await using guest = await stage.bound(await stage.reserve(BLUE));
    const seen = new Set<string>();
    for (let n = 0; n < FLAPS; n++) {
      await Promise.all(flapping.map(({ machine }) => machine.cut('both')));
      for (const host of flapping) await becomes(host, 'down');
      if (n === 0) await othersServe(flapping);
      for (const { networkId, hostId, epoch } of await stage.placed()) seen.add(`${networkId} ${hostId} ${epoch}`);
      await Promise.all(flapping.map(({ machine }) => machine.heal()));
      for (const host of flapping) await becomes(host, 'up');
      for (const { networkId, hostId, epoch } of await stage.placed()) seen.add(`${networkId} ${hostId} ${epoch}`);
    }
    for (const host of flapping) await stage.back(host);
    const after = await stage.settled();
    expect(after.filter(isOf(flapping))).toEqual([]);
    expect([...seen].toSorted()).toEqual(
      after.map(({ networkId, hostId, epoch }) => `${networkId} ${hostId} ${epoch}`).toSorted(),
    );
    expect(await guest.renew()).toMatchObject({ kind: 'renew' });
    await prober.answerSince(monotonicMs());
    expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
  });

  test('all are cut off at once: nothing moves, guests are served, it is said why, and all is as before when they are back', async () => {
    const before = await stage.settled();
    await using prober = await stage.prober(RED);
    await using guest = await stage.bound(await stage.reserve(BLUE));
    const booting = await stage.reserve(RED);

    await Promise.all(stage.hosts.map(({ machine }) => machine.cut('both')));
    await eventually('the brake is shown', async () => (await stage.brakes()).includes('MASS_SILENCE'));
    for (const host of stage.hosts) await becomes(host, 'down');
    expect(await shown()).toContain('MASS_SILENCE');
    expect(await guest.renew()).toMatchObject({ kind: 'renew' });
    await using booted = await stage.bound(booting);
    expect(await stage.placed()).toEqual(before);

    await Promise.all(stage.hosts.map(({ machine }) => machine.heal()));
    for (const host of stage.hosts) await becomes(host, 'up');
    await stage.unbraked();
    expect(await stage.settled()).toEqual(before);
    for (const each of [guest, booted]) expect(await each.renew()).toMatchObject({ kind: 'renew' });
    await prober.answerSince(monotonicMs());
    expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
  });

  /** Not as soon as these are down: the next heartbeats of the others may show that they are not alone. */
  async function othersServe(down: readonly TestHost[]): Promise<void> {
    await eventually('others serve', async () => !(await stage.placed()).some(isOf(down)));
  }

  function isOf(hosts: readonly TestHost[]): (placed: Held) => boolean {
    return ({ hostId }) => hosts.some((host) => host.hostId === hostId);
  }

  async function becomes({ hostId }: TestHost, liveness: 'up' | 'down'): Promise<void> {
    await eventually(
      `${hostId} is ${liveness}`,
      async () => (await stage.leasehold.hosts.get(hostId)).liveness === liveness,
    );
  }

  /** What an operator sees. */
  async function shown(): Promise<string> {
    const command = join(repositoryRoot, 'sdk/bin/leasehold.js');
    return (await run(command, ['status', '--server', stage.cluster.apiEndpoint])).stdout;
  }
});
